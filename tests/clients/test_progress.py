"""Lines of progress ahead of an answer: told while they come, or given as the service writes them."""

import json

import httpx2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monolayer_client.errors import RefusedError, ServiceFaultError, UnavailableError
from monolayer_client.progress import LineReader, Progress

LABELS = np.array([[1, 0, 2], [1, 2, 2]], dtype=np.uint16)


def progress_line(done):
    line = {"stage": "inference", "done_megapixels": done, "total_megapixels": 4.0, "elapsed_seconds": 2.5}
    return json.dumps({"progress": line | {"added_later": 1}}, separators=(",", ":")).encode() + b"\n"


def test_progress_is_told_before_the_answer(client, service):
    answer = service.numbers(LABELS, b"", {"image_id": "a\u2028b"}) | service.objects(LABELS, {})
    last = json.dumps(answer, ensure_ascii=False).encode()
    service.script.append(httpx2.Response(200, content=progress_line(0.0) + progress_line(3.0) + last + b"\n"))
    told = []
    result = client.segment(LABELS, on_progress=told.append)
    assert told == [Progress("inference", 0.0, 4.0, 2.5), Progress("inference", 3.0, 4.0, 2.5)]
    assert (result.count, result.image_id) == (2, "a\u2028b")
    assert service.posts[0].headers["Accept"] == "application/x-ndjson"


def test_an_error_after_the_first_line_is_that_of_its_status(client, service):
    error = {"code": "deadline_exceeded", "message": "too late", "request_id": "request-9"}
    late = json.dumps({"status": 503, "retry_after_seconds": 7, "error": error}, separators=(",", ":")).encode()
    service.script.extend([httpx2.Response(200, content=progress_line(0.0) + late + b"\n")] * 3)
    with pytest.raises(UnavailableError, match="too late") as caught:
        client.segment(LABELS, on_progress=lambda _: None)
    assert (caught.value.status, caught.value.request_id, caught.value.retry_after_s) == (503, "request-9", 7.0)
    assert len(service.posts) == 3


def test_a_refusal_before_the_first_line_is_one(client, service):
    service.script.append(service.fail(422, "ambiguous_axes", "this is why"))
    with pytest.raises(RefusedError, match="this is why"):
        client.segment(LABELS, on_progress=lambda _: None)


def lines(service):
    answer = service.numbers(LABELS, b"", {"image_id": "a\u2028b"}) | service.objects(LABELS, {})
    return progress_line(0.0) + progress_line(3.0) + json.dumps(answer, ensure_ascii=False).encode() + b"\n"


def test_lines_of_progress_come_as_the_service_writes_them(client, service):
    service.script.append(httpx2.Response(200, content=lines(service)))
    assert client.segment(LABELS, format="ndjson", measurements=True) == lines(service)
    query = service.posts[0].url.params
    assert (query["format"], query["measurements"]) == ("ndjson", "true")


def test_lines_that_end_with_an_error_are_asked_for_again_and_else_raise_it(client, service):
    error = {"code": "deadline_exceeded", "message": "too late", "request_id": "request-9"}
    late = json.dumps({"status": 503, "retry_after_seconds": 0, "error": error}, separators=(",", ":")).encode()
    bad = httpx2.Response(200, content=progress_line(0.0) + late + b"\n")
    service.script.extend([bad, httpx2.Response(200, content=lines(service))])
    assert client.segment(LABELS, format="ndjson") == lines(service)
    service.script.extend([bad] * 3)
    with pytest.raises(UnavailableError, match="too late") as caught:
        client.segment(LABELS, format="ndjson")
    assert (caught.value.status, caught.value.request_id) == (503, "request-9")


@pytest.mark.parametrize("content", [b"", b"no JSON\n", b"[1]\n", progress_line(1.0), progress_line(1.0)[:-5]])
def test_lines_without_an_answer_are_no_form_of_it(client, service, content):
    service.script.append(httpx2.Response(200, content=content))
    with pytest.raises(ServiceFaultError, match="/v1/segment cannot be read"):
        client.segment(LABELS, format="ndjson")


def test_lines_without_an_answer_are_a_fault(client, service):
    service.script.append(httpx2.Response(200, content=progress_line(0.0)))
    with pytest.raises(ServiceFaultError, match="/v1/segment cannot be read"):
        client.segment(LABELS, on_progress=lambda _: None)


@given(st.lists(st.integers(0, 400)))
def test_lines_are_found_however_the_bytes_come(cuts):
    stream = progress_line(1.0) + progress_line(2.0) + '{"é": 1}\n'.encode()
    told = []
    reader = LineReader(httpx2.Response(200, request=httpx2.Request("POST", "http://service.test")), told.append)
    ends = sorted({min(cut, len(stream)) for cut in cuts} | {len(stream)})
    for start, end in zip([0, *ends], ends, strict=False):
        reader.take(stream[start:end])
    assert [line.done_megapixels for line in told] == [1.0, 2.0]
    assert reader.final().json() == {"é": 1}
