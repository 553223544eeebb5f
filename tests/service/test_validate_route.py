"""`/v1/validate`: the findings of `monolayer validate`, over HTTP."""

import pytest

from monolayer_core.submission import validate_submission
from monolayer_service import validation

GOOD = "ImageId,EncodedPixels\na,1 2 5 1\na,3 1\nempty,\n"
BAD = "ImageId,EncodedPixels\na,1 2 5\nb,1 4\nb,3 1\nc,1 2,3\n"
SIZES = "ImageId,Height,Width,Usage\na,2,3,Public\nempty,4,4,Private\n"


def post(client, table, **query):
    return client.post("/v1/validate", params=query, content=table, headers={"Content-Type": "text/csv"})


def post_with_sizes(client, table, sizes):
    files = {"submission": ("s.csv", table, "text/csv"), "sizes": ("sizes.csv", sizes, "text/csv")}
    return client.post("/v1/validate", files=files)


@pytest.fixture
def findings_of(tmp_path):
    """Give a function that lists what core finds in a table, as the call is to answer it."""

    def find(table, sizes=None):
        path = tmp_path / "table.csv"
        path.write_text(table)
        problems = validate_submission(path, sizes).problems
        return [{"message": one.message, "line": one.line, "image_id": one.image_id} for one in problems]

    return find


def test_a_good_table_is_valid(client):
    answer = post(client, GOOD)
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {"valid": True, "image_count": 2, "object_count": 2, "problem_count": 0, "problems": []}


def test_every_problem_is_listed_with_its_line(client, findings_of):
    answer = post(client, BAD).json()
    assert answer["valid"] is False
    assert (answer["image_count"], answer["object_count"], answer["problem_count"]) == (2, 3, 3)
    assert [(one["line"], one["image_id"]) for one in answer["problems"]] == [(2, "a"), (4, "b"), (5, None)]
    assert answer["problems"] == findings_of(BAD)


def test_sizes_tell_what_leaves_its_image_or_is_missing(client, findings_of):
    assert post_with_sizes(client, GOOD, SIZES).json()["valid"] is True
    sizes = SIZES.replace("a,2,3", "a,2,2") + "b,1,1,Public\n"
    answer = post_with_sizes(client, GOOD, sizes).json()
    assert [one["image_id"] for one in answer["problems"]] == ["a", "b"]
    assert answer["problems"] == findings_of(GOOD, {"a": (2, 2), "empty": (4, 4), "b": (1, 1)})


@pytest.mark.parametrize(
    "table", ["", "no table", 'ImageId,EncodedPixels\n"a,1 2\n', b"ImageId,EncodedPixels\n\xff,1 2\n"]
)
def test_what_is_no_table_is_a_finding(client, table):
    answer = post(client, table)
    assert answer.status_code == 200
    assert answer.json()["valid"] is False
    assert answer.json()["problem_count"] == 1


def test_many_problems_are_counted_and_the_first_ones_listed(client, monkeypatch):
    monkeypatch.setattr(validation, "MAX_FINDINGS", 2)
    answer = post(client, "ImageId,EncodedPixels\n" + "a,x\n" * 5).json()
    assert answer["problem_count"] == 5
    assert [one["line"] for one in answer["problems"]] == [2, 3]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["unix", "windows", "old mac"])
def test_tables_of_too_many_rows_are_refused(client, monkeypatch, end):
    monkeypatch.setattr(validation, "MAX_ROWS", 4)
    assert post(client, GOOD.replace("\n", end)).json()["valid"] is True
    answer = post(client, (GOOD + "b,1 1\n").replace("\n", end))
    assert answer.status_code == 413
    assert "4 rows" in answer.json()["error"]["message"]


def test_several_lines_of_the_accept_header_are_one_list(client):
    headers = [("Content-Type", "text/csv"), ("Accept", "text/csv"), ("Accept", "application/json")]
    answer = client.post("/v1/validate", content=GOOD, headers=headers)
    assert (answer.status_code, answer.json()["valid"]) == (200, True)


def test_large_bodies_are_refused_before_they_are_read(make_client):
    client = make_client(max_body_mib=1, held_mib=1)
    assert post(client, b" " * (2**20 + 1)).status_code == 413


@pytest.mark.parametrize(
    ("status", "code", "request_options"),
    [
        (415, "unsupported_media_type", {"content": GOOD, "headers": {"Content-Type": "application/json"}}),
        (415, "unsupported_media_type", {"content": GOOD}),
        (400, "invalid_body", {"files": {"sizes": ("s.csv", SIZES)}}),
        (400, "invalid_body", {"files": [("submission", ("a.csv", GOOD)), ("submission", ("b.csv", GOOD))]}),
        (400, "invalid_body", {"files": {"submission": (None, GOOD)}}),
        (422, "unknown_option", {"files": {"table": ("s.csv", GOOD)}}),
        (422, "unknown_option", {"content": GOOD, "headers": {"Content-Type": "text/csv"}, "params": {"model": "x"}}),
        (422, "invalid_submission", {"files": {"submission": ("a", GOOD), "sizes": ("b", "ImageId,Height\na,1\n")}}),
        (406, "not_acceptable", {"content": GOOD, "headers": {"Content-Type": "text/csv", "Accept": "text/csv"}}),
    ],
)
def test_what_cannot_be_checked_is_refused(client, status, code, request_options):
    answer = client.post("/v1/validate", **request_options)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
