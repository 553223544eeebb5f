"""Records written column by column are those that orjson writes of dictionaries."""

import numpy as np
import orjson
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from monolayer_service.json_records import write_numbers, write_records

counts = st.integers(0, 5)
floats = st.floats(width=64).map(lambda value: round(value, 4))


@given(counts.flatmap(lambda count: st.tuples(*(hnp.arrays(np.float64, count, elements=floats),) * 2, st.just(count))))
def test_numbers_are_those_of_orjson(drawn):
    first, second, count = drawn
    pairs = np.stack([first, second], axis=1)
    assert write_numbers(first) == [orjson.dumps(value) for value in first.tolist()]
    assert write_numbers(pairs) == [orjson.dumps(row) for row in pairs.tolist()]
    assert write_numbers(pairs.T[0]) == write_numbers(first)
    assert write_numbers(np.arange(count)) == [orjson.dumps(number) for number in range(count)]


@given(st.lists(st.tuples(st.integers(), st.text(), st.text(), floats)), st.text(min_size=1))
def test_records_are_those_of_orjson(rows, name):
    rows = [row for row in rows if abs(row[0]) < 2**63]
    dictionaries = [{name: a, name + "b": {"x": b, "y": {"z": c}}, name + "c": d} for a, b, c, d in rows]
    text = [[orjson.dumps(row[place]) for row in rows] for place in range(4)]
    columns = {name: text[0], name + "b": {"x": text[1], "y": {"z": text[2]}}, name + "c": text[3]}
    assert b"[" + b",".join(write_records(columns)) + b"]" == orjson.dumps(dictionaries)
