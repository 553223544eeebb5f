"""The network in eight bits, for processors: static quantisation with ranges taken from real images.

Activations are unsigned, weights signed and scaled per channel (U8S8 in QDQ form), which ONNX Runtime's kernels for
processors are made for. Everything before the last convolution computes in integers; the last one and what follows stay
float32.

Weights take seven of their eight bits. A processor with AVX2 but without VNNI adds the products of two pairs in sixteen
bits, where 255 · 127 · 2 does not fit: with eight bits a seventh of the probabilities came out different there, by up
to 0.87. With seven, 255 · 64 · 2 fits, and all processors give the same integers.
"""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx

from monolayer_core.arrays import ImageUInt8, TileBatch
from monolayer_core.model_card import ModelCard
from monolayer_export.canonical import canonicalize
from monolayer_export.errors import ExportError
from monolayer_export.graph import INPUT_NAME, check_graph, describe
from monolayer_export.sections import divide

if TYPE_CHECKING:
    from onnxruntime.quantization import CalibrationDataReader


def quantize_network(model: onnx.ModelProto, card: ModelCard, tiles: Sequence[ImageUInt8]) -> onnx.ModelProto:
    """Make the eight-bit network of a bundle's float32 one; the same network and tiles give the same model.

    Parameters
    ----------
    model
        With uint8 images in and uint8 probabilities out; left as it is.
    card
        Its card.
    tiles
        Normalised tiles ``(y, x, channel)`` of one size, at least one: the ranges of all tensors are taken from them.

    Raises
    ------
    ExportError
        There is no convolution besides the last.
    """
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory(prefix="monolayer-int8-") as place:
        source, prepared, result = (Path(place) / f"{name}.onnx" for name in ("source", "prepared", "result"))
        onnx.save(model, source)
        # The symbolic shape inference needs a further package and finds nothing that the other one does not.
        quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        sections = divide(onnx.load(prepared).graph)
        if not sections.body:
            raise ExportError("the network has no convolution besides the last: there is nothing to quantise")
        quantize_static(
            prepared,
            result,
            _reader(tiles),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            reduce_range=True,
            nodes_to_exclude=[*sections.head, *sections.last, *sections.tail],
        )
        quantized: onnx.ModelProto = onnx.load(result)
    canonicalize(quantized.graph)
    describe(quantized, card, precision="int8")
    check_graph(quantized)
    return quantized


def _reader(tiles: Sequence[ImageUInt8]) -> "CalibrationDataReader":
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc] # its base publishes no types
        """One tile after the other, in the form the quantiser asks for."""

        def __init__(self) -> None:
            self._batches: Iterator[TileBatch] = (tile[np.newaxis] for tile in tiles)

        def get_next(self) -> dict[str, TileBatch] | None:
            batch = next(self._batches, None)
            return None if batch is None else {INPUT_NAME: batch}

    return Reader()
