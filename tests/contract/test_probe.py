"""The health check of the image, against programs that answer and programs that do not."""

import contextlib
import doctest
import json
import re
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from monolayer_service import probe

pytestmark = [pytest.mark.enable_socket, pytest.mark.allow_hosts(["127.0.0.1", "::1"])]

DOCKERFILE = Path(__file__).resolve().parents[2] / "Dockerfile"
WILDCARD = "0.0.0.0"  # noqa: S104 - nothing is bound to it
NOBODY = "http://127.0.0.1:9"


class Alive(BaseHTTPRequestHandler):
    """Answers /livez with the status of its server."""

    def do_GET(self):
        self.send_response(self.server.status if self.path == "/livez" else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Listener(ThreadingHTTPServer):
    status = 200


class ListenerOnIPv6(Listener):
    address_family = socket.AF_INET6


@contextlib.contextmanager
def answering(host="127.0.0.1"):
    """A program that listens on a free port of this address only."""
    with (ListenerOnIPv6 if ":" in host else Listener)((host, 0), Alive) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def ask(monkeypatch):
    """Give a function that probes in this process, by settings."""

    def ask(**settings):
        for name, value in settings.items():
            monkeypatch.setenv(f"MONOLAYER_{name.upper()}", str(value))
        return probe.main()

    return ask


def has_ipv6():
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as listener:
        listener.bind(("::1", 0))
        return True
    return False


@pytest.mark.parametrize("host", ["127.0.0.1", WILDCARD, ""])
def test_a_service_is_found_where_it_listens(ask, host, capsys):
    with answering() as server:
        assert ask(host=host, port=server.server_port) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.skipif(not has_ipv6(), reason="the system has no IPv6")
@pytest.mark.parametrize("host", ["::1", "::"])
def test_so_is_one_on_ipv6(ask, host):
    with answering("::1") as server:
        assert ask(host=host, port=server.server_port) == 0


def test_where_nobody_listens_it_is_dead(ask, capsys):
    with socket.socket() as taken:  # bound, so that nobody else takes the port, but not listened on
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        assert ask(host="127.0.0.1", port=port) == 1
    assert capsys.readouterr().err.startswith(f"no answer from 127.0.0.1 on port {port}: ConnectionRefusedError")


def test_who_takes_connections_and_never_answers_is_dead(ask, monkeypatch):
    monkeypatch.setattr(probe, "_PATIENCE_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert ask(port=server.getsockname()[1]) == 1


def test_what_answers_but_is_not_well_is_dead(ask, capsys):
    with answering() as server:
        server.status = 503
        assert ask(port=server.server_port) == 1
    assert capsys.readouterr().err == "/livez answered with status 503\n"


def test_who_speaks_no_http_is_dead(ask):
    def hang_up(server):
        server.accept()[0].close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=hang_up, args=(server,))
        thread.start()
        assert ask(port=server.getsockname()[1]) == 1
        thread.join()


def test_wrong_settings_are_told(ask, capsys):
    assert ask(port="abc") == 1
    assert capsys.readouterr().err.startswith("MONOLAYER_PORT='abc': ")


def test_the_examples_are_true():
    assert doctest.testmod(probe).failed == 0


@pytest.mark.fault("a proxy in the environment that reaches nobody", "the image's health check finds the service alive")
def test_the_images_check_finds_the_service_past_every_proxy(toy_bundles, running_server):
    check = json.loads(re.search(r"^HEALTHCHECK .*\\\n +CMD (\[.*\])$", DOCKERFILE.read_text(), re.MULTILINE)[1])
    assert check[0] == "python"
    server = running_server(toy_bundles)
    proxies = {name: NOBODY for word in ("http_proxy", "https_proxy", "all_proxy") for name in (word, word.upper())}
    run = subprocess.run(
        [sys.executable, *check[1:]],
        env={**proxies, "MONOLAYER_HOST": WILDCARD, "MONOLAYER_PORT": str(server.port)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert server.stop() == 0
    assert (run.returncode, run.stderr) == (0, "")
