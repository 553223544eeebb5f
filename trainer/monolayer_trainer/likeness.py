"""What the training images look like to the network, for the card: so that the service can say what is unlike them.

The images are gathered in a few kinds, each a Gaussian. With few images of a kind its covariance is drawn towards that
of all kinds together. From which distance on an image is unlike is found on groups that were left out: the distance
from kinds that an image helped to make says nothing of a new one.
"""

import logging
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from monolayer_core.arrays import ImageUInt8
from monolayer_core.card_blocks import ImageKind, LikenessFeature, TrainingLikeness
from monolayer_core.likeness import describe, distances, features_of
from monolayer_core.pipeline import InputSpec, prepare
from monolayer_trainer.dataset import Dataset, Sample

MIN_GROUPS = 10
"""Of fewer groups nothing is learnt: what lies at the edge of so few says little of the next one."""

MAX_KINDS = 4
GROUPS_PER_KIND = 6
"""Fewer groups make fewer kinds."""

INSIDE_FRACTION = 0.975
"""Of the images left out that count as like the others."""

FOLDS = 10
_SHRINKAGE_GROUPS = 10.0  # groups' worth of the covariance of all kinds together in that of each
_LEAST_VARIANCE = 0.02  # of a feature within a kind, relative to that over all images
_LEAST_DEVIATION = 0.01  # of a feature over all images: grey levels 0 to 1, colours that never occur

log = logging.getLogger(__name__)

Float64Array = npt.NDArray[np.float64]


def fit_likeness_of_samples(dataset: Dataset, samples: Sequence[Sample], spec: InputSpec) -> TrainingLikeness | None:
    """Do what `fit_likeness` does with samples of a data set, read one after the other, as a network sees them."""
    images = (prepare(dataset.read(sample)[0], spec) for sample in samples)
    return fit_likeness(images, [sample.group for sample in samples])


def fit_likeness(images: Iterable[ImageUInt8], groups: Sequence[str]) -> TrainingLikeness | None:
    """Describe training images and find from which distance on an image is unlike them.

    Parameters
    ----------
    images : iterable of uint8 (y, x, channel)
        As the network sees them (`monolayer_core.pipeline.prepare`), of one number of channels; read one at a time.
    groups : sequence of str
        The group of each; images of a group are left out together, and each group counts once.

    Returns
    -------
    TrainingLikeness or None
        None with fewer than `MIN_GROUPS` groups.
    """
    rows, channel_count = [], 1
    for image in images:
        rows.append(describe(image))
        channel_count = image.shape[2]
    return fit_described(np.array(rows), groups, features_of(channel_count))


def fit_described(
    features: Float64Array, groups: Sequence[str], names: tuple[LikenessFeature, ...]
) -> TrainingLikeness | None:
    """Do the same as `fit_likeness` with images already described, ``(image, feature)``."""
    group_ids = np.unique(np.array(groups), return_inverse=True)[1]
    group_count = int(group_ids.max(initial=-1)) + 1
    if group_count < MIN_GROUPS:
        log.info("likeness: nothing learnt from %d groups, %d are needed", group_count, MIN_GROUPS)
        return None
    fold_of_group = np.random.default_rng(0).permutation(group_count) % FOLDS
    folds = fold_of_group[group_ids]
    left_out = np.zeros(len(features))
    for fold in np.unique(folds):
        is_out = folds == fold
        kinds = _fit_kinds(features[~is_out], group_ids[~is_out])
        left_out[is_out] = distances(features[is_out], TrainingLikeness(features=names, kinds=kinds, max_distance=1.0))
    limit = float(np.quantile(left_out, INSIDE_FRACTION))
    kinds = _fit_kinds(features, group_ids)
    log.info("likeness: %d kinds of images, limit %.2f from %d images", len(kinds), limit, len(features))
    return TrainingLikeness(features=names, kinds=kinds, max_distance=round(limit, 4))


def _fit_kinds(features: Float64Array, group_ids: npt.NDArray[np.int64]) -> tuple[ImageKind, ...]:
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    _, group, sizes = np.unique(group_ids, return_inverse=True, return_counts=True)
    weights = 1.0 / sizes[group]
    mean = np.average(features, axis=0, weights=weights)
    scale = np.sqrt(np.average((features - mean) ** 2, axis=0, weights=weights)) + _LEAST_DEVIATION
    scaled = (features - mean) / scale
    kind_count = min(MAX_KINDS, max(1, len(sizes) // GROUPS_PER_KIND))
    with threadpool_limits(1):  # for so few points threads cost more than they give
        clusters = KMeans(kind_count, n_init=10, random_state=0).fit(scaled, sample_weight=weights)
    residual = scaled - clusters.cluster_centers_[clusters.labels_]
    shared = (residual.T * weights) @ residual / weights.sum()
    kinds = []
    for index, centre in enumerate(clusters.cluster_centers_):
        is_member = clusters.labels_ == index
        own = (residual[is_member].T * weights[is_member]) @ residual[is_member]
        covariance = (own + _SHRINKAGE_GROUPS * shared) / (weights[is_member].sum() + _SHRINKAGE_GROUPS)
        covariance[np.diag_indices_from(covariance)] += _LEAST_VARIANCE
        whitening = np.linalg.inv(np.linalg.cholesky(covariance)) / scale
        rows = tuple(_rounded(row[: length + 1]) for length, row in enumerate(whitening))
        kinds.append(ImageKind(centre=_rounded(centre * scale + mean), whitening=rows))
    return tuple(kinds)


def _rounded(values: Float64Array) -> tuple[float, ...]:
    """Six digits, as the card writes them: the limit then belongs to the very numbers that are read again."""
    return tuple(float(f"{value:.6g}") for value in values)
