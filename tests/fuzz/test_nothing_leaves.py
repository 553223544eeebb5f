"""Whatever is sent, nothing is executed, unpickled, fetched or written: Python itself tells (audit events)."""

import base64
import io
import os
import sys

import numpy as np
import pytest
import tifffile
from tests.fuzz.campaign import INSIDE
from tests.fuzz.mutations import mutants

from monolayer_core.image_io import encode_png

TOLD = {
    "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system", "os.remove",
    "os.rename", "os.mkdir", "os.link", "os.symlink", "os.truncate", "shutil.copyfile", "pickle.find_class",
    "ftplib.connect", "http.client.connect", "socket.connect", "socket.getaddrinfo", "socket.gethostbyname",
    "socket.sendto", "subprocess.Popen", "tempfile.mkdtemp", "tempfile.mkstemp", "urllib.Request", "webbrowser.open",
}  # fmt: skip
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC


class Watch:
    """Keeps what Python tells while it is switched on; a hook cannot be taken away again."""

    def __init__(self):
        self.is_on = False
        self.told = []
        sys.addaudithook(self._listen)

    def _listen(self, event, arguments):
        if not self.is_on:
            return
        is_write = event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITING
        if is_write or event in TOLD:
            self.told.append((event, *map(repr, arguments[:2])))


@pytest.fixture(scope="session")
def hook():
    return Watch()


@pytest.fixture
def watch(hook):
    hook.told.clear()
    hook.is_on = True
    yield hook
    hook.is_on = False


def npy(array, **options):
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


class Trap:
    def __reduce__(self):
        return os.system, ("true",)


def large_stack():
    """50 MB, of which one plane is computed."""
    stack = np.zeros((200, 500, 500), np.uint8)
    stack[3, 100:120, 100:120] = 200
    return npy(stack)


def elsewhere(uri):
    """An OME-TIFF that says its planes lie in another file."""
    xml = (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:1">'
        '<Image><Pixels DimensionOrder="XYZCT" SizeX="50" SizeY="40" SizeZ="1" SizeC="1" SizeT="1" Type="uint8">'
        f'<TiffData><UUID FileName="{uri}">urn:uuid:2</UUID></TiffData></Pixels></Image></OME>'
    )
    file = io.BytesIO()
    tifffile.imwrite(file, np.zeros((40, 50), np.uint8), description=xml, metadata=None)
    return file.getvalue()


def test_the_watch_sees_what_it_is_for(watch, tmp_path):
    (tmp_path / "a").write_text("x")
    np.load(io.BytesIO(npy(np.array([np.float32]), allow_pickle=True)), allow_pickle=True)
    assert {event for event, *_ in watch.told} >= {"open", "pickle.find_class"}


@pytest.mark.parametrize("form", ["multipart", "raw", "json"])
def test_an_upload_of_50_mb_never_touches_the_disk(make_client, watch, form):
    client, data, path = make_client(), large_stack(), "/v1/segment?axes=ZYX&z=3"
    assert len(data) >= 50_000_000
    watch.told.clear()
    if form == "multipart":
        answer = client.post(path, files={"image": ("a.npy", data)})
    elif form == "raw":
        answer = client.post(path, content=data, headers={"Content-Type": "application/x-npy"})
    else:
        answer = client.post(path, json={"image": base64.b64encode(data).decode()})
    assert answer.status_code == 200, answer.text
    assert answer.json()["count"] == 1
    assert watch.told == []


HOSTILE = {
    "pickled objects": npy(np.array([[Trap()]]), allow_pickle=True),
    "planes at an address": elsewhere("http://127.0.0.1:9/x.ome.tif"),
    "planes in a file": elsewhere("/etc/passwd"),
    "planes above": elsewhere("../../../../etc/passwd"),
    "an entity": elsewhere("x").replace(b'<?xml version="1.0"?>', b"<!DOCTYPE a [     ]>  "),
    "an SVG": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="http://127.0.0.1:9/"/></svg>',
    "a playlist": b"#EXTM3U\nhttp://127.0.0.1:9/a.png\n",
    "an address": b"http://127.0.0.1:9/a.png",
    "a shell script": b"#!/bin/sh\ntrue\n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_names_other_things_is_refused_and_nothing_is_looked_for(make_client, watch, name):
    client = make_client()
    watch.told.clear()
    answer = client.post("/v1/segment", files={"image": ("a.png", HOSTILE[name])})
    assert answer.status_code in (415, 422)
    assert not INSIDE.search(answer.text.replace("passwd", ""))
    assert watch.told == []


NAMES = [
    "../../etc/passwd", "..\\..\\boot.ini", "/etc/passwd", "C:\\a.png", "a\0b.png", "x" * 5000 + ".png",
    "\u202egnp.exe", "=cmd|' /C calc'!A0.png", "+1+1.png", "-2+3.png", "@SUM(A1).png", "a\r\nX-Evil: 1.png",
    "a;b=c.png", "..", ".", "", "CON", "a%00b.png", "${jndi:ldap://127.0.0.1:9/a}.png", "<script>1</script>.png",
]  # fmt: skip


def form(field, name, data):
    """A multipart body whose file name stands as it is, whatever it is."""
    escaped = name.encode().replace(b'"', b"%22")
    begin = b'--edge\r\nContent-Disposition: form-data; name="' + field.encode() + b'"; filename="' + escaped + b'"'
    return begin + b"\r\n\r\n" + data + b"\r\n--edge--\r\n"


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_file_name_names_the_image_and_does_nothing_else(make_client, watch, blobs, name):
    client, data = make_client(), encode_png(blobs)
    headers = {"Content-Type": "multipart/form-data; boundary=edge"}
    watch.told.clear()
    for call, field in (("segment?format=csv", "image"), ("segment", "image"), ("submission", "images")):
        answer = client.post(f"/v1/{call}", content=form(field, name, data), headers=headers)
        assert answer.status_code in (200, 400, 422), answer.text
        assert "x-evil" not in answer.headers
        if answer.status_code == 200 and "csv" in answer.headers["content-type"]:
            image_ids = [line.strip('"')[:1] for line in answer.text.splitlines()[1:]]
            assert not set(image_ids) & set("=+-@\t\r")
        if answer.status_code == 200 and "json" in answer.headers["content-type"]:
            image_id = answer.json()["image_id"]
            assert not set(image_id) & set("/\\\0\r\n\u202e")
            assert image_id[0] not in "=+-@"
            assert 0 < len(image_id) <= 255
    assert watch.told == []


def test_damaged_files_reach_nothing_either(make_client, watch):
    client = make_client()
    watch.told.clear()
    for mutant in mutants(seed=2, count=150):
        assert client.post("/v1/confluency", files={"image": mutant.data}).status_code in (200, 413, 415, 422)
    assert watch.told == []
