"""Settings of the service: the only module that reads the environment.

Every field is an environment variable with the prefix ``MONOLAYER_`` and carries one sentence; the table in
``docs/operations.md`` is made from them (``python -m monolayer_service.reference settings``).
"""

import difflib
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from monolayer_core.model_card import BundleName

PREFIX = "MONOLAYER_"
SHIPPED_BUNDLES = Path(__file__).parent / "bundles"

_ALIKE = 0.9
"""How alike two names must be, 0 to 1, for one to be taken for the other misspelt; the common prefix counts."""

Count = Annotated[int, Field(ge=0)]
PositiveInt = Annotated[int, Field(gt=0)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
CpuRuntime: TypeAlias = Literal["onnxruntime", "openvino"]


class Settings(BaseSettings):
    """Everything an operator can decide. The defaults suit one machine with 8 GB of memory or more."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    root_path: str = Field("", description="Path prefix that a proxy in front strips.")

    models: Path = Field(SHIPPED_BUNDLES, description="Folder of model bundles, one folder each.")
    segment_model: BundleName = Field(
        "nuclei", description="Bundle that answers `/v1/segment` when the caller names none."
    )
    confluency_model: BundleName = Field(
        "cells", description="Bundle that answers `/v1/confluency` when the caller names none."
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto",
        description="Where networks run: `auto` takes CUDA where it works, `cuda` reports not ready where it does not.",
    )
    cpu_runtime: CpuRuntime = Field(
        "onnxruntime",
        description="What computes networks on a CPU: `openvino` is faster, needs the extra of that name, and may "
        "answer differently by a pixel here and there.",
    )
    precision: Literal["auto", "float32", "int8", "float16"] = Field(
        "auto",
        description="File of a bundle that answers: `auto` takes int8 on a CPU where the card recommends it, else "
        "float32; `int8` acts on a CPU and `float16` on a GPU where the bundle has that file.",
    )
    tf32: bool = Field(
        False,
        description="Whether a GPU may round the factors of float32 products to ten bits (TF32): faster, and "
        "probabilities may differ from a CPU's by more than their last digit.",
    )
    batch_size: PositiveInt = Field(
        1,
        description="Most tiles per run of a network on a GPU, and at most a megapixel; each size of batch takes its "
        "own memory there, and the last digit of an answer may depend on what shares its batch.",
    )
    batch_wait_ms: float = Field(
        3.0,
        ge=0,
        allow_inf_nan=False,
        description="Longest time a tile waits for tiles of other requests to fill its batch, in milliseconds.",
    )
    gpu_memory_mib: Count = Field(
        0,
        description="Most memory that all networks together take on a GPU, in MiB, besides what CUDA itself needs; a "
        "tile that does not fit its share is computed on the CPU; 0 means no bound.",
    )
    max_tile_side: PositiveInt = Field(
        1152,
        description="Largest tile, in pixels of its side, or of the side of a square of as many pixels where tiles fit "
        "the image; larger ones need more memory.",
    )
    fit_tiles: bool = Field(
        True,
        description="Whether tiles on a CPU fit the image, which is up to three times as fast; otherwise they are the "
        "squares that a GPU takes, for replicas with and without one that are to answer alike.",
    )
    idle_memory_mib: Count = Field(
        600, description="Tile sides are warmed at start only while the process stays below this much memory, in MiB."
    )
    idle_seconds: Seconds = Field(
        30.0, gt=0, description="Time without work after which memory is given back to the system, in seconds."
    )
    threads: Count = Field(0, description="Threads for one network run; 0 means every core the process may use.")
    network_runs: Count = Field(
        0,
        description="Tiles computed at once on a CPU where several wait, each with its own memory; 0 means one a core, "
        "at most 4.",
    )

    running_requests: Count = Field(
        0, description="Requests computed at once; 0 means one a core and one a tile in the network, at least 3."
    )
    waiting_requests: Count = Field(64, description="Requests that may wait for their turn; more are refused with 429.")
    running_megapixels: PositiveInt = Field(
        512,
        description="Megapixels of large images (above 17 megapixels) computed at once, and as many of small ones.",
    )
    waiting_megapixels: PositiveInt = Field(
        1024, description="Megapixels that may wait for their turn; more are refused with 429."
    )
    held_mib: PositiveInt = Field(
        3072,
        description="Memory for the bodies of all requests together, in MiB, JSON counted twice; more is refused with "
        "429.",
    )
    max_image_megapixels: PositiveInt = Field(512, description="Largest image that is accepted, in megapixels.")
    max_whole_megapixels: PositiveInt = Field(
        40,
        description="Largest image that is accepted where it must be looked at as a whole (K-means, `clahe`, "
        "`flat_field`, `tta`, other values than 8 and 16 bit integers), in megapixels; up to 4 are always.",
    )
    max_body_mib: PositiveInt = Field(
        1024, description="Largest request body that is accepted, in MiB; as JSON at most 64 all the same."
    )
    max_submission_images: PositiveInt = Field(256, description="Most images in one call of `/v1/submission`.")
    head_seconds: Seconds = Field(
        20.0,
        gt=0,
        description="Time a caller has for sending the head of a request, in seconds; then it is hung up on.",
    )
    upload_seconds: Seconds = Field(
        300.0,
        gt=0,
        description="Seconds a caller has for sending the body; less than 16 KiB a second is given up after 10.",
    )
    deadline_seconds: Seconds = Field(
        30.0, gt=0, description="Time a request may wait and compute, in seconds, before it is given up with 503."
    )
    deadline_seconds_per_megapixel: Seconds = Field(
        2.0, description="Time added to the deadline for each megapixel of the image, in seconds."
    )

    drain_seconds: Seconds = Field(
        0.0,
        description="Time between the signal to stop, when readiness falls, and the closing of the port, in seconds.",
    )
    shutdown_seconds: PositiveInt = Field(
        60, description="Time that requests in flight have to finish after the port is closed, in seconds."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severe level that is logged."
    )
    log_format: Literal["json", "console"] = Field("json", description="Form of the log lines.")

    @field_validator("port", mode="before")
    @classmethod
    def _not_that_of_a_kubernetes_service(cls, port: object) -> object:
        """Kubernetes puts ``MONOLAYER_PORT=tcp://…`` into every pod beside a Service that is called `monolayer`."""
        is_link = isinstance(port, str) and port.startswith("tcp://")
        return cls.model_fields["port"].default if is_link else port

    @model_validator(mode="after")
    def _check(self) -> Self:
        if min(self.running_megapixels, self.waiting_megapixels) < self.max_image_megapixels:
            raise ValueError(
                "MONOLAYER_RUNNING_MEGAPIXELS and MONOLAYER_WAITING_MEGAPIXELS must each hold one image of "
                "MONOLAYER_MAX_IMAGE_MEGAPIXELS"
            )
        if self.held_mib < self.max_body_mib:
            raise ValueError("MONOLAYER_HELD_MIB must hold one body of MONOLAYER_MAX_BODY_MIB")
        if self.cpu_runtime == "openvino" and find_spec("openvino") is None:
            raise ValueError(
                'MONOLAYER_CPU_RUNTIME is openvino, which is not installed: pip install "./service[cpu,openvino]"'
            )
        return self

    @property
    def max_image_pixels(self) -> int:
        """Largest image that is accepted, in pixels."""
        return self.max_image_megapixels * 1_000_000

    @property
    def max_whole_pixels(self) -> int:
        """Largest image that is accepted where it must be looked at as a whole, in pixels."""
        return self.max_whole_megapixels * 1_000_000

    @property
    def max_body_bytes(self) -> int:
        """Largest request body that is accepted, in bytes."""
        return self.max_body_mib * 2**20

    @property
    def held_bytes(self) -> int:
        """Memory for the bodies of all requests together, in bytes."""
        return self.held_mib * 2**20


def problems_of(error: ValidationError) -> list[str]:
    """Say what is wrong with settings, a line for each problem, by the names of their variables."""
    lines = []
    for problem in error.errors():
        if problem["loc"]:
            name = f"{PREFIX}{problem['loc'][0]}".upper()
            lines.append(f"{name}={problem['input']!r}: {problem['msg']}")
        else:  # of settings that do not go together; the message names them
            lines.append(problem["msg"].removeprefix("Value error, "))
    return lines


def misspelt_settings(names: Iterable[str]) -> dict[str, str]:
    """Say which variables of the environment are none of the settings but look like one, and like which.

    Others that begin alike may be meant for a client, or come from the platform.

    Examples
    --------
    >>> misspelt_settings(["MONOLAYER_TREADS", "MONOLAYER_THREADS", "MONOLAYER_URL", "THREADS"])
    {'MONOLAYER_TREADS': 'MONOLAYER_THREADS'}
    """
    known = [f"{PREFIX}{field}".upper() for field in Settings.model_fields]
    others = sorted({name.upper() for name in names if name.upper().startswith(PREFIX)}.difference(known))
    nearest = {name: difflib.get_close_matches(name, known, n=1, cutoff=_ALIKE) for name in others}
    return {name: found[0] for name, found in nearest.items() if found}
