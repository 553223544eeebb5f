"""K-means: the method without a model, and the answer of last resort."""

from monolayer_core.arrays import Pixels
from monolayer_core.kmeans import KMeansOptions
from monolayer_core.pipeline import Segmentation, segment_kmeans
from monolayer_service.options import Options
from monolayer_service.segmenters.base import ModelUse, Work, segment_options


class KMeansSegmenter:
    """Clusters the pixels of one image; needs no bundle and keeps no state."""

    def segment(self, pixels: Pixels, options: Options, work: Work) -> tuple[Segmentation, ModelUse | None]:
        """See `Segmenter.segment`; the options of networks do not act."""
        work.cancellation.check()
        clustering = KMeansOptions(clusters=options.clusters, foreground=options.foreground)
        with work.timings.measure("inference"):
            segmentation = segment_kmeans(pixels, clustering, segment_options(options))
        work.progress(pixels.shape[0] * pixels.shape[1] / 1e6)
        return segmentation, None
