"""The macro in ImageJ, before a screen that is not there."""

import http.server
import io
import json
import re
import shutil
import threading
import zipfile

import numpy as np
import pytest
import tifffile
from roifile import ImagejRoi
from tests.contract.example_scripts.programs import SCRIPTS, jar, java_version, run, script

pytestmark = [pytest.mark.enable_socket, pytest.mark.allow_hosts(["127.0.0.1"]), pytest.mark.slow]


def save_calibrated(path, pixels):
    """An ImageJ TIFF with a pixel size of 0.5 micrometres."""
    tifffile.imwrite(path, pixels, imagej=True, resolution=(2.0, 2.0), metadata={"unit": "um"})


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


MANY_DRIVER = """
for (times = 1; times <= 6; times++) {{
    open("{folder}/" + times + ".tif");
    runMacro("{macro}", "{url}");
    print(roiManager("count") + " in the Manager");
}}
File.saveString(getInfo("log"), "{folder}/log.txt");
run("Quit");
"""


@needs_imagej
def test_the_imagej_macro_opens_archives_of_any_length(url, blobs, tmp_path):
    """Their lengths, which ImageJ gives as text, begin with digits small and large."""
    for times in range(1, 7):
        tifffile.imwrite(tmp_path / f"{times}.tif", np.tile(blobs, (1, times)))
    driver = MANY_DRIVER.format(folder=tmp_path, macro=SCRIPTS / "imagej_macro.ijm", url=url)
    run_imagej(tmp_path, driver, shows_windows=True)
    expected = []
    for times, in_all in enumerate((3, 9, 18, 30, 45, 63), start=1):
        expected += [f"{times}.tif: {3 * times} objects", f"{in_all} in the Manager"]
    assert (tmp_path / "log.txt").read_text().splitlines() == expected


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
