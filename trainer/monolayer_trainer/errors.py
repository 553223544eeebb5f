"""What can go wrong in training, beside the errors of core."""

from typing import ClassVar

from monolayer_core.errors import MonolayerError


class DatasetError(MonolayerError):
    """The files of a data set are damaged, do not fit each other or are not there; the message names them."""

    code: ClassVar[str] = "invalid_dataset"


class SamplerError(MonolayerError):
    """The process that makes the training crops failed; the message carries its own."""

    code: ClassVar[str] = "sampler_failed"
