"""Every code block of the README and the guide is run, or it is said why not."""

import csv
import json
import os
import re
import shutil
import time
import tomllib
import zipfile
from fnmatch import fnmatch

import httpx2
import numpy as np
import pytest
import tifffile
from benchmarks.server import running_service
from docs.made_frames import DOUBLING_HOURS, cut_nuclei, time_lapse

from monolayer_client.client import Client
from monolayer_core.image_io import encode_png
from monolayer_core.model_card import read_card, sha256_of_file

from .conftest import PAGES, ROOT, Code, code_of

pytestmark = [pytest.mark.enable_socket, pytest.mark.allow_hosts(["127.0.0.1"]), pytest.mark.slow]

TYPED = (
    "README.md",
    "tutorial.md",
    "inputs.md",
    "microscope.md",
    "series-and-plates.md",
    "python.md",
    "submission.md",
)
"""Pages whose commands are typed one after the other, each page by a test below."""

NOT_TYPED = (
    ("*", "sh", r"(\S*/)?pip install |python3 -m venv |\. ", "installs packages; its extras are looked up below"),
    ("*", "sh", r"make ", "makes environments, serves or tests; the target is looked up below"),
    ("*", "sh", r"docker ", "needs a container engine; the stage is looked up below"),
    ("operations.md", "sh", r"(cp|mv|kill|rm) ", "tests/service/reload/test_successors.py"),
    ("models/*", "sh", r"(\w+=\S+ )?monolayer-", "trains for an hour on images that are not in the repository"),
    ("trust.md", "sh", r"monolayer-|python -m benchmarks", "as those of the models"),
    (
        "training.md",
        "sh",
        r"monolayer(-train|-export)? ",
        "as in the README, and tests/contract/test_corrected_answers.py",
    ),
    ("README.md", "python", r"with FramePoster", "needs a microscope: tests/clients/microscope/test_guide.py"),
    ("microscope.md", "python", r"from ", "needs a microscope: tests/clients/microscope/test_guide.py"),
    ("microscope.md", "sh", r"java ", "needs a JDK: tests/contract/example_scripts"),
    ("answers.md", "python", r"import ", "tests/clients/test_with_the_service.py"),
    ("inputs.md", "python", r"result = ", "tests/contract/test_inputs_page.py"),
    ("README.md", "json", r"\{", "is made by `make docs`; tests/contract/test_readme.py"),
    ("reference.md", "json", r"\{", "is compared with an answer below"),
)
"""Page, language and beginning of code that is not typed, and why; test_commands.py reads the commands of the
programs all the same."""

ENDLESS = {
    r"monolayer watch ": r"count \d+",
    r"(\w+=\S+ )*monolayer-serve$": r"running on http",
}
"""Programs that go on until they are told to end, and a line by which they have done what the page says."""

SHORTER = {
    "monolayer-train fit ": " --base-width 4 --depth 2 --crop-side 32 --batch-size 2 --epochs 1 --steps-per-epoch 2"
    " --no-mixed-precision",
    "MONOLAYER_MODELS=bundles MONOLAYER_SEGMENT_MODEL=mine monolayer-serve": " --port 0",
}
"""What is added to commands: a network and a training of seconds, a port that is free."""

ALL_CODE = [code for page in PAGES for code in code_of(page)]


def why_not(code):
    """The entries of `NOT_TYPED` that are about this code."""
    return [
        entry
        for entry in NOT_TYPED
        if fnmatch(code.page, entry[0]) and code.language == entry[1] and re.match(entry[2], code.text)
    ]


TRAINS = re.compile(r"monolayer-(train|export) |(\w+=\S+ )+monolayer-serve")


def type_page(reader, page, *, training=False):
    """Type all that a page tells to type, either what trains and serves what was trained or the rest.

    Returns
    -------
    What was printed, by command.
    """
    printed = {}
    for code in code_of(page):
        if not why_not(code) and bool(TRAINS.match(code.text)) is training:
            until = next((line for start, line in ENDLESS.items() if re.match(start, code.text)), None)
            more = next((more for start, more in SHORTER.items() if code.text.startswith(start)), "")
            printed[code.text] = reader.type(code, more, until=until)
    return printed


# What is not typed


def test_all_code_is_typed_or_it_is_said_why_not():
    assert len(ALL_CODE) > 70
    assert [str(code) for code in ALL_CODE if code.page not in TYPED and not why_not(code)] == []


@pytest.mark.parametrize("entry", NOT_TYPED, ids=lambda entry: f"{entry[0]} {entry[2]}")
def test_no_reason_stands_without_code(entry):
    assert any(entry in why_not(code) for code in ALL_CODE)


@pytest.mark.parametrize("entry", NOT_TYPED, ids=lambda entry: f"{entry[0]} {entry[2]}")
def test_a_test_that_is_named_instead_is_there(entry):
    for path in re.findall(r"tests/\S+\.py", entry[3]):
        assert (ROOT / path).is_file()


def test_every_make_target_is_there():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {code.text.split()[1] for code in ALL_CODE if code.text.startswith("make ")}
    assert named
    assert named <= targets


def told_to_operators():
    """The whole text of every page, and of what lies beside the configurations of load balancers."""
    return [page.read_text(encoding="utf-8") for page in (*PAGES.values(), ROOT / "deploy" / "README.md")]


def test_every_stage_that_is_built_is_there():
    stages = set(re.findall(r"^FROM \S+ AS (\w+)$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE))
    # In sentences too. The target of `monolayer series` is a number.
    built = {stage for text in told_to_operators() for stage in re.findall(r"--target[ =]([a-z][\w-]*)", text)}
    assert built
    assert built <= stages


def test_every_runtime_that_an_image_is_built_for_reaches_the_build():
    sent = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    built = {runtime for text in told_to_operators() for runtime in re.findall(r"--build-arg RUNTIME=(\w+)", text)}
    assert built
    for runtime in built:
        assert f"!requirements/service-{runtime}.txt" in sent
        assert (ROOT / "requirements" / f"service-{runtime}.txt").is_file()


def test_every_package_and_extra_that_is_installed_is_there():
    asked = [
        (folder, extra)
        for code in ALL_CODE
        if "pip install" in code.text
        for folder, extras in re.findall(r"\./(\w+)(?:\[([\w,]+)\])?", code.text)
        for extra in (extras.split(",") if extras else [None])
    ]
    assert asked
    for folder, extra in asked:
        project = tomllib.loads((ROOT / folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        assert extra is None or extra in project["optional-dependencies"], (folder, extra)


# What is typed


def test_the_tutorial(reader):
    type_page(reader, "tutorial.md")
    for name in (
        "results/summary.csv",
        "results/fluorescence_sparse.objects.csv",
        "results/fluorescence_touching.overlay.png",
        "results/phase_contrast.overlay.png",
        "results-cells/phase_contrast.overlay.png",
        "blood.png",
        "confluency/phase_contrast.confluency.json",
    ):
        assert (reader.folder / name).stat().st_size > 100, name
    summary = (reader.folder / "results/summary.csv").read_text()
    assert "unlike_training_data" in next(line for line in summary.splitlines() if line.startswith("phase_contrast"))


def arrived(path, pixels):
    """An image that lay in its folder before anyone looked."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, pixels)
    an_hour_ago = time.clock_gettime(time.CLOCK_REALTIME) - 3600
    os.utime(path, (an_hour_ago, an_hour_ago))


TIME_LAPSE = ("B03_f1_00d00h00m", "B03_f1_00d06h00m", "C04_f1_00d00h00m")


def write_plate(folder, picture, names=TIME_LAPSE):
    for name in names:
        arrived(folder / f"{name}.tif", picture)


def write_kaggle(folder, picture):
    """Two images in Kaggle's layout, and the truth of them: one mask each."""
    mask = np.zeros(picture.shape[:2], np.uint8)
    mask[40:60, 40:60] = 255
    with zipfile.ZipFile(folder / "stage1_train.zip", "w") as truth:
        for name in ("a1", "b2"):
            (folder / "stage1_test" / name / "images").mkdir(parents=True)
            (folder / "stage1_test" / name / "images" / f"{name}.png").write_bytes(encode_png(picture))
            truth.writestr(f"{name}/images/{name}.png", encode_png(picture))
            truth.writestr(f"{name}/masks/1.png", encode_png(mask))


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl")
def test_the_readme(reader, picture):
    folder = reader.folder
    write_plate(folder / "plate1", picture)
    arrived(folder / "slide.tif", picture)
    arrived(folder / "D:/acquisition/A01.tif", picture)
    (folder / "map.csv").write_text("well,condition\nB03,control\nC04,drug\n")
    write_kaggle(folder, picture)
    printed = type_page(reader, "README.md")

    answer = json.loads(next(text for command, text in printed.items() if command.startswith("curl ")))
    python = next(text for command, text in printed.items() if command.startswith("from monolayer_client"))
    assert python == re.search(r"<!-- printed -->\n```text\n(.*?)```", PAGES["README.md"].read_text(), re.DOTALL)[1]
    assert python.split()[1] == str(answer["count"])
    assert printed["monolayer validate submission.csv"].startswith("valid: 2 images, ")
    for name in (
        "results/B03_f1_00d06h00m.objects.csv",
        "segmented/slide.geojson",
        "segmented/slide.rois.zip",
        "confluency/confluency.csv",
        "numbers/A01.confluency.json",
        "stats.png",
        "growth.html",
        "plate.html",
        "submission.csv",
    ):
        assert (folder / name).stat().st_size > 100, name


def write_corrected(reader, picture):
    """Images with the service's own outlines, of which a person deleted the first and drew the second anew.

    How many objects are left in each.
    """
    for number in range(5):
        arrived(reader.folder / f"plate1/{number}.tif", picture + np.uint8(number))
    reader.type(Code("training.md", "sh", "monolayer segment plate1/ --out my-images -f geojson"))
    left = []
    for number in range(5):
        shutil.copy(reader.folder / f"plate1/{number}.tif", reader.folder / "my-images")
        path = reader.folder / f"my-images/{number}.geojson"
        found = json.loads(path.read_bytes())
        del found["features"][0]
        x, y = np.mean(found["features"][0]["geometry"]["coordinates"][0], axis=0)
        drawn = [[x - 9.5, y], [x, y - 8.2], [x + 9.1, y + 0.5], [x, y + 8.7], [x - 9.5, y]]
        found["features"][0]["geometry"]["coordinates"] = [drawn]
        path.write_text(json.dumps(found, indent=2))
        left.append(len(found["features"]))
    return left


def test_the_readme_trains_on_corrected_answers_and_serves_what_was_trained(reader, picture):
    [objects] = set(write_corrected(reader, picture))
    type_page(reader, "README.md", training=True)
    assert (reader.folder / "runs/mine/evaluation.md").stat().st_size > 100

    bundle = reader.folder / "bundles/mine"
    card = read_card(bundle)
    assert card.name == "mine"
    assert card.training_data.objects == objects * card.training_data.images > 0
    settings = {"MONOLAYER_MODELS": str(bundle.parent), "MONOLAYER_SEGMENT_MODEL": "mine"}
    with running_service(120, settings) as server, Client(f"http://127.0.0.1:{server.port}") as client:
        answer = client.segment(encode_png(picture))
    assert (answer.method, answer.model.name, answer.fallback) == ("unet", "mine", None)
    assert answer.model.sha256 in {sha256_of_file(file) for file in bundle.glob("*.onnx")}


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl")
def test_the_page_on_inputs(reader, picture):
    grey = picture[..., 0]
    planes = np.stack([np.stack([grey, grey // 2])] * 5)
    names = {"axes": "ZCYX", "Channel": {"Name": ["DAPI", "GFP"]}}
    tifffile.imwrite(reader.folder / "stack.ome.tif", planes, photometric="minisblack", metadata=names)
    np.save(reader.folder / "stack.npy", np.stack([np.stack([grey, grey])] * 4))
    by_name, by_index = map(json.loads, type_page(reader, "inputs.md").values())
    plane = {"t": 0, "channel": 0, "channel_name": "DAPI", "z": "max", "series": None, "series_name": None}
    assert by_name["image"]["plane"] == plane
    assert by_index["image"]["plane"]["t"] == 3


def test_the_page_on_series_and_plates(reader, picture):
    write_plate(reader.folder / "timelapse", picture)
    write_plate(reader.folder / "plate7", picture, ("plate7_B03_f1", "plate7_B03_f2", "plate7_C04_f1"))
    (reader.folder / "map.csv").write_text("well,condition\nB03,control\nC04,drug\n")
    type_page(reader, "series-and-plates.md")
    assert "insufficient data" in (reader.folder / "growth.csv").read_text()
    assert "control" in (reader.folder / "wells.csv").read_text()


def test_the_growth_under_the_picture_is_what_the_command_says(reader, service_url):
    with Client(service_url) as client:
        nuclei = cut_nuclei(client, ROOT / "examples" / "fluorescence_large.png")
    (reader.folder / "timelapse").mkdir()
    for name, frame in time_lapse(nuclei):
        (reader.folder / "timelapse" / name).write_bytes(frame)
    reader.type(Code("", "sh", "monolayer confluency timelapse --out numbers --set model=nuclei"))
    reader.type(Code("", "sh", "monolayer series numbers -o growth.csv"))
    with (reader.folder / "growth.csv").open(newline="") as file:
        rows = {row["series"]: row for row in csv.DictReader(file)}
    page = PAGES["series-and-plates.md"].read_text(encoding="utf-8")
    for well, hours in DOUBLING_HOURS.items():
        found, low, high = (float(rows[well][f"doubling_{name}"]) for name in ("h", "low_h", "high_h"))
        assert low < hours < high
        assert re.search(rf"\b{found:.1f}( hours)? \[{low:.1f}, {high:.1f}\]", page)


def test_the_page_on_python(reader):
    printed = list(type_page(reader, "python.md").values())
    segmented, measured = map(json.loads, printed[:2])
    assert segmented["count"] == 36
    assert "solidity" in segmented["instances"][0]
    assert measured["confluency"]["of"] == "cell"
    assert (reader.folder / "areas.png").stat().st_size > 1000
    assert "fluorescence_large 36" in printed[3].splitlines()
    assert printed[4].startswith("415 unknown_format ")


def test_the_page_on_submissions(reader, picture):
    write_kaggle(reader.folder, picture)
    printed = list(type_page(reader, "submission.md").values())
    assert printed[1].startswith("valid: 2 images, ")
    assert "2 images" in printed[2]


def test_the_page_on_microscopes(reader, picture):
    arrived(reader.folder / "D:/acquisition/A01_t003.tif", picture)
    arrived(reader.folder / "mnt/microscope/B03/f2.tif", picture)
    numbers, objects = type_page(reader, "microscope.md").values()
    line = r"^\d\d:\d\d:\d\d  {}  confluency \d+\.\d\d %  count \d+"
    shown = re.search(r"^```text\n(.*?)^```", PAGES["microscope.md"].read_text(), re.DOTALL | re.MULTILINE)[1]
    for text in (shown, numbers):
        assert re.search(line.format("A01_t003"), text, re.MULTILINE), text
    assert re.search(line.format("B03_f2"), objects, re.MULTILINE), objects
    assert (reader.folder / "objects/B03_f2.objects.csv").read_text().count("\n") > 1


def test_progress_is_told_as_the_reference_shows(service_url, picture):
    told, last = map(json.loads, next(c.text for c in ALL_CODE if c.page == "reference.md").splitlines())
    answer = httpx2.post(
        f"{service_url}/v1/segment?format=ndjson",
        content=encode_png(picture),
        headers={"Content-Type": "image/png"},
        timeout=60,
    )
    first, *_, result = map(json.loads, answer.text.splitlines())
    assert first["progress"].keys() == told["progress"].keys()
    assert isinstance(first["progress"]["stage"], str)
    assert set(last) - {"…"} <= set(result)
