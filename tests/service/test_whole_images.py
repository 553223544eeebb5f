"""Images that must be looked at as a whole have a bound of their own, told before a pixel is decoded."""

import io

import numpy as np
import pytest

from monolayer_core.errors import PredictionError
from monolayer_core.image_io import encode_png
from monolayer_service import dependencies
from monolayer_service.admission.ticket import Ticket
from monolayer_service.analysis import Analyst
from monolayer_service.cancellation import Cancellation
from monolayer_service.segmenters import base
from monolayer_service.segmenters.session import Network
from monolayer_service.settings import Settings

SIZE_PX = 96 * 120
MEMORY_RATIO = base.WHOLE_BYTES_PER_PX / base.WINDOWS_BYTES_PER_PX


def npy(pixels):
    stream = io.BytesIO()
    np.save(stream, pixels)
    return stream.getvalue()


@pytest.fixture
def make_bounded(make_client, monkeypatch):
    """Give a function that starts a service which looks at so many pixels as a whole, and at 1000 in any case."""

    def make(max_whole_px, card=None, **settings):
        monkeypatch.setattr(base, "WHOLE_IMAGE_PX", 1000)
        monkeypatch.setattr(Settings, "max_whole_pixels", max_whole_px)
        client = make_client(confluency_model="nuclei", **settings)
        if card is not None:
            network = client.app.state.services.registry.bundles["nuclei"].segmenter.network
            network.card = network.card.model_copy(update=card)
        return client

    return make


@pytest.fixture
def decoded(monkeypatch):
    """The names of the images that are decoded."""
    names = []
    decode = dependencies.decode
    monkeypatch.setattr(dependencies, "decode", lambda upload, *rest: names.append(upload) or decode(upload, *rest))
    return names


def post(client, image, path="/v1/segment", **query):
    path, _, form = path.partition("?format=")
    query |= {"format": form} if form else {}
    media_type = "image/png" if image.startswith(b"\x89PNG") else "application/x-npy"
    return client.post(path, params=query, content=image, headers={"Content-Type": media_type})


REASONS = {
    "kmeans": ({"method": "kmeans"}, np.uint8, {}, "method=kmeans"),
    "clahe": ({"clahe": "true"}, np.uint8, {}, "clahe"),
    "flat_field": ({"flat_field": "true"}, np.uint8, {}, "flat_field"),
    "tta": ({"tta": "true"}, np.uint8, {}, "tta"),
    "float32": ({}, np.float32, {}, "values of type float32"),
    "int16": ({}, np.int16, {}, "values of type int16"),
    "kmeans of float64": ({"method": "kmeans"}, np.float64, {}, "method=kmeans"),
    "semantic": ({}, np.uint8, {"task": "semantic"}, "a semantic network"),
    "input_scale": ({}, np.uint8, {"input_scale": 0.5}, "the network sees images at a part of their size"),
}


@pytest.mark.parametrize(("query", "dtype", "card", "reason"), REASONS.values(), ids=REASONS)
@pytest.mark.parametrize("path", ["/v1/segment", "/v1/segment?format=ndjson", "/v1/confluency"])
def test_one_pixel_above_the_bound_is_refused_before_it_is_decoded(
    make_bounded, decoded, blobs, *, path, query, dtype, card, reason
):
    image = npy(blobs.astype(dtype))
    answer = post(make_bounded(SIZE_PX, card), image, path, **query)
    assert answer.status_code == 200
    assert len(decoded) == 1
    answer = post(make_bounded(SIZE_PX - 1, card), image, path, **query)
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "image_too_large"
    assert answer.json()["error"]["message"] == (
        "the image has 96 x 120 = 11520 pixels, 11519 are admitted where it must be looked at as a whole: " + reason
    )
    assert len(decoded) == 1


def test_what_takes_more_than_colours_in_single_precision_has_fewer_pixels(make_bounded, decoded, blobs):
    image = npy(np.dstack([blobs.astype(np.float64)] * 3))
    assert post(make_bounded(2 * SIZE_PX), image).status_code == 200
    answer = post(make_bounded(2 * SIZE_PX - 1), image)
    assert answer.status_code == 413
    assert answer.json()["error"]["message"] == (
        "the image takes 276480 bytes when decoded, 276468 are admitted where it must be looked at as a whole: "
        "values of type float64"
    )
    assert len(decoded) == 1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.bool_], ids=lambda dtype: dtype.__name__)
def test_what_is_answered_in_windows_has_no_such_bound(make_bounded, blobs, dtype):
    image = npy((blobs > 100).astype(dtype) * dtype(1))
    assert post(make_bounded(1), image).json()["count"] == 3


def test_a_picture_of_it_is_made_all_the_same(make_bounded, blobs):
    assert post(make_bounded(1), npy(blobs.astype(np.float32)), "/v1/preview").status_code == 200


def test_images_that_are_computed_whole_anyway_are_never_refused(make_bounded, blobs):
    client = make_bounded(1)
    assert post(client, npy(blobs[:10, :100]), method="kmeans").status_code == 200
    answer = post(client, npy(blobs[:10, :101]), method="kmeans")
    assert answer.status_code == 413
    assert "10 x 101 = 1010 pixels, 1000 are admitted" in answer.json()["error"]["message"]


def submit(client, *files, **query):
    return client.post("/v1/submission", params=query, files=[("images", file) for file in files])


def test_a_submission_names_each_one(make_bounded, blobs, blobs_png):
    client = make_bounded(SIZE_PX - 1)
    files = (("large.png", blobs_png), ("small.png", encode_png(blobs[:90])))
    answer = submit(client, *files, clahe="true")
    assert answer.status_code == 422
    (failure,) = answer.json()["error"]["failures"]
    assert (failure["image_id"], failure["code"]) == ("large", "image_too_large")
    assert failure["message"].endswith("looked at as a whole: clahe")
    answer = submit(client, *files, clahe="true", on_error="skip")
    assert answer.status_code == 200
    assert answer.headers["x-skipped"] == "large"
    assert {line.split(",")[0] for line in answer.text.splitlines()[1:]} == {"small"}


@pytest.fixture
def failing_network(monkeypatch):
    def fail(self, tiles, provider=None, *, alone=True):
        raise PredictionError("the card is on fire")

    def break_down():
        monkeypatch.setattr(Network, "run", fail)

    return break_down


@pytest.mark.fault(
    "the network fails on an image that is too large for K-means", "503 with Retry-After, as with fallback=never"
)
@pytest.mark.parametrize("path", ["/v1/segment", "/v1/confluency"])
def test_kmeans_stands_in_for_a_network_that_failed_up_to_the_bound(make_bounded, failing_network, blobs_png, path):
    clients = [make_bounded(SIZE_PX), make_bounded(SIZE_PX - 1)]
    failing_network()
    answer = post(clients[0], blobs_png, path)
    assert (answer.status_code, answer.json()["method"]) == (200, "kmeans")
    answer = post(clients[1], blobs_png, path)
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "30"
    assert answer.json()["error"]["code"] == "network_unavailable"
    assert answer.json()["error"]["message"] == (
        "the network failed on this image, and K-means, which must look at an image as a whole, cannot stand in: "
        "the image has 11520 pixels, 11519 are admitted"
    )
    assert 'monolayer_faults_total{next="refused"} 1.0' in clients[1].get("/metrics").text


def test_large_images_of_a_network_that_failed_are_clustered_one_at_a_time(
    make_bounded, failing_network, monkeypatch, blobs, blobs_png
):
    client = make_bounded(SIZE_PX)
    failing_network()
    is_taken = []
    cluster = Analyst._cluster
    monkeypatch.setattr(
        Analyst, "_cluster", lambda self, *rest: is_taken.append(self._unforeseen.locked()) or cluster(self, *rest)
    )
    for image in (blobs_png, npy(blobs[:8]), blobs_png):
        assert post(client, image).json()["method"] == "kmeans"
    assert is_taken == [True, False, True]


def test_nobody_waits_for_the_one_before_when_the_answer_is_not_wanted_any_more(make_bounded):
    analyst = make_bounded(SIZE_PX).app.state.services.analyst
    cancellation = Cancellation()
    cancellation.cancel(TimeoutError())
    with analyst._unforeseen, pytest.raises(TimeoutError), analyst._one_at_a_time(SIZE_PX, cancellation):
        pass
    with analyst._one_at_a_time(SIZE_PX, cancellation):
        assert analyst._unforeseen.locked()
    assert not analyst._unforeseen.locked()


@pytest.mark.fault(
    "there is no network for an image that is too large for K-means", "503 with Retry-After, before it is decoded"
)
def test_where_there_is_no_network_kmeans_stands_in_up_to_the_bound(make_bounded, decoded, blobs_png, tmp_path):
    answer = post(make_bounded(SIZE_PX, models=tmp_path), blobs_png)
    assert (answer.status_code, answer.json()["method"]) == (200, "kmeans")
    assert len(decoded) == 1
    client = make_bounded(SIZE_PX - 1, models=tmp_path)
    for answer in (post(client, blobs_png), submit(client, ("a.png", blobs_png), on_error="skip")):
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
        assert answer.json()["error"]["message"].startswith("there is no bundle nuclei, and K-means, which must look")
    assert len(decoded) == 1


@pytest.fixture
def weights(monkeypatch):
    """Megapixels that requests count for when they wait for their turn."""
    found = []
    start = Ticket.start

    async def start_and_note(self, *sizes):
        await start(self, *sizes)
        found.append((round(self.size * 1e6), round(self.load * 1e6)))

    monkeypatch.setattr(Ticket, "start", start_and_note)
    return found


@pytest.mark.parametrize(
    ("query", "weight"), [({}, 1), ({"clahe": "true"}, MEMORY_RATIO), ({"method": "kmeans"}, MEMORY_RATIO)]
)
def test_it_counts_for_the_slide_that_takes_as_much_memory(make_bounded, weights, blobs_png, query, weight):
    post(make_bounded(SIZE_PX), blobs_png, **query)
    assert weights == [(SIZE_PX, SIZE_PX * weight)]


def test_a_submission_counts_for_the_image_that_takes_most_where_that_is_more_than_all_of_them(
    make_bounded, weights, blobs, blobs_png
):
    client = make_bounded(SIZE_PX)
    small = npy(blobs[:8])
    submit(client, ("a.png", blobs_png), ("b.png", blobs_png), ("c.npy", small), clahe="true")
    submit(client, *((f"{i}.npy", small) for i in range(3)), clahe="true")
    assert weights == [(2 * SIZE_PX + 960, SIZE_PX * MEMORY_RATIO), (3 * 960, 3 * 960)]
