"""A network that costs next to nothing, so that what is measured is everything around it.

Inside, boundary and distance follow from the grey level alone. It comes as a plain callable and as a bundle that the
service loads like any other.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from monolayer_core.model_card import (
    MODEL_NAME,
    TEST_INPUT_NAME,
    TEST_OUTPUT_NAME,
    ModelCard,
    Output,
    Thresholds,
    TrainingData,
    sha256_of_file,
    write_card,
)

CARD = ModelCard(
    name="stand-in",
    version="1",
    task="instances",
    confluency_of="nucleus",
    channels="rgb",
    outputs=(
        Output(name="nucleus", role="class"),
        Output(name="boundary", role="boundary"),
        Output(name="distance", role="distance"),
    ),
    tile_sides=(256, 512, 1024),
    halo=96,
    divisor=16,
    thresholds=Thresholds(seed=0.25, min_seed_area_px=20, min_area_px=25, max_hole_area_px=200),
    training_data=TrainingData(name="none", licence="none", source="none", images=0, objects=0),
)


def stand_in(tiles: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The network as a plain callable."""
    return np.take(table(), tiles[..., 0], axis=0)


def table() -> npt.NDArray[np.uint8]:
    """Outputs of each grey level, uint8 (level, output)."""
    outputs = np.zeros((256, 3), dtype=np.uint8)
    outputs[150:, 0] = 240
    outputs[150:236, 1] = 250
    outputs[236:, 2] = 255
    return outputs


def write_bundle(folder: Path) -> Path:
    """Write the bundle into a folder of bundles and give its own folder."""
    bundle = folder / CARD.name
    bundle.mkdir(parents=True)
    size = ["n", "height", "width"]
    nodes = [
        helper.make_node("Gather", ["image", "first"], ["red"], axis=3),
        helper.make_node("Cast", ["red"], ["level"], to=TensorProto.INT32),
        helper.make_node("Gather", ["table", "level"], ["probabilities"], axis=0),
    ]
    graph = helper.make_graph(
        nodes,
        CARD.name,
        [helper.make_tensor_value_info("image", TensorProto.UINT8, [*size, 3])],
        [helper.make_tensor_value_info("probabilities", TensorProto.UINT8, [*size, 3])],
        [
            helper.make_tensor("first", TensorProto.INT64, [], [0]),
            numpy_helper.from_array(table(), "table"),
        ],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), bundle / MODEL_NAME)
    tiles = np.random.default_rng(0).integers(0, 256, (2, 32, 48, 3), np.uint8)
    np.save(bundle / TEST_INPUT_NAME, tiles)
    np.save(bundle / TEST_OUTPUT_NAME, stand_in(tiles))
    files = {file.name: sha256_of_file(file) for file in sorted(bundle.iterdir())}
    write_card(CARD.model_copy(update={"files": files}), bundle)
    return bundle
