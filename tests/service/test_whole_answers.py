"""What leaves in one piece, and when."""

import asyncio

import uvicorn
from uvicorn.server import ServerState

from monolayer_service.connections import PatientProtocol
from monolayer_service.whole_answers import LARGEST_BYTES, GatheringTransport

HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class Wire(asyncio.Transport):
    """Notes each piece, and that it was closed."""

    def __init__(self):
        super().__init__({"peername": ("127.0.0.1", 9)})
        self.pieces = []

    def write(self, data):
        self.pieces.append(bytes(data))

    def close(self):
        self.pieces.append("closed")

    def is_closing(self):
        return "closed" in self.pieces


def turn(act):
    """What a wire has when something was done in one turn of the loop, and what when the turn has ended."""

    async def run():
        wire = Wire()
        act(GatheringTransport(wire, asyncio.get_running_loop()))
        before = list(wire.pieces)
        await asyncio.sleep(0)
        return before, wire.pieces

    return asyncio.run(run())


def test_what_is_written_in_one_turn_leaves_together_at_its_end():
    def act(transport):
        for piece in (b"head ", b"", b"body"):
            transport.write(piece)

    assert turn(act) == ([], [b"head body"])


def test_much_does_not_wait():
    def act(transport):
        transport.write(b"head")
        transport.write(b"b" * LARGEST_BYTES)
        transport.write(b"more")

    assert turn(act) == ([b"head" + b"b" * LARGEST_BYTES], [b"head" + b"b" * LARGEST_BYTES, b"more"])


def test_what_is_held_is_sent_before_the_connection_closes():
    def act(transport):
        transport.write(b"last words")
        transport.close()

    assert turn(act)[1] == [b"last words", "closed"]


def test_all_else_is_the_transports_own():
    def act(transport):
        assert transport.get_extra_info("peername") == ("127.0.0.1", 9)
        assert not transport.is_closing()

    turn(act)


def answered(pieces):
    """What uvicorn sends when an application answers with pieces of a body."""
    finished = asyncio.Event()

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"6")]})
        for number, piece in enumerate(pieces, start=1):
            await send({"type": "http.response.body", "body": piece, "more_body": number < len(pieces)})
            await asyncio.sleep(0)
        finished.set()

    async def run():
        config = uvicorn.Config(app, log_config=None)
        config.load()
        wire = Wire()
        protocol = PatientProtocol(config, ServerState(), {}, _loop=asyncio.get_running_loop())
        protocol.connection_made(wire)
        protocol.data_received(HEAD)
        await finished.wait()
        protocol.connection_lost(None)
        return [piece for piece in wire.pieces if piece != "closed"]

    return asyncio.run(run())


def test_an_answer_is_one_piece_with_its_head():
    (whole,) = answered([b"answer"])
    assert whole.startswith(b"HTTP/1.1 200")
    assert whole.endswith(b"\r\n\r\nanswer")


def test_a_stream_is_not_held_back():
    first, second = answered([b"ans", b"wer"])
    assert first.endswith(b"\r\n\r\nans")
    assert second == b"wer"
