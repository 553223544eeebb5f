"""Bad and odd inputs, each with the status and code it must get; never a 500, and always the one error body."""

import base64
import io
import struct
import zlib
from dataclasses import dataclass, field

import numpy as np
import pytest
import tifffile
from starlette.testclient import TestClient

from monolayer_core.image_io import encode_png
from monolayer_service.app import create_app
from monolayer_service.settings import Settings

PNG = {"Content-Type": "image/png"}
JPEG = {"Content-Type": "image/jpeg"}
TIFF = {"Content-Type": "image/tiff"}
NPY = {"Content-Type": "application/x-npy"}
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "multipart/form-data; boundary=XX"}

MEBIBYTE = 2**20


def gradient(height=40, width=50):
    return (np.add.outer(np.arange(height), np.arange(width)) % 256).astype(np.uint8)


def png(pixels=None):
    return encode_png(gradient() if pixels is None else pixels)


def npy(array, **options):
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def tiff(array, **options):
    file = io.BytesIO()
    tifffile.imwrite(file, array, **options)
    return file.getvalue()


def jpeg():
    import cv2

    return cv2.imencode(".jpg", gradient())[1].tobytes()


def png_header(width, height):
    """A PNG that announces a size and holds no pixels."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))


def part(name="image", content=b"", file_name="a.png"):
    named = f'; filename="{file_name}"' if file_name is not None else ""
    head = f'--XX\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'
    return head.encode() + content + b"\r\n"


def form(*parts):
    return b"".join(parts) + b"--XX--\r\n"


def as_json(data):
    return b'{"image": "' + base64.b64encode(data) + b'"}'


@dataclass(frozen=True)
class Case:
    """One request, and what must come of it."""

    name: str
    status: int
    code: str | None
    body: bytes = b""
    headers: dict = field(default_factory=lambda: PNG)
    path: str = "/v1/segment"
    method: str = "POST"
    says: str = ""


NAN = gradient().astype(np.float32)
NAN[3, 4] = np.nan
INFINITE = gradient().astype(np.float32)
INFINITE[3, 4] = np.inf

CASES = [
    Case("empty body", 400, "empty_image"),
    Case("no body and no media type", 415, "unsupported_media_type", headers={}),
    Case("a media type that is no image", 415, "unsupported_media_type", png(), {"Content-Type": "text/plain"}),
    Case("curl's default media type", 415, "unsupported_media_type", png(),
         {"Content-Type": "application/x-www-form-urlencoded"}, says="multipart/form-data"),
    Case("a PNG sent as GIF", 415, "unsupported_media_type", png(), {"Content-Type": "image/gif"}),
    Case("a gzipped body", 415, "unsupported_media_type", png(), {**PNG, "Content-Encoding": "gzip"}, says="gzip"),
    Case("text sent as PNG", 415, "unknown_format", b"hello, this is no image"),
    Case("a GIF sent as PNG", 415, "unknown_format", b"GIF89a" + bytes(40)),
    Case("a PDF sent as PNG", 415, "unknown_format", b"%PDF-1.7" + bytes(40)),
    Case("a single byte", 415, "unknown_format", b"\x89"),
    Case("a PNG sent as JPEG is read by its first bytes", 200, None, png(), JPEG),
    Case("a truncated PNG", 422, "image_truncated", png()[:-30]),
    Case("a PNG of its signature only", 422, "image_truncated", png()[:8]),
    Case("a PNG with a damaged byte", 422, "image_truncated", png()[:60] + b"\x00\xff\x00\xff" + png()[64:]),
    Case("a truncated JPEG", 422, "image_truncated", jpeg()[: len(jpeg()) // 2], JPEG),
    Case("a truncated TIFF", 422, "image_truncated", tiff(gradient())[:200], TIFF),
    Case("a truncated npy", 422, "image_truncated", npy(gradient())[:-5], NPY),
    Case("a PNG header of 30000 by 30000", 413, "image_too_large", png_header(30000, 30000)),
    Case("a PNG header of 2^31 by 2^31", (413, 422), None, png_header(2**31 - 1, 2**31 - 1)),
    Case("an npy header of 30000 by 30000", 413, "image_too_large",
         npy(np.zeros((1, 1), np.uint8)).replace(b"(1, 1), }        ", b"(30000, 30000), }"), NPY),
    Case("npy with NaN", 422, "image_unusable", npy(NAN), NPY, says="NaN"),
    Case("npy with infinity", 422, "image_unusable", npy(INFINITE), NPY),
    Case("complex npy", 422, "image_unusable", npy(gradient().astype(np.complex64)), NPY),
    Case("pickled npy", 422, "image_unusable", npy(np.array([{"a": 1}]), allow_pickle=True), NPY),
    Case("npy of text", 422, "image_unusable", npy(np.array([["a", "b"]])), NPY),
    Case("npy without pixels", 422, "image_unusable", npy(np.zeros((0, 5), np.uint8)), NPY),
    Case("npy of one dimension", 422, None, npy(np.zeros(5, np.uint8)), NPY),
    Case("npy of three planes and no axes", 422, "ambiguous_axes", npy(np.zeros((5, 40, 50), np.uint8)), NPY),
    Case("the same with axes and a plane", 200, None, npy(np.zeros((5, 40, 50), np.uint8)), NPY,
         "/v1/segment?axes=ZYX&z=2"),
    Case("a plane that is not there", 422, None, npy(np.zeros((5, 40, 50), np.uint8)), NPY,
         "/v1/segment?axes=ZYX&z=9"),
    Case("a TIFF of two pages", 422, "ambiguous_axes", tiff(np.stack([gradient(), gradient()]), metadata=None), TIFF),
    Case("one pixel", 200, None, png(np.array([[7]], np.uint8))),
    Case("one row of 20000 pixels", 200, None, png(gradient(1, 20000))),
    Case("one column of 20000 pixels", 200, None, png(gradient(20000, 1))),
    Case("a constant image", 200, None, png(np.full((40, 50), 9, np.uint8))),
    Case("a constant image with K-means", 200, None, png(np.full((40, 50), 9, np.uint8)),
         path="/v1/segment?method=kmeans"),
    Case("a constant image of floats", 200, None, npy(np.full((40, 50), 0.5, np.float32)), NPY),
    Case("an image of booleans", (200, 422), None, npy(gradient() > 40), NPY),
    Case("broken JSON", 400, "invalid_body", b'{"image": ', JSON),
    Case("JSON that is a list", 400, "invalid_body", b"[1, 2]", JSON),
    Case("JSON without an image", 400, "invalid_body", b"{}", JSON),
    Case("JSON with a number for an image", 400, "invalid_body", b'{"image": 5}', JSON),
    Case("JSON in UTF-16", 400, "invalid_body", as_json(png()).decode().encode("utf-16"), JSON),
    Case("JSON with a deep nest", 400, "invalid_body", b"[" * 100_000, JSON),
    Case("JSON with an option in it", 422, "unknown_option", b'{"image": "", "threshold": 1}', JSON,
         says="query parameters"),
    Case("base64 of a wrong length", 400, "invalid_body", b'{"image": "abcde"}', JSON, says="base64"),
    Case("base64 with characters of another alphabet", 400, "invalid_body", '{"image": "äöü="}'.encode(), JSON),
    Case("base64 of nothing", 400, "empty_image", b'{"image": ""}', JSON),
    Case("base64 of text", 415, "unknown_format", as_json(b"hello"), JSON),
    Case("multipart without a boundary", 400, "invalid_body", form(part(content=png())),
         {"Content-Type": "multipart/form-data"}),
    Case("multipart with another boundary", 400, "invalid_body", form(part(content=png())),
         {"Content-Type": "multipart/form-data; boundary=YY"}),
    Case("multipart that ends early", 400, "invalid_body", part(content=png())[:-20], FORM),
    Case("multipart of nothing", 400, "invalid_body", form(), FORM),
    Case("multipart without the field", 422, "unknown_option", form(part("picture", png())), FORM, says="'image'"),
    Case("multipart with a text for an image", 400, "invalid_body", form(part(content=b"x", file_name=None)), FORM),
    Case("multipart with an empty file", 400, "empty_image", form(part()), FORM),
    Case("multipart with two images", 400, "invalid_body", form(part(content=png()), part(content=png())), FORM),
    Case("multipart with a form field for an option", 422, "unknown_option",
         form(part(content=png()), part("threshold", b"0.5", None)), FORM, says="query parameters"),
    Case("multipart with too many fields", 400, "invalid_body",
         form(part(content=png()), *(part(f"f{i}", b"x", None) for i in range(20))), FORM),
    Case("multipart with a long text field", 400, "invalid_body", form(part("a", bytes(70_000), None)), FORM),
    Case("multipart with a field without a name", 400, "invalid_body",
         b"--XX\r\nContent-Disposition: form-data\r\n\r\nx\r\n--XX--\r\n", FORM),
    Case("a body larger than is accepted", 413, "image_too_large", bytes(5 * MEBIBYTE)),
    Case("an announced length larger than is accepted", 413, "image_too_large", png(),
         {**PNG, "Content-Length": str(5 * MEBIBYTE)}),
    Case("an unknown option", 422, "unknown_option", png(), path="/v1/segment?thresold=0.5", says="threshold"),
    Case("an option nothing is near to", 422, "unknown_option", png(), path="/v1/segment?qqqq=1", says="known are"),
    Case("an option in capitals", 422, "unknown_option", png(), path="/v1/segment?TTA=1"),
    Case("an option twice", 422, "invalid_option", png(), path="/v1/segment?tta=1&tta=0", says="twice"),
    Case("an option without a value", 422, "invalid_option", png(), path="/v1/segment?channel="),
    Case("a value out of range", 422, "invalid_option", png(), path="/v1/segment?threshold=1.5"),
    Case("a value of another type", 422, "invalid_option", png(), path="/v1/segment?min_area_px=many"),
    Case("a value that is not a number", 422, "invalid_option", png(), path="/v1/segment?threshold=nan"),
    Case("a negative pixel size", 422, "invalid_option", png(), path="/v1/segment?pixel_size_um=-1"),
    Case("one cluster", 422, "invalid_option", png(), path="/v1/segment?method=kmeans&clusters=1"),
    Case("clusters without K-means", 422, "invalid_option", png(), path="/v1/segment?clusters=3", says="method=kmeans"),
    Case("a threshold with K-means", 422, "invalid_option", png(), path="/v1/segment?method=kmeans&threshold=0.5"),
    Case("run lengths for a picture", 422, "invalid_option", png(), path="/v1/segment?format=overlay&rle=coco"),
    Case("on_error for one image", 422, "unknown_option", png(), path="/v1/segment?on_error=skip", says="does not act"),
    Case("run lengths from confluency", 422, "unknown_option", png(), path="/v1/confluency?rle=coco"),
    Case("a name with a line break", 422, "invalid_option", png(), path="/v1/segment?image_id=a%0Ab"),
    Case("a very long echo", 422, "invalid_option", png(), path="/v1/segment?echo.a=" + "x" * 5000),
    Case("an unknown model", 404, "unknown_model", png(), path="/v1/segment?model=nuclie", says="nuclei"),
    Case("a model with a path for a name", 404, "unknown_model", png(), path="/v1/segment?model=../../etc"),
    Case("a description of an unknown model", 404, "unknown_model", path="/v1/models/nix", method="GET"),
    Case("a form that cannot be given", 406, "not_acceptable", png(), {**PNG, "Accept": "application/xml"}),
    Case("a table from confluency", 406, "not_acceptable", png(), {**PNG, "Accept": "text/csv"}, "/v1/confluency"),
    Case("the wrong method", 405, "method_not_allowed", method="GET"),
    Case("a path that is not there", 404, "not_found", png(), path="/v2/segment"),
    Case("a path with a slash too many", 404, "not_found", png(), path="/v1/segment/"),
    Case("a page of the documentation that is not there", 404, "not_found", path="/docs/nix.js", method="GET"),
    Case("a submission that is no multipart", 415, "unsupported_media_type", png(), path="/v1/submission"),
    Case("a submission without images", 400, "invalid_body", form(), FORM, "/v1/submission"),
    Case("a submission with one name twice", 422, "images_rejected",
         form(part("images", png(), "a.png"), part("images", png(), "a.tif")), FORM, "/v1/submission"),
    Case("a submission with the field of one image", 422, "unknown_option", form(part(content=png())), FORM,
         "/v1/submission", says="'images'"),
    Case("a submission with image_id", 422, "unknown_option", form(part("images", png())), FORM,
         "/v1/submission?image_id=a"),
    Case("a submission of too many images", 400, "invalid_body",
         form(*(part("images", png(), f"{i}.png") for i in range(9))), FORM, "/v1/submission"),
]  # fmt: skip


@pytest.fixture(scope="module")
def client(toy_bundles):
    settings = Settings(models=toy_bundles, max_body_mib=4, max_submission_images=8)
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        yield client


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_bad_or_odd_input_gets_the_status_of_the_contract(client, case):
    answer = client.request(case.method, case.path, content=case.body, headers=case.headers)
    accepted = case.status if isinstance(case.status, tuple) else (case.status,)
    assert answer.status_code in accepted, answer.text
    assert answer.headers["x-request-id"]
    if answer.status_code == 200:
        return
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.json()) == {"error"}
    error = answer.json()["error"]
    assert {"code", "message", "request_id"} <= set(error)
    assert error["request_id"] == answer.headers["x-request-id"]
    assert case.code in (None, error["code"])
    assert case.says in error["message"]


def test_a_body_without_an_announced_length_is_counted_while_it_arrives(client):
    chunks = (bytes(MEBIBYTE) for _ in range(6))
    answer = client.post("/v1/segment", content=chunks, headers=PNG)
    assert "content-length" not in answer.request.headers
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "image_too_large"


def test_the_wrong_method_is_answered_with_the_right_one(client):
    assert client.get("/v1/segment").headers["allow"] == "POST"


def test_odd_images_are_answered_with_flags(client):
    answer = client.post("/v1/segment", content=png(np.full((40, 50), 9, np.uint8)), headers=PNG).json()
    assert answer["count"] == 0
    assert "blank" in answer["quality"]["flags"]


def test_the_name_of_an_unknown_bundle_is_not_repeated_at_length(client):
    answer = client.get("/v1/models/" + "x" * 5000)
    assert answer.status_code == 404
    assert len(answer.json()["error"]["message"]) < 300
