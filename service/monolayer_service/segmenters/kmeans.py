"""K-means: the method without a model, and the answer of last resort."""

from monolayer_core.kmeans import KMeansOptions
from monolayer_core.pipeline import Segmentation, segment_kmeans
from monolayer_core.row_source import RowSource, whole
from monolayer_service.options import Options
from monolayer_service.segmenters.base import ModelUse, Work, segment_options


class KMeansSegmenter:
    """Clusters the pixels of one image; needs no bundle and keeps no state."""

    def segment(self, source: RowSource, options: Options, work: Work) -> tuple[Segmentation, ModelUse | None]:
        """See `Segmenter.segment`; the options of networks do not act."""
        work.cancellation.check()
        clustering = KMeansOptions(clusters=options.clusters, foreground=options.foreground)
        with work.timings.measure("inference"):
            segmentation = segment_kmeans(whole(source), clustering, segment_options(options))
        work.progress(source.height * source.width / 1e6)
        return segmentation, None
