"""A large image is answered in windows and gets the answer of the whole image, byte by byte."""

import numpy as np
import pytest

from monolayer_core.image_io import encode_png
from monolayer_service import forms
from monolayer_service.segmenters import onnx


@pytest.fixture
def many_blobs_png():
    """Blobs of several sizes, some of which touch; one at the edge."""
    y, x = np.mgrid[0:300, 0:420]
    image = np.zeros((300, 420), dtype=np.uint8)
    for row in range(0, 300, 42):
        for column in range(0, 420, 37):
            image[(y - row) ** 2 + (x - column) ** 2 < (12 + (row + column) % 11) ** 2] = 200
    return encode_png(image)


@pytest.mark.parametrize(
    "query",
    [{}, {"rle": "coco", "measurements": "true"}, {"polygons": "true", "exclude_border": "true"}, {"format": "csv"}],
    ids=lambda query: "&".join(f"{name}={value}" for name, value in query.items()) or "plain",
)
def test_the_body_is_the_same_to_the_last_byte(client, many_blobs_png, query, monkeypatch):
    def post():
        return client.post(
            "/v1/segment", params=query, content=many_blobs_png, headers={"Content-Type": "image/png"}
        ).content

    calls = []
    interpret_windows = onnx.interpret_windows
    monkeypatch.setattr(onnx, "interpret_windows", lambda *arguments: calls.append(1) or interpret_windows(*arguments))
    whole = post()
    assert not calls
    monkeypatch.setattr(onnx, "WHOLE_IMAGE_PX", 1000)
    monkeypatch.setattr(forms, "_RECORDS_AT_ONCE", 7)
    assert post() == whole
    assert calls


def test_what_needs_the_whole_image_is_answered_all_the_same(client, many_blobs_png, monkeypatch):
    monkeypatch.setattr(onnx, "WHOLE_IMAGE_PX", 1000)
    answer = client.post(
        "/v1/segment", params={"clahe": "true"}, content=many_blobs_png, headers={"Content-Type": "image/png"}
    ).json()
    assert answer["method"] == "unet"
    assert answer["count"] == len(answer["instances"]) > 50
