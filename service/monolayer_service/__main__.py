"""``monolayer-serve``: run the service under uvicorn."""

import os
import signal
import sys
from pathlib import Path

# The first process of a container is not ended by a signal that it has no handler for: one that came during the
# imports, which take a second, would be lost. Nothing is under way that would have to be finished, and an exception
# might end in a callback within an import. uvicorn puts its own handler in the place of this one. Whoever imports this
# module as a part of another program keeps theirs.
if __name__ == "__main__" or Path(sys.argv[0]).stem == "monolayer-serve":
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))

import argparse
import contextlib
import gc
import socket
import time
from collections.abc import Iterator
from types import FrameType

import structlog
import uvicorn
from fastapi import FastAPI
from pydantic import ValidationError

from monolayer_service.app import create_app, reload_bundles, stop_being_ready
from monolayer_service.connections import protocol_with_patience
from monolayer_service.settings import Settings, misspelt_settings, problems_of
from monolayer_service.telemetry.logs import configure_logging

log = structlog.get_logger(__name__)

_KEEP_ALIVE_SECONDS = 75
"""Longer than the 60 seconds of common load balancers: the side that reuses a connection should close it."""

_SWITCH_SECONDS = 0.001
"""After which a thread that computes in Python lets another one go on. With Python's own five milliseconds the event
loop, and with it a probe, waits for each of them in turn."""


class Server(uvicorn.Server):
    """A server whose readiness falls before its port closes, so that a load balancer can look away first.

    Requests in flight are finished in any case; a second signal does not wait for the drain time. Having stopped when
    ``SIGTERM`` asked for it is a success, with exit status 0; uvicorn would end by the signal, which platforms show as
    an error. ``SIGHUP`` loads the bundles anew.
    """

    def __init__(self, config: uvicorn.Config, app: FastAPI, drain_seconds: float) -> None:
        super().__init__(config)
        self._app = app
        self._drain_seconds = drain_seconds
        self._close_at: float | None = None
        self._is_reload_wanted = False
        self._ends_with_terminal = False

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until a signal says to stop; the one to reload is heard from here on, also while bundles are loaded."""
        if hasattr(signal, "SIGHUP"):
            is_ignored = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN  # as under nohup
            self._ends_with_terminal = has_terminal() and not is_ignored
            signal.signal(signal.SIGHUP, self.handle_hangup)
        super().run(sockets)

    def handle_hangup(self, _: int, frame: FrameType | None) -> None:
        """Note that the bundles are to be loaded anew; a terminal that was closed stops the service."""
        if self._ends_with_terminal and not has_terminal():
            self.handle_exit(signal.SIGTERM, frame)
        self._is_reload_wanted = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Let readiness fall; close the port now, or after the drain time where there is one.

        Nobody sends requests to a server whose start has not ended: it waits for none and stops when it has loaded.
        """
        stop_being_ready(self._app)
        if self.started and self._close_at is None and self._drain_seconds:
            self._close_at = time.monotonic() + self._drain_seconds
        elif sig == signal.SIGTERM:
            self.should_exit = True
        else:
            super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        """Reload where that is wanted, close the port when its time has come; uvicorn asks ten times a second."""
        if self._is_reload_wanted:
            self._is_reload_wanted = False
            reload_bundles(self._app)
        if self._close_at is not None and time.monotonic() >= self._close_at:
            self.should_exit = True
        return await super().on_tick(counter)


def has_terminal() -> bool:
    """Whether the process has a controlling terminal; one that was closed is none."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


def serve(settings: Settings) -> None:
    """Serve until a signal says to stop."""
    configure_logging(settings)
    for name, meant in misspelt_settings(os.environ).items():
        log.warning("setting not known", name=name, did_you_mean=meant)
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        root_path=settings.root_path,
        # By h11: httptools, the default, loses the body of a POST that asks for h2c, as Java's HttpClient does.
        http=protocol_with_patience(settings.head_seconds),
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=settings.shutdown_seconds,
    )
    # Tens of thousands of objects live as long as the process. Unfrozen, a large answer makes the collector look at all
    # of them, which takes several times as long as writing the answer.
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(_SWITCH_SECONDS)
    Server(config, app, settings.drain_seconds).run()


@contextlib.contextmanager
def wrong_settings_told() -> Iterator[None]:
    """End the program with exit status 2, and a line for each setting that is wrong."""
    try:
        yield
    except ValidationError as error:
        sys.stderr.writelines(f"monolayer-serve: {problem}\n" for problem in problems_of(error))
        sys.exit(2)


def main() -> None:
    """Entry point of the command."""
    with wrong_settings_told():
        settings = Settings()
    parser = argparse.ArgumentParser(
        prog="monolayer-serve",
        description="Serve masks, counts and confluency over HTTP. Everything else is set by MONOLAYER_* variables.",
    )
    parser.add_argument("--host", default=settings.host, help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=settings.port, help="port to listen on (default: %(default)s)")
    arguments = parser.parse_args()
    with wrong_settings_told():
        settings = Settings(host=arguments.host, port=arguments.port)
    # Asked by SIGINT uvicorn stops as it does for SIGTERM, and then raises what Python would have raised at once.
    with contextlib.suppress(KeyboardInterrupt):
        serve(settings)


if __name__ == "__main__":
    main()
