"""A large image is answered in windows and gets the answer of the whole image, byte by byte."""

import io

import numpy as np
import pytest
import tifffile

from monolayer_core import pixel_edges, quality, row_source, window_pipeline
from monolayer_core.image_io import decode_image, encode_png
from monolayer_service import forms
from monolayer_service.cancellation import WantedRows
from monolayer_service.segmenters import base, onnx


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
    [
        {},
        {"rle": "coco", "measurements": "true"},
        {"polygons": "true", "exclude_border": "true"},
        {"format": "csv"},
        {"format": "table", "measurements": "true"},
        {"format": "geojson", "measurements": "true"},
        {"format": "rois"},
        {"format": "coco"},
    ],
    ids=lambda query: "&".join(f"{name}={value}" for name, value in query.items()) or "plain",
)
def test_the_body_is_the_same_to_the_last_byte(client, many_blobs_png, query, monkeypatch):
    def post():
        return client.post(
            "/v1/segment", params=query, content=many_blobs_png, headers={"Content-Type": "image/png"}
        ).content

    calls = []
    prepare_windows = onnx.prepare_windows
    monkeypatch.setattr(onnx, "prepare_windows", lambda *arguments: calls.append(1) or prepare_windows(*arguments))
    whole = post()
    assert not calls
    monkeypatch.setattr(base, "WHOLE_IMAGE_PX", 1000)
    monkeypatch.setattr(forms, "_RECORDS_AT_ONCE", 7)
    monkeypatch.setattr(pixel_edges, "_RUNS_AT_ONCE", 50)
    assert post() == whole
    assert calls


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_large_tiff_is_read_by_rows_and_answered_as_the_decoded_one(
    make_client, many_blobs_png, compression, monkeypatch
):
    client, stream = make_client(max_tile_side=128), io.BytesIO()
    pixels = np.tile(decode_image(many_blobs_png).pixels, (3, 1))
    tifffile.imwrite(stream, pixels, compression=compression, rowsperstrip=20)

    def post(**query):
        headers = {"Content-Type": "image/tiff"}
        answer = client.post("/v1/segment", params=query, content=stream.getvalue(), headers=headers)
        assert answer.status_code == 200
        return answer.content

    wholes = [post(measurements="true"), post(format="csv")]
    rows_read = []
    read = WantedRows.read
    monkeypatch.setattr(WantedRows, "read", lambda self, rows: rows_read.append(rows) or read(self, rows))
    monkeypatch.setattr(base, "WHOLE_IMAGE_PX", 1000)
    monkeypatch.setattr(row_source, "BAND_PX", 420 * 50)
    monkeypatch.setattr(quality, "_READ_PX", 420 * 50)
    assert [post(measurements="true"), post(format="csv")] == wholes
    assert {row for rows in rows_read for row in range(rows.start, rows.stop)} == set(range(900))
    assert max(rows.stop - rows.start for rows in rows_read) < 200


def test_what_needs_the_whole_image_is_answered_all_the_same(client, many_blobs_png, monkeypatch):
    monkeypatch.setattr(base, "WHOLE_IMAGE_PX", 1000)
    answer = client.post(
        "/v1/segment", params={"clahe": "true"}, content=many_blobs_png, headers={"Content-Type": "image/png"}
    ).json()
    assert answer["method"] == "unet"
    assert answer["count"] == len(answer["instances"]) > 50


@pytest.mark.parametrize(
    ("path", "query"),
    [("/v1/confluency", {}), ("/v1/segment", {"format": "csv"})],
    ids=["confluency", "csv"],
)
def test_objects_are_scored_only_where_the_answer_shows_it(client, many_blobs_png, monkeypatch, path, query):
    def post(path, query):
        return client.post(path, params=query, content=many_blobs_png, headers={"Content-Type": "image/png"})

    calls = []
    scores = window_pipeline._scores
    monkeypatch.setattr(window_pipeline, "_scores", lambda *arguments: calls.append(1) or scores(*arguments))
    whole = post(path, query)
    monkeypatch.setattr(base, "WHOLE_IMAGE_PX", 1000)
    assert whole.status_code == 200
    assert post(path, query).content == whole.content
    assert not calls
    assert post("/v1/segment", {}).status_code == 200
    assert calls
