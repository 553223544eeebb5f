"""What is tried when a run of a network fails: half the batch, then the CPU."""

import structlog

from monolayer_core.arrays import TileBatch
from monolayer_core.errors import PredictionError
from monolayer_service.scheduler.tile_queue import TileOutcome
from monolayer_service.segmenters.gpu_runs import batch_limit
from monolayer_service.segmenters.runtime import CUDA, TileSize
from monolayer_service.segmenters.session import Network
from monolayer_service.telemetry.metrics import Metrics

log = structlog.get_logger(__name__)

CPU_BATCH_SIZE = 1
"""A batch gains nothing there and costs memory."""

GROW_AFTER_RUNS = 64
"""Runs without a fault after which a batch that had to be halved may be twice as large again."""


class FaultTolerantEngine:
    """One bundle's network as the scheduler runs it.

    A batch that fails is tried again in halves, then on the CPU; what comes after that (K-means or a refusal) is the
    caller's to decide. Once a tile has needed the CPU the rest of its batch goes there, and the scheduler keeps the
    requests of these tiles there. Batches to come are no larger than what worked, for a while: memory that did not
    suffice is not asked for again at once.

    Parameters
    ----------
    batch_size
        Most tiles in a run on a GPU.
    """

    def __init__(self, network: Network, metrics: Metrics, *, batch_size: int) -> None:
        self.network = network
        self._metrics = metrics
        self._batch_size = batch_size
        self._ceiling: int | None = None
        self._good_runs = 0

    def batch_limit(self, device: str, tile_px: int) -> int:
        """Give the most tiles in one run; see `scheduler.tile_queue.Engine`."""
        on_gpu = device == self.network.provider == CUDA
        limit = batch_limit(tile_px, self._batch_size) if on_gpu else CPU_BATCH_SIZE
        return limit if self._ceiling is None else min(limit, self._ceiling)

    def run(self, tiles: TileBatch, device: str, *, alone: bool) -> list[TileOutcome]:
        """Predict a batch; a tile for which nothing is left to try has a `PredictionError` for an answer."""
        try:
            answer = self.network.run(tiles, device, alone=alone)
        except PredictionError as error:
            if len(tiles) > 1:
                self._note("half_batch", error)
                middle = len(tiles) // 2
                self._ceiling, self._good_runs = middle, 0
                first = self.run(tiles[:middle], device, alone=alone)
                return first + self.run(tiles[middle:], first[-1].device, alone=alone)
            if device != self.network.processor:
                self._note("cpu", error)
                return self.run(tiles, self.network.processor, alone=alone)
            return [TileOutcome(error, device)]
        self._grow()
        # The session of this shape may have found no GPU.
        used = self.network.provider_of(TileSize(*tiles.shape[1:3]), device, batch=len(tiles))
        return [TileOutcome(answer[number : number + 1], used) for number in range(len(tiles))]

    def _grow(self) -> None:
        if self._ceiling is None:
            return
        self._good_runs += 1
        if self._good_runs >= GROW_AFTER_RUNS:
            self._ceiling, self._good_runs = 2 * self._ceiling, 0

    def _note(self, step: str, error: PredictionError) -> None:
        self._metrics.faults.labels(step).inc()
        log.warning("network run failed", model=self.network.card.name, next=step, reason=str(error))
