"""``monolayer verify`` against the real application: what it gave is the same once more, and nothing else is."""

import json
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
import tifffile
from starlette.testclient import TestClient
from tests.clients.real_service import command_line_of

from monolayer_core.image_io import encode_png
from monolayer_core.model_card import MODEL_NAME, read_card, sha256_of_file, write_card
from monolayer_service.app import create_app
from monolayer_service.settings import Settings


@pytest.fixture
def serve(monkeypatch):
    """Give a function that starts a service anew with a folder of bundles: `http` and `monolayer` ask it."""
    services = []

    def start(models, **settings):
        while services:
            services.pop().__exit__(None, None, None)
        service = TestClient(create_app(Settings(models=models, **settings)), raise_server_exceptions=False)
        services.append(service)
        service.__enter__()
        return SimpleNamespace(http=service, monolayer=command_line_of(service._transport, monkeypatch))

    yield start
    for service in services:
        service.__exit__(None, None, None)


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
def kept(serve, images, toy_bundles, tmp_path):
    """Folders of answers, by name."""
    monolayer = serve(toy_bundles).monolayer
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
def test_every_kind_of_answer_is_the_same_after_a_restart(serve, kept, images, toy_bundles, settings):
    monolayer = serve(toy_bundles, **settings).monolayer
    for folder in kept.values():
        result = monolayer("verify", folder, "--images", images)
        assert result.exit_code == 0, result.output
    assert "2 of 2 answers are the same" in monolayer("verify", kept["frames"], "--images", images).stdout


def test_other_pixels_of_the_same_name_are_told_apart(serve, kept, images, blobs, toy_bundles):
    changed = blobs.copy()
    changed[0, 0] += 1
    (images / "right.png").write_bytes(encode_png(changed))
    (images / "left.png").unlink()
    tifffile.imwrite(images / "left.tif", blobs, compression="zlib")  # the same pixels in another file
    result = serve(toy_bundles).monolayer("verify", kept["frames"], "--images", images)
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
    monolayer = serve(tmp_path / "others").monolayer
    result = monolayer("verify", kept["frames"], "--images", images)
    assert result.exit_code == 1
    assert "0 of 2 answers are the same" in result.stdout
    assert set(outcomes(result).values()) == {"other model"}
    assert "nuclei 1.2.0" in result.stdout
    assert "nuclei 1.3.0" in result.stdout
    assert monolayer("verify", kept["clusters"], kept["numbers"], "--images", images).exit_code == 0


def test_an_answer_that_was_changed_by_hand_is_told_apart(serve, kept, images, toy_bundles):
    path = kept["frames"] / "left.json"
    answer = json.loads(path.read_text())
    answer["instances"][0]["area_px"] += 1
    path.write_text(json.dumps(answer))
    result = serve(toy_bundles).monolayer("verify", path, "--images", images)
    assert result.exit_code == 1
    assert set(outcomes(result).values()) == {"differs"}
    assert "instances differ" in result.stdout


def test_an_answer_that_came_by_http_can_be_verified_too(serve, images, blobs_png, toy_bundles, tmp_path):
    service, path = serve(toy_bundles), tmp_path / "by_hand.json"
    options = {"rle": "coco", "image_id": "left", "echo.position": "3", "fallback": "never"}
    answer = service.http.post("/v1/segment", params=options, files={"image": ("a.png", blobs_png)})
    path.write_bytes(answer.content)
    result = service.monolayer("verify", path, "--images", images)
    assert result.exit_code == 0, result.output
    assert outcomes(result) == {(tmp_path.name, "by_hand.json"): "same"}
