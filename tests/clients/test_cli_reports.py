"""``monolayer series`` and ``monolayer plate``, from answers to reports."""

import csv
import io
import json
import re

import numpy as np
import pytest
from typer.testing import CliRunner

from monolayer_client.cli.app import app
from monolayer_client.outputs import summary_row, to_summary


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
    assert (first["curve"], first["last_rate_per_h"]) == ("exponential", "")
    assert float(first["doubling_h"]) == pytest.approx(24.0)
    assert float(first["target_h"]) == pytest.approx(48.0)
    assert (second["series"], second["growth"], second["doubling_h"]) == ("B1", "no change shown", "")
    assert (second["target"], second["target_h"]) == ("insufficient data", "")


def test_growth_that_slows_has_the_doubling_time_of_its_first_image(tmp_path):
    for hours in range(0, 60, 2):
        percent = 100 / (1 + 19 * 2 ** (-hours / 12))
        write_answer(tmp_path / "numbers", f"A1_{hours // 24:02d}d{hours % 24:02d}h00m", percent)
    result = run("series", tmp_path / "numbers", "--target", "80", "-o", tmp_path / "growth.csv")
    assert result.exit_code == 0, result.output
    assert "12.6 [12.6, 12.6] at first" in result.output
    assert "75.0 [75.0, 75.0] forecast" in result.output
    (row,) = rows_of(tmp_path / "growth.csv")
    assert (row["growth"], row["curve"]) == ("growing", "logistic")
    assert row["reason"] == "not exponential: the rate falls from 0.055 to 0.023 per h"
    assert float(row["doubling_h"]) == pytest.approx(12 / 0.95, rel=1e-5)
    assert float(row["last_rate_per_h"]) == pytest.approx(np.log(2) / 12 * (1 - float(row["last_percent"]) / 100))


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


def test_a_series_of_the_table_of_a_run_is_that_of_its_answers(growing, tmp_path):
    answers = [json.loads(path.read_bytes()) | {"fallback": None} for path in sorted(growing.iterdir())]
    table = tmp_path / "confluency.csv"
    table.write_bytes(to_summary(map(summary_row, answers)))
    for source, name in ((growing, "folder.csv"), (table, "table.csv")):
        result = run("series", source, "-o", tmp_path / name)
        assert result.exit_code == 0, result.output
    assert rows_of(tmp_path / "table.csv") == rows_of(tmp_path / "folder.csv")
    twice = run("series", growing, table)
    assert twice.exit_code == 1
    assert "two answers are of images called A1_00d00h00m" in twice.output


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
    assert [(row["level"], row["well"], row["condition"], row["wells"], row["fields"]) for row in rows] == [
        ("well", "A01", "control", "1", "2"),
        ("well", "B02", "drug", "1", "1"),
        ("well", "C02", "drug", "1", "1"),
        ("condition", "", "control", "1", "2"),
        ("condition", "", "drug", "2", "2"),
    ]
    assert [float(rows[4][f"count_{name}"]) for name in ("mean", "sd")] == [15.0, pytest.approx(50**0.5)]
    assert [float(rows[0][f"confluency_percent_{name}"]) for name in ("mean", "standard_error")] == [12.0, 2.0]
    assert rows[1]["confluency_percent_sd"] == ""
    page = (tmp_path / "plate.html").read_text()
    assert "Plate of 12 wells" in page
    assert "taken for a plate of 12 wells, the smallest that has all of these" in result.output
    assert "<td>drug</td><td>2</td><td>40.00</td><td>14.14</td>" in page


def test_the_size_of_the_plate_can_be_said(fields, tmp_path):
    assert run("plate", fields, "--wells", "96", "-o", tmp_path / "map.svg").exit_code == 0
    result = run("plate", fields, "--wells", "6")
    assert result.exit_code == 1
    assert "a plate of 6 wells has 2 rows and 3 columns" in result.output


def test_plates_have_figures_and_heat_maps_of_their_own(tmp_path):
    folder = tmp_path / "numbers"
    for name, percent in (("plate1_B03_f1", 10), ("plate1_B03_f2", 14), ("plate2_B03_f1", 50)):
        write_answer(folder, name, float(percent))
    outputs = [tmp_path / name for name in ("wells.csv", "page.html", "map.svg")]
    result = run("plate", folder, *(each for path in outputs for each in ("-o", path)))
    assert result.exit_code == 0, result.output
    rows = rows_of(outputs[0])
    assert [(row["plate"], row["well"], row["fields"]) for row in rows] == [
        ("plate1", "B03", "2"),
        ("plate2", "B03", "1"),
    ]
    assert [float(row["confluency_percent_mean"]) for row in rows] == [12.0, 50.0]
    page = outputs[1].read_text()
    assert "2 plates of 6 wells" in page
    assert "<td>plate2</td><td>B03</td><td>-</td><td>1</td><td>50.00</td>" in page
    assert outputs[2].read_text().count("<image ") == 8  # a heat map and its scale, for each plate and measure


def test_of_several_times_one_is_chosen(tmp_path):
    folder = tmp_path / "numbers"
    for name, percent in (("B03_f1_t00", 10), ("B03_f2_t00", 14), ("B03_f1_t01", 50)):
        write_answer(folder, name, float(percent))
    refused = run("plate", folder)
    assert refused.exit_code == 1
    assert "the images are of t00, t01: choose one with --time" in refused.output
    result = run("plate", folder, "--time", "t00", "-o", tmp_path / "wells.csv")
    assert "2 of 3 images are of the time t00" in result.output
    (row,) = rows_of(tmp_path / "wells.csv")
    assert (row["fields"], float(row["confluency_percent_mean"])) == ("2", 12.0)


def test_no_cell_of_a_report_is_run_by_a_spreadsheet(fields, tmp_path):
    wells = tmp_path / "map.csv"
    wells.write_text("well,condition\nA1,=1+1\n")
    result = run("plate", fields, "--map", wells, "-o", tmp_path / "wells.csv")
    assert result.exit_code == 0, result.output
    assert [row["condition"] for row in rows_of(tmp_path / "wells.csv")] == ["'=1+1", "", "", "'=1+1"]


@pytest.mark.parametrize("command", [("plate", "--map"), ("series", "--times")])
def test_a_table_that_is_none_is_explained(command, fields, tmp_path):
    table = tmp_path / "table.csv"
    table.write_bytes(b"image_id,well,hours\nA01_f1\n")
    result = run(command[0], fields, command[1], table)
    assert result.exit_code == 1
    assert "line 2: 1 cells, but 3 columns are named" in result.output


@pytest.mark.parametrize("size", ["6", "12", "24", "48", "96", "384"])
def test_heat_maps_of_all_sizes(tmp_path, size):
    write_answer(tmp_path / "numbers", "A01", 12.0)
    result = run("plate", tmp_path / "numbers", "--wells", size, "-o", tmp_path / "map.png")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")
