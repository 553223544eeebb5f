"""The contract at the rim of the graph: uint8 images in, uint8 probabilities out, symbolic sizes, and who made it."""

from collections import Counter

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from monolayer_core.model_card import ModelCard, Precision
from monolayer_export.convert import OPSET
from monolayer_export.errors import ExportError
from monolayer_export.layout import TO_FIRST, TO_LAST

INPUT_NAME = "image"
OUTPUT_NAME = "probabilities"
FLOAT_OUTPUT_NAME = "probabilities_float"
"""Tensor inside the graph: float32 ``(n, output, y, x)``, 0 to 1, before quantisation."""

IR_VERSION = 8
"""The file format that came out with opset 18; newer ones say nothing more and shut out older runtimes."""


def add_uint8_rim(model: onnx.ModelProto, card: ModelCard) -> None:
    """Wrap a float graph with channels first, so that it takes and gives uint8 with channels last.

    A probability p becomes ``floor(255 p + 0.5)``, halves rounded up; Cast cuts off the fraction, which is the floor of
    a number that is not negative. Both transpositions are done on uint8, a quarter of the bytes.

    Parameters
    ----------
    model
        One float32 input ``(n, channel, y, x)`` and one float32 output ``(n, output, y, x)``; changed in place.
    card
        Gives the number of channels and outputs and, where the network takes one size alone, that size.
    """
    graph = model.graph
    _rename_tensor(graph, graph.input[0].name, "image_float")
    _rename_tensor(graph, graph.output[0].name, FLOAT_OUTPUT_NAME)
    for name, value in (("levels", 255.0), ("half", 0.5)):
        graph.initializer.append(numpy_helper.from_array(np.array(value, np.float32), name))
    before = (
        _step("Transpose", [INPUT_NAME], "image_channels_first", perm=TO_FIRST),
        _step("Cast", ["image_channels_first"], "image_float", to=TensorProto.FLOAT),
    )
    after = (
        _step("Mul", [FLOAT_OUTPUT_NAME, "levels"], "probabilities_scaled"),
        _step("Add", ["probabilities_scaled", "half"], "probabilities_shifted"),
        _step("Cast", ["probabilities_shifted"], "probabilities_channels_first", to=TensorProto.UINT8),
        _step("Transpose", ["probabilities_channels_first"], OUTPUT_NAME, perm=TO_LAST),
    )
    for index, node in enumerate(before):
        graph.node.insert(index, node)
    graph.node.extend(after)

    height, width = ("height", "width") if card.dynamic_size else (card.tile_sides[0], card.tile_sides[0])
    for values, name, channels in (
        (graph.input, INPUT_NAME, card.channel_count),
        (graph.output, OUTPUT_NAME, len(card.outputs)),
    ):
        del values[:]
        values.append(helper.make_tensor_value_info(name, TensorProto.UINT8, ("n", height, width, channels)))


def describe(model: onnx.ModelProto, card: ModelCard, *, precision: Precision = "float32") -> None:
    """Write into the file what it is, so that it is known even where it is met without its card."""
    model.producer_name, model.producer_version, model.domain = "monolayer-export", "", ""
    model.ir_version = IR_VERSION
    del model.opset_import[:]
    model.opset_import.append(helper.make_opsetid("", OPSET))
    model.graph.name, model.graph.doc_string = card.name, ""
    model.doc_string = f"uint8 {INPUT_NAME} {card.axes} to uint8 {OUTPUT_NAME}: 255 times the probability"
    del model.metadata_props[:]
    facts = {
        "name": card.name,
        "version": card.version,
        "task": card.task,
        "channels": card.channels,
        "outputs": ",".join(output.name for output in card.outputs),
        "licence": card.training_data.licence,
        "training_data": card.training_data.name,
    }
    if precision != "float32":
        facts["precision"] = precision
    helper.set_model_props(model, facts)


def expose_float_output(model: onnx.ModelProto) -> onnx.ModelProto:
    """Copy a model and give it the unrounded probabilities as a second output, ``(n, output, y, x)``."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    copy.graph.output.append(helper.make_tensor_value_info(FLOAT_OUTPUT_NAME, TensorProto.FLOAT, None))
    return copy


def check_graph(model: onnx.ModelProto) -> None:
    """Let the checker of the ONNX project read the model, shapes included.

    Raises
    ------
    ExportError
        The graph is malformed.
    """
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(f"the converted graph is malformed: {error}") from error


def count_operators(model: onnx.ModelProto) -> Counter[str]:
    """How often each operator occurs in the graph."""
    return Counter(node.op_type for node in model.graph.node)


def _step(operator: str, inputs: list[str], output: str, **attributes: int | tuple[int, ...]) -> onnx.NodeProto:
    node = helper.make_node(operator, inputs, [output], name=output)
    node.attribute.extend(helper.make_attribute(key, value) for key, value in attributes.items())
    return node


def _rename_tensor(graph: onnx.GraphProto, old: str, new: str) -> None:
    for node in graph.node:
        for names in (node.input, node.output):
            for index, name in enumerate(names):
                if name == old:
                    names[index] = new
