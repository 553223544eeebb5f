"""Requests that never end, come in ten thousand parts, or byte by byte: refused or hung up on, in bounded memory."""

import itertools
import select
import socket
from collections.abc import Iterable

import pytest
from tests.fuzz.campaign import INSIDE, problems_of_log, service

pytestmark = [pytest.mark.enable_socket, pytest.mark.allow_hosts(["127.0.0.1"])]

MEBIBYTE = 2**20
MAX_ABOVE_IDLE_MIB = 200
SETTINGS = {
    "MONOLAYER_MAX_BODY_MIB": "32",
    "MONOLAYER_HELD_MIB": "64",
    "MONOLAYER_UPLOAD_SECONDS": "2",
    "MONOLAYER_HEAD_SECONDS": "1",
}
FORM = "multipart/form-data; boundary=edge"


@pytest.fixture(scope="module")
def watched(toy_bundles, tmp_path_factory):
    with service(tmp_path_factory.mktemp("floods"), {"MONOLAYER_MODELS": str(toy_bundles), **SETTINGS}) as (
        server,
        log,
    ):
        server.idle_bytes = server.resident_bytes()
        yield server
        assert problems_of_log(log.read_text(encoding="utf-8").splitlines()) == []


def head(path="/v1/segment", content_type=FORM, extra="Transfer-Encoding: chunked\r\n"):
    return f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: {content_type}\r\n{extra}\r\n".encode()


def chunked(pieces: Iterable[bytes]) -> Iterable[bytes]:
    return (b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)


def whole(body: bytes) -> Iterable[bytes]:
    return itertools.chain(chunked(body[at : at + 65536] for at in range(0, len(body), 65536)), [b"0\r\n\r\n"])


def exchange(server, begin: bytes, pieces: Iterable[bytes] = ()) -> bytes:
    """Send until there is an answer or the other side hangs up, and give what came; at most a minute."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        try:
            connection.sendall(begin)
            for piece in pieces:
                if select.select([connection], [], [], 0)[0]:
                    break
                connection.sendall(piece)
            return connection.recv(65536)
        except ConnectionError:
            return b""


def part(name: str, content: bytes = b"x", file_name: str | None = "a.png", lines: str = "") -> bytes:
    named = "" if file_name is None else f'; filename="{file_name}"'
    return f'--edge\r\nContent-Disposition: form-data; name="{name}"{named}\r\n{lines}\r\n'.encode() + content + b"\r\n"


CLOSE = b"--edge--\r\n"
KIB = b"y" * 1024

FLOODS = {
    "ten thousand files for one image": (head(), whole(part("image") * 10_000 + CLOSE), {400}),
    "ten thousand files for a submission": (head("/v1/submission"), whole(part("images") * 10_000 + CLOSE), {400}),
    "ten thousand text fields": (head(), whole(part("a", file_name=None) * 10_000 + CLOSE), {400}),
    "ten thousand headers of a part": (head(), whole(part("image", lines="X-A: b\r\n" * 10_000) + CLOSE), {400}),
    "a header name without end": (head(), chunked(itertools.chain([b"--edge\r\nX"], itertools.repeat(KIB))), {400}),
    "a header value without end": (head(), chunked(itertools.chain([b"--edge\r\nX: "], itertools.repeat(KIB))), {400}),
    "a file name without end": (
        head(), chunked(itertools.chain([b'--edge\r\nContent-Disposition: form-data; name="'], itertools.repeat(KIB))),
        {400},
    ),
    "a preamble without end": (head(), chunked(itertools.repeat(b"\r\n" * 32768)), {408, 413}),
    "a preamble of hyphens": (head(), chunked(itertools.repeat(b"-" * 65536)), {400}),
    "an epilogue without end": (
        head(), chunked(itertools.chain([part("image") + CLOSE], itertools.repeat(KIB * 64))), {408, 413},
    ),
    "an image without end": (head(), chunked(itertools.chain([part("image")[:-2]], itertools.repeat(KIB * 64))),
                             {408, 413}),
    "boundaries that are nearly one": (
        head(), chunked(itertools.chain([part("image")[:-2]], itertools.repeat(b"\r\n--edg" * 8192))), {408, 413},
    ),
    "JSON without end": (
        head(content_type="application/json"), chunked(itertools.chain([b'{"image": "'], itertools.repeat(KIB * 64))),
        {408, 413},
    ),
    "JSON of brackets": (head(content_type="application/json"), whole(b"[" * 20 * MEBIBYTE), {400}),
    "JSON of names": (
        head(content_type="application/json"),
        whole(b"{" + b",".join(b'"%d":0' % number for number in range(500_000)) + b"}"), {400},
    ),
    "a boundary as long as a head may be": (head(content_type=FORM + "e" * 60_000), [b"1\r\nx\r\n"], {400}),
    "options without number": (head("/v1/segment?" + "a&" * 25_000), [], {422}),
    "a body that stops": (head(), [b"5\r\n--edg\r\n"], {408}),
    "a body announced and not sent": (head(extra="Content-Length: 1000000\r\n"), [], {408}),
    "a head without end": (b"POST /v1/segment HTTP/1.1\r\n", itertools.repeat(b"X-A: " + KIB + b"\r\n"), {400, None}),
    "a header line without end": (b"POST /v1/segment HTTP/1.1\r\nX: ", itertools.repeat(KIB), {400, None}),
    "a head that stops": (b"POST /v1/segment HTTP/1.1\r\nHo", [], {None}),
    "a caller who says nothing": (b"", [], {None}),
}  # fmt: skip
"""What is sent, and the status that it may have; None stands for hanging up."""


@pytest.mark.parametrize("flood", FLOODS)
def test_a_flood_is_refused_in_bounded_memory(watched, flood):
    begin, pieces, accepted = FLOODS[flood]
    watched.forget_peak()
    answer = exchange(watched, begin, pieces)
    status = int(answer.split()[1]) if answer else None
    assert status in accepted, answer
    assert not INSIDE.search(answer.decode())
    assert (watched.peak_bytes() - watched.idle_bytes) / MEBIBYTE <= MAX_ABOVE_IDLE_MIB


def test_the_service_goes_on_under_floods_from_many_sides(watched, blobs_png):
    """Fifty callers who begin and never end take no place from one who means it once their time is over."""
    idle = [socket.create_connection(("127.0.0.1", watched.port), timeout=60) for _ in range(50)]
    for number, connection in enumerate(idle):
        connection.sendall(head()[: 20 + number])
    size = f"Content-Length: {len(blobs_png)}\r\n"
    assert exchange(watched, head(content_type="image/png", extra=size) + blobs_png).startswith(b"HTTP/1.1 200 ")
    assert [connection.recv(1) for connection in idle] == [b""] * 50
    for connection in idle:
        connection.close()
