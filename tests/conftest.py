"""Fixtures shared by every test: real data where it lies beside the checkout, skipped with a reason elsewhere."""

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

from monolayer_core.model_card import (
    MODEL_NAME,
    TEST_INPUT_NAME,
    TEST_OUTPUT_NAME,
    Agreement,
    Float16Network,
    Int8Network,
    ModelCard,
    Output,
    Thresholds,
    TrainingData,
    sha256_of_file,
    write_card,
)
from monolayer_core.runtime_telemetry import disable_runtime_telemetry

# Before a test module imports ONNX Runtime itself: tests reach nothing outside.
disable_runtime_telemetry()

# A busy machine is no reason to fail, and a failure should come again: the examples are the same every time.
settings.register_profile("monolayer", deadline=None, derandomize=True)
settings.load_profile("monolayer")

ROOT = Path(__file__).resolve().parents[1]
HERE = Path(__file__).parent
CLIENT_FACING = (
    "clients",
    "contract/example_scripts",
    "contract/test_corrected_answers.py",
    "contract/test_inputs_page.py",
    "core/test_answer_forms.py",
    "core/test_answer_forms_in_imagej.py",
    "core/test_image_io_ome.py",
    "core/test_image_io_pixel_size.py",
    "core/test_image_io_planes.py",
    "core/test_image_io_series.py",
    "core/test_image_io_tiff.py",
    "docs",
    "page",
    "service/test_answer_forms.py",
    "service/test_page_route.py",
    "service/test_stacks.py",
    "service/test_submission_route.py",
    "service/test_validate_route.py",
    "trainer/test_outline_readers.py",
)
"""What has the marker `clients`: the programs and files with which people reach the service, and the guide."""

DATA = Path(os.environ.get("MONOLAYER_TEST_DATA", ROOT.parent / "shared" / "data"))


def real_data(name: str) -> Path:
    folder = DATA / name
    if not folder.is_dir():
        pytest.skip(f"no data set {name} in {DATA}: set MONOLAYER_TEST_DATA to the folder that holds it")
    return folder


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = [HERE / place for place in CLIENT_FACING]
    if gone := [place for place in places if not place.exists()]:
        raise pytest.UsageError(f"CLIENT_FACING in tests/conftest.py names what is not there: {gone}")
    for item in items:
        if any(item.path.is_relative_to(place) for place in places):
            item.add_marker(pytest.mark.clients)


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """Take back what a program under test did to the root logger: its handlers write to streams that end with it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in root.handlers[:]:
        if handler not in handlers and type(handler) is logging.StreamHandler:
            root.removeHandler(handler)
    root.setLevel(level)


@pytest.fixture(scope="session")
def dsb2018() -> Path:
    """stage1_train.zip and image_groups.csv of the Kaggle Data Science Bowl 2018."""
    return real_data("dsb2018")


@pytest.fixture(scope="session")
def usiigaci() -> Path:
    """Phase contrast images with label images and manifest.csv."""
    return real_data("usiigaci_phase")


@pytest.fixture(scope="session")
def blood_cells() -> Path:
    """Blood smear images with annotations.csv (boxes)."""
    return real_data("blood_cells")


@pytest.fixture(scope="session")
def toy_bundle() -> Callable[..., Path]:
    """Give a function that writes a bundle whose network is a few lines of ONNX: bright is foreground.

    ``toy_bundle(folder, name="nuclei")`` writes ``folder/nuclei`` with model, card, test tensors and digests, and
    returns it. Objects brighter than 70 % of the range are of the second class where there are two. It takes
    milliseconds and no TensorFlow.
    """
    return write_toy_bundle


@pytest.fixture
def blobs() -> np.ndarray:
    """Grey uint8 image, 96 by 120, black with three bright discs of radii 10, 12 and 8 that do not touch."""
    y, x = np.mgrid[:96, :120]
    image = np.full((96, 120), 10, np.uint8)
    for (centre_y, centre_x), radius, value in (((25, 30), 10, 200), ((60, 85), 12, 220), ((75, 25), 8, 180)):
        image[(y - centre_y) ** 2 + (x - centre_x) ** 2 <= radius**2] = value
    return image


@pytest.fixture(scope="session")
def toy_bundles(toy_bundle, tmp_path_factory) -> Path:
    """Give a folder with two bundles: `nuclei` (grey, one class) and `blood` (RGB, classes `rbc` and `wbc`)."""
    folder = tmp_path_factory.mktemp("bundles")
    toy_bundle(folder, "nuclei")
    toy_bundle(folder, "blood", classes=("rbc", "wbc"), channels="rgb", confluency_of="cell")
    return folder


@pytest.fixture
def make_client(toy_bundles) -> Iterator[Callable[..., Any]]:
    """Give a function that starts the service in this process and returns a client for it, without a port.

    ``make_client(device="cpu")`` changes settings; without ``models`` the folder is `toy_bundles`.
    """
    from starlette.testclient import TestClient

    from monolayer_service.app import create_app
    from monolayer_service.settings import Settings

    with ExitStack() as stack:

        def make(**settings):
            app = create_app(Settings(**{"models": toy_bundles, **settings}))
            return stack.enter_context(TestClient(app, raise_server_exceptions=False))

        yield make


@pytest.fixture
def blobs_png(blobs) -> bytes:
    """`blobs` as a PNG file."""
    from monolayer_core.image_io import encode_png

    return encode_png(blobs)


def write_toy_bundle(
    folder: Path,
    name: str = "nuclei",
    *,
    classes: Sequence[str] = ("nucleus",),
    channels: str = "grey",
    confluency_of: str = "nucleus",
    version: str = "1.2.0",
    tile_sides: Sequence[int] = (64, 128),
    dynamic_size: bool = True,
    int8_default: bool | None = None,
    float16: bool = False,
) -> Path:
    """`int8_default` is the card's advice; None leaves int8 out.

    The files of lower precision compute as the float32 one does and are told apart by what they call themselves.
    """
    import onnx
    import onnxruntime as ort

    bundle = folder / name
    bundle.mkdir(parents=True)
    channel_count = 1 if channels == "grey" else 3
    agreement = Agreement(images=1, subset="tuning", level_difference=0.0, confluency_difference=0.0)
    int8 = int8_default is not None and Int8Network(
        default_on_cpu=int8_default, reason="a test", calibration_tiles=1, speedup=1.0, agreement=agreement
    )
    half = float16 and Float16Network(agreement=agreement)
    tiles = np.random.default_rng(0).integers(0, 256, (2, 32, 48, channel_count), np.uint8)
    np.save(bundle / TEST_INPUT_NAME, tiles)
    files = [(MODEL_NAME, TEST_OUTPUT_NAME)] + [(lower.file, lower.test_output) for lower in (int8, half) if lower]
    for file, answer in files:
        network = toy_network(channel_count, len(classes))
        network.graph.name = file
        onnx.save(network, bundle / file)
        session = ort.InferenceSession(bundle / file, providers=["CPUExecutionProvider"])
        np.save(bundle / answer, session.run(None, {"image": tiles})[0])
    card = ModelCard(
        name=name,
        version=version,
        task="instances",
        confluency_of=confluency_of,
        channels=channels,
        outputs=(
            *(Output(name=class_name, role="class") for class_name in classes),
            Output(name="boundary", role="boundary"),
            Output(name="distance", role="distance"),
        ),
        tile_sides=tuple(tile_sides),
        dynamic_size=dynamic_size,
        halo=16,
        divisor=8,
        thresholds=Thresholds(foreground=0.5, seed=0.6, min_area_px=4, max_hole_area_px=16),
        training_data=TrainingData(name="none", licence="CC0-1.0", source="written by hand", images=0, objects=0),
        int8=int8 or None,
        float16=half or None,
        files={file.name: sha256_of_file(file) for file in sorted(bundle.iterdir())},
    )
    write_card(card, bundle)
    return bundle


def toy_network(channel_count: int, class_count: int):
    """Build the graph: brightness, its smooth version, and simple arithmetic between the two."""
    from onnx import TensorProto, helper

    def node(operator, inputs, output, **attributes):
        return helper.make_node(operator, inputs, [output], **attributes)

    def constant(name, value):
        return helper.make_tensor(name, TensorProto.FLOAT, [], [value])

    second = [node("Mul", ["inside", "is_bright"], "class_1"), node("Sub", ["inside", "class_1"], "class_0")]
    only = [node("Identity", ["inside"], "class_0")]
    nodes = [
        node("Cast", ["image"], "levels", to=TensorProto.FLOAT),
        node("Div", ["levels", "c255"], "values"),
        node("Transpose", ["values"], "planes", perm=[0, 3, 1, 2]),
        node("ReduceMean", ["planes", "channel_axis"], "grey", keepdims=1),
        node("Sub", ["grey", "c03"], "above"),
        node("Mul", ["above", "c4"], "steep"),
        node("Clip", ["steep", "c0", "c1"], "foreground"),
        node("AveragePool", ["foreground"], "smooth", kernel_shape=[5, 5], pads=[2, 2, 2, 2]),
        node("Sub", ["foreground", "smooth"], "edge"),
        node("Clip", ["edge", "c0", "c1"], "boundary"),
        node("Sub", ["foreground", "boundary"], "inside"),
        node("Sub", ["grey", "c07"], "above_bright"),
        node("Mul", ["above_bright", "c20"], "steep_bright"),
        node("Clip", ["steep_bright", "c0", "c1"], "is_bright"),
        *(second if class_count == 2 else only),
        node("AveragePool", ["foreground"], "distance", kernel_shape=[11, 11], pads=[5, 5, 5, 5]),
        node("Concat", [*(f"class_{i}" for i in range(class_count)), "boundary", "distance"], "maps", axis=1),
        node("Mul", ["maps", "c255"], "scaled"),
        node("Round", ["scaled"], "rounded"),
        node("Cast", ["rounded"], "bytes", to=TensorProto.UINT8),
        node("Transpose", ["bytes"], "probabilities", perm=[0, 2, 3, 1]),
    ]
    values = {"c0": 0.0, "c1": 1.0, "c03": 0.3, "c07": 0.7, "c4": 4.0, "c20": 20.0, "c255": 255.0}
    axis = helper.make_tensor("channel_axis", TensorProto.INT64, [1], [1])
    size = ["n", "height", "width"]
    graph = helper.make_graph(
        nodes,
        "toy",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, [*size, channel_count])],
        [helper.make_tensor_value_info("probabilities", TensorProto.UINT8, [*size, class_count + 2])],
        [*(constant(name, value) for name, value in values.items()), axis],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
