"""Who is counted as answered, refused or lost, and which refusals named a wrong time."""

import contextlib
import http.server
import itertools
import threading

import pytest
from benchmarks.load import Post
from benchmarks.pressure import Pressed, Reply, WrongTimes, parse_answer, press, wrong_times


def finished(*times):
    return [Reply(at=time, seconds=1.0, status=200) for time in times]


def refused(at, retry_after_s, status=429):
    return Reply(at, 0.01, status, retry_after_s)


def test_a_time_is_right_when_a_request_was_finished_within_it():
    replies = [*finished(0.5, 1.5, 2.5, 9), refused(1.0, 1), refused(3.0, 5, 503)]
    assert wrong_times(replies, most_inside=10) == WrongTimes([refused(3.0, 5, 503)], [])


def test_a_time_is_wrong_when_everybody_ahead_had_left_long_before():
    replies = [*finished(1, 2, 3, 4, 5, 6, 20), refused(0.0, 8)]
    assert wrong_times(replies, most_inside=6) == WrongTimes([], [])
    assert wrong_times(replies, most_inside=5) == WrongTimes([], [refused(0.0, 8)])


def test_what_the_end_of_the_run_leaves_open_is_not_judged():
    assert wrong_times([*finished(1, 2), refused(1.5, 3)], most_inside=1) == WrongTimes([], [])
    assert wrong_times([refused(1.5, 3)], most_inside=1) == WrongTimes([], [])


def test_lost_is_what_was_neither_answered_nor_told_when_to_come_back():
    replies = [*finished(1, 2, 3), refused(1, 2), refused(1, None), Reply(1, 0.1, 500), Reply(1, 0.1, 422)]
    pressed = Pressed(replies, problems=["reset", "reset"], seconds=3.0, last_sent_at=4.0)
    assert (len(pressed.accepted), len(pressed.refused)) == (3, 2)
    assert pressed.lost == 5


@pytest.mark.parametrize(("passed", "expected"), [(0.5, False), (2.0, True)])
def test_pressure_ends_with_its_time_where_nothing_is_submitted(passed, expected):
    from benchmarks.overload import is_over

    assert is_over(passed, seconds=1.0, submitting=None) is expected


def test_an_answer_is_read_when_it_is_whole_and_not_before():
    head = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 7\r\nConnection: close\r\nContent-Length: 8\r\n\r\n"
    whole = head + b"not now!"
    assert parse_answer(whole) == (503, "7", True)
    assert {parse_answer(whole[:end]) for end in range(len(whole))} == {None}


class Bouncer(http.server.BaseHTTPRequestHandler):
    """Answers every second request, sends every fourth away, and hangs up on one."""

    protocol_version = "HTTP/1.1"
    numbers = itertools.count()
    bodies: list[bytes]

    def do_POST(self):
        self.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        number = next(self.numbers)
        if number == 10:
            self.close_connection = True
            return
        self.send_response(200 if number % 2 else 429 if number % 4 else 500)
        if number % 4 == 2:
            self.send_header("Retry-After", "3")
        if number % 5 == 0:
            self.send_header("Connection", "close")
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"done")

    def log_message(self, *_):
        pass


@pytest.mark.enable_socket
def test_every_request_of_the_crowd_is_accounted_for():
    Bouncer.numbers, Bouncer.bodies = itertools.count(), []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Bouncer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    with contextlib.closing(server.socket):
        try:
            body = bytes(range(256)) * 300
            pressed = press(
                server.server_port,
                Post("/", body),
                rate=1e6,
                clients=7,
                is_over=lambda _: len(Bouncer.bodies) >= 40,
            )
        finally:
            server.shutdown()
            thread.join()

    count = len(Bouncer.bodies)
    numbers = [number for number in range(count) if number != 10]
    assert count >= 40
    assert set(Bouncer.bodies) == {body}
    assert len(pressed.problems) == 1
    assert len(pressed.replies) == len(numbers)
    assert len(pressed.accepted) == sum(number % 2 for number in numbers)
    assert sorted(reply.status for reply in pressed.replies if reply.status != 200) == sorted(
        429 if number % 4 else 500 for number in numbers if not number % 2
    )
    assert {reply.retry_after_s for reply in pressed.refused} == {3}
    assert pressed.lost == 1 + sum(number % 4 == 0 for number in numbers)
    assert all(0 < reply.seconds < reply.at for reply in pressed.replies)
