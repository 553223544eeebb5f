"""The bundles of one folder, by name: opened, verified, warmed.

A bundle that cannot be used makes the service not ready and is named there with the reason; requests are answered all
the same, by K-means, and the answer says so.
"""

from dataclasses import dataclass
from pathlib import Path

import structlog

from monolayer_core.errors import MonolayerError
from monolayer_service.compute import ComputePlan
from monolayer_service.errors import NotReadyError, UnknownModelError
from monolayer_service.scheduler.scheduler import TileScheduler
from monolayer_service.segmenters.bundle import open_bundle
from monolayer_service.segmenters.faults import FaultTolerantEngine
from monolayer_service.segmenters.onnx import OnnxSegmenter
from monolayer_service.segmenters.session import CUDA
from monolayer_service.settings import Settings
from monolayer_service.telemetry.memory import resident_bytes
from monolayer_service.telemetry.metrics import Metrics

log = structlog.get_logger(__name__)

RETRY_AFTER_SECONDS = 30.0
"""A broken bundle does not mend itself; this is how long an operator's restart takes."""


@dataclass(frozen=True)
class Bundle:
    """One folder: a segmenter where it could be opened, else why it was refused."""

    name: str
    segmenter: OnnxSegmenter | None
    refusal: str | None = None
    needs_cuda: bool = False

    @property
    def problem(self) -> str | None:
        """What is wrong, if anything is; a network may work, but not on the device the operator asked for.

        Asked anew each time, because the session of a tile side that is opened later may find no GPU.
        """
        if self.segmenter is None or not self.needs_cuda or self.segmenter.network.provider == CUDA:
            return self.refusal
        return f"the device cuda was asked for, but the network runs on {self.segmenter.network.provider}"


class Registry:
    """The bundles that were found at start; they do not change while the service runs."""

    def __init__(self, bundles: dict[str, Bundle], folder_problem: str | None = None) -> None:
        self.bundles = bundles
        self._folder_problem = folder_problem

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

    def trim(self) -> None:
        """Give back the memory that networks on the CPU have taken; they share it, so one of them does it for all.

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
            Names each bundle that is not usable, with the reason.
        """
        problems = [f"bundle {bundle.name}: {bundle.problem}" for bundle in self.bundles.values() if bundle.problem]
        if self._folder_problem:
            problems.append(self._folder_problem)
        if problems:
            raise NotReadyError("; ".join(problems), RETRY_AFTER_SECONDS)


def load_registry(settings: Settings, plan: ComputePlan, scheduler: TileScheduler, metrics: Metrics) -> Registry:
    """Open every bundle of the folder in the settings, then warm their tile sides as far as memory allows.

    What the networks run for requests is run by `scheduler`, which may be started later.
    """
    try:
        folders = sorted(path for path in settings.models.glob("[!._]*") if path.is_dir())
        problem = None if settings.models.is_dir() else f"the folder of bundles {settings.models.name!r} does not exist"
    except OSError as error:
        folders, problem = [], f"the folder of bundles cannot be read: {error.strerror}"
    bundles = {folder.name: _open(folder, settings, plan, scheduler, metrics) for folder in folders}
    warm([bundle.segmenter for bundle in bundles.values() if bundle.segmenter], settings.idle_memory_mib * 2**20)
    registry = Registry(bundles, problem)
    try:
        registry.trim()
    except MonolayerError as error:
        log.warning("memory not given back", reason=str(error))
    return registry


def _open(folder: Path, settings: Settings, plan: ComputePlan, scheduler: TileScheduler, metrics: Metrics) -> Bundle:
    try:
        network = open_bundle(
            folder,
            prefer_cuda=settings.device != "cpu",
            threads=plan.network_threads,
            precision=settings.precision,
        )
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
    segmenter = OnnxSegmenter(engine, scheduler, max_tile_side=settings.max_tile_side)
    bundle = Bundle(folder.name, segmenter, needs_cuda=settings.device == "cuda")
    if bundle.problem is not None:
        log.error("device missing", bundle=bundle.name, reason=bundle.problem)
    return bundle


def warm(segmenters: list[OnnxSegmenter], memory_bytes: int) -> None:
    """Make the sessions of tile sides, smallest first, while the process stays below `memory_bytes`.

    A side is left for its first request when the largest growth seen so far would lead beyond the bound, or when it
    fails: that request has more ways to go on than a start. Where the system does not tell the memory of a process only
    the smallest side of each network is warmed.
    """
    growth = 0
    for position in range(max((len(segmenter.tile_sides) for segmenter in segmenters), default=0)):
        for segmenter in segmenters:
            for side in segmenter.tile_sides[position : position + 1]:
                before = resident_bytes()
                if position and (before is None or before + growth > memory_bytes):
                    log.info("tile side left cold", bundle=segmenter.network.card.name, side_px=side)
                    continue
                try:
                    segmenter.warm(side)
                except MonolayerError as error:
                    name = segmenter.network.card.name
                    log.warning("tile side not warmed", bundle=name, side_px=side, reason=str(error))
                growth = max(growth, (resident_bytes() or 0) - (before or 0))
