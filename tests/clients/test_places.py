"""Plates and wells, from names and from maps."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monolayer_client.errors import InputError
from monolayer_client.places import Place, places_from_map, places_from_names
from monolayer_client.wells import Well

B03 = Well(1, 2)


@pytest.mark.parametrize(
    ("name", "plate", "well"),
    [
        ("plate1_B03_f2", "plate1", "B03"),
        ("A1", "", "A01"),
        ("x-H12-DAPI", "x_DAPI", "H12"),
        ("P24", "", "P24"),
        ("plate7_site3_B3", "plate7", "B03"),
        ("B03_2", "", "B03"),
        ("scan1_2_B03_s4_w1", "scan1_2_w1", "B03"),
        ("A1_1_00d02h30m", "", "A01"),
        ("run2_B03_f1_t07", "run2", "B03"),
        ("20260314_plate2_C04", "20260314_plate2", "C04"),
        ("VID12_C4_3_2026-03-14_0930", "VID12", "C04"),
    ],
)
def test_plates_and_wells_of_names(name, plate, well):
    (place,) = places_from_names([name]).values()
    assert (place.plate, str(place.well), place.condition) == (plate, well, "")


def test_a_name_without_a_well_is_refused():
    with pytest.raises(InputError, match="no well is found in the name"):
        places_from_names(["2026-03-14 p24.site1"])


def test_fields_may_differ_within_a_well():
    names = [f"plate1_B03_{field}" for field in ("f1", "f2", "site3", "4", "s5", "Field_6")]
    assert set(places_from_names(names).values()) == {Place(B03, plate="plate1")}


def test_what_else_differs_is_another_plate():
    names = ["plate1_B03_f1", "plate2_B03_f1", "B03_f1", "plate1_B03_f1_GFP"]
    found = places_from_names(names)
    assert [found[name].plate for name in names] == ["plate1", "plate2", "", "plate1_GFP"]


@given(st.lists(st.tuples(*[st.integers(0, n) for n in (2, 15, 23, 9)]), min_size=1, unique=True, max_size=20))
def test_names_tell_what_they_were_made_of(made):
    names = {f"batch{plate}_{Well(row, column)}_f{field}": (plate, row, column) for plate, row, column, field in made}
    assert places_from_names(names) == {
        name: Place(Well(row, column), plate=f"batch{plate}") for name, (plate, row, column) in names.items()
    }


@pytest.mark.parametrize(
    "names",
    [
        ["B03_t00", "B03_t01"],
        ["B03_f1_t00", "C04_f1_t01"],
        ["p_B03_24h", "p_B03_48h"],
        ["B03_1_00d00h00m", "B03_1_00d06h00m"],
        ["20260314_0930_B03_f1", "20260315_0930_B03_f1"],
    ],
)
def test_several_times_are_refused_until_one_is_chosen(names):
    with pytest.raises(InputError, match=r"at one time, but the images are of .*: choose one with --time"):
        places_from_names(names)


def test_one_time_is_chosen():
    names = ["B03_f1_t00", "B03_f1_T01", "B03_f2_t01"]
    assert list(places_from_names(names, time="t01")) == names[1:]
    dated = ["20260314_0930_B03_f1", "20260315_0930_B03_f1", "20260315_0931_B03_f2"]
    assert list(places_from_names(dated, time="20260315")) == dated[1:]
    with pytest.raises(InputError, match="no image is of the time t1: the images are of"):
        places_from_names(names, time="t1")


def test_fields_that_were_taken_one_after_the_other_are_of_one_time():
    names = ["B03_f1_20260314_0930", "B03_f2_20260314_0931", "C04_f1_20260314_0932"]
    assert len(places_from_names(names)) == 3


def test_two_images_of_one_field_are_refused():
    with pytest.raises(InputError, match="B3_f1 and B03-f1 are of one field of B03"):
        places_from_names(["B3_f1", "B03-f1"])


def test_a_pattern_of_the_callers():
    assert places_from_names(["wellCcol7x"], pattern=r"well(?P<row>[A-H])col(?P<column>\d+)x") == {
        "wellCcol7x": Place(Well(2, 6))
    }
    parts = r"(?P<plate>\d+)-(?P<row>[A-H])(?P<column>\d+)-(?P<field>\d)-(?P<time>\d)"
    assert places_from_names(["12-B3-1-0_x", "12-B3-2-0_y"], pattern=parts) == {
        "12-B3-1-0_x": Place(B03, plate="12"),
        "12-B3-2-0_y": Place(B03, plate="12"),
    }
    with pytest.raises(InputError, match="choose one with --time"):
        places_from_names(["12-B3-1-0", "12-B3-1-1"], pattern=parts)
    with pytest.raises(InputError, match="needs the groups"):
        places_from_names(["A1"], pattern="A1")
    with pytest.raises(InputError, match="cannot be used"):
        places_from_names(["A1"], pattern="(")


def test_a_map_gives_conditions_by_well_or_places_by_image(tmp_path):
    path = tmp_path / "map.csv"
    path.write_text("well,condition\nA1,control\nA2,drug\n")
    assert places_from_map(path, ["x_A01", "x_A02", "x_A03", "y_A01"]) == {
        "x_A01": Place(Well(0, 0), "control", "x"),
        "x_A02": Place(Well(0, 1), "drug", "x"),
        "x_A03": Place(Well(0, 2), "", "x"),
        "y_A01": Place(Well(0, 0), "control", "y"),
    }
    path.write_text("image_id,well,condition\nfirst,B2,drug\n")
    assert places_from_map(path, ["first"]) == {"first": Place(Well(1, 1), "drug")}
    with pytest.raises(InputError, match="does not list the image second"):
        places_from_map(path, ["second"])
    with pytest.raises(InputError, match="leave out --time"):
        places_from_map(path, ["first"], time="t0")


def test_a_map_may_name_plates(tmp_path):
    path = tmp_path / "map.csv"
    path.write_text("plate,well,condition\nx,A1,control\ny,A01,drug\n")
    found = places_from_map(path, ["x_A01", "y_A01", "y_A02"])
    assert [place.condition for place in found.values()] == ["control", "drug", ""]
    with pytest.raises(InputError, match="lists the plates x, y, but the images are of z"):
        places_from_map(path, ["z_A01"])
    path.write_text("image_id,plate,well\na,x,A1\nb,y,A1\n")
    assert [place.plate for place in places_from_map(path, ["a", "b"]).values()] == ["x", "y"]


def test_a_map_of_a_spreadsheet_under_windows(tmp_path):
    path = tmp_path / "map.csv"
    path.write_bytes("well;condition\r\nA1;10 µM\r\n".encode("cp1252"))
    assert places_from_map(path, ["A01"]) == {"A01": Place(Well(0, 0), "10 µM")}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("well,condition\nA1,a\nA1,b\n", "line 3: A01 is listed twice"),
        ("well,condition\nB03,a\nB3,b\n", "line 3: B03 is listed twice"),
        ("well,condition\nZ3,a\n", "line 2: 'Z3' is no well"),
        ("image_id,well\nA1,A1\nA1,A2\n", "line 3: A1 is listed twice"),
        ("image_id,well\nA1\n", "line 2: 1 cells"),
        ("well\nA1\n", "needs the columns"),
        ("", "needs the columns"),
    ],
)
def test_a_map_that_cannot_be_used(tmp_path, text, message):
    path = tmp_path / "map.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        places_from_map(path, ["A1"])
