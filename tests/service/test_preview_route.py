"""``/v1/preview`` gives a PNG of any image that is read, and says how it lies on the image."""

import io

import numpy as np
import pytest
import tifffile

from monolayer_core.image_io import decode_image
from monolayer_core.normalization import normalize


def post_tiff(client, pixels, *, query=None, accept="*/*", **metadata):
    stream = io.BytesIO()
    tifffile.imwrite(stream, pixels, **metadata)
    headers = {"Content-Type": "image/tiff", "Accept": accept}
    return client.post("/v1/preview", params=query, content=stream.getvalue(), headers=headers)


def test_a_16_bit_tiff_becomes_a_png_of_its_normalised_pixels(client):
    pixels = np.random.default_rng(1).integers(900, 1700, (40, 60)).astype(np.uint16)
    answer = post_tiff(client, pixels)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/png"
    assert [answer.headers[f"x-{name}"] for name in ("preview-factor", "image-height", "image-width")] == [
        "1",
        "40",
        "60",
    ]
    assert "prepare;dur=" in answer.headers["server-timing"]
    np.testing.assert_array_equal(decode_image(answer.content).pixels, normalize(pixels))


def test_a_long_image_is_shrunk_by_a_whole_factor(client):
    pixels = np.repeat(np.arange(2, dtype=np.uint8) * 200, 2500)[np.newaxis].repeat(7, axis=0)
    answer = post_tiff(client, pixels, compression="zlib", rowsperstrip=2)
    preview = decode_image(answer.content).pixels
    assert answer.headers["x-preview-factor"] == "3"
    assert (answer.headers["x-image-height"], answer.headers["x-image-width"]) == ("7", "5000")
    assert preview.shape == (3, 1667)
    assert preview[:, 832].tolist() == [0, 0, 0]
    assert preview[:, 833].tolist() == [170, 170, 170]  # of the three columns two are bright


def test_the_plane_is_the_one_that_was_chosen(client):
    planes = np.zeros((3, 8, 9), np.uint8)
    planes[2, 4, 5] = 255
    refused = post_tiff(client, planes, photometric="minisblack", metadata={"axes": "CYX"})
    assert refused.status_code == 422
    assert refused.json()["error"]["code"] == "ambiguous_axes"
    chosen = post_tiff(
        client, planes, query={"axes": "CYX", "channel": 2}, photometric="minisblack", metadata={"axes": "CYX"}
    )
    np.testing.assert_array_equal(decode_image(chosen.content).pixels, planes[2])


@pytest.mark.parametrize(
    ("query", "accept", "status", "code"),
    [
        ({"threshold": 0.5}, "*/*", 422, "unknown_option"),
        ({"echo.a": "b"}, "*/*", 422, "unknown_option"),
        ({"channel": 3}, "*/*", 422, "invalid_option"),
        ({}, "application/json", 406, "not_acceptable"),
    ],
    ids=["an option of segment", "echo", "no such channel", "another form"],
)
def test_what_cannot_act_is_refused(client, query, accept, status, code):
    answer = post_tiff(client, np.zeros((4, 4), np.uint8), query=query, accept=accept)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_no_network_is_needed(make_client, tmp_path, post_png, blobs):
    answer = post_png(make_client(models=tmp_path), "/v1/preview")
    np.testing.assert_array_equal(decode_image(answer.content).pixels, normalize(blobs))
