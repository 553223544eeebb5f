"""How long a caller may take for the head of a request; the clock is the test's own."""

import asyncio
import json
from types import SimpleNamespace

import pytest
import uvicorn
from structlog.testing import capture_logs
from uvicorn.server import ServerState

from monolayer_service.connections import protocol_with_patience

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n"


class Clock:
    """Stands for the event loop: it holds what is to be called, and calls it when told to."""

    def __init__(self):
        self.timers = []

    def call_later(self, seconds, callback):
        timer = SimpleNamespace(seconds=seconds, callback=callback, is_cancelled=False)
        timer.cancel = lambda: setattr(timer, "is_cancelled", True)
        self.timers.append(timer)
        return timer

    def call_soon(self, callback):
        return asyncio.get_running_loop().call_soon(callback)

    def create_task(self, coroutine):
        return asyncio.get_running_loop().create_task(coroutine)

    def running(self, seconds):
        return [timer for timer in self.timers if timer.seconds == seconds and not timer.is_cancelled]


class Wire(asyncio.Transport):
    def __init__(self):
        super().__init__()
        self.sent = b""
        self.is_closed = False

    def write(self, data):
        self.sent += data

    def close(self):
        self.is_closed = True

    def is_closing(self):
        return self.is_closed

    def pause_reading(self):
        pass

    def resume_reading(self):
        pass


async def answer(scope, receive, send):
    body = b""
    if scope["path"] == "/refused":
        await send({"type": "http.response.start", "status": 413, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})
        return
    while (message := await receive())["type"] == "http.request":
        body += message["body"]
        if not message["more_body"]:
            break
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
async def line():
    make = protocol_with_patience(20)
    config = uvicorn.Config(answer, http=make, ws="none", log_config=None, access_log=False, timeout_keep_alive=75)
    clock, wire, state = Clock(), Wire(), ServerState()
    protocol = make(config=config, server_state=state, app_state={}, _loop=clock)
    protocol.connection_made(wire)
    return SimpleNamespace(protocol=protocol, clock=clock, wire=wire, state=state)


async def answered(line):
    await asyncio.gather(*line.state.tasks)


async def test_a_caller_who_sends_nothing_is_hung_up_on(line):
    (timer,) = line.clock.running(20)
    timer.callback()
    assert line.wire.is_closed


async def test_bytes_one_by_one_win_no_time(line):
    (timer,) = line.clock.running(20)
    for number in range(len(HEAD) - 1):
        line.protocol.data_received(HEAD[number : number + 1])
    assert line.clock.running(20) == [timer]
    timer.callback()
    assert line.wire.is_closed


async def test_the_time_for_a_head_ends_where_the_head_ends(line):
    line.protocol.data_received(HEAD)
    assert line.clock.running(20) == []
    line.protocol.data_received(b"bo")
    assert line.clock.running(20) == []
    line.protocol.data_received(b"dy")
    await answered(line)
    assert line.wire.sent.endswith(b"body")


async def test_a_connection_that_is_used_again_has_a_time_for_its_next_head(line):
    for _ in range(2):
        line.protocol.data_received(HEAD + b"body")
        await answered(line)
        assert line.clock.running(20) == []
        assert len(line.clock.running(75)) == 1
    line.protocol.data_received(HEAD[:5])
    assert line.clock.running(75) == []
    (timer,) = line.clock.running(20)
    timer.callback()
    assert line.wire.is_closed


async def test_what_is_left_of_a_refused_body_has_a_time(line):
    line.protocol.data_received(b"POST /refused HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\n\r\n" + b"x" * 100)
    await answered(line)
    assert line.wire.sent.startswith(b"HTTP/1.1 413 ")
    assert line.clock.running(20) == []
    line.protocol.data_received(b"x" * 1000)
    line.protocol.data_received(b"x" * 1000)
    (timer,) = line.clock.running(20)
    timer.callback()
    assert line.wire.is_closed


REFUSED = b"POST /refused HTTP/1.1\r\nHost: a\r\nContent-Length: 2000\r\n\r\n"


@pytest.mark.parametrize("pieces", [[2000], [1000, 1000]], ids=["in one piece", "in two"])
async def test_a_connection_whose_refused_body_is_read_to_the_end_is_kept_for_the_next_request(line, pieces):
    line.protocol.data_received(REFUSED)
    await answered(line)
    assert len(line.clock.running(75)) == 1
    for size in pieces:
        line.protocol.data_received(b"x" * size)
    assert line.clock.running(20) == []
    assert len(line.clock.running(75)) == 1
    line.protocol.data_received(HEAD + b"body")
    await answered(line)
    assert line.wire.sent.endswith(b"body")
    assert line.clock.running(20) == []
    (timer,) = line.clock.running(75)
    timer.callback()
    assert line.wire.is_closed


async def test_a_head_that_begins_with_the_end_of_a_refused_body_has_its_whole_time(line):
    line.protocol.data_received(REFUSED)
    await answered(line)
    line.protocol.data_received(b"x" * 1000)
    (of_the_rest,) = line.clock.running(20)
    line.protocol.data_received(b"x" * 1000 + HEAD[:9])
    assert line.clock.running(75) == []
    (of_the_head,) = line.clock.running(20)
    assert of_the_head is not of_the_rest
    line.protocol.data_received(HEAD[9:] + b"body")
    await answered(line)
    assert line.wire.sent.endswith(b"body")


async def test_a_whole_request_behind_a_refused_body_is_answered(line):
    line.protocol.data_received(REFUSED)
    await answered(line)
    line.protocol.data_received(b"x" * 2000 + HEAD + b"body")
    assert line.clock.running(20) == line.clock.running(75) == []
    await answered(line)
    assert line.wire.sent.endswith(b"body")
    assert len(line.clock.running(75)) == 1


CHUNKED = b"POST %s HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

NO_HTTP = {
    "no version": b"POST /v1/segment\r\nHost: a\r\n\r\n",
    "no host": b"POST / HTTP/1.1\r\n\r\n",
    "two lengths": HEAD.replace(b"\r\n\r\n", b"\r\nContent-Length: 5\r\n\r\n"),
    "binary": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "a head without end": b"POST / HTTP/1.1\r\nX: " + b"y" * 70_000,
    "a broken chunk": CHUNKED % b"/" + b"no number\r\n",
    "a broken chunk of a request that is refused at once": CHUNKED % b"/refused" + b"no number\r\n",
}


@pytest.mark.parametrize("sent", NO_HTTP.values(), ids=list(NO_HTTP))
async def test_what_is_no_http_is_refused_as_everything_is_that_is_refused(line, caplog, sent):
    with capture_logs() as logged:
        line.protocol.data_received(sent)
        await answered(line)
    head, body = line.wire.sent.split(b"\r\n\r\n")
    status, *lines = head.split(b"\r\n")
    headers = dict(header.split(b": ") for header in lines)
    assert status == b"HTTP/1.1 400 Bad Request"
    assert headers.keys() == {b"content-type", b"content-length", b"x-request-id", b"connection"}
    assert headers[b"content-type"] == b"application/json"
    assert headers[b"connection"] == b"close"
    assert int(headers[b"content-length"]) == len(body)
    request_id = headers[b"x-request-id"].decode()
    assert len(request_id) == 32
    message = "Invalid HTTP request received."
    assert json.loads(body) == {"error": {"code": "invalid_http", "message": message, "request_id": request_id}}
    assert line.wire.is_closed
    assert [event["code"] for event in logged] == ["invalid_http"]
    assert [record.levelname for record in caplog.records] == ["WARNING"], "nothing failed"


async def test_a_long_head_is_refused_where_it_is_waited_for(line):
    """As the reference says: one that is longer than 64 KiB *may* be refused."""
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nX: " + b"y" * 70_000 + b"\r\n\r\n"
    line.protocol.data_received(head + b"body")
    await answered(line)
    assert line.wire.sent.startswith(b"HTTP/1.1 200 ")
    before = len(line.wire.sent)
    line.protocol.data_received(head[:-1])
    assert line.wire.sent[before:].startswith(b"HTTP/1.1 400 ")
    assert b'"code":"invalid_http"' in line.wire.sent[before:]


async def test_what_is_no_http_behind_an_answer_closes_the_connection_and_is_not_answered_again(line, caplog):
    line.protocol.data_received(CHUNKED % b"/refused")
    await answered(line)
    before = line.wire.sent
    line.protocol.data_received(b"no number\r\n")
    assert before.startswith(b"HTTP/1.1 413 ")
    assert line.wire.sent == before
    assert line.wire.is_closed
    assert [record.levelname for record in caplog.records] == ["WARNING"], "nothing failed"


async def test_nothing_is_left_of_a_connection_that_ended(line):
    line.protocol.connection_lost(None)
    assert line.clock.running(20) == []
