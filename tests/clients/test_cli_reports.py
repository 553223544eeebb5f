"""``monolayer series`` and ``monolayer plate``, from answers to reports."""

import csv
import io
import json
import re

import pytest
from typer.testing import CliRunner

from monolayer_client.cli.app import app


def run(*arguments):
    return CliRunner(env={"COLUMNS": "220", "TERM": "dumb"}).invoke(app, [str(argument) for argument in arguments])


def write_answer(folder, image_id, percent, *, count=10, flags=(), model="a"):
    answer = {
        "image_id": image_id,
        "method": "unet",
        "model": {"name": "cells", "sha256": model},
        "confluency": {"percent": percent, "of": "cell", "uncertainty_points": 2.5},
        "count": count,
        "quality": {"flags": list(flags)},
    }
    folder.mkdir(exist_ok=True)
    (folder / f"{image_id}.confluency.json").write_text(json.dumps(answer))


def rows_of(path):
    return list(csv.DictReader(io.StringIO(path.read_text())))


@pytest.fixture
def growing(tmp_path):
    """Two series every six hours: one doubles each day, one stays."""
    folder = tmp_path / "numbers"
    for hours in range(0, 60, 6):
        write_answer(folder, f"A1_{hours // 24:02d}d{hours % 24:02d}h00m", 10 * 2 ** (hours / 24))
        write_answer(folder, f"B1_{hours // 24:02d}d{hours % 24:02d}h00m", 30.0 + (hours % 12) / 6)
    return folder


def test_a_series_has_its_doubling_time_and_its_target(growing, tmp_path):
    result = run("series", growing, "--target", "40", "-o", tmp_path / "growth.csv")
    assert result.exit_code == 0, result.output
    assert "24.0 [24.0, 24.0]" in result.output
    first, second = rows_of(tmp_path / "growth.csv")
    assert (first["series"], first["growth"], first["target"]) == ("A1", "growing", "observed")
    assert float(first["doubling_h"]) == pytest.approx(24.0)
    assert float(first["target_h"]) == pytest.approx(48.0)
    assert (second["series"], second["growth"], second["doubling_h"]) == ("B1", "no change shown", "")
    assert (second["target"], second["target_h"]) == ("insufficient data", "")


def test_the_page_holds_everything_and_asks_nobody(growing, tmp_path):
    page = tmp_path / "growth.html"
    result = run("series", growing, "-o", page, "-o", tmp_path / "growth.png")
    assert result.exit_code == 0, result.output
    text = page.read_text()
    assert text.startswith("<!doctype html>")
    assert "A1_02d06h00m" in text
    assert "data:image/svg+xml;base64," in text
    assert not re.search(r'(?:src|href)="(?!data:)', text)
    assert "<script" not in text
    assert (tmp_path / "growth.png").read_bytes().startswith(b"\x89PNG")


def test_frames_that_are_numbered_need_an_interval(tmp_path):
    folder = tmp_path / "numbers"
    for frame in range(6):
        write_answer(folder, f"flask_t{frame:03d}", 5.0 * 2**frame)
    assert run("series", folder).exit_code == 1
    result = run("series", folder, "--interval", "12", "-o", tmp_path / "out.csv", "--until", "100")
    assert result.exit_code == 0, result.output
    assert float(rows_of(tmp_path / "out.csv")[0]["doubling_h"]) == pytest.approx(12.0)


def test_times_from_a_table(growing, tmp_path):
    times = tmp_path / "times.csv"
    names = sorted(path.name.removesuffix(".confluency.json") for path in growing.iterdir())
    lines = [f"{name},{index},{name[:1]}" for index, name in enumerate(names)]
    times.write_text("\n".join(["image_id,hours,series", *lines]))
    result = run("series", growing, "--times", times, "-o", tmp_path / "out.csv")
    assert [row["series"] for row in rows_of(tmp_path / "out.csv")] == ["A", "B"], result.output
    times.write_text("\n".join(["image_id,hours,series", *lines[1:]]))
    result = run("series", growing, "--times", times)
    assert result.exit_code == 1
    assert f"does not list the image {names[0]}" in result.output


def test_two_fields_of_one_time_are_no_series(tmp_path):
    folder = tmp_path / "numbers"
    write_answer(folder, "x_1h", 5.0)
    write_answer(folder, "x-1h", 5.0)
    result = run("series", folder)
    assert result.exit_code == 1
    assert "two images of one time" in result.output


def test_what_makes_images_hard_to_compare_is_said(growing, tmp_path):
    write_answer(growing, "A1_02d12h00m", 90.0, flags=["out_of_focus"], model="b")
    result = run("series", growing)
    assert "1 images have a quality flag: used" in result.output
    assert "answered in 2 ways" in result.output
    skipping = run("series", growing, "--skip-flagged", "-o", tmp_path / "out.csv")
    assert "left out" in skipping.output
    assert rows_of(tmp_path / "out.csv")[0]["images"] == "10"


@pytest.mark.parametrize("command", ["series", "plate"])
def test_a_form_that_is_not_known_is_refused_before_anything_is_read(command, tmp_path):
    result = run(command, tmp_path / "missing", "-o", tmp_path / "out.xlsx")
    assert result.exit_code == 1
    assert "a report is written as csv, html, png, svg, pdf" in result.output


@pytest.fixture
def fields(tmp_path):
    folder = tmp_path / "numbers"
    for name, percent, count in (("A01_f1", 10, 5), ("A01_f2", 14, 7), ("B02_f1", 30, 20), ("C02_f1", 50, 10)):
        write_answer(folder, name, float(percent), count=count)
    return folder


def test_a_plate_is_summed_up_by_well_and_condition(fields, tmp_path):
    wells = tmp_path / "map.csv"
    wells.write_text("well,condition\nA1,control\nB2,drug\nC2,drug\n")
    result = run("plate", fields, "--map", wells, "-o", tmp_path / "wells.csv", "-o", tmp_path / "plate.html")
    assert result.exit_code == 0, result.output
    rows = rows_of(tmp_path / "wells.csv")
    assert [(row["well"], row["condition"], row["fields"]) for row in rows] == [
        ("A01", "control", "2"),
        ("B02", "drug", "1"),
        ("C02", "drug", "1"),
    ]
    assert [float(rows[0][f"confluency_percent_{name}"]) for name in ("mean", "standard_error")] == [12.0, 2.0]
    assert rows[1]["confluency_percent_sd"] == ""
    page = (tmp_path / "plate.html").read_text()
    assert "Plate of 12 wells" in page
    assert "<td>drug</td><td>2</td><td>40.00</td><td>14.14</td>" in page


def test_the_size_of_the_plate_can_be_said(fields, tmp_path):
    assert run("plate", fields, "--wells", "96", "-o", tmp_path / "map.svg").exit_code == 0
    result = run("plate", fields, "--wells", "6")
    assert result.exit_code == 1
    assert "a plate of 6 wells has 2 rows and 3 columns" in result.output


@pytest.mark.parametrize("size", ["6", "12", "24", "48", "96", "384"])
def test_heat_maps_of_all_sizes(tmp_path, size):
    write_answer(tmp_path / "numbers", "A01", 12.0)
    result = run("plate", tmp_path / "numbers", "--wells", size, "-o", tmp_path / "map.png")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")
