"""Fixtures of the service's tests."""

import contextlib
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from starlette.testclient import TestClient

from monolayer_service.admission.gate import Gate
from monolayer_service.admission.limits import GateLimits
from monolayer_service.app import create_app
from monolayer_service.scheduler.scheduler import TileScheduler
from monolayer_service.settings import Settings
from monolayer_service.telemetry.metrics import Metrics


@pytest.fixture(scope="module")
def client(toy_bundles):
    """Client of one service for a whole module: tests only ask it, none changes it."""
    app = create_app(Settings(models=toy_bundles))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def post_png(blobs_png):
    """Give a function that posts `blobs` as a raw PNG body."""

    def post(client, path="/v1/segment", **query):
        return client.post(path, params=query, content=blobs_png, headers={"Content-Type": "image/png"})

    return post


@pytest.fixture
def make_gate():
    """Give a function that makes a gate with limits small enough to be met; ``make_gate(running_requests=1)``."""
    values = {
        "running_requests": 2,
        "waiting_requests": 3,
        "running_megapixels": 500,
        "waiting_megapixels": 500,
        "held_bytes": 1000,
        "deadline_seconds": 60,
        "deadline_seconds_per_megapixel": 0,
    }
    with contextlib.ExitStack() as stack:

        def make(clock=time.monotonic, **changes):
            gate = Gate(GateLimits(**(values | changes)), Metrics(), clock)
            stack.callback(gate.close)
            return gate

        yield make


@pytest.fixture
def make_scheduler():
    """Give a function that starts a scheduler; ``make_scheduler(runs_at_once=2)``."""
    with contextlib.ExitStack() as stack:

        def make(runs_at_once=1, patience_seconds=0.0, guests=0, **options):
            scheduler = TileScheduler(Metrics(), patience_seconds=patience_seconds)
            stack.callback(scheduler.close)
            scheduler.start(runs_at_once, guests, **options)
            return scheduler

        yield make


@pytest.fixture
def requests():
    """Threads of requests."""
    with ThreadPoolExecutor(8) as pool:
        yield pool
