"""The service as a program of its own, on a loopback port."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading

import pytest

START = re.compile(r"running on http://127\.0\.0\.1:(\d+)")


class RunningServer:
    """The command in a process of its own; its log lines are collected."""

    def __init__(self, models, *, process_options=None, **settings):
        environment = {f"MONOLAYER_{name.upper()}": str(value) for name, value in settings.items()}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "monolayer_service", "--port", "0"],
            env={**os.environ, "MONOLAYER_MODELS": str(models), **environment},
            stderr=subprocess.PIPE,
            text=True,
            **(process_options or {}),
        )
        self.lines = []
        self._arrival = threading.Condition()
        self.port = self._wait_for_port()
        self._reader = threading.Thread(target=self._read_on, daemon=True)
        self._reader.start()

    def _wait_for_port(self):
        for line in self.process.stderr:
            self.lines.append(line)
            if found := START.search(line):
                return int(found[1])
        raise AssertionError("".join(self.lines))

    def _read_on(self):
        for line in self.process.stderr:
            with self._arrival:
                self.lines.append(line)
                self._arrival.notify_all()

    def connect(self):
        return contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60))

    def post(self, body, headers=None, path="/v1/segment"):
        with self.connect() as connection:
            connection.request("POST", path, body, {"Content-Type": "image/png", **(headers or {})})
            answer = connection.getresponse()
            return answer, answer.read()

    def raw(self, text, end=b"\r\n\r\n"):
        """Send bytes as they are and read until `end`."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as connection:
            connection.sendall(text)
            received = b""
            while end not in received and (chunk := connection.recv(65536)):
                received += chunk
            return received

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        self._reader.join(60)
        self.process.stderr.close()
        return code

    def events(self):
        return [json.loads(line) for line in self.lines]

    def events_with(self, count=1, **values):
        """What was logged with these values, once there are as many lines; whatever they tell of may come earlier."""

        def found():
            return [event for event in self.events() if values.items() <= event.items()]

        with self._arrival:
            self._arrival.wait_for(lambda: len(found()) >= count, timeout=60)
        return found()


@pytest.fixture(scope="session")
def running_server():
    """Give the class: ``running_server(models, **settings)`` starts the program, ``stop()`` ends it."""
    return RunningServer
