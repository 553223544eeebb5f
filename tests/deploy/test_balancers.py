"""The load balancers of `deploy/`, run as they are, but for the ports."""

import contextlib
import hashlib
import http.client
import http.server
import json
import socket
import threading
from collections.abc import Callable

import pytest
from benchmarks.load import post_all
from benchmarks.server import free_port

from monolayer_client.client import Client
from monolayer_client.errors import UnavailableError

pytestmark = [pytest.mark.enable_socket, pytest.mark.allow_hosts(["127.0.0.1"]), pytest.mark.slow]

CLIENTS = 6
MEBIBYTE = 1 << 20
LARGE_ANSWER = bytes(range(256)) * (12 * MEBIBYTE // 256)


def connect(port):
    return contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=120))


def get(port, path, **headers):
    with connect(port) as connection:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer, answer.read()


def work_of(replica):
    return replica.server.metric("monolayer_network_busy_seconds_total")


def loaded(post, count, event):
    """Give so many requests; with a third of them under way or done, something happens."""
    for number in range(count):
        if number == count // 3:
            event()
        yield post


@pytest.mark.fault("one of three replicas is killed (SIGKILL) under load", "its requests are answered by another one")
def test_no_request_is_lost_when_a_replica_is_killed(balancer, replicas, frame, request_count):
    with balancer([replica.port for replica in replicas]) as server:
        outcome = post_all(server.port, loaded(frame, request_count, replicas[1].kill), clients=CLIENTS)
    assert outcome.requests == request_count


@pytest.mark.fault("one of three replicas is stopped and comes back under load", "no request is lost; it works again")
def test_no_request_is_lost_when_a_replica_is_stopped_and_comes_back(balancer, replicas, frame, request_count):
    statuses = []
    with balancer([replica.port for replica in replicas]) as server:
        stopper = threading.Thread(target=lambda: statuses.append(replicas[2].stop()))
        outcome = post_all(server.port, loaded(frame, request_count, stopper.start), clients=CLIENTS)
        stopper.join(120)
        replicas[2].start()
        before = work_of(replicas[2])
        while work_of(replicas[2]) == before:
            post_all(server.port, [frame] * CLIENTS, clients=CLIENTS)
    assert outcome.requests == request_count
    assert statuses == [0]


def test_all_replicas_get_their_share(balancer, replicas, frame):
    before = [work_of(replica) for replica in replicas]
    with balancer([replica.port for replica in replicas]) as server:
        post_all(server.port, [frame] * 60, clients=CLIENTS)
    after = [work_of(replica) for replica in replicas]
    assert all(late > early for early, late in zip(before, after, strict=True))


def test_answers_come_through_unchanged_with_the_callers_request_id(balancer, replicas, frame):
    def answer(port):
        with connect(port) as connection:
            headers = {"Content-Type": frame.media_type, "X-Request-ID": "find-me"}
            connection.request("POST", frame.path, frame.body, headers)
            response = connection.getresponse()
            return response.status, response.getheader("X-Request-ID"), response.getheader("ETag"), response.read()

    with balancer([replica.port for replica in replicas]) as server:
        assert answer(server.port) == answer(replicas[0].port)
        assert len(get(server.port, "/version")[0].getheader("X-Request-ID")) >= 32


def test_metrics_are_refused_in_the_services_form_with_a_request_id_that_can_be_one(balancer, upstream):
    with balancer([upstream.port] * 3) as server:
        refused, body = get(server.port, "/metrics", **{"X-Request-ID": "find-me"})
        error = json.loads(body)["error"]
        assert (refused.status, error["code"], error["request_id"]) == (404, "not_found", "find-me")
        _, body = get(server.port, "/metrics", **{"X-Request-ID": 'a"b'})
        assert len(json.loads(body)["error"]["request_id"]) >= 32


class Upstream(http.server.BaseHTTPRequestHandler):
    """Stands in for a replica.

    It tells one line, and the digest of the body when that line was read; `/never` waits for the caller to go away,
    `/poison` ends the connection as a process does that dies of a request, `/half` in the middle of a large answer.
    """

    protocol_version = "HTTP/1.1"
    port: int
    go_away: Callable[[], None]
    first_line_was_read: threading.Event
    request_came: threading.Event
    was_left: threading.Event
    paths: list[str]

    def do_POST(self):
        digest = hashlib.sha256()
        left = int(self.headers["Content-Length"])
        while left:
            piece = self.rfile.read(min(left, MEBIBYTE))
            digest.update(piece)
            left -= len(piece)
        self.paths.append(self.path)
        if self.path == "/poison":
            self.close_connection = True
            return
        if self.path.startswith("/half"):
            self.send_half("chunked" in self.path)
            return
        if self.path == "/never":
            self.request_came.set()
            with contextlib.suppress(ConnectionResetError):
                assert self.rfile.read(1) == b""
            self.was_left.set()
            self.close_connection = True
            return
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson")
        self.send_header("X-Accel-Buffering", "no")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.tell(b"first\n")
        assert self.first_line_was_read.wait(60)
        self.tell(digest.hexdigest().encode() + b"\n")
        self.tell(b"")

    def send_half(self, is_chunked):
        """Send a third of an answer, more than any buffer holds, and end."""
        self.send_response(200)
        header = ("Transfer-Encoding", "chunked") if is_chunked else ("Content-Length", str(len(LARGE_ANSWER)))
        self.send_header(*header)
        self.end_headers()
        part = LARGE_ANSWER[: len(LARGE_ANSWER) // 3]
        if is_chunked:
            self.tell(part)
        else:
            self.wfile.write(part)
        self.close_connection = True

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.send_header("Connection", "close")
        self.end_headers()

    def tell(self, chunk):
        self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))

    def log_message(self, *_):
        """Write nothing."""


@contextlib.contextmanager
def standing_in():
    """Run a stand-in until the block ends."""
    events = {name: threading.Event() for name in ("first_line_was_read", "request_came", "was_left")}
    handler = type("Handler", (Upstream,), {**events, "paths": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    with contextlib.closing(server.socket):
        handler.port, handler.go_away = server.server_address[1], staticmethod(server.server_close)
        yield handler
        server.shutdown()
        thread.join()


@pytest.fixture
def upstream():
    with standing_in() as handler:
        yield handler


@pytest.mark.parametrize("size", [1000, 40 * MEBIBYTE], ids=["a frame", "a slide"])
def test_bodies_of_any_size_arrive_whole_and_lines_one_by_one(balancer, upstream, size):
    body = bytes(range(251)) * (size // 251)
    with balancer([upstream.port] * 3) as server, connect(server.port) as connection:
        connection.request("POST", "/v1/segment", body, {"Content-Type": "image/tiff"})
        answer = connection.getresponse()
        assert answer.readline() == b"first\n"
        upstream.first_line_was_read.set()
        assert answer.read().decode().strip() == hashlib.sha256(body).hexdigest()


@pytest.mark.fault("no replica is left behind the load balancer", "503 with Retry-After in the form of every error")
def test_with_no_replica_left_the_client_is_told_when_to_ask_again(balancer, frame):
    with contextlib.ExitStack() as stack:
        upstream = stack.enter_context(standing_in())
        server = stack.enter_context(balancer([upstream.port, free_port(), free_port()]))
        client = stack.enter_context(Client(f"http://127.0.0.1:{server.port}", patience_s=0))
        upstream.go_away()
        with pytest.raises(UnavailableError) as error:
            client.segment(frame.body)
    assert (error.value.status, error.value.service_code, error.value.retry_after_s) == (503, "not_ready", 2)


@pytest.mark.fault("caller hangs up on the load balancer", "the replica is told")
def test_a_caller_who_goes_away_frees_the_service(balancer, upstream):
    with balancer([upstream.port] * 3) as server:
        with connect(server.port) as connection:
            connection.request("POST", "/never", b"image", {"Content-Type": "image/png"})
            assert upstream.request_came.wait(60)
        assert upstream.was_left.wait(60)


@pytest.mark.fault("a request that ends whichever replica takes it", "two of three take it, the third goes on; 503")
def test_a_request_that_ends_whoever_takes_it_is_tried_twice_only(balancer):
    with contextlib.ExitStack() as stack:
        upstreams = [stack.enter_context(standing_in()) for _ in range(3)]
        server = stack.enter_context(balancer([upstream.port for upstream in upstreams]))
        with connect(server.port) as connection:
            connection.request("POST", "/poison", b"image", {"Content-Type": "image/png"})
            answer = connection.getresponse()
            error = json.loads(answer.read())["error"]
    assert (answer.status, error["code"], answer.getheader("Retry-After")) in REFUSALS
    assert sorted(len(upstream.paths) for upstream in upstreams) == [0, 1, 1]


REFUSALS = {(502, "not_ready", "2"), (503, "not_ready", "2")}
"""What a load balancer says of a request that no replica has answered."""


@pytest.mark.fault("a replica dies in the middle of an answer of some MB", "a broken transfer, not a cut answer")
@pytest.mark.parametrize("path", ["/half", "/half-chunked"])
def test_an_answer_that_breaks_off_is_never_taken_for_a_whole_one(balancer, upstream, path):
    with balancer([upstream.port] * 3) as server, connect(server.port) as connection:
        connection.request("POST", path, b"image", {"Content-Type": "image/png"})
        answer = connection.getresponse()
        with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
            answer.read()
    assert upstream.paths == [path], "the head has been passed on, so that nobody else can be asked"


@pytest.mark.fault("caller of the load balancer never ends a head", "hung up on; a slow body has its own, longer time")
def test_heads_have_a_short_time_and_bodies_a_long_one(balancer, upstream):
    upstream.first_line_was_read.set()
    with balancer([upstream.port] * 3, head_seconds=1) as server:
        address = ("127.0.0.1", server.port)
        with (
            socket.create_connection(address, timeout=60) as idle,
            socket.create_connection(address, timeout=60) as slow,
        ):
            slow.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbo")
            idle.sendall(b"POST / HTTP/1.1\r\nHo")
            assert received(idle)[:13] in {b"", b"HTTP/1.1 408 "}
            slow.sendall(b"dy")
            assert hashlib.sha256(b"body").hexdigest().encode() in received(slow)


def received(connection):
    """Give all that comes until the other side hangs up."""
    return b"".join(iter(lambda: connection.recv(65536), b""))
