"""Requests that are still in work when the time to shut down is over."""

import json
import signal
import socket

import pytest

pytestmark = [pytest.mark.enable_socket, pytest.mark.allow_hosts(["127.0.0.1"])]

HEAD = (
    b"POST /v1/segment HTTP/1.1\r\nHost: service\r\nX-Request-ID: cut-off\r\n"
    b"Content-Type: image/png\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n\r\n"
)


@pytest.mark.fault("the time to shut down ends before a request", "503 with Retry-After, a warning, no traceback")
def test_a_request_that_is_cut_off_is_told_to_come_back(toy_bundles, running_server):
    server = running_server(toy_bundles, shutdown_seconds=1)
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(HEAD)
        assert connection.recv(65536).startswith(b"HTTP/1.1 100 ")  # the request is in work, and waits for its body
        server.process.send_signal(signal.SIGTERM)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, body = answer.split(b"\r\n\r\n", 1)
    status, *headers = head.decode().lower().split("\r\n")
    assert status.startswith("http/1.1 503 ")
    assert {"retry-after: 1", "connection: close", "x-request-id: cut-off"} <= set(headers)
    error = json.loads(body)["error"]
    assert (error["code"], error["request_id"]) == ("not_ready", "cut-off")
    assert server.process.wait(60) == 0
    assert server.stop() == 0
    (line,) = server.events_with(event="request", path="/v1/segment")
    assert line["status"] == 503
    assert [event["level"] for event in server.events_with(event="request cut off")] == ["warning"]
    assert [event for event in server.events() if "exception" in event] == []
