"""Answers that tell how far they are: lines of JSON, the last of which is the answer."""

import json

import pytest

from monolayer_service.analysis import Analyst

PNG = {"Content-Type": "image/png"}


def test_the_last_line_is_the_json_answer_to_the_last_byte(client, post_png):
    answer = post_png(client, format="ndjson", measurements="true", rle="coco")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.headers["x-accel-buffering"] == "no"
    *before, last, nothing = answer.content.split(b"\n")
    assert nothing == b""
    assert last == post_png(client, measurements="true", rle="coco").content
    progress = [json.loads(line)["progress"] for line in before]
    assert len(progress) >= 1
    assert progress[0].keys() == {"stage", "done_megapixels", "total_megapixels", "elapsed_seconds"}
    assert progress[0]["stage"] == "decode"
    assert {line["total_megapixels"] for line in progress} == {0.012}


def test_who_found_the_objects_stands_in_the_last_line_and_in_no_header(client, post_png):
    answer = post_png(client, format="ndjson", method="kmeans")
    last = json.loads(answer.content.splitlines()[-1])
    assert (last["method"], last["model"], last["fallback"]) == ("kmeans", None, None)
    assert {"x-method", "x-model", "x-fallback"}.isdisjoint(answer.headers)


def test_the_accept_header_asks_for_it_too(client, blobs_png):
    headers = PNG | {"Accept": "application/x-ndjson, application/json;q=0.5"}
    answer = client.post("/v1/segment", content=blobs_png, headers=headers)
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert json.loads(answer.content.splitlines()[-1])["count"] == 3


@pytest.mark.parametrize(
    ("body", "query", "status", "code"),
    [
        (b"no image", {}, 415, "unknown_format"),
        (b"", {}, 400, "empty_image"),
        (None, {"tta": "perhaps"}, 422, "invalid_option"),
        (None, {"z": "3"}, 422, "invalid_option"),
    ],
    ids=["no image", "empty", "option", "plane"],
)
def test_what_is_wrong_before_the_first_line_has_its_status(client, blobs_png, *, body, query, status, code):
    answer = client.post(
        "/v1/segment",
        params={"format": "ndjson", **query},
        content=blobs_png if body is None else body,
        headers=PNG,
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [(RuntimeError("inner matters"), 500, "internal_error"), (MemoryError(), 503, "memory_exhausted")],
    ids=["bug", "memory"],
)
def test_what_goes_wrong_after_it_is_the_last_line(client, post_png, monkeypatch, *, error, status, code):
    def fail(*_):
        raise error

    monkeypatch.setattr(Analyst, "analyse", fail)
    answer = post_png(client, format="ndjson")
    assert answer.status_code == 200
    *before, last = map(json.loads, answer.content.splitlines())
    assert all("progress" in line for line in before)
    assert last["status"] == status
    assert last["error"]["code"] == code
    assert last["error"]["request_id"] == answer.headers["x-request-id"]
    assert "inner" not in last["error"]["message"]
    assert ("retry_after_seconds" in last) == (status == 503)
    monkeypatch.undo()
    assert post_png(client).status_code == 200
    assert client.app.state.services.gate.is_idle


def test_calls_without_objects_have_no_such_form(client, post_png):
    assert post_png(client, "/v1/confluency", format="ndjson").status_code == 422
