"""Times and series, from names and from tables."""

import pytest

from monolayer_client.errors import InputError
from monolayer_client.time_points import TimePoint, times_from_names, times_from_table


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("A1_1_00d02h30m", TimePoint("A1_1", 2.5)),
        ("plate_B03_01d12h00m30s", TimePoint("plate_B03", 36 + 30 / 3600)),
        ("flask2_36h", TimePoint("flask2", 36.0)),
        ("t12h30m_pos3", TimePoint("pos3", 12.5)),
        ("0.5h", TimePoint("series", 0.5)),
    ],
)
def test_elapsed_times(name, expected):
    (found,) = times_from_names([name]).values()
    assert found.series == expected.series
    assert found.hours == pytest.approx(expected.hours, abs=1e-6)


def test_dates_count_from_the_first_image_of_all():
    names = ["a_20260314_0930", "a_20260314_1000", "b_20260315_093000"]
    assert times_from_names(names) == {
        names[0]: TimePoint("a", 0.0),
        names[1]: TimePoint("a", 0.5),
        names[2]: TimePoint("b", 24.0),
    }
    assert times_from_names(["x-2026-03-14T09-30-00"]) == {"x-2026-03-14T09-30-00": TimePoint("x", 0.0)}


def test_numbered_frames_need_the_time_between_two():
    names = ["pos3_t0000", "pos3_t0012"]
    assert [times_from_names(names, interval_h=0.25)[name].hours for name in names] == [0.0, 3.0]
    with pytest.raises(InputError, match="--interval"):
        times_from_names(names)


@pytest.mark.parametrize(
    ("name", "series", "frame"),
    [
        ("t001_10x", "10x", 1),
        ("well2_t001_10", "well2_10", 1),
        ("img_0012_10x", "img_10x", 12),
        ("flask_3", "flask", 3),
        ("2026_T7_ch1", "2026_ch1", 7),
    ],
)
def test_the_frame_is_what_stands_behind_a_t_else_the_last_number(name, series, frame):
    assert times_from_names([name], interval_h=1.0) == {name: TimePoint(series, float(frame))}


def test_a_pattern_of_the_callers():
    found = times_from_names(["day2x7_well"], pattern=r"day(?P<d>\d+)x(?P<h>\d+)")
    assert found == {"day2x7_well": TimePoint("well", 55.0)}


@pytest.mark.parametrize(("pattern", "message"), [("(", "cannot be used"), (r"\d+", "names no time")])
def test_a_pattern_that_cannot_be_used(pattern, message):
    with pytest.raises(InputError, match=message):
        times_from_names(["a1"], pattern=pattern)


def test_a_name_without_a_time_is_named():
    with pytest.raises(InputError, match="overview"):
        times_from_names(["a_00d01h00m", "overview"])


def test_a_month_that_does_not_exist_is_no_time():
    with pytest.raises(InputError, match="is no time"):
        times_from_names(["a_20261401_0000"])


def test_a_table_says_when(tmp_path):
    path = tmp_path / "times.csv"
    path.write_text("image_id,hours,series\na,0,x\nb,1.5,\n")
    assert times_from_table(path) == {"a": TimePoint("x", 0.0), "b": TimePoint("series", 1.5)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image_id\na\n", "line 2"),
        ("image_id,hours\na,soon\n", "line 2"),
        ("image_id,hours\na,nan\n", "line 2"),
        ("image_id,hours\n\na\n", "line 3: 1 cells, but 2 columns"),
        ("image_id,hours\na,1\na,2\n", "listed twice"),
    ],
)
def test_a_table_that_cannot_be_used(tmp_path, text, message):
    path = tmp_path / "times.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        times_from_table(path)
