"""Tables that users make."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monolayer_client.errors import InputError
from monolayer_client.user_tables import read_table


def written(folder, data):
    path = folder / "table.csv"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
@pytest.mark.parametrize("separator", [",", ";"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_what_spreadsheets_write_is_read(tmp_path, encoding, separator, end):
    lines = [["well", "condition"], [" A1", "10 µM "], ["", ""], ["A2", "“control”"]]
    text = end.join(separator.join(cells) for cells in lines) + end
    columns, rows = read_table(written(tmp_path, text.encode(encoding)))
    assert columns == ["well", "condition"]
    assert rows == [
        (2, {"well": "A1", "condition": "10 µM"}),
        (4, {"well": "A2", "condition": "“control”"}),
    ]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"well,condition\nA1,x\nA2\n", "line 3: 1 cells, but 2 columns are named", id="short"),
        pytest.param(b"well,condition\nA1,x,y\n", "line 2: 3 cells, but 2 columns are named", id="long"),
        pytest.param(b"well,well\nA1,x\n", "two columns well", id="twice"),
        pytest.param(b"well,condition\nA1,\x81\n", "in UTF-8 or Windows-1252", id="no text"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path, data, message):
    with pytest.raises(InputError, match=message):
        read_table(written(tmp_path, data))


def test_an_empty_file_has_no_columns(tmp_path):
    assert read_table(written(tmp_path, b"")) == ([], [])


cells = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1)


@given(st.lists(cells, min_size=1, max_size=4, unique=True), st.data())
def test_what_csv_writes_is_read_back(tmp_path_factory, columns, data):
    rows = data.draw(st.lists(st.lists(cells, min_size=len(columns), max_size=len(columns)), max_size=4))
    file = io.StringIO(newline="")
    csv.writer(file, quoting=csv.QUOTE_ALL).writerows([[f"{name}," for name in columns], *rows])
    found = read_table(written(tmp_path_factory.mktemp("tables"), file.getvalue().encode()))
    assert found[0] == [f"{name}," for name in columns]
    assert [list(row.values()) for _, row in found[1]] == rows
