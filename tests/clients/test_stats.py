"""``monolayer stats``: numbers by class from answers as `segment` writes them."""

import doctest
import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from monolayer_client import class_statistics
from monolayer_client.answer_files import find_answers
from monolayer_client.class_statistics import ClassObjects, ratios, read_objects
from monolayer_client.cli.app import app
from monolayer_client.errors import InputError
from monolayer_client.plots import draw_statistics


def write_answer(path: Path, counts: dict[str, int], objects: list[tuple[str, int, float | None]]) -> Path:
    """Write what `stats` needs of an answer."""
    path.parent.mkdir(parents=True, exist_ok=True)
    instances = [
        {"id": i, "class": name, "area_px": px} | ({} if um2 is None else {"area_um2": um2})
        for i, (name, px, um2) in enumerate(objects, start=1)
    ]
    path.write_text(json.dumps({"confluency": {"percent": 1.0}, "counts": counts, "instances": instances}))
    return path


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Two answers: the pixel size is known of the first only, and the second has no white cell."""
    folder = tmp_path / "segmented"
    write_answer(
        folder / "a.json",
        {"rbc": 2, "wbc": 1},
        [("wbc", 900, 9.0), ("rbc", 100, 1.0), ("rbc", 300, 3.0)],
    )
    write_answer(folder / "b.json", {"rbc": 1, "wbc": 0}, [("rbc", 800, None)])
    (folder / "c.confluency.json").write_text("{}")
    (folder / "summary.csv").write_text("image_id\n")
    return folder


def run(*arguments: object):
    return CliRunner(env={"COLUMNS": "200", "TERM": "dumb"}).invoke(app, ["stats", *map(str, arguments)])


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("│┃ ").replace("┃", "│").split("│")]


def test_the_table_has_counts_areas_and_ratios_in_the_order_of_the_classes(results: Path):
    result = run(results)
    assert result.exit_code == 0, result.output
    rows = [cells(line) for line in result.stdout.splitlines() if line.startswith("│")]
    # Red cells: 100, 300 and 800 px; of two the area in µm² is known.
    assert rows == [
        ["rbc", "3", "400.0", "300.0", "360.6", "2.0", "2.0", "1.4"],
        ["wbc", "1", "900.0", "900.0", "-", "9.0", "9.0", "-"],
    ]
    assert "2 images" in result.stdout
    assert "rbc:wbc 3.00" in result.stdout


def test_without_a_pixel_size_there_are_no_micrometres_and_without_the_second_class_no_ratio(results: Path):
    result = run(results / "b.json")
    assert "µm" not in result.stdout
    assert "rbc:wbc -" in result.stdout
    assert cells(next(line for line in result.stdout.splitlines() if "wbc  " in line)) == ["wbc", "0", "-", "-", "-"]


@pytest.mark.parametrize(("name", "start"), [("s.png", b"\x89PNG"), ("s.svg", b"<?xml"), ("s.PDF", b"%PDF")])
def test_the_picture_takes_its_form_from_its_name(results: Path, tmp_path: Path, name: str, start: bytes):
    result = run(results, "-o", tmp_path / name)
    assert result.exit_code == 0, result.output
    assert (tmp_path / name).read_bytes().startswith(start)


def test_the_picture_shows_every_class_in_a_colour_of_its_own():
    values = np.array([100.0, 300.0])
    data = draw_statistics([ClassObjects("rbc", values, values / 100), ClassObjects("wbc", values * 3, values / 30)])
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    for colour in ((31, 119, 180), (255, 127, 14)):
        assert (picture == colour).all(axis=2).sum() > 1000
    assert draw_statistics([ClassObjects("rbc", values[:0], values[:0])]).startswith(b"\x89PNG"), "without objects too"


def test_another_form_is_refused(results: Path, tmp_path: Path):
    for name in ("s.bmp", "s"):
        result = run(results, "-o", tmp_path / name)
        assert result.exit_code == 1
        assert "a picture is written as png, svg, pdf, not" in result.stderr


def test_without_the_extra_the_table_is_still_there(results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    result = run(results, "-o", tmp_path / "s.png")
    assert result.exit_code == 1
    assert "pip install 'monolayer-client[reports]'" in result.stderr
    assert run(results).exit_code == 0


def test_what_holds_no_objects_is_named(results: Path, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    for path, message in (
        (tmp_path / "nowhere", "does not exist"),
        (tmp_path / "empty", "holds no answers"),
        (results / "summary.csv", "holds no answer of the service"),
    ):
        with pytest.raises(InputError, match=message):
            read_objects(find_answers([path], with_objects=True))
    (tmp_path / "numbers.json").write_text('{"confluency": {}, "counts": {"a": 1}}')
    with pytest.raises(InputError, match=r"numbers\.json lists no objects"):
        read_objects([tmp_path / "numbers.json"])


def test_an_answer_named_twice_counts_once(results: Path):
    assert find_answers([results / "b.json", results], with_objects=True) == [results / "b.json", results / "a.json"]


def test_ratios_are_those_of_all_pairs():
    classes = [ClassObjects(name, np.ones(count), np.ones(0)) for name, count in (("a", 6), ("b", 4), ("c", 0))]
    assert ratios(classes) == {"a:b": 1.5, "a:c": None, "b:c": None}


def test_the_example_is_right():
    assert doctest.testmod(class_statistics).failed == 0
