"""The network's way through core's pipeline, in the request's thread; its runs are the scheduler's."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from monolayer_core.errors import PredictionError
from monolayer_core.model_card import ModelCard
from monolayer_core.pipeline import Segmentation, SegmentOptions, interpret, prepare
from monolayer_core.prediction import VIEWS_OF_TTA, plan_prediction, stream_probabilities
from monolayer_core.row_source import RowSource, whole
from monolayer_core.tiling import TilePlan
from monolayer_core.window_pipeline import interpret_windows, prepare_windows, stream_windows, why_whole
from monolayer_service.options import Options
from monolayer_service.scheduler.scheduler import TileScheduler, TileStream
from monolayer_service.scheduler.tile_queue import batch_sizes
from monolayer_service.segmenters import base
from monolayer_service.segmenters.base import ModelUse, Work, segment_options
from monolayer_service.segmenters.faults import FaultTolerantEngine
from monolayer_service.segmenters.runtime import CUDA, TileSize
from monolayer_service.segmenters.session import Network


class OnnxSegmenter:
    """One bundle's network between core's `prepare` and `interpret`."""

    def __init__(
        self, engine: FaultTolerantEngine, scheduler: TileScheduler, *, max_tile_side: int, fit_tiles: bool
    ) -> None:
        self.tile_sides = usable_sides(engine.network.card, max_tile_side)
        self._largest_fitted_px = max_tile_side**2 if fit_tiles else None
        self._engine = engine
        self._scheduler = scheduler
        if self.network.provider == CUDA:  # a session there holds its memory for good, also that of the test tensors
            for size in self.network.warm_sizes:
                if size.height != size.width or size.width not in self.tile_sides:
                    self.network.close(size)

    @property
    def network(self) -> Network:
        """The network that answers."""
        return self._engine.network

    def warm(self, side: int) -> None:
        """Make the sessions of a tile side, so that the first request does not pay for it.

        On a GPU each size of batch is run once: the first run plans its convolutions. One that fails is left for the
        requests, which have more ways to go on.

        Raises
        ------
        BundleError, PredictionError
            The session cannot be made, or the run of a single tile failed and its session was let go.
        """
        size = TileSize(side, side)
        self.network.open(size)
        if self.network.provider_of(size) != CUDA:
            self.network.open(size, self.network.processor, alone=False)
            return
        for batch in batch_sizes(self._engine.batch_limit(CUDA, side * side)):
            try:
                self.network.run(np.zeros((batch, side, side, self.network.card.channel_count), np.uint8))
            except PredictionError:
                if batch == 1:
                    self.network.close(size)
                    raise
                self.network.close(size, batch)
                return

    def segment(self, source: RowSource, options: Options, work: Work) -> tuple[Segmentation, ModelUse | None]:
        """See `Segmenter.segment`."""
        card = self.network.card
        choices = segment_options(options)
        if source.height * source.width > base.WHOLE_IMAGE_PX and why_whole(source.dtype, card, choices) is None:
            segmentation, device = self._segment_windows(source, choices, work)
        else:
            segmentation, device = self._segment_whole(source, choices, work)
        return segmentation, ModelUse(card.name, card.version, self.network.sha256, device)

    def _plan(self, height: int, width: int) -> TilePlan:
        """Plan tiles that fit the image where any size is as fast as another, else squares of a few sides."""
        fitted_px = self._largest_fitted_px if self.network.takes_any_size else None
        return plan_prediction(height, width, self.network.card, sides=self.tile_sides, largest_fitted_px=fitted_px)

    def _segment_whole(self, source: RowSource, choices: SegmentOptions, work: Work) -> tuple[Segmentation, str]:
        """Give the objects, and where the network ran."""
        card = self.network.card
        with work.timings.measure("prepare"):
            image = prepare(whole(source), card, choices)
        height, width = image.shape[:2]
        plan = self._plan(height, width)
        views = VIEWS_OF_TTA if choices.tta else 1
        with self._open(height * width, views * plan.computed_px, work) as stream:
            probabilities = stream_probabilities(image, card, stream.answers, plan, tta=choices.tta)
        work.cancellation.check()
        with work.timings.measure("postprocess"):
            segmentation = interpret(probabilities, card, choices, image=image, with_scores=work.scores)
        return segmentation, stream.device

    def _segment_windows(self, source: RowSource, choices: SegmentOptions, work: Work) -> tuple[Segmentation, str]:
        """Give the objects, and where the network ran."""
        card = self.network.card
        with work.timings.measure("prepare"):
            image = prepare_windows(source, card, choices)
        plan = self._plan(source.height, source.width)
        with self._open(source.height * source.width, plan.computed_px, work) as stream:
            answer = stream_windows(image, card, stream.answers, plan, choices)
        with work.timings.measure("postprocess"):
            segmentation = interpret_windows(
                answer, card, choices, with_scores=work.scores, check=work.cancellation.check
            )
        return segmentation, stream.device

    @contextmanager
    def _open(self, image_px: int, tiles_px: int, work: Work) -> Iterator[TileStream]:
        """Let in the tiles of an image of `image_px` pixels, `tiles_px` in all, and time them."""
        megapixels_per_px = image_px / 1e6 / tiles_px
        with (
            work.timings.measure("inference"),
            self._scheduler.open(
                self._engine,
                self.network.wanted,
                tiles_px,
                work.cancellation,
                lambda area_px: work.progress(area_px * megapixels_per_px),
            ) as stream,
        ):
            yield stream


def usable_sides(card: ModelCard, max_side: int) -> tuple[int, ...]:
    """Give the card's tile sides up to `max_side`, or all of them where those would hold nothing but halo."""
    sides = tuple(side for side in card.tile_sides if side <= max_side)
    return sides if sides and max(sides) > 2 * card.halo else card.tile_sides
