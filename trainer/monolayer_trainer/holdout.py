"""The part of the training images on which checkpoint and thresholds are chosen.

Neither may be chosen on the validation images: the figures on those would flatter. So a tenth of the training groups is
set aside, never trained on, and used for nothing else.
"""

from pathlib import Path

import numpy as np

from monolayer_trainer.config import TrainConfig
from monolayer_trainer.dataset import Dataset, Sample
from monolayer_trainer.errors import DatasetError
from monolayer_trainer.split import split_by_group
from monolayer_trainer.tables import read_rows, write_rows


def hold_out(dataset: Dataset, config: TrainConfig) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    """Divide the training images into those trained on and those tuned on, whole groups at a time.

    Where the images are limited, the limit is drawn at random from those trained on. With a single group nothing can be
    held out, and the same images serve for both. With a `tuning_fraction` of 0 there are none to tune on.

    Raises
    ------
    DatasetError
        The data set has no training images.
    """
    samples = dataset.subset("train")
    if not samples:
        raise DatasetError(f"{dataset.folder} has no training images")
    side_of = split_by_group(
        [sample.id for sample in samples],
        [sample.group for sample in samples],
        [sample.modality for sample in samples],
        config.tuning_fraction,
        config.seed,
    )
    training = tuple(sample for sample in samples if side_of[sample.id] == "train")
    tuning = tuple(sample for sample in samples if side_of[sample.id] != "train")
    if config.tuning_fraction:
        tuning = tuning or training
    return draw(training, config.limit, config.seed), tuning


def draw(samples: tuple[Sample, ...], count: int | None, seed: int) -> tuple[Sample, ...]:
    """At most `count` of the samples at random, in their own order; all where `count` is None."""
    if count is None or count >= len(samples):
        return samples
    chosen = np.random.default_rng(seed).choice(len(samples), count, replace=False)
    return tuple(samples[index] for index in sorted(chosen))


def write_used_images(
    path: Path, training: tuple[Sample, ...], tuning: tuple[Sample, ...], *, before: Path | None = None
) -> None:
    """Write which images were trained on and which were tuned on, one row each.

    Parameters
    ----------
    path
        Table to write.
    training, tuning
        Images of this run.
    before
        The same table of the run whose weights this one starts from. What that run has used is listed too, as
        ``before``: it would be no fair judge of this one either.
    """
    uses = [*(("training", sample) for sample in training), *(("tuning", sample) for sample in tuning)]
    rows = [{"ImageId": s.id, "group": s.group, "modality": s.modality, "use": use} for use, s in uses]
    known = {sample.id for _, sample in uses}
    earlier = read_rows(before) if before is not None else []
    write_rows(path, [*rows, *({**row, "use": "before"} for row in earlier if row["ImageId"] not in known)])
