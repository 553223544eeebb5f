"""How long a caller may take for the head of a request; the clock is the test's own."""

import asyncio
from types import SimpleNamespace

import pytest
import uvicorn
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


async def test_nothing_is_left_of_a_connection_that_ended(line):
    line.protocol.connection_lost(None)
    assert line.clock.running(20) == []
