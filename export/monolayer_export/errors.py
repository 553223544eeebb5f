"""What can go wrong while a run becomes a bundle; the command prints the message and exits with status 1."""

from monolayer_core.errors import MonolayerError


class ExportError(MonolayerError):
    """The run cannot be exported; nothing was written."""

    code = "export_failed"


class ParityError(ExportError):
    """The ONNX network does not compute what the Keras network computes."""

    code = "export_differs"
