"""The exported network as a plain callable, run the way the service runs it."""

import onnxruntime as ort

from monolayer_core.arrays import Predict, TileBatch
from monolayer_export.graph import INPUT_NAME, OUTPUT_NAME

PROVIDERS = ["CPUExecutionProvider"]

_ERRORS_ONLY = 3


def open_session(model: bytes, *, side: int | None = None) -> ort.InferenceSession:
    """Open the network on the processor.

    Parameters
    ----------
    model
        Content of the ONNX file.
    side
        Fixes height and width to this many pixels, as the service does for each tile side; symbolic where None.
    """
    options = ort.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    if side is not None:
        options.add_free_dimension_override_by_name("height", side)
        options.add_free_dimension_override_by_name("width", side)
    return ort.InferenceSession(model, options, providers=PROVIDERS)


def onnx_predict(model: bytes, *, side: int | None = None) -> Predict:
    """Open the network as a callable from uint8 tiles ``(n, y, x, channel)`` to probabilities ``(n, y, x, output)``."""
    session = open_session(model, side=side)

    def predict(tiles: TileBatch) -> TileBatch:
        answer: TileBatch = session.run([OUTPUT_NAME], {INPUT_NAME: tiles})[0]
        return answer

    return predict
