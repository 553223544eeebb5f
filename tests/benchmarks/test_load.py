"""The arithmetic of the load generator; its requests go to a server of the standard library on the loopback."""

import contextlib
import http.server
import threading

import pytest
from benchmarks.load import Outcome, Post, parse_server_timing, percentile, post_all
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("fraction", "expected"),
    [(0.5, 5), (0.51, 6), (0.9, 9), (0.99, 10), (1.0, 10), (0.0, 1)],
)
def test_a_percentile_is_one_of_the_values(fraction, expected):
    assert percentile([10, 3, 8, 1, 6, 2, 9, 4, 7, 5], fraction) == expected


def test_the_99th_of_a_hundred_leaves_one_above():
    assert percentile(range(1, 101), 0.99) == 99


@given(st.lists(st.integers(), min_size=1), st.integers(1, 100))
def test_a_percentile_is_the_smallest_value_that_so_many_do_not_exceed(values, percent):
    found = percentile(values, percent / 100)

    def covers(value):
        return 100 * sum(other <= value for other in values) >= percent * len(values)

    assert found in values
    assert covers(found)
    assert not any(covers(value) for value in values if value < found)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", {}),
        ("decode;dur=1.5", {"decode": 1.5}),
        ("decode;dur=1.5, queue;desc=waiting;dur=0.1, total", {"decode": 1.5, "queue": 0.1}),
        ("a; dur=2 ,b;dur=3", {"a": 2.0, "b": 3.0}),
    ],
)
def test_server_timing_is_read_by_stage(header, expected):
    assert parse_server_timing(header) == expected


def test_rates_come_from_the_wall_time():
    outcome = Outcome([10.0, 20.0, 30.0, 40.0], wall_seconds=0.5, generator_cpu_seconds=0.1, stages_ms={})

    assert (outcome.requests, outcome.requests_per_second) == (4, 8)
    assert (outcome.median_ms, outcome.p99_ms) == (25, 40)
    assert outcome.generator_cpu_share == pytest.approx(0.2)


class Echo(http.server.BaseHTTPRequestHandler):
    """Answers with what it got, and 404 where the path says so."""

    protocol_version = "HTTP/1.1"
    received: list[tuple[str, str, bytes]]

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.received.append((self.path, self.headers["Content-Type"], body))
        self.send_response(404 if self.path == "/missing" else 200)
        self.send_header("Server-Timing", f"decode;dur={len(body)}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Write nothing."""


@pytest.fixture
def echo():
    handler = type("Handler", (Echo,), {"received": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    with contextlib.closing(server.socket):
        yield server.server_address[1], handler.received
        server.shutdown()
        thread.join()


loopback = [pytest.mark.enable_socket, pytest.mark.allow_hosts(["127.0.0.1"])]


class TestPosting:
    pytestmark = loopback

    def test_every_request_is_sent_once_whoever_sends_it(self, echo):
        port, received = echo
        posts = [Post("/a", bytes(length), "image/tiff") for length in range(1, 8)]

        outcome = post_all(port, posts, clients=3)

        assert sorted(received) == [("/a", "image/tiff", post.body) for post in posts]
        assert outcome.requests == 7
        assert outcome.stages_ms == {"decode": 4}

    def test_none_is_begun_when_the_time_is_over(self, echo):
        port, received = echo

        assert post_all(port, [Post("/a", b"")] * 5, clients=2, seconds=0).requests == 0
        assert received == []

    def test_another_status_than_200_ends_the_benchmark(self, echo):
        port, received = echo

        with pytest.raises(RuntimeError, match="404: b'x'"):
            post_all(port, [Post("/missing", b"x")] * 9, clients=1)

        assert len(received) == 1

    def test_failures_are_counted_where_that_is_wanted_and_make_no_figure(self, echo):
        port, received = echo
        posts = [Post("/missing", b"xx"), *[Post("/a", b"xx")] * 3, Post("/missing", b"xx")]

        outcome = post_all(port, posts, clients=1, counts_failures=True)

        assert (outcome.requests, outcome.failed, len(received)) == (3, 2, 5)

    def test_failures_alone_are_no_outcome(self, echo):
        with pytest.raises(RuntimeError, match="404: b'x'"):
            post_all(echo[0], [Post("/missing", b"x")] * 3, clients=1, counts_failures=True)
