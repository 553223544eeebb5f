"""The network's way through core's pipeline, and what is tried when it fails."""

from collections.abc import Callable

import numpy as np
import structlog

from monolayer_core.arrays import Pixels, TileBatch
from monolayer_core.errors import PredictionError
from monolayer_core.model_card import ModelCard
from monolayer_core.pipeline import Segmentation, interpret, predict_probabilities, prepare
from monolayer_service.options import Options
from monolayer_service.segmenters.base import ModelUse, Work, segment_options
from monolayer_service.segmenters.session import CPU, CUDA, Network, TileSize
from monolayer_service.telemetry.metrics import Metrics

log = structlog.get_logger(__name__)

AUTO_BATCH_SIZE = {CPU: 1, CUDA: 8}
"""On a CPU a batch gains nothing and costs memory."""


class OnnxSegmenter:
    """One bundle's network between core's `prepare` and `interpret`."""

    def __init__(self, network: Network, metrics: Metrics, *, batch_size: int, max_tile_side: int) -> None:
        self.network = network
        self.tile_sides = usable_sides(network.card, max_tile_side)
        self._batch_size = batch_size
        self._metrics = metrics

    def warm(self, side: int) -> None:
        """Make the session of a tile side, so that the first request does not pay for it; on a GPU run it once too.

        Raises
        ------
        BundleError, PredictionError
            The session cannot be made, or it failed and was let go.
        """
        size = TileSize(side, side)
        if self.network.provider_of(size) == CPU:
            return
        try:
            self.network.run(np.zeros((1, side, side, self.network.card.channel_count), np.uint8))
        except PredictionError:
            self.network.close(size)
            raise

    def segment(self, pixels: Pixels, options: Options, work: Work) -> tuple[Segmentation, ModelUse | None]:
        """See `Segmenter.segment`."""
        card = self.network.card
        choices = segment_options(options)
        call = FaultTolerantCall(self.network, work.check, self._metrics)
        with work.timings.measure("prepare"):
            image = prepare(pixels, card, choices)
        with work.timings.measure("inference"):
            probabilities = predict_probabilities(
                image,
                card,
                call,
                tta=choices.tta,
                batch_size=self._batch_size or AUTO_BATCH_SIZE[self.network.provider],
                sides=self.tile_sides,
            )
        work.check()
        with work.timings.measure("postprocess"):
            segmentation = interpret(probabilities, card, choices, image=image, with_scores=work.scores)
        return segmentation, ModelUse(card.name, card.version, self.network.sha256, call.provider)


class FaultTolerantCall:
    """The network as the plain callable that core asks for, for one request.

    A batch that fails is tried again in halves, then on the CPU; what comes after that (K-means or a refusal) is the
    caller's to decide. Once a tile has needed the CPU the rest of the request stays there.
    """

    def __init__(self, network: Network, check: Callable[[], None], metrics: Metrics) -> None:
        self.provider = network.wanted
        self._network = network
        self._check = check
        self._metrics = metrics

    def __call__(self, tiles: TileBatch) -> TileBatch:
        """Predict one batch; raises `PredictionError` when nothing is left to try."""
        self._check()
        try:
            answer = self._network.run(tiles, self.provider)
        except PredictionError as error:
            if len(tiles) > 1:
                self._note("half_batch", error)
                middle = len(tiles) // 2
                return np.concatenate([self(tiles[:middle]), self(tiles[middle:])])
            if self.provider != CPU:
                self._note("cpu", error)
                self.provider = CPU
                return self(tiles)
            raise
        # The session of this size may have found no GPU.
        self.provider = self._network.provider_of(TileSize(*tiles.shape[1:3]), self.provider)
        return answer

    def _note(self, step: str, error: PredictionError) -> None:
        self._metrics.faults.labels(step).inc()
        log.warning("network run failed", model=self._network.card.name, next=step, reason=str(error))


def usable_sides(card: ModelCard, max_side: int) -> tuple[int, ...]:
    """Give the card's tile sides up to `max_side`, or all of them where those would hold nothing but halo."""
    sides = tuple(side for side in card.tile_sides if side <= max_side)
    return sides if sides and max(sides) > 2 * card.halo else card.tile_sides
