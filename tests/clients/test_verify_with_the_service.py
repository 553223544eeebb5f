"""``monolayer verify`` against the program that serves: what it gave is the same once more, and nothing else is."""

import json
from contextlib import ExitStack

import httpx2
import numpy as np
import onnx
import pytest
import tifffile
from benchmarks.server import running_service

from monolayer_core.image_io import encode_png
from monolayer_core.model_card import MODEL_NAME, read_card, sha256_of_file, write_card

pytestmark = [pytest.mark.enable_socket, pytest.mark.allow_hosts(["127.0.0.1"])]


@pytest.fixture
def serve(command_line_of):
    """Give a function that starts a service of its own with a folder of bundles and returns its command line."""
    with ExitStack() as stack:

        def start(models, **settings):
            environment = {f"MONOLAYER_{name.upper()}": str(value) for name, value in settings.items()}
            server = stack.enter_context(running_service(240, {"MONOLAYER_MODELS": str(models), **environment}))
            return command_line_of(f"http://127.0.0.1:{server.port}")

        yield start


@pytest.fixture
def monolayer(address, command_line_of):
    """The command line of the service whose answers are kept."""
    return command_line_of(address)


@pytest.fixture
def images(tmp_path, blobs):
    """Two frames of grey discs, a coloured one, and a stack of two planes of which the second holds the discs."""
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "left.png").write_bytes(encode_png(blobs))
    (folder / "right.png").write_bytes(encode_png(np.roll(blobs, 20, axis=1)))
    (folder / "smear.png").write_bytes(encode_png(np.stack([blobs, blobs // 2, blobs], axis=2)))
    tifffile.imwrite(folder / "stack.ome.tif", np.stack([blobs // 3, blobs]), metadata={"axes": "ZYX"}, ome=True)
    return folder


KEPT = {
    "frames": ("segment", ["left.png", "right.png"], ["measurements=true", "polygons=true"]),
    "smear": ("segment", ["smear.png"], ["model=blood", "threshold=0.4", "echo.plate=7"]),
    "stack": ("segment", ["stack.ome.tif"], ["z=1", "pixel_size_um=0.5", "min_area_px=9"]),
    "clusters": ("segment", ["left.png"], ["method=kmeans", "clusters=3", "exclude_border=true"]),
    "numbers": ("confluency", ["left.png", "right.png"], []),
    "discs": ("confluency", ["left.png"], ["model=nuclei", "clahe=true"]),
}
"""Calls with options of every kind, by the folder that their answers are kept in; "numbers" has no bundle: K-means."""


@pytest.fixture
def kept(monolayer, images, tmp_path):
    """Folders of answers, by name."""
    for name, (call, files, options) in KEPT.items():
        words = [word for option in options for word in ("--set", option)]
        result = monolayer(call, *(images / file for file in files), "-o", tmp_path / name, *words)
        assert result.exit_code == 0, result.output
    return {name: tmp_path / name for name in KEPT}


def outcomes(result):
    """Read what is said of each answer, by file name and folder."""
    lines = [line.strip("│ ").split("│") for line in result.stdout.splitlines() if line.startswith("│")]
    return {tuple(line[0].strip().split("/")[-2:]): line[1].strip() for line in lines}


@pytest.mark.parametrize(
    "settings", [{}, {"threads": 1, "network_runs": 1, "max_tile_side": 64}], ids=["alike", "other"]
)
def test_every_kind_of_answer_is_the_same_from_a_service_started_anew(serve, kept, images, toy_bundles, settings):
    anew = serve(toy_bundles, **settings)
    for folder in kept.values():
        result = anew("verify", folder, "--images", images)
        assert result.exit_code == 0, result.output
    assert "2 of 2 answers are the same" in anew("verify", kept["frames"], "--images", images).stdout


def test_other_pixels_of_the_same_name_are_told_apart(monolayer, kept, images, blobs):
    changed = blobs.copy()
    changed[0, 0] += 1
    (images / "right.png").write_bytes(encode_png(changed))
    (images / "left.png").unlink()
    tifffile.imwrite(images / "left.tif", blobs, compression="zlib")  # the same pixels in another file
    result = monolayer("verify", kept["frames"], "--images", images)
    assert result.exit_code == 1
    assert "1 of 2 answers are the same" in result.stdout
    assert {name[1]: outcome for name, outcome in outcomes(result).items()} == {
        "left.json": "same",
        "right.json": "other image",
    }


def test_another_network_of_the_same_name_is_told_apart(serve, kept, images, toy_bundle, tmp_path):
    bundle = toy_bundle(tmp_path / "others", "nuclei", version="1.3.0")
    network = onnx.load(bundle / MODEL_NAME)
    network.graph.name = "another"
    onnx.save(network, bundle / MODEL_NAME)
    card = read_card(bundle)
    files = card.files | {MODEL_NAME: sha256_of_file(bundle / MODEL_NAME)}
    write_card(card.model_copy(update={"files": files}), bundle)
    other = serve(tmp_path / "others")
    result = other("verify", kept["frames"], "--images", images)
    assert result.exit_code == 1
    assert "0 of 2 answers are the same" in result.stdout
    assert set(outcomes(result).values()) == {"other model"}
    assert "nuclei 1.2.0" in result.stdout
    assert "nuclei 1.3.0" in result.stdout
    assert other("verify", kept["clusters"], kept["numbers"], "--images", images).exit_code == 0


def test_an_answer_that_was_changed_by_hand_is_told_apart(monolayer, kept, images):
    path = kept["frames"] / "left.json"
    answer = json.loads(path.read_text())
    answer["instances"][0]["area_px"] += 1
    path.write_text(json.dumps(answer))
    result = monolayer("verify", path, "--images", images)
    assert result.exit_code == 1
    assert set(outcomes(result).values()) == {"differs"}
    assert "instances differ" in result.stdout


def test_an_answer_that_came_by_http_can_be_verified_too(address, monolayer, images, blobs_png, tmp_path):
    path = tmp_path / "by_hand.json"
    options = {"rle": "coco", "image_id": "left", "echo.position": "3", "fallback": "never"}
    answer = httpx2.post(
        f"{address}/v1/segment", params=options, files={"image": ("a.png", blobs_png)}, timeout=60
    ).raise_for_status()
    path.write_bytes(answer.content)
    result = monolayer("verify", path, "--images", images)
    assert result.exit_code == 0, result.output
    assert outcomes(result) == {(tmp_path.name, "by_hand.json"): "same"}
