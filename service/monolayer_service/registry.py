"""The bundles of one folder, by name: opened, verified, warmed.

A bundle that cannot be used makes the service not ready and is named there with the reason; requests are answered all
the same, by K-means, and the answer says so. When the folder is loaded anew, a bundle that worked goes on answering
where what has taken its place does not pass.
"""

import functools
import os
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

import structlog

from monolayer_core.errors import MonolayerError, PredictionError
from monolayer_core.model_card import BUNDLE_NAME, ModelCard, read_card, verify_files
from monolayer_service.compute import ComputePlan
from monolayer_service.errors import NotReadyError, UnknownModelError
from monolayer_service.scheduler.scheduler import TileScheduler
from monolayer_service.segmenters.bundle import open_bundle
from monolayer_service.segmenters.faults import FaultTolerantEngine
from monolayer_service.segmenters.gpu_runs import GpuMemory
from monolayer_service.segmenters.onnx import OnnxSegmenter, usable_sides
from monolayer_service.segmenters.runtime import CUDA
from monolayer_service.segmenters.session import Network
from monolayer_service.settings import PREFIX, Settings
from monolayer_service.telemetry.memory import resident_bytes
from monolayer_service.telemetry.metrics import Metrics

log = structlog.get_logger(__name__)

RETRY_AFTER_SECONDS = 30.0
"""A broken bundle does not mend itself; this is how long an operator's restart takes."""


BundleState: TypeAlias = Literal["ready", "stale", "degraded", "broken"]


@dataclass(frozen=True)
class Bundle:
    """One folder: a segmenter where it could be opened, else why it was refused.

    Attributes
    ----------
    stale_because : str or None
        Why the segmenter is still the one from before, and not what lies in the folder now.
    is_displaced : bool
        Whether it runs on the CPU because the GPU failed when it was opened; loaded anew, it tries the GPU again.
    """

    name: str
    segmenter: OnnxSegmenter | None
    refusal: str | None = None
    needs_cuda: bool = False
    stale_because: str | None = None
    is_displaced: bool = False

    @property
    def problem(self) -> str | None:
        """What is wrong, if anything is; a network may work, but not on the device the operator asked for.

        Asked anew each time, because the session of a tile side that is opened later may find no GPU.
        """
        if self.segmenter is None or not self.needs_cuda or self.segmenter.network.provider == CUDA:
            return self.refusal
        return f"the device cuda was asked for, but the network runs on {self.segmenter.network.provider}"

    @property
    def state(self) -> BundleState:
        """How far it can be used: ready, stale (works, but is not what lies in the folder), degraded or broken."""
        if self.segmenter is None:
            return "broken"
        if self.problem is not None:
            return "degraded"
        return "ready" if self.stale_because is None else "stale"


class Registry:
    """The bundles that were found when the folder was loaded; a folder that has changed is loaded into another one."""

    def __init__(self, bundles: dict[str, Bundle], further_problems: Sequence[str] = ()) -> None:
        self.bundles = bundles
        self._further_problems = further_problems

    def require(self, name: str) -> Bundle:
        """Give the bundle of a name.

        Raises
        ------
        UnknownModelError
            There is none of that name in the folder.
        """
        if (bundle := self.bundles.get(name)) is None:
            known = ", ".join(self.bundles) or "none"
            raise UnknownModelError(f"model {name[:64]!r} is not in the folder of bundles; there are: {known}")
        return bundle

    @property
    def uses_gpu(self) -> bool:
        """Whether any network runs on a GPU."""
        return any(bundle.segmenter.network.provider == CUDA for bundle in self.bundles.values() if bundle.segmenter)

    def warm(self, memory_bytes: int) -> None:
        """Make the sessions of tile sides while the process stays below `memory_bytes`, see `warm`."""
        warm([bundle.segmenter for bundle in self.bundles.values() if bundle.segmenter], memory_bytes)

    def trim(self) -> None:
        """Give back the memory that networks on the CPU have taken; where they share it, one of them does it for all.

        Raises
        ------
        PredictionError
            The run that trims failed.
        """
        any(bundle.segmenter.network.trim() for bundle in self.bundles.values() if bundle.segmenter)

    def check_ready(self) -> None:
        """Check that every bundle in the folder is usable; a folder without bundles is a K-means service.

        Raises
        ------
        NotReadyError
            Names each bundle that is not usable, with the reason, and each default that was set and is not there.
        """
        problems = [f"bundle {bundle.name}: {bundle.problem}" for bundle in self.bundles.values() if bundle.problem]
        problems += self._further_problems
        if problems:
            raise NotReadyError("; ".join(problems), RETRY_AFTER_SECONDS)


def load_registry(
    settings: Settings,
    plan: ComputePlan,
    scheduler: TileScheduler,
    metrics: Metrics,
    previous: Registry | None = None,
) -> Registry:
    """Open every bundle of the folder in the settings, then warm their tile sides as far as memory allows.

    What the networks run for requests is run by `scheduler`, which may be started later.

    Of `previous` those bundles are taken over that have not changed, and those whose successors are refused; where the
    folder itself cannot be read, all.
    """
    folders, problem = _find(settings.models)
    known = previous.bundles if previous is not None else {}
    if problem is not None:
        log.error("folder of bundles refused", reason=problem)
        if known:
            return Registry(
                {name: _keep(bundle, problem) for name, bundle in known.items()}, _missing_defaults(settings, known)
            )
    elif not folders:
        log.warning("no bundle found", folder=str(settings.models), answers="kmeans")

    def divide_gpu(card: ModelCard) -> GpuMemory:
        sides = usable_sides(card, settings.max_tile_side)
        return GpuMemory.divide(settings.gpu_memory_mib * 2**20 // len(folders), sides, settings.batch_size)

    open_network = functools.partial(
        open_bundle,
        threads=plan.network_threads,
        precision=settings.precision,
        cpu_runtime=settings.cpu_runtime,
        tf32=settings.tf32,
        gpu_memory=divide_gpu if settings.gpu_memory_mib else None,
    )

    def load(folder: Path) -> Bundle:
        def open_anew() -> Bundle:
            return _open(folder, functools.partial(open_network, folder), settings, scheduler, metrics)

        return _renew(folder, known.get(folder.name), open_anew)

    bundles = {folder.name: load(folder) for folder in folders}
    registry = Registry(bundles, [problem] if problem is not None else _missing_defaults(settings, bundles))
    registry.warm(settings.idle_memory_mib * 2**20)
    try:
        registry.trim()
    except MonolayerError as error:
        log.warning("memory not given back", reason=str(error))
    return registry


def _find(models: Path) -> tuple[list[Path], str | None]:
    """Give the folders of the bundles, and what keeps them from being found.

    A folder whose name no bundle can have is passed over: one that was put aside (`nuclei.old`) or is being copied
    (`nuclei.new`), and what a volume brings along (`lost+found`). All are listed by `os.scandir`: to `Path.glob` a
    folder that may not be read is empty.
    """
    try:
        with os.scandir(models) as entries:
            names = sorted(entry.name for entry in entries if entry.is_dir())
    except (FileNotFoundError, NotADirectoryError):
        return [], f"the folder of bundles {models.name!r} does not exist"
    except OSError as error:
        return [], f"the folder of bundles cannot be read: {error.strerror}"
    if others := [name for name in names if not re.fullmatch(BUNDLE_NAME, name)]:
        log.warning("folders passed over", names=others, reason="no bundle can have such a name")
    return [models / name for name in names if name not in others], None


def _missing_defaults(settings: Settings, names: Collection[str]) -> list[str]:
    """Log each default bundle that is not there; give those that the operator has set, in words.

    A folder of one's own need not have a bundle for every call, and one without bundles is a K-means service.
    """
    problems = []
    for field in ("segment_model", "confluency_model") if names else ():
        if (wanted := getattr(settings, field)) not in names:
            setting = f"{PREFIX}{field}".upper()
            log.warning("default model missing", setting=setting, model=wanted, answers="kmeans")
            if field in settings.model_fields_set:
                known = ", ".join(names)
                problems.append(f"{setting} is {wanted!r}, which is not in the folder of bundles; there are: {known}")
    return problems


def _renew(folder: Path, before: Bundle | None, open_anew: Callable[[], Bundle]) -> Bundle:
    """Give the bundle that answers from now on: that of before where it is the same or better than what is there."""
    if before is None or before.segmenter is None:
        return open_anew()
    if not before.is_displaced and _is_unchanged(folder, before.segmenter):
        return replace(before, stale_because=None)
    bundle = open_anew()
    if bundle.segmenter is None:
        return _keep(before, bundle.refusal or "")
    was, now = before.segmenter.network.provider, bundle.segmenter.network.provider
    if now != was == CUDA:  # both have to fit on the GPU for a while
        return _keep(before, f"there was no room for it on {was}, it would run on {now}")
    return bundle


def _is_unchanged(folder: Path, segmenter: OnnxSegmenter) -> bool:
    """Whether a folder holds what a network was made of; one that has lost its device is better opened anew."""
    network = segmenter.network
    try:
        card = read_card(folder)
        verify_files(card, folder)
    except MonolayerError:
        return False
    return card == network.card and network.provider == network.wanted


def _keep(before: Bundle, reason: str) -> Bundle:
    if before.segmenter is None:
        return before
    log.error("bundle kept", bundle=before.name, version=before.segmenter.network.card.version, reason=reason)
    return replace(before, stale_because=reason)


def _open(
    folder: Path,
    open_network: Callable[..., Network],
    settings: Settings,
    scheduler: TileScheduler,
    metrics: Metrics,
) -> Bundle:
    is_displaced = False
    try:
        try:
            network = open_network(prefer_cuda=settings.device != "cpu")
        except PredictionError as error:  # its memory may be taken by others: no reason to do without the network
            log.warning("bundle opened on the CPU", bundle=folder.name, reason=str(error))
            network, is_displaced = open_network(prefer_cuda=False), True
    except MonolayerError as error:
        log.error("bundle refused", bundle=folder.name, reason=str(error))  # noqa: TRY400 - the reason says it all
        return Bundle(folder.name, None, str(error))
    except Exception as error:  # one bundle is no reason to stop the others
        log.exception("bundle refused", bundle=folder.name)
        return Bundle(folder.name, None, f"it cannot be opened: {type(error).__name__}")
    log.info(
        "bundle opened",
        bundle=folder.name,
        version=network.card.version,
        provider=network.provider,
        precision=network.precision,
    )
    engine = FaultTolerantEngine(network, metrics, batch_size=settings.batch_size)
    segmenter = OnnxSegmenter(engine, scheduler, max_tile_side=settings.max_tile_side, fit_tiles=settings.fit_tiles)
    bundle = Bundle(folder.name, segmenter, needs_cuda=settings.device == "cuda", is_displaced=is_displaced)
    if bundle.problem is not None:
        log.error("device missing", bundle=bundle.name, reason=bundle.problem)
    return bundle


def warm(segmenters: list[OnnxSegmenter], memory_bytes: int) -> None:
    """Make the sessions of tile sides, smallest first, on a CPU while the process stays below `memory_bytes`.

    A side is left for its first request when the largest growth seen so far would lead beyond the bound, or when it
    fails: that request has more ways to go on than a start. Where the system does not tell the memory of a process only
    the smallest side of each network is warmed. What a network on a GPU takes lies there; the process holds CUDA's
    libraries, above any bound, whether more sides are warmed or not.
    """
    growth = 0
    for position in range(max((len(segmenter.tile_sides) for segmenter in segmenters), default=0)):
        for segmenter in segmenters:
            for side in segmenter.tile_sides[position : position + 1]:
                before = resident_bytes()
                on_gpu = segmenter.network.provider == CUDA
                if position and not on_gpu and (before is None or before + growth > memory_bytes):
                    log.info("tile side left cold", bundle=segmenter.network.card.name, side_px=side)
                    continue
                try:
                    segmenter.warm(side)
                except MonolayerError as error:
                    name = segmenter.network.card.name
                    log.warning("tile side not warmed", bundle=name, side_px=side, reason=str(error))
                growth = max(growth, (resident_bytes() or 0) - (before or 0))
