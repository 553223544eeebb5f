"""Bundles that are not what they say, as a whole service meets them: named by the probe, replaced by K-means."""

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import structlog.testing
from onnx import TensorProto, helper

from monolayer_core.model_card import read_card, sha256_of_file, write_card
from monolayer_service import registry as registries
from monolayer_service.segmenters.runtime import CPU


@pytest.fixture(autouse=True)
def logged():
    """What is logged, instead of tracebacks on the screen."""
    with structlog.testing.capture_logs() as events:
        yield events


def sign(folder):
    """Make the card's digests those of the files, as whoever made the bundle would have."""
    card = read_card(folder)
    write_card(card.model_copy(update={"files": {name: sha256_of_file(folder / name) for name in card.files}}), folder)


def edited(change):
    """A fault that changes the graph of a bundle whose digests are right all the same."""

    def spoil(folder):
        model = onnx.load(folder / "model.onnx")
        change(model)
        onnx.save(model, folder / "model.onnx")
        sign(folder)

    return spoil


def second_input(model):
    model.graph.input.append(helper.make_tensor_value_info("mask", TensorProto.UINT8, ["n", "height", "width", 1]))


def second_output(model):
    model.graph.output.append(helper.make_tensor_value_info("grey", TensorProto.FLOAT, None))


def float_output(model):
    """The last steps would give NaN a way out: they are left out."""
    cast = next(node for node in model.graph.node if node.op_type == "Cast" and node.output[0] == "bytes")
    cast.attribute[0].i = TensorProto.FLOAT
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT


def float_input(model):
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT


def own_operator(model):
    model.graph.node[0].domain = "com.example"
    model.graph.node[0].op_type = "Brighten"
    model.opset_import.append(helper.make_opsetid("com.example", 1))


def opset_of_the_future(model):
    model.opset_import[0].version = 999


def format_of_the_future(model):
    model.ir_version = 999


def weight(model, name):
    return next(tensor for tensor in model.graph.initializer if tensor.name == name)


def not_a_number(model):
    weight(model, "c4").CopyFrom(helper.make_tensor("c4", TensorProto.FLOAT, [], [np.nan]))


def infinite(model):
    weight(model, "c255").CopyFrom(helper.make_tensor("c255", TensorProto.FLOAT, [], [np.inf]))


def outside(location):
    """Weights in a file of their own, which no digest covers."""

    def spoil(folder):
        if not Path(location).is_absolute():
            (folder / location).resolve().write_bytes(np.float32(4).tobytes())
        model = onnx.load(folder / "model.onnx")
        tensor = weight(model, "c4")
        tensor.ClearField("float_data")
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", location), ("offset", "0"), ("length", "4")):
            tensor.external_data.add(key=key, value=value)
        (folder / "model.onnx").write_bytes(model.SerializeToString())
        sign(folder)

    return spoil


def no_folder(folder):
    for file in folder.iterdir():
        file.unlink()


def cut(name, keep):
    def spoil(folder):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: int(keep * len(content))])

    return spoil


def cut_and_signed(folder):
    cut("model.onnx", 0.5)(folder)
    sign(folder)


def another_digest(folder):
    card = read_card(folder)
    write_card(card.model_copy(update={"files": card.files | {"model.onnx": "0" * 64}}), folder)


def a_folder_for_a_file(folder):
    (folder / "model.onnx").unlink()
    (folder / "model.onnx").mkdir()


def an_endless_tensor(folder):
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (1000000, 100000, 100000, 1), }"
    padded = header.ljust(118) + b"\n"
    (folder / "test_input.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded)
    sign(folder)


FAULTS = {
    "folder without files": (no_folder, "model_card.json is missing"),
    "card cut off": (cut("model_card.json", 0.5), "model_card.json is no valid model card"),
    "network cut off": (cut("model.onnx", 0.5), "model.onnx is damaged"),
    "network cut off, digest fitting": (cut_and_signed, "model.onnx cannot be loaded"),
    "network of no bytes": (cut("model.onnx", 0), "model.onnx is damaged"),
    "folder in place of a file": (a_folder_for_a_file, "model.onnx cannot be read"),
    "wrong digest": (another_digest, "model.onnx is damaged"),
    "tensor larger than memory": (an_endless_tensor, "test_input.npy cannot be read"),
    "second input": (edited(second_input), "input must be one uint8 tensor called 'image'"),
    "second output": (edited(second_output), "output must be one uint8 tensor called 'probabilities'"),
    "float input": (edited(float_input), "cannot be loaded|input must be one uint8"),
    "float output": (edited(float_output), "output must be one uint8 tensor"),
    "own operator": (edited(own_operator), "cannot be loaded"),
    "opset of the future": (edited(opset_of_the_future), "cannot be loaded"),
    "format of the future": (edited(format_of_the_future), "cannot be loaded"),
    "weight that is NaN": (edited(not_a_number), "does not reproduce its test tensors"),
    "weight that is infinite": (edited(infinite), "does not reproduce its test tensors"),
    "weights in a file beside it": (outside("weights.bin"), "cannot be loaded: .*[Ee]xternal"),
    "weights in a file elsewhere": (outside("../weights.bin"), "cannot be loaded: .*[Ee]xternal"),
    "weights in a file of the system": (outside("/etc/hostname"), "cannot be loaded: .*[Ee]xternal"),
}


@pytest.fixture
def bundles(toy_bundles, tmp_path, monkeypatch):
    """A folder of bundles of the test's own; what lies in the working directory is no more trusted than elsewhere."""
    folder = shutil.copytree(toy_bundles, tmp_path / "models")
    monkeypatch.chdir(folder / "nuclei")
    return folder


REFUSED = "refused with the reason; /readyz 503 names it, K-means answers and says so"


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.fault(f"bundle: {name}", REFUSED)) for name in FAULTS]
)
def test_it_is_refused_with_the_reason_and_requests_are_answered_without_it(make_client, post_png, bundles, name):
    spoil, reason = FAULTS[name]
    spoil(bundles / "nuclei")
    client = make_client(models=bundles)
    ready = client.get("/readyz")
    assert ready.status_code == 503
    assert int(ready.headers["retry-after"]) >= 1
    message = ready.json()["error"]["message"]
    assert message.startswith("bundle nuclei: ")
    assert pytest.RaisesExc(Exception, match=reason).matches(Exception(message)), message
    assert client.get("/livez").status_code == 200
    answer = post_png(client).json()
    assert answer["method"] == "kmeans"
    assert answer["fallback"]["reason"] == "the bundle nuclei is not usable"
    refused = post_png(client, fallback="never")
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "network_unavailable")
    assert int(refused.headers["retry-after"]) >= 1
    assert post_png(client, model="blood").json()["method"] == "unet"


@pytest.mark.fault(
    "bundle: an error nobody foresaw while it is opened",
    "/readyz 503 names it, K-means answers and says so; others answer",
)
def test_a_bundle_that_cannot_be_opened_for_a_reason_nobody_foresaw_stops_no_other(
    make_client, post_png, toy_bundles, monkeypatch, logged
):
    sound = registries.open_bundle

    def fail(folder, **options):
        if folder.name == "nuclei":
            raise MemoryError("0x7f00")
        return sound(folder, **options)

    monkeypatch.setattr(registries, "open_bundle", fail)
    client = make_client(models=toy_bundles)
    ready = client.get("/readyz").json()
    assert ready["error"]["message"] == "bundle nuclei: it cannot be opened: MemoryError"
    assert post_png(client).json()["fallback"]["reason"] == "the bundle nuclei is not usable"
    assert post_png(client, model="blood").json()["method"] == "unet"
    assert "bundle refused" in [event["event"] for event in logged]


@pytest.mark.fault("a session gives NaN in floats", "K-means answers and says so; fallback=never: 503 with Retry-After")
def test_a_graph_that_gives_floats_all_the_same_has_failed(make_client, post_png, monkeypatch):
    """Were a session to give NaN it would be in floats, and those are never read."""
    client = make_client()
    network = client.app.state.services.registry.require("nuclei").segmenter.network

    class Floats:
        provider = CPU

        def run(self, tiles):
            return np.full((*tiles.shape[:3], 3), np.nan, np.float32)

    for key in network._sessions:
        network._sessions[key] = Floats()
    answer = post_png(client).json()
    assert answer["fallback"]["reason"] == "the network failed on this image"
    assert post_png(client, fallback="never").status_code == 503
