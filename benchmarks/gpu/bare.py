"""Runs of the network by themselves: batch by batch, from host and device memory, and with shapes that take turns."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
from benchmarks.bare import time_runs
from benchmarks.gpu.device import DeviceName
from benchmarks.pictures import make_mosaic

from monolayer_core.arrays import TileBatch
from monolayer_core.pipeline import prepare
from monolayer_service.segmenters.onnxruntime_session import OrtSession
from monolayer_service.segmenters.runtime import INPUT_NAME, OUTPUT_NAME, TileSize
from monolayer_service.segmenters.session import Network

WARM_RUNS = 3
ROUNDS = 3


class Shape(NamedTuple):
    """Tiles in a run, and their side in pixels."""

    side: int
    batch: int

    @property
    def megapixels(self) -> float:
        return self.batch * self.side**2 / 1e6

    def __str__(self) -> str:
        return f"{self.batch} of {self.side}²"


SWEEP = (
    *(Shape(256, batch) for batch in (1, 2, 4, 8, 16, 32)),
    *(Shape(512, batch) for batch in (1, 4, 8)),
    *(Shape(1024, batch) for batch in (1, 2, 4)),
)


def make_tiles(picture: npt.NDArray[np.uint8], network: Network, shape: Shape) -> TileBatch:
    """Tiles of a real picture as the network sees them, each another part of it."""
    image = prepare(make_mosaic(picture, shape.side + shape.batch, shape.side), network.card)
    return np.stack([image[row : row + shape.side] for row in range(shape.batch)])


def median_ms(run: Callable[[], Any], seconds: float, rounds: int = ROUNDS) -> float:
    """Median over the rounds of the median of a run, in milliseconds, after a warm-up."""
    for _ in range(WARM_RUNS):
        run()
    return statistics.median(time_runs(run, seconds / rounds).median_ms for _ in range(rounds))


def sweep(
    networks: Mapping[str, Network],
    picture: npt.NDArray[np.uint8],
    shapes: Sequence[Shape],
    seconds: float,
    is_late: Callable[[], bool],
) -> dict[tuple[str, Shape], float]:
    """Milliseconds of a run by network and shape, from `seconds` of each; what would begin late is left out."""
    found = {}
    for shape in shapes:
        for name, network in networks.items():
            if is_late():
                continue
            tiles = make_tiles(picture, network, shape)
            found[name, shape] = median_ms(lambda network=network, tiles=tiles: network.run(tiles), seconds)
    return found


class Transfer(NamedTuple):
    """Milliseconds of a run from and to arrays of the host, and from and to buffers on the device."""

    host_ms: float
    device_ms: float

    @property
    def share(self) -> float:
        """Of the run from the host, what is not the run on the device."""
        return 1 - self.device_ms / self.host_ms


def measure_transfer(
    network: Network, picture: npt.NDArray[np.uint8], shape: Shape, device: DeviceName, seconds: float
) -> Transfer:
    """Run the same session both ways; the answers must be the same but for the last digit.

    Raises
    ------
    RuntimeError
        They are not.
    """
    tiles = make_tiles(picture, network, shape)
    session = raw_session(network, shape)
    binding = session.io_binding()
    binding.bind_ortvalue_input(INPUT_NAME, ort.OrtValue.ortvalue_from_numpy(tiles, device, 0))
    answer = network.run(tiles)
    bound = ort.OrtValue.ortvalue_from_shape_and_type(answer.shape, np.uint8, device, 0)
    binding.bind_ortvalue_output(OUTPUT_NAME, bound)

    def run_bound() -> None:
        session.run_with_iobinding(binding)
        binding.synchronize_outputs()

    host = median_ms(lambda: session.run([OUTPUT_NAME], {INPUT_NAME: tiles}), seconds)
    on_device = median_ms(run_bound, seconds)
    if np.abs(bound.numpy().astype(np.int16) - answer).max() > 1:
        raise RuntimeError("a run from buffers of the device gave another answer")
    return Transfer(host, on_device)


def raw_session(network: Network, shape: Shape) -> ort.InferenceSession:
    """ONNX Runtime's own session behind the service's."""
    session = network.open(TileSize(shape.side, shape.side), batch=shape.batch)
    if not isinstance(session, OrtSession):
        raise TypeError("the network is not ONNX Runtime's")
    return session._session  # noqa: SLF001 - binding is what the service does not do


def measure_turns(
    network: Network, picture: npt.NDArray[np.uint8], shapes: tuple[Shape, Shape], seconds: float
) -> tuple[float, float]:
    """Milliseconds of two runs whose batches take turns: in a session each, as served, and in one for both."""
    tiles = [make_tiles(picture, network, shape) for shape in shapes]
    own = [raw_session(network, shape) for shape in shapes]

    def turns(sessions: Sequence[ort.InferenceSession]) -> Callable[[], None]:
        def run() -> None:
            for session, batch in zip(sessions, tiles, strict=True):
                session.run([OUTPUT_NAME], {INPUT_NAME: batch})

        return run

    apart = median_ms(turns(own), seconds)
    together = median_ms(turns([own[0], own[0]]), seconds)
    raw_session(network, shapes[0]).run([OUTPUT_NAME], {INPUT_NAME: tiles[0]})
    return apart, together
