"""What can go wrong, in words of the field; nothing here knows HTTP.

Each class carries a stable machine-readable ``code``. The service maps codes to statuses in one table, the command line
prints the message. A message says what was wrong and, where there is a way out, what to do.
"""

from typing import ClassVar


class MonolayerError(Exception):
    """Base of every error a caller is meant to see."""

    code: ClassVar[str] = "error"


class ImageError(MonolayerError):
    """The image cannot be used."""

    code = "image_error"


class EmptyImageError(ImageError):
    """No bytes were given."""

    code = "empty_image"


class UnknownFormatError(ImageError):
    """The bytes are in none of the formats that are read."""

    code = "unknown_format"


class ImageTooLargeError(ImageError):
    """There are more pixels or bytes than are admitted; nothing was computed."""

    code = "image_too_large"


class TruncatedImageError(ImageError):
    """The data ends early or is damaged; a part of an image is never used."""

    code = "image_truncated"


class UnusableImageError(ImageError):
    """The image was decoded but holds values or a shape that cannot be analysed (NaN, infinite, complex, empty)."""

    code = "image_unusable"


class AmbiguousAxesError(ImageError):
    """It is not known which axis is which, or which plane is meant; the message says how to say it."""

    code = "ambiguous_axes"


class OptionError(MonolayerError):
    """An option has a value that cannot be used with this image or model."""

    code = "invalid_option"


class RunLengthError(MonolayerError):
    """A run-length encoding is malformed, overlaps, or leaves its image."""

    code = "invalid_run_length"


class SubmissionError(MonolayerError):
    """A submission or solution table is malformed."""

    code = "invalid_submission"


class BundleError(MonolayerError):
    """A model bundle is missing a file, is damaged or does not do what its card says."""

    code = "invalid_bundle"


class PredictionError(MonolayerError):
    """The network failed or gave an answer of the wrong shape or type."""

    code = "prediction_failed"
