"""Stacks as microscopes write them: which plane is answered, and what the answer says of it."""

import io

import numpy as np
import pytest
import tifffile

from monolayer_core import quality, row_source
from monolayer_core.image_io import ImageLimits, encode_png
from monolayer_service.analysis import decode
from monolayer_service.cancellation import Cancellation
from monolayer_service.options import Options
from monolayer_service.schemas import SegmentAnswer
from monolayer_service.segmenters import base
from monolayer_service.uploads import UploadedFile

TIFF = {"Content-Type": "image/tiff"}
METADATA = {"axes": "ZCYX", "Channel": {"Name": ["DAPI", "GFP"]}, "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}


def ome_tiff(array, **metadata):
    stream = io.BytesIO()
    options = {"photometric": "minisblack", "compression": "zlib", "rowsperstrip": 16}
    tifffile.imwrite(stream, array, ome=True, metadata=METADATA | metadata, **options)
    return stream.getvalue()


@pytest.fixture
def stack(blobs):
    """Z, C, Y, X: the discs spread over three z planes of the second channel; the first is empty."""
    planes = np.zeros((3, 2, *blobs.shape), np.uint8)
    for z in range(3):
        planes[z, 1, :, z::3] = blobs[:, z::3]
    return planes


@pytest.fixture
def post(client):
    def post(body, path="/v1/segment", **query):
        return client.post(path, params=query, content=body, headers=TIFF)

    return post


def test_the_maximum_of_a_channel_is_answered_as_the_picture_it_is(client, post, stack, blobs):
    answer = post(ome_tiff(stack), z="max", channel="GFP", image_id="frame").json()
    picture = client.post("/v1/segment?image_id=frame&pixel_size_um=0.5", content=encode_png(blobs), headers=TIFF)
    SegmentAnswer.model_validate(answer)
    assert answer["instances"] == picture.json()["instances"]
    assert answer["receipt"]["pixels_sha256"] == picture.json()["receipt"]["pixels_sha256"]
    assert answer["receipt"]["options"] == {"z": "max", "channel": "GFP"}
    assert answer["image"]["axes"] == "TZCYX"
    plane = {"t": 0, "channel": 1, "channel_name": "GFP", "z": "max", "series": None, "series_name": None}
    assert answer["image"]["plane"] == plane
    assert answer["image"]["pixel_size_um"] == 0.5


def test_numbers_and_tables_are_of_the_same_plane(client, post, stack):
    query, body = {"z": "max", "channel": 1}, ome_tiff(stack)
    whole = post(body, **query).json()
    numbers = post(body, "/v1/confluency", **query, model="nuclei").json()
    assert (numbers["image"], numbers["count"]) == (whole["image"], 3)
    files = [("images", ("frame.ome.tif", body))]
    table = client.post("/v1/submission", params={"z": "max", "channel": "GFP"}, files=files).text
    assert [line.split(",")[1] for line in table.splitlines()[1:]] == [one["rle"] for one in whole["instances"]]


def test_a_large_maximum_is_read_by_rows_and_answered_to_the_last_byte_alike(post, stack, monkeypatch):
    wide = ome_tiff(np.tile(stack, (1, 1, 3, 3)))
    whole = post(wide, z="max", channel=1, measurements="true").content
    monkeypatch.setattr(base, "WHOLE_IMAGE_PX", 1000)
    monkeypatch.setattr(row_source, "BAND_PX", 360 * 50)
    monkeypatch.setattr(quality, "_READ_PX", 360 * 50)
    assert post(wide, z="max", channel=1, measurements="true").content == whole


def test_what_must_be_chosen_is_said_with_its_range_and_names(post, stack):
    answer = post(ome_tiff(stack))
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "ambiguous_axes"
    assert answer.json()["error"]["message"] == (
        "the image has 2 channels: choose one with channel=0..1 or by name: DAPI, GFP; "
        "the image has 3 z planes: choose one with z=0..2, or take their maximum with z=max"
    )
    answer = post(ome_tiff(stack), channel="Cy5", z=0)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_option")
    assert "DAPI, GFP" in answer.json()["error"]["message"]


@pytest.fixture
def positions(blobs):
    """An empty field, and a larger one with the discs."""
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream, ome=True) as writer:
        for number, plane in enumerate((np.zeros((50, 60), np.uint16), np.tile(blobs, (3, 3)))):
            named = {"axes": "YX", "Name": f"Pos{number}"}
            writer.write(plane, photometric="minisblack", compression="zlib", rowsperstrip=16, metadata=named)
    return stream.getvalue()


@pytest.mark.parametrize("series", [1, "Pos1"])
def test_of_several_images_the_chosen_one_is_answered_as_the_picture_it_is(client, post, positions, blobs, series):
    answer = post(positions, series=series, image_id="frame").json()
    picture = client.post("/v1/segment?image_id=frame", content=encode_png(np.tile(blobs, (3, 3))), headers=TIFF).json()
    SegmentAnswer.model_validate(answer)
    assert answer["count"] == 27
    assert answer["instances"] == picture["instances"]
    assert answer["receipt"]["pixels_sha256"] == picture["receipt"]["pixels_sha256"]
    assert answer["receipt"]["options"] == {"series": series}
    plane = {"t": 0, "channel": 0, "channel_name": None, "z": 0, "series": 1, "series_name": "Pos1"}
    assert answer["image"]["plane"] == plane
    numbers = post(positions, "/v1/confluency", series=series, model="nuclei").json()
    assert (numbers["image"], numbers["count"]) == (answer["image"], 27)
    preview = post(positions, "/v1/preview", series=series)
    assert (preview.headers["X-Image-Height"], preview.headers["X-Image-Width"]) == ("288", "360")


def test_of_several_images_a_large_one_is_read_by_rows_and_answered_alike(post, positions, monkeypatch):
    whole = post(positions, series=1, measurements="true").content
    monkeypatch.setattr(base, "WHOLE_IMAGE_PX", 1000)
    monkeypatch.setattr(row_source, "BAND_PX", 360 * 50)
    monkeypatch.setattr(quality, "_READ_PX", 360 * 50)
    assert post(positions, series=1, measurements="true").content == whole


def test_of_several_images_none_is_taken_unasked(client, post, positions):
    for call in ("/v1/segment", "/v1/confluency", "/v1/preview"):
        answer = post(positions, call)
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "ambiguous_axes")
        message = "the file holds 2 images: choose one with series=0..1 or by name: Pos0, Pos1"
        assert answer.json()["error"]["message"] == message
    answer = client.post("/v1/submission", files=[("images", ("frame.ome.tif", positions))])
    assert answer.status_code == 422
    assert answer.json()["error"]["failures"][0]["message"] == message
    answer = post(positions, series=2)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_option")


def test_a_picture_of_one_plane_counts_none(client, blobs_png, blobs):
    image = client.post("/v1/segment", content=blobs_png, headers={"Content-Type": "image/png"}).json()["image"]
    assert (image["axes"], image["plane"]) == ("YX", None)
    coloured = encode_png(np.stack([blobs, blobs // 2, blobs // 3], axis=2))
    green = client.post("/v1/segment?channel=1", content=coloured, headers={"Content-Type": "image/png"}).json()
    assert green["image"]["axes"] == "YXS"
    said = {name: value for name, value in green["image"]["plane"].items() if value is not None}
    assert said == {"channel": 1}


def test_pixels_that_are_not_square_are_flagged_unless_the_caller_knows_better(post, stack):
    uneven = ome_tiff(stack, PhysicalSizeY=0.25)
    answer = post(uneven, z=1, channel=1).json()
    assert "pixels_not_square" in answer["quality"]["flags"]
    assert answer["image"]["pixel_size_um"] is None
    answer = post(uneven, z=1, channel=1, pixel_size_um=0.25).json()
    assert "pixels_not_square" not in answer["quality"]["flags"]
    assert "pixels_not_square" not in post(ome_tiff(stack), z=1, channel=1).json()["quality"]["flags"]


def test_a_maximum_is_left_when_its_request_is_not_wanted_any_more(stack):
    cancellation = Cancellation()
    upload = UploadedFile(ome_tiff(stack), "stack.ome.tif")
    options = Options(z="max", channel=1)
    assert decode(upload, None, options, ImageLimits(), cancellation).image.plane.z == "max"
    cancellation.cancel(TimeoutError("late"))
    with pytest.raises(TimeoutError, match="late"):
        decode(upload, None, options, ImageLimits(), cancellation)
