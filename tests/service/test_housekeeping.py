import asyncio
import platform
import subprocess
import sys

import numpy as np
import pytest

from monolayer_service import housekeeping
from monolayer_service.admission.gate import Gate
from monolayer_service.admission.limits import GateLimits
from monolayer_service.app import create_app
from monolayer_service.compute import NetworkThreads
from monolayer_service.housekeeping import Housekeeper, give_back_memory, keep_house
from monolayer_service.registry import load_registry
from monolayer_service.scheduler.scheduler import TileScheduler
from monolayer_service.segmenters.bundle import open_bundle
from monolayer_service.segmenters.runtime import TileSize
from monolayer_service.settings import Settings
from monolayer_service.telemetry.metrics import Metrics


def idle_scheduler():
    return TileScheduler(Metrics(), patience_seconds=0.0)


@pytest.fixture
def gate():
    gate = Gate(GateLimits.of(Settings(), 2), Metrics())
    yield gate
    gate.close()


class CountingRegistry:
    """Counts how often it is trimmed."""

    trims = 0

    def trim(self):
        self.trims += 1


async def work(gate):
    async with gate.enter() as ticket:
        await ticket.start(1)


async def test_memory_is_given_back_once_after_work_that_is_a_look_ago(gate):
    registry = CountingRegistry()
    housekeeper = Housekeeper(gate, lambda: registry)
    trims = []
    for has_work in (False, True, False, False, True, True, False):
        if has_work:
            await work(gate)
        await housekeeper.look()
        trims.append(registry.trims)
    assert trims == [0, 0, 1, 1, 1, 1, 2]


async def test_nothing_is_trimmed_while_a_request_is_inside(gate):
    registry = CountingRegistry()
    housekeeper = Housekeeper(gate, lambda: registry)
    await work(gate)
    await housekeeper.look()
    async with gate.enter():
        await housekeeper.look()
    assert registry.trims == 0
    await housekeeper.look()
    assert registry.trims == 1


async def test_the_service_looks_in_by_itself(toy_bundles, monkeypatch):
    looked = asyncio.Event()

    async def look(self):
        looked.set()

    monkeypatch.setattr(Housekeeper, "look", look)
    app = create_app(Settings(models=toy_bundles, idle_seconds=0.001))
    async with app.router.lifespan_context(app):
        await looked.wait()


async def test_a_look_that_fails_is_followed_by_the_next(gate, monkeypatch):
    looks, looked_again = [], asyncio.Event()

    async def look(self):
        looks.append(self)
        if len(looks) == 1:
            raise RuntimeError("no memory to give")
        looked_again.set()

    monkeypatch.setattr(Housekeeper, "look", look)
    task = asyncio.create_task(keep_house(gate, CountingRegistry, 0.001))
    await looked_again.wait()
    task.cancel()


def test_networks_still_answer_after_their_memory_was_given_back(toy_bundles, monkeypatch):
    from monolayer_service.compute import ComputePlan, NetworkThreads

    registry = load_registry(
        Settings(models=toy_bundles), ComputePlan(NetworkThreads(1, 1), 1, 2, 1), idle_scheduler(), Metrics()
    )
    network = registry.require("nuclei").segmenter.network
    tiles = np.full((1, 64, 64, 1), 200, np.uint8)
    before = network.run(tiles)
    give_back_memory(registry)
    np.testing.assert_array_equal(network.run(tiles), before)
    monkeypatch.setattr(housekeeping.ctypes, "CDLL", lambda _: object())
    give_back_memory(registry)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries are not told anything")
def test_what_one_image_took_is_there_for_the_next_and_goes_back_in_the_end():
    """In a process of its own, whose memory nothing else has touched."""
    code = """
import ctypes, resource, threading
import numpy as np
from monolayer_service.housekeeping import keep_freed_memory
from monolayer_service.telemetry.memory import resident_bytes
def layers():
    return [np.ones(4 << 20, dtype=np.uint8) for _ in range(20)]
def images():
    for _ in range(3):
        layers()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    layers()
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
faults = []
keep_freed_memory()
for _ in range(2):
    thread = threading.Thread(target=images)
    thread.start()
    thread.join()
assert max(faults) < 100, faults
kept = resident_bytes()
ctypes.CDLL(None).malloc_trim(0)
assert resident_bytes() < kept - (60 << 20)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_a_service_without_networks_has_nothing_of_theirs_to_trim(tmp_path):
    from monolayer_service.compute import ComputePlan, NetworkThreads

    give_back_memory(
        load_registry(
            Settings(models=tmp_path), ComputePlan(NetworkThreads(1, 1), 1, 2, 1), idle_scheduler(), Metrics()
        )
    )


def test_all_networks_draw_from_one_arena(toy_bundles):
    session_options = [
        network.open(TileSize(64, 64))._session.get_session_options()
        for network in (
            open_bundle(toy_bundles / name, prefer_cuda=False, threads=NetworkThreads(1, 1))
            for name in ("nuclei", "blood")
        )
    ]
    entries = [options.get_session_config_entry("session.use_env_allocators") for options in session_options]
    assert entries == ["1", "1"]
