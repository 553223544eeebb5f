"""Which tiles the network of a service sees."""

import numpy as np
import pytest

from monolayer_core.image_io import encode_png
from monolayer_service.segmenters.session import Network


@pytest.fixture
def seen(monkeypatch):
    """Height and width of every tile that a network ran on."""
    sizes = []
    run = Network.run

    def note_and_run(self, tiles, provider=None, *, alone=True):
        sizes.append(tiles.shape[1:3])
        return run(self, tiles, provider, alone=alone)

    monkeypatch.setattr(Network, "run", note_and_run)
    return sizes


def ask(client, pixels):
    headers = {"Content-Type": "image/png"}
    return client.post("/v1/segment?fallback=never", content=encode_png(pixels), headers=headers).json()


@pytest.mark.parametrize(
    ("settings", "shape", "tiles"),
    [
        pytest.param({}, (96, 120), [(96, 120)], id="of just the size"),
        pytest.param({}, (30, 70), [(64, 72)], id="no lower than the least side"),
        pytest.param({"max_tile_side": 128}, (120, 240), [(120, 136)] * 2, id="two halves"),
        pytest.param({"fit_tiles": False}, (96, 120), [(128, 128)], id="squares where they are asked for"),
    ],
)
def test_tiles_fit_the_image_on_a_cpu(make_client, seen, settings, shape, tiles):
    client = make_client(**settings)
    seen.clear()
    assert ask(client, np.full(shape, 10, np.uint8))["method"] == "unet"
    assert seen == tiles


def test_tiles_that_fit_and_squares_find_the_same_objects(make_client, blobs):
    fitted, squares = (ask(make_client(fit_tiles=fit_tiles), blobs) for fit_tiles in (True, False))
    assert fitted["instances"] == squares["instances"]
    assert len(fitted["instances"]) == 3


def test_one_session_for_each_number_of_threads_serves_every_size(make_client):
    client = make_client()
    for shape in ((64, 64), (96, 120), (300, 200)):
        assert ask(client, np.zeros(shape, np.uint8))["method"] == "unet"
    network = client.app.state.services.registry.require("nuclei").segmenter.network
    assert {key.size for key in network._sessions} == {None}
    assert len(network._sessions) <= 2
