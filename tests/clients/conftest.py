"""The services that clients ask.

One needs no port: it answers as the HTTP contract says, and does what it is told about failing. The other is the
program that serves.
"""

import asyncio
import hashlib
import io
import json
from collections import deque
from functools import partial

import httpx2
import numpy as np
import pytest
import stamina
from benchmarks.server import running_service
from typer.testing import CliRunner

from monolayer_client.async_client import AsyncClient
from monolayer_client.cli import service as cli_service
from monolayer_client.cli.app import app
from monolayer_client.client import Client
from monolayer_core.pixel_digest import digest_pixels
from monolayer_core.rle import encode_coco, encode_kaggle
from monolayer_core.row_source import ArrayRows

URL = "http://service.test"
TWO_OBJECTS = np.array([[1, 0, 2], [1, 2, 2]])
NO_OBJECTS = np.zeros((2, 3), dtype=int)


class FakeService:
    """Takes ``.npy`` images whose pixels *are* the labels, and gives them back as the objects it found.

    `script` holds answers that are given first, one per request; `requests` what was asked; `progress` what is told
    ahead of an answer to those who ask for it; `unknown_options` names that are refused before the image is looked at.
    """

    def __init__(self):
        self.requests: list[httpx2.Request] = []
        self.script: deque[httpx2.Response | Exception] = deque()
        self.is_ready = True
        self.under_way = 0
        self.most_under_way = 0
        self.hold_until_under_way = 0
        self.progress: list[dict[str, object]] = []
        self.unknown_options: set[str] = set()

    @property
    def transport(self):
        return httpx2.MockTransport(self.answer)

    @property
    def posts(self):
        return [request for request in self.requests if request.method == "POST"]

    def answer(self, request):
        self.requests.append(request)
        if request.url.path == "/readyz" and not self.is_ready:
            return self.fail(503, "not_ready", "nuclei is broken", **{"Retry-After": "1"})
        if self.script and request.url.path.startswith("/v1/"):
            scripted = self.script.popleft()
            if isinstance(scripted, Exception):
                raise scripted
            return httpx2.Response(scripted.status_code, content=scripted.content, headers=scripted.headers)
        if request.url.path in {"/v1/segment", "/v1/confluency"}:
            return self.analyse(request)
        bundle = {"name": "nuclei", "state": "ready"}
        known = {
            "/readyz": {"status": "ready"},
            "/version": {"service": "0.1.0"},
            "/v1/models": {"models": [bundle]},
            "/v1/models/nuclei": bundle,
        }
        if request.url.path in known:
            return self.reply(known[request.url.path])
        return self.fail(404, "not_found", f"{request.url.path}: Not Found")

    async def answer_slowly(self, request):
        """Let other tasks run before the answer, and count how many requests there are at once.

        No request is answered before `hold_until_under_way` of them have been there at once, or would never be.
        """
        self.under_way += request.method == "POST"
        self.most_under_way = max(self.most_under_way, self.under_way)
        for _ in range(100_000):
            if self.most_under_way >= self.hold_until_under_way:
                break
            await asyncio.sleep(0)
        for _ in range(5):
            await asyncio.sleep(0)
        self.under_way -= request.method == "POST"
        return self.answer(request)

    def reply(self, body, status=200, **headers):
        return httpx2.Response(status, json=body, headers={"X-Request-ID": "request-1", **headers})

    def fail(self, status, code, message, **headers):
        error = {"code": code, "message": message, "request_id": "request-1"}
        return self.reply({"error": error}, status, **headers)

    def analyse(self, request):
        content, query = request.content, request.url.params
        for name in self.unknown_options & set(query):
            return self.fail(422, "unknown_option", f"option {name!r} is not known: did you mean threshold?")
        if not content:
            return self.fail(400, "empty_image", "the image has no bytes")
        if not content.startswith(b"\x93NUMPY"):
            return self.fail(415, "unknown_format", "the bytes are in no image format that is read")
        labels = np.load(io.BytesIO(content))
        form = query.get("format")
        if form is not None and form != "ndjson":
            measured = " with measurements" if "measurements" in query else ""
            return httpx2.Response(200, content=f"the objects as {form}{measured}".encode())
        answer = self.numbers(labels, content, query)
        if request.url.path == "/v1/segment":
            answer |= self.objects(labels, query)
        if form == "ndjson" or request.headers["Accept"] == "application/x-ndjson":
            lines = [*({"progress": told} for told in self.progress), answer]
            return httpx2.Response(
                200, content="".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
            )
        return self.reply(answer)

    @staticmethod
    def numbers(labels, content, query):
        method = "kmeans" if query.get("method") == "kmeans" else "unet"
        model = {"name": "nuclei", "version": "1", "sha256": "0" * 64, "provider": "CPUExecutionProvider"}
        echo = {name.removeprefix("echo."): value for name, value in query.items() if name.startswith("echo.")}
        count = int(labels.max(initial=0))
        return {
            "image_id": query.get("image_id", "unnamed"),
            "image": {
                "height": labels.shape[0],
                "width": labels.shape[1],
                "channels": 1,
                "dtype": str(labels.dtype),
                "pixel_size_um": float(query["pixel_size_um"]) if "pixel_size_um" in query else None,
                "sha256": hashlib.sha256(content).hexdigest(),
            },
            "method": method,
            "model": model if method == "unet" else None,
            "fallback": None,
            "confluency": {
                "percent": float(100 * np.mean(labels > 0)),
                "of": "nucleus",
                "area_px": int(np.sum(labels > 0)),
                "area_um2": None,
            },
            "count": count,
            "counts": {"nucleus": count},
            "quality": {"focus": 0.8, "saturated_fraction": 0.0, "flags": ["low_contrast"]},
            "added_later": "fields that are not known do no harm",
            "receipt": {
                "pixels_sha256": digest_pixels(ArrayRows(labels)),
                "model_sha256": model["sha256"] if method == "unet" else None,
                "options": {name: value for name, value in query.items() if name in {"measurements", "rle"}},
                "service_version": "0.1.0",
            },
        } | ({"echo": echo} if echo else {})

    @staticmethod
    def objects(labels, query):
        form = query.get("rle", "kaggle")
        height, width = labels.shape
        coco = [{"size": [height, width], "counts": counts} for counts in encode_coco(labels)]
        encoded = {"kaggle": encode_kaggle(labels), "coco": coco}.get(form)
        instances = []
        for label in range(1, int(labels.max(initial=0)) + 1):
            y, x = np.nonzero(labels == label)
            top, left = int(y.min()), int(x.min())
            instance = {
                "id": label,
                "class": "nucleus",
                "score": 0.9,
                "bbox": {"y": top, "x": left, "height": int(y.max()) + 1 - top, "width": int(x.max()) + 1 - left},
                "centroid": {"y": float(y.mean()), "x": float(x.mean())},
                "area_px": int(y.size),
            }
            if query.get("measurements") == "true":
                instance |= {"eccentricity": 0.5, "mean_intensity": [1.0, 2.0, 3.0]}
            if encoded is not None:
                instance["rle"] = encoded[label - 1]
            instances.append(instance)
        return {"instances": instances, "rle": None if encoded is None else {"format": form, "order": "F"}}


class Awaited:
    """An `AsyncClient` that is called as a `Client` is, so that one suite holds for both."""

    def __init__(self, make):
        self._make = make

    def __getattr__(self, name):
        async def call(*args, **options):
            async with self._make() as client:
                return await getattr(client, name)(*args, **options)

        return lambda *args, **options: asyncio.run(call(*args, **options))


@pytest.fixture
def service():
    return FakeService()


@pytest.fixture(autouse=True)
def no_pauses():
    """Retry up to three times, without waiting."""
    with stamina.set_testing(True, attempts=3, cap=False):
        yield


@pytest.fixture(params=["sync", "async"])
def client(request, service):
    """Both clients, one after the other."""
    if request.param == "sync":
        with Client(URL, transport=service.transport) as made:
            yield made
    else:
        yield Awaited(lambda: AsyncClient(URL, transport=service.transport))


@pytest.fixture
def save_labels():
    """Write a label image as the ``.npy`` file that the fake service takes for an image."""

    def save(path, labels):
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, np.asarray(labels, dtype=np.uint16))
        return path

    return save


@pytest.fixture
def read_json():
    return lambda path: json.loads(path.read_bytes())


def run_command_line(*arguments, **env):
    runner = CliRunner(env={"COLUMNS": "200", "TERM": "dumb"})
    return runner.invoke(app, [str(argument) for argument in arguments], env=env)


@pytest.fixture
def monolayer(service, monkeypatch):
    """Run the command line against the fake service."""
    transport = httpx2.MockTransport(service.answer_slowly)
    monkeypatch.setattr(
        cli_service, "make_client", lambda url, patience_s: AsyncClient(url, transport=transport, patience_s=patience_s)
    )
    return run_command_line


@pytest.fixture(scope="session")
def command_line_of():
    """Give a function that gives the command line of a user whose service is at an address."""
    return lambda address: partial(run_command_line, MONOLAYER_URL=address)


@pytest.fixture(scope="session")
def address(toy_bundles):
    """Address of the program that serves the bundles `nuclei` and `blood`, and no `cells`; started for these tests."""
    with running_service(240, {"MONOLAYER_MODELS": str(toy_bundles)}) as server:
        yield f"http://127.0.0.1:{server.port}"


@pytest.fixture
def images(tmp_path, save_labels):
    """Three images, of which the middle one is none."""
    save_labels(tmp_path / "images" / "first.npy", TWO_OBJECTS)
    (tmp_path / "images" / "second.png").write_bytes(b"no image")
    save_labels(tmp_path / "images" / "third.npy", NO_OBJECTS)
    return tmp_path / "images"


@pytest.fixture
def good_images(images):
    (images / "second.png").unlink()
    return images
