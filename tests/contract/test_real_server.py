"""Promises that only a real server on a real (loopback) port can keep: parsing, upgrades, signals."""

import fcntl
import json
import os
import shutil
import signal
import socket
import termios
import threading

import numpy as np
import pytest

from monolayer_core.image_io import encode_png

pytestmark = [pytest.mark.enable_socket, pytest.mark.allow_hosts(["127.0.0.1"])]

MEBIBYTE = 2**20


@pytest.fixture(scope="module")
def server(toy_bundles, running_server):
    server = running_server(toy_bundles, max_body_mib=1)
    yield server
    assert server.stop() == 0
    assert [event for event in server.events() if event["level"] in ("error", "critical")] == []


def test_a_post_that_offers_h2c_keeps_its_body_as_from_javas_http_client(server, blobs_png):
    upgrade = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAEAAEAAAAIAAAABAAMAAABk"}
    answer, body = server.post(blobs_png, upgrade)
    assert answer.status == 200
    assert json.loads(body)["count"] == 3


def test_behind_a_proxy_that_strips_a_prefix_the_description_names_it(toy_bundles, running_server, blobs_png):
    server = running_server(toy_bundles, root_path="/cells", confluency_model="nuclei")
    assert server.post(blobs_png)[0].status == 200
    with server.connect() as connection:
        connection.request("GET", "/openapi.json")
        description = json.loads(connection.getresponse().read())
    assert [place["url"] for place in description["servers"]] == ["/cells"]
    assert server.stop() == 0
    assert [event for event in server.events() if event["level"] in ("warning", "error", "critical")] == []


def test_one_connection_serves_several_requests(server, blobs_png):
    with server.connect() as connection:
        for _ in range(3):
            connection.request("POST", "/v1/segment", blobs_png, {"Content-Type": "image/png"})
            assert json.loads(connection.getresponse().read())["count"] == 3


def test_head_gets_the_head_of_get_and_leaves_the_connection_in_use(server):
    with server.connect() as connection:
        for path in ("/", "/livez", "/openapi.json"):
            heads = []
            for method in ("GET", "HEAD"):
                connection.request(method, path)
                answer = connection.getresponse()
                body = answer.read()
                heads.append((answer.status, answer.getheader("Content-Type"), answer.getheader("Content-Length")))
                assert len(body) == (int(answer.getheader("Content-Length")) if method == "GET" else 0)
            assert heads[0] == heads[1]


def test_a_body_that_is_announced_too_large_is_refused_before_it_is_sent(server):
    head = (
        "POST /v1/segment HTTP/1.1\r\nHost: a\r\nContent-Type: image/png\r\n"
        f"Content-Length: {100 * MEBIBYTE}\r\nExpect: 100-continue\r\n\r\n"
    )
    answer = server.raw(head.encode())
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"100 Continue" not in answer


def test_a_body_that_is_welcome_is_asked_for(server, blobs_png):
    head = (
        "POST /v1/segment HTTP/1.1\r\nHost: a\r\nContent-Type: image/png\r\n"
        f"Content-Length: {len(blobs_png)}\r\nExpect: 100-continue\r\n\r\n"
    )
    assert server.raw(head.encode()).startswith(b"HTTP/1.1 100 ")


def test_a_caller_that_sends_too_much_all_the_same_can_read_why(server):
    answer, body = server.post(bytes(3 * MEBIBYTE))
    assert answer.status == 413
    assert json.loads(body)["error"]["code"] == "image_too_large"


def test_a_caller_that_goes_away_while_sending_leaves_no_error_behind(server, blobs_png):
    head = "POST /v1/segment HTTP/1.1\r\nHost: a\r\nContent-Type: image/png\r\nContent-Length: 5000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(head.encode() + blobs_png[:100])
    assert server.post(blobs_png)[0].status == 200


@pytest.mark.parametrize(
    "text",
    [b"nonsense\r\n\r\n", b"POST /v1/segment HTTP/1.1\r\nHost: a\r\nContent-Length: many\r\n\r\n"],
    ids=["no HTTP", "length that is no number"],
)
def test_what_is_no_http_is_a_400(server, text):
    assert server.raw(text).startswith(b"HTTP/1.1 400 ")


def test_every_log_line_is_json_and_requests_have_ids(server, blobs_png):
    answer, _ = server.post(blobs_png, {"X-Request-ID": "find-me"})
    assert answer.getheader("X-Request-ID") == "find-me"
    assert answer.getheader("Server") is None
    assert [event["event"] for event in server.events_with(request_id="find-me")] == ["request"]


def test_the_server_is_ready_when_it_listens(server):
    with server.connect() as connection:
        connection.request("GET", "/readyz")
        assert connection.getresponse().status == 200


def test_a_signal_lets_readiness_fall_and_requests_in_flight_finish(toy_bundles, running_server):
    server = running_server(toy_bundles, drain_seconds=2)
    large = encode_png(np.random.default_rng(0).integers(0, 256, (400, 400), np.uint8))
    answers = []
    with server.connect() as probe:
        probe.request("GET", "/readyz")
        assert probe.getresponse().read()
        flight = threading.Thread(target=lambda: answers.append(server.post(large)[0].status))
        flight.start()
        server.process.send_signal(signal.SIGTERM)
        status = 200
        while status == 200:
            probe.request("GET", "/readyz")
            answer = probe.getresponse()
            status = answer.status
            answer.read()
        assert status == 503
        assert server.post(large)[0].status == 200
    flight.join(60)
    assert answers == [200]
    assert server.stop() == 0


@pytest.fixture
def replaceable(toy_bundle, tmp_path):
    """A folder of bundles, and a function that replaces its one bundle by another version of it."""
    models = tmp_path / "models"
    models.mkdir()

    def put(version):
        shutil.rmtree(models / "nuclei", ignore_errors=True)
        toy_bundle(tmp_path / version, "nuclei", version=version).rename(models / "nuclei")

    put("1.0.0")
    return models, put


@pytest.mark.fault(
    "reload: SIGHUP to a server under load", "other bundles answer; no request lost, a second signal too"
)
def test_a_hangup_loads_the_bundles_anew_and_no_request_is_lost(
    replaceable, blobs_png, record_property, running_server
):
    models, put = replaceable
    server = running_server(models)
    answers, is_done = [], threading.Event()

    def ask():
        while not is_done.is_set():
            answers.append(server.post(blobs_png))

    callers = [threading.Thread(target=ask) for _ in range(3)]
    for caller in callers:
        caller.start()
    for number, version in enumerate(["2.0.0", "3.0.0"], 1):
        put(version)
        server.process.send_signal(signal.SIGHUP)
        assert len(server.events_with(event="reloaded", count=number)) == number
        assert json.loads(server.post(blobs_png)[1])["model"]["version"] == version
    is_done.set()
    for caller in callers:
        caller.join(60)
    assert server.stop() == 0
    assert {answer.status for answer, _ in answers} == {200}
    assert {json.loads(body)["method"] for _, body in answers} == {"unet"}
    assert server.events_with(level="error", count=0) == []
    record_property("figure", f"{len(answers)} requests over two reloads, 0 lost")


@pytest.mark.fault("the terminal of a server is closed", "it stops as on SIGTERM")
def test_a_server_whose_terminal_is_closed_stops(toy_bundles, running_server):
    ours, its = os.openpty()

    def take_terminal():
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests themselves may run under nohup, which is inherited
        fcntl.ioctl(its, termios.TIOCSCTTY, 0)

    options = {"stdin": its, "start_new_session": True, "preexec_fn": take_terminal}
    server = running_server(toy_bundles, process_options=options)
    os.close(its)
    os.close(ours)
    assert server.process.wait(60) == 0
    assert server.stop() == 0


@pytest.mark.fault("Ctrl-C (SIGINT)", "it stops as on SIGTERM, and the last line of its log is one as all others")
@pytest.mark.parametrize("drain_seconds", [0, 0.1])
def test_a_server_that_is_interrupted_stops_without_a_traceback(toy_bundles, running_server, drain_seconds):
    def interrupt_as_usual():  # the tests themselves may run in the background, where it is ignored
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    settings = {"confluency_model": "nuclei", "drain_seconds": drain_seconds}
    server = running_server(toy_bundles, process_options={"preexec_fn": interrupt_as_usual}, **settings)
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(60) == 0
    assert server.stop() == 0
    assert [event for event in server.events() if event["level"] in ("warning", "error", "critical")] == []
