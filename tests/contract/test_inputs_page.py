"""The page on inputs says what the code does: its examples are run, its messages and compressions are the real ones."""

import io
import re
from pathlib import Path

import numpy as np
import pytest
import tifffile

from monolayer_client.client import Client
from monolayer_core.errors import UnusableImageError
from monolayer_core.image_io import decode_image
from monolayer_service.options import known_names

pytestmark = [pytest.mark.enable_socket, pytest.mark.allow_hosts(["127.0.0.1"])]

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "inputs.md").read_text(encoding="utf-8")
COLOUR = np.random.default_rng(0).integers(0, 256, (32, 48, 3)).astype(np.uint8)
WRITTEN_AS = {
    "none": None, "deflate": "zlib", "JPEG 2000": "jpeg2000", "JPEG XL": "jpegxl", "JPEG XR": "jpegxr", "CCITT": None
}  # fmt: skip


def shown(name: str) -> str:
    found = re.search(rf"<!-- {name} -->\n```text\n(.*?)```\n<!-- /{name} -->", PAGE, re.DOTALL)
    assert found
    return found[1].strip()


def row(first_cell: str) -> list[str]:
    line = next(line for line in PAGE.splitlines() if line.startswith(f"| {first_cell} |"))
    return [cell.strip() for cell in line.strip("|").split("|")[1:]]


@pytest.fixture
def stack(blobs, tmp_path, monkeypatch):
    planes = np.stack([np.stack([blobs, blobs // 2])] * 5)
    names = {"axes": "ZCYX", "Channel": {"Name": ["DAPI", "GFP"]}}
    tifffile.imwrite(tmp_path / "stack.ome.tif", planes, photometric="minisblack", metadata=names)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "stack.ome.tif"


@pytest.fixture(scope="module")
def server(toy_bundles, running_server):
    server = running_server(toy_bundles)
    yield server
    assert server.stop() == 0


@pytest.fixture
def client(server):
    with Client(f"http://127.0.0.1:{server.port}") as client:
        yield client


def test_the_python_example_prints_what_is_shown(client, stack, capsys):
    code = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)[1]
    exec(code, {"client": client})  # noqa: S102 - the page's own code is what is tested
    assert capsys.readouterr().out.strip() == shown("printed")


def test_the_refusal_is_what_is_shown(client, stack):
    with pytest.raises(Exception, match=re.escape(shown("refused"))):
        client.segment(stack)


def test_the_refusal_of_several_images_is_what_is_shown(client, blobs, tmp_path):
    with tifffile.TiffWriter(tmp_path / "positions.ome.tif") as writer:
        for number in range(3):
            writer.write(blobs, photometric="minisblack", metadata={"axes": "YX", "Name": f"Pos{number}"})
    with pytest.raises(Exception, match=re.escape(shown("several"))):
        client.segment(tmp_path / "positions.ome.tif")
    plane = client.segment(tmp_path / "positions.ome.tif", series="Pos1").image.plane
    assert (plane.series, plane.series_name) == (1, "Pos1")


def test_the_options_of_the_examples_are_known():
    calls = re.findall(r"/v1/(\w+)\?([^']+)'", PAGE)
    assert len(calls) == 2
    for call, query in calls:
        assert {pair.split("=")[0] for pair in query.split("&")} <= set(known_names(call))


def compressed(name: str) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, COLOUR, photometric="rgb", compression=WRITTEN_AS.get(name, name))
    if name != "CCITT":
        return stream.getvalue()
    with tifffile.TiffFile(io.BytesIO(stream.getvalue())) as file:  # which tifffile does not write
        place = file.pages.first.tags[259].valueoffset
    return stream.getvalue()[:place] + b"\x04\x00" + stream.getvalue()[place + 2 :]


@pytest.mark.parametrize("name", row("compression")[0].split(", "))
def test_compressions_named_as_read_are(name):
    error = np.abs(decode_image(compressed(name)).pixels.astype(int) - COLOUR).max()
    assert error == 0 or name == "JPEG"


@pytest.mark.parametrize("name", row("compression")[1].removeprefix("all others, such as ").split(", "))
def test_compressions_named_as_refused_are(name):
    with pytest.raises(UnusableImageError, match="compression"):
        decode_image(compressed(name))


def test_every_link_leads_somewhere():
    links = [link.split("#")[0] for link in re.findall(r"\]\(([^)]+)\)", PAGE)]
    assert [link for link in links if not (ROOT / "docs" / link).exists()] == []
