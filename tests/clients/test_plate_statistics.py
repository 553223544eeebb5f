"""Wells and their figures."""

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monolayer_client import plate_statistics, wells
from monolayer_client.errors import InputError
from monolayer_client.places import Place
from monolayer_client.plate_statistics import summarise, summarise_conditions, summarise_wells
from monolayer_client.wells import PLATES, Well, read_well, smallest_plate


@pytest.mark.parametrize("module", [plate_statistics, wells])
def test_the_examples_hold(module):
    assert doctest.testmod(module).failed == 0


@given(st.integers(0, 15), st.integers(0, 23))
def test_a_well_is_read_back_from_its_name(row, column):
    assert read_well(str(Well(row, column))) == Well(row, column)


@pytest.mark.parametrize("text", ["", "A0", "Q1", "A25", "AA1", "7"])
def test_what_is_no_well_is_refused(text):
    with pytest.raises(InputError, match="is no well"):
        read_well(text)


@pytest.mark.parametrize(("size", "shape"), PLATES.items())
def test_the_last_well_tells_the_plate(size, shape):
    assert smallest_plate([Well(0, 0), Well(shape[0] - 1, shape[1] - 1)]) == size


def test_a_single_field_has_no_spread():
    assert summarise([12.0]) == plate_statistics.Summary(1, 12.0, None, None, None)
    assert summarise([0.0, 0.0]).cv_percent is None


def answer(image_id, percent, count):
    return {"image_id": image_id, "confluency": {"percent": percent}, "count": count}


def test_fields_make_wells_and_wells_make_conditions():
    answers = [answer("a", 10.0, 5), answer("b", 14.0, 7), answer("c", 30.0, 20), answer("d", 50.0, 1)]
    drug, control = Place(Well(0, 1), "drug"), Place(Well(0, 0), "control")
    places = {"a": control, "b": control, "c": drug, "d": Place(Well(1, 1), "drug")}
    found = summarise_wells(answers, places)
    assert [(str(one.well), one.of["confluency_percent"].number) for one in found] == [
        ("A01", 2),
        ("A02", 1),
        ("B02", 1),
    ]
    assert found[0].of["confluency_percent"].standard_error == pytest.approx(2.0)
    first, second = summarise_conditions(found)
    assert (first.condition, first.of["confluency_percent"].mean, first.of["confluency_percent"].sd) == (
        "control",
        12.0,
        None,
    )
    assert (second.condition, second.of["count"].mean, len(second.wells), second.fields) == ("drug", 10.5, 2, 2)
    assert second.of["confluency_percent"].sd == pytest.approx(200**0.5)


def test_one_well_has_one_condition():
    answers = [answer("a", 1.0, 1), answer("b", 1.0, 1)]
    with pytest.raises(InputError, match="A01 has the conditions x and y"):
        summarise_wells(answers, {"a": Place(Well(0, 0), "x"), "b": Place(Well(0, 0), "y")})


def test_plates_are_not_mixed():
    answers = [answer("a", 10.0, 1), answer("b", 30.0, 1), answer("left out", 90.0, 1)]
    places = {"a": Place(Well(0, 0), "drug", "plate2"), "b": Place(Well(0, 0), "drug", "plate1")}
    wells = summarise_wells(answers, places)
    assert [(one.plate, one.of["confluency_percent"].mean, one.of["count"].number) for one in wells] == [
        ("plate1", 30.0, 1),
        ("plate2", 10.0, 1),
    ]
    conditions = summarise_conditions(wells)
    assert [(one.plate, one.of["confluency_percent"].mean) for one in conditions] == [
        ("plate1", 30.0),
        ("plate2", 10.0),
    ]
