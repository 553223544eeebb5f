"""What the service stands on gives way: its log cannot be written, its disks are full or read-only."""

import contextlib
import json
import logging
import os
import subprocess
import sys

import pytest
import structlog

from monolayer_service.analysis import Analyst
from monolayer_service.settings import Settings
from monolayer_service.telemetry.logs import configure_logging


@contextlib.contextmanager
def full_disk():
    """A file on a disk without room."""
    with open("/dev/full", "w", buffering=1) as stream:  # noqa: PTH123 - a device
        yield stream


@contextlib.contextmanager
def broken_pipe():
    """A pipe whose reader has gone."""
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w", buffering=1) as stream:  # noqa: PTH123 - a descriptor
        yield stream


@contextlib.contextmanager
def closed_stream():
    """A stream that somebody has closed."""
    reader, writer = os.pipe()
    os.close(reader)
    stream = open(writer, "w", buffering=1)  # noqa: PTH123, SIM115 - a descriptor; closed is what it is to be
    stream.close()
    yield stream


LOGS = {"ENOSPC": full_disk, "EPIPE": broken_pipe, "closed": closed_stream}


@pytest.fixture(params=LOGS)
def log_that_cannot_be_written(request, monkeypatch):
    """Standard error, and the log that goes there, cannot be written."""
    root = logging.getLogger()
    before = (root.handlers[:], root.level, structlog.get_config())
    with contextlib.suppress(OSError), LOGS[request.param]() as stream:  # what is left in its buffer cannot go either
        monkeypatch.setattr("sys.stderr", stream)
        configure_logging(Settings(log_level="debug"))
        yield
        root.handlers[:], level, config = before
        root.setLevel(level)
        structlog.configure(**config)


@pytest.mark.fault("the log cannot be written (ENOSPC, EPIPE, closed)", "requests are answered")
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no /dev/full")  # noqa: PTH110
def test_requests_are_answered_though_no_line_can_be_logged(
    make_client, post_png, monkeypatch, log_that_cannot_be_written
):
    def fail(*_):
        raise RuntimeError("a bug")

    client = make_client()
    assert [post_png(client).status_code for _ in range(50)] == [200] * 50
    assert client.get("/readyz").status_code == 200
    with monkeypatch.context() as patch:  # a traceback is many lines
        patch.setattr(Analyst, "analyse", fail)
        assert post_png(client).status_code == 500
    assert post_png(client, model="nix").status_code == 404
    assert post_png(client).status_code == 200


_NOTHING_CAN_BE_WRITTEN = """
import errno, io, json, os, sys

def refuse(event, args):
    if event == "open" and isinstance(args[0], (str, bytes)):
        path, mode, flags = args
        writes = (mode and set(mode) & set("wax+")) or flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if writes and not os.fsdecode(path).startswith("/dev/"):
            tried.append(os.fsdecode(path))
            raise OSError(errno.EROFS, "Read-only file system", path)
    elif event in ("os.mkdir", "os.rename", "os.remove", "shutil.copyfile", "tempfile.mkstemp", "tempfile.mkdtemp"):
        tried.append(event)
        raise OSError(errno.EROFS, "Read-only file system")

tried = []
sys.addaudithook(refuse)

import numpy as np
from starlette.testclient import TestClient
from monolayer_service.app import create_app
from monolayer_service.settings import Settings

png = sys.stdin.buffer.read()
statuses = []
with TestClient(create_app(Settings(models=sys.argv[1]))) as client:
    for form in ("json", "csv", "table", "tiff", "overlay", "geojson", "rois", "coco", "ndjson"):
        body = {"image": ("a.png", png, "image/png")}
        statuses.append(client.post("/v1/segment", params={"format": form}, files=body).status_code)
    large = io.BytesIO()  # multipart parsers like to put that on disk
    np.save(large, np.zeros((1800, 1800), np.uint8))
    statuses.append(client.post("/v1/segment", files={"image": ("a.npy", large.getvalue())}).status_code)
    statuses.append(client.post("/v1/segment", params={"method": "kmeans", "clusters": 3}, files=body).status_code)
    statuses.append(client.post("/v1/submission", files=[("images", ("a.png", png))]).status_code)
    statuses += [client.get(path).status_code for path in ("/readyz", "/metrics", "/docs", "/v1/models")]
print(json.dumps({"statuses": statuses, "tried": tried}))
"""


@pytest.mark.fault("every file system read-only", "starts and answers; nothing is written")
def test_the_service_starts_and_answers_where_nothing_can_be_written_and_does_not_try(toy_bundles, blobs_png):
    run = subprocess.run(
        [sys.executable, "-c", _NOTHING_CAN_BE_WRITTEN, str(toy_bundles)],
        input=blobs_png,
        capture_output=True,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        check=False,
    )
    assert run.returncode == 0, run.stderr.decode()
    found = json.loads(run.stdout.splitlines()[-1])
    assert found["statuses"] == [200] * 16
    assert found["tried"] == []
