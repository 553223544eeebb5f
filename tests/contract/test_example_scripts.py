"""The scripts for other programs in `examples/clients`: run where their program is there, else their calls replayed.

ImageJ and BeanShell (the language of Micro-Manager's scripts) are looked for as ``ij.jar`` and ``bsh.jar`` in
``/usr/share/java``, where Debian puts them, or in the folder that MONOLAYER_TEST_JARS names.
"""

import http.client
import http.server
import io
import json
import os
import re
import shutil
import subprocess
import threading
import zipfile
from pathlib import Path
from urllib.parse import quote_plus

import numpy as np
import pytest
import tifffile
from roifile import ImagejRoi

pytestmark = [pytest.mark.enable_socket, pytest.mark.allow_hosts(["127.0.0.1"]), pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "examples" / "clients"
JARS = Path(os.environ.get("MONOLAYER_TEST_JARS", "/usr/share/java"))
OPTIONS = json.loads((ROOT / "clients" / "openapi.json").read_text(encoding="utf-8"))
FORMS = next(
    parameter["schema"]["anyOf"][0]["enum"]
    for parameter in OPTIONS["paths"]["/v1/segment"]["post"]["parameters"]
    if parameter["name"] == "format"
)
H2C_OFFER = {
    "Connection": "Upgrade, HTTP2-Settings",
    "Http2-Settings": "AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA",
    "Upgrade": "h2c",
    "User-Agent": "Java-http-client/17.0.15",
}
"""What Java's `HttpClient` adds to its first request on a connection, as it was seen on the wire."""


@pytest.fixture(scope="module")
def service(toy_bundles, running_server):
    server = running_server(toy_bundles, confluency_model="nuclei")
    yield server
    assert server.stop() == 0


@pytest.fixture
def url(service):
    return f"http://127.0.0.1:{service.port}"


def script(name):
    return (SCRIPTS / name).read_text(encoding="utf-8")


def jar(name):
    path = JARS / name
    if not path.is_file():
        pytest.skip(f"{name} is neither in /usr/share/java nor where MONOLAYER_TEST_JARS says")
    return path


def java_version():
    java = shutil.which("java")
    if java is None:
        return 0
    told = subprocess.run([java, "-version"], capture_output=True, text=True, check=True).stderr
    return int(re.search(r'version "(?:1\.)?(\d+)', told)[1])


def needs_form(form):
    return pytest.mark.skipif(form not in FORMS, reason=f"the service does not give {form} yet")


needs_java_11 = pytest.mark.skipif(
    java_version() < 11 or shutil.which("javac") is None,
    reason="no JDK from 11 on, which has HttpClient and runs a source file",
)
needs_java = pytest.mark.skipif(java_version() == 0, reason="no Java")


def run(*command, cwd, status=0):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=cwd, timeout=120, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done


# Java


@needs_java_11
def test_the_java_example_prints_what_was_found(url, blobs_png, tmp_path):
    (tmp_path / "two words.png").write_bytes(blobs_png)
    done = run("java", SCRIPTS / "Segment.java", "two words.png", url, "answer.json", cwd=tmp_path)
    answer = json.loads((tmp_path / "answer.json").read_bytes())
    assert answer["count"] == 3
    percent = answer["confluency"]["percent"]
    assert done.stdout == f"two words: 3 objects, confluency {percent:.2f} %, by unet\n"


@needs_java_11
def test_the_java_example_says_what_is_wrong(url, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no image")
    done = run("java", SCRIPTS / "Segment.java", "broken.png", url, cwd=tmp_path, status=1)
    assert done.stderr.startswith("415: ")
    assert run("java", SCRIPTS / "Segment.java", cwd=tmp_path, status=2).stderr.startswith("usage: java Segment.java")


# ImageJ


def save_calibrated(path, pixels):
    """An ImageJ TIFF with a pixel size of 0.5 micrometres."""
    tifffile.imwrite(path, pixels, imagej=True, resolution=(2.0, 2.0), metadata={"unit": "um"})


@needs_form("rois")
@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl")
def test_the_command_of_the_imagej_macro_fetches_rois(url, blobs, tmp_path):
    """The macro's own call of curl, with its variables put in."""
    variables = {
        "image": str(tmp_path / "image.tif"),
        "rois": str(tmp_path / "rois.zip"),
        "service": url,
    }
    save_calibrated(tmp_path / "image.tif", blobs)
    call = re.search(r"status = exec\((.*?)\);", script("imagej_macro.ijm"), re.DOTALL)[1]
    command = []
    for argument in re.split(r",\s*(?=(?:[^\"]*\"[^\"]*\")*[^\"]*$)", call):
        parts = [part.strip() for part in argument.split(" + ")]
        command.append("".join(part[1:-1] if part.startswith('"') else variables[part] for part in parts))
    assert run(*command, cwd=tmp_path).stdout == "200"
    with zipfile.ZipFile(tmp_path / "rois.zip") as rois:
        assert len(rois.namelist()) == 3


MACRO_DRIVER = """
function selection() {{
    if (selectionType() < 0) return "none";
    getSelectionBounds(x, y, width, height);
    return "" + selectionType() + ": " + x + "," + y + "," + width + "," + height;
}}
function ask(name) {{
    before = selection();
    runMacro("{macro}", "{url}");
    print("selected " + before + ", then " + selection());
    if (roiManager("count") > 0) roiManager("save", "{folder}/" + name + ".zip");
}}
open("{folder}/image.tif");
ask("whole");
roiManager("reset");
run("Select None");
makeRectangle(1, 2, 3, 4);
roiManager("add");
makeRectangle(60, 30, 50, 50);
ask("part");
roiManager("reset");
makeOval(-20, 5, 70, 50);
ask("beyond");
roiManager("reset");
makeLine(10, 20, 30, 40);
ask("line");
roiManager("reset");
makeRectangle(0, 0, 10, 10);
ask("nothing");
File.saveString(getInfo("log"), "{folder}/log.txt");
run("Quit");
"""


def rois_in(archive):
    """Corners (x, y) of the ROIs in an archive, by name."""
    with zipfile.ZipFile(archive) as rois:
        return {name: ImagejRoi.frombytes(rois.read(name)).coordinates() for name in rois.namelist()}


needs_imagej = pytest.mark.skipif(
    java_version() == 0 or not all(map(shutil.which, ("curl", "xvfb-run"))),
    reason="no Java, no curl, or no xvfb-run, which stands in for a screen",
)


def run_imagej(folder, driver, *, shows_windows):
    """Run a macro; without windows what would be a message is printed."""
    (folder / "driver.ijm").write_text(driver)
    how = "-macro" if shows_windows else "-batch"
    program = ["java", f"-Duser.home={folder}", f"-Djava.io.tmpdir={folder}", "-cp", jar("ij.jar"), "ij.ImageJ"]
    screen = ["xvfb-run", "--auto-servernum", "--server-args=-screen 0 800x600x24"]
    return run(*screen, *program, how, folder / "driver.ijm", cwd=folder).stdout


@pytest.fixture
def macro_run(service, url, blobs, tmp_path):
    """Give a function that compares the ROIs which a run of the macro left with what the service gives for a part."""

    def check(name, y, x, *, kept=0):
        part = blobs[y, x]
        tifffile.imwrite(tmp_path / "part.tif", part)
        body = (tmp_path / "part.tif").read_bytes()
        _, sent = service.post(body, {"Content-Type": "image/tiff"}, "/v1/segment?format=rois")
        corner = x.start or 0, y.start or 0
        expected = [np.add(corners, corner) for corners in rois_in(io.BytesIO(sent)).values()]
        opened = list(rois_in(tmp_path / f"{name}.zip").values())[kept:]
        assert len(opened) == len(expected)
        for pair in zip(opened, expected, strict=True):
            np.testing.assert_array_equal(*pair)

    save_calibrated(tmp_path / "image.tif", blobs)
    driver = MACRO_DRIVER.format(folder=tmp_path, macro=SCRIPTS / "imagej_macro.ijm", url=url)
    run_imagej(tmp_path, driver, shows_windows=True)
    return check


@needs_form("rois")
@needs_imagej
def test_imagej_runs_its_macro(macro_run, tmp_path):
    assert (tmp_path / "log.txt").read_text().splitlines() == [
        "image.tif: 3 objects",
        "selected none, then none",
        "image.tif: 1 objects",
        "selected 0: 60,30,50,50, then 0: 60,30,50,50",
        "image.tif: 1 objects",
        "selected 1: -20,5,70,50, then 1: -20,5,70,50",
        "image.tif: 3 objects",
        "selected 5: 10,20,21,21, then 5: 10,20,21,21",
        "image.tif: 0 objects",
        "selected 0: 0,0,10,10, then 0: 0,0,10,10",
    ]
    assert list(rois_in(tmp_path / "whole.zip")) == ["0001.roi", "0002.roi", "0003.roi"]
    whole = slice(None)
    macro_run("whole", whole, whole)
    macro_run("line", whole, whole)
    macro_run("beyond", slice(5, 55), slice(0, 50))
    assert not (tmp_path / "nothing.zip").exists()
    # The user's own ROI stays, and the objects of the part lie where they are in the whole image.
    assert len(rois_in(tmp_path / "part.zip")) == 2
    np.testing.assert_array_equal(next(iter(rois_in(tmp_path / "part.zip").values()))[0], [1, 2])
    macro_run("part", slice(30, 80), slice(60, 110), kept=1)
    assert list(tmp_path.glob("monolayer_*")) == []


class Recorder(http.server.BaseHTTPRequestHandler):
    """Keeps the bodies it is sent, and finds no objects in them: an archive of nothing."""

    def do_POST(self):
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Length", "22")
        self.end_headers()
        self.wfile.write(b"PK\x05\x06" + bytes(18))

    def log_message(self, *_):
        pass


@pytest.fixture
def recorder():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Recorder) as server:
        server.bodies = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


UNITS_DRIVER = """
function ask(size, unit) {{
    newImage("made", "8-bit ramp", 40, 30, 1);
    setVoxelSize(size, size, 1, unit);
    runMacro("{macro}", "http://127.0.0.1:{port}");
    close();
}}
ask(0.5, "um");
ask(0.5, "micron");
ask(0.5, fromCharCode(181) + "m");
ask(0.5, fromCharCode(956) + "m");
ask(500, "nm");
ask(0.0005, "mm");
ask(1, "pixel");
ask(1, "furlong");
"""


@needs_imagej
def test_the_imagej_macro_sends_the_pixel_size_whatever_its_unit(service, recorder, tmp_path):
    driver = UNITS_DRIVER.format(macro=SCRIPTS / "imagej_macro.ijm", port=recorder.server_port)
    assert run_imagej(tmp_path, driver, shows_windows=False).splitlines() == ["made: 0 objects"] * 8
    answers = [service.post(body, {"Content-Type": "image/tiff"}, "/v1/confluency")[1] for body in recorder.bodies]
    sizes = [json.loads(answer)["image"]["pixel_size_um"] for answer in answers]
    assert sizes == [pytest.approx(0.5)] * 6 + [None] * 2


FAILURES_DRIVER = """
newImage("made", "8-bit black", 40, 30, 1);
makeRectangle(1, 2, 3, 4);
roiManager("add");
runMacro("{macro}", "{url}");
print("ROIs " + roiManager("count") + ", images " + nImages + ", selected " + selectionType());
"""


@needs_imagej
@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("http://127.0.0.1:9", "no answer from http://127.0.0.1:9: is that its address, and is it running?"),
        ("{url}/nowhere", '404\n{"error":{"code":"not_found",'),
    ],
    ids=["out of reach", "refused"],
)
def test_the_imagej_macro_says_what_is_wrong_and_leaves_all_as_it_was(url, tmp_path, address, reason):
    driver = FAILURES_DRIVER.format(macro=SCRIPTS / "imagej_macro.ijm", url=address.format(url=url))
    told = run_imagej(tmp_path, driver, shows_windows=False)
    assert told.startswith(f"Monolayer: {reason}")
    assert told.endswith("\nROIs 1, images 1, selected 0\n")
    assert list(tmp_path.glob("monolayer_*")) == []


# QuPath


def qupath_call(*, is_rgb, channel=None):
    """Path with query and headers of the request that the script makes, with a pixel size of 0.5."""
    text = script("qupath_script.groovy")
    kind = r'\[suffix: "([^"]+)", mediaType: "([^"]+)"\]'
    kinds = re.search(rf"def kind = server\.isRGB\(\) \? {kind} : {kind}\n", text).groups()
    assert kinds[::2] == (".png", ".ome.tif")
    assert '.header("Content-Type", kind.mediaType)' in text
    assert ".POST(HttpRequest.BodyPublishers.ofFile(image))" in text
    path = re.search(r'URI\.create\(service \+ "([^"]+)" \+ query\)', text)[1]
    query = re.search(r'def query = "([^"]+)"', text)[1]
    if channel is not None:
        query += re.search(r'query \+= "([^"]+)" \+ URLEncoder\.encode\(channel\.toString', text)[1]
        query += quote_plus(str(channel))
    query += re.search(r'query \+= "([^"]+)" \+ pixelSizeUm', text)[1]
    return f"{path}{query}0.5", {"Content-Type": kinds[1 if is_rgb else 3], **H2C_OFFER}


def ask_as_qupath(service, body, **how):
    path, headers = qupath_call(**how)
    with service.connect() as connection:
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


@needs_form("geojson")
def test_the_request_of_the_qupath_script_gets_geojson(service, blobs_png):
    status, answer = ask_as_qupath(service, blobs_png, is_rgb=True)
    assert status == http.client.OK
    features = answer["features"]
    assert len(features) == 3
    assert {feature["geometry"]["type"] for feature in features} == {"Polygon"}
    assert {feature["properties"]["objectType"] for feature in features} == {"detection"}


@pytest.fixture
def two_channels(blobs):
    """An OME-TIFF of 16 bits as QuPath writes it of one plane: the discs are in the second channel."""
    stack = np.stack([np.full_like(blobs, 7), blobs]).astype(np.uint16) * 16
    file = io.BytesIO()
    metadata = {"axes": "CYX", "Channel": {"Name": ["Phase & contrast", "DAPI 1"]}}
    tifffile.imwrite(file, stack, ome=True, photometric="minisblack", metadata=metadata)
    return file.getvalue()


@needs_form("geojson")
@pytest.mark.parametrize(
    ("channel", "count"), [(1, 3), ("DAPI 1", 3), ("Phase & contrast", 0)], ids=["number", "name", "the other"]
)
def test_the_request_of_the_qupath_script_chooses_the_channel(service, two_channels, channel, count):
    status, answer = ask_as_qupath(service, two_channels, is_rgb=False, channel=channel)
    assert status == http.client.OK
    assert len(answer["features"]) == count


def test_without_a_channel_the_qupath_script_is_told_which_there_are(service, two_channels):
    status, answer = ask_as_qupath(service, two_channels, is_rgb=False)
    assert status == http.client.UNPROCESSABLE_ENTITY
    assert "channel=0..1 or by name: Phase & contrast, DAPI 1" in answer["error"]["message"]


# Micro-Manager

STAND_IN = ROOT / "docs" / "micromanager_stand_in.bsh"


@needs_java
@pytest.mark.parametrize(
    ("group", "echo"),
    [("Channel", {"channel": "Channel DAPI & FITC"}), ("", None)],
    ids=["a channel group", "no channel group"],
)
def test_the_micro_manager_script_prints_the_confluency(url, blobs, tmp_path, group, echo):
    tifffile.imwrite(tmp_path / "frame.tif", blobs.astype(np.uint16) * 16)
    text = script("micromanager_script.bsh")
    assert 'service = "http://127.0.0.1:8000";' in text
    (tmp_path / "script.bsh").write_text(text.replace("http://127.0.0.1:8000", url))
    run_and_tell = f'channelGroup = "{group}"; source("{STAND_IN}"); System.out.println(answer);'
    (tmp_path / "run.bsh").write_text(run_and_tell)
    path = os.pathsep.join(map(str, (jar("bsh.jar"), jar("ij.jar"))))
    java = ["java", "-Djava.awt.headless=true", "-cp", path, "bsh.Interpreter"]
    done = run(*java, "run.bsh", "frame.tif", "script.bsh", cwd=tmp_path)
    printed, answer = done.stdout.splitlines()[-2:]
    told = json.loads(answer)
    assert told["count"] == 3
    assert told["image"]["pixel_size_um"] == 0.5
    assert told["image"]["dtype"] == "uint16"
    assert told.get("echo") == echo
    assert printed == f"confluency {told['confluency']['percent']} %, 3 objects"
