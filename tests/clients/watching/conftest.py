"""A folder, a clock and a service that do what a script says, so that nothing has to be waited for."""

import asyncio
import hashlib
import json
from collections import deque

import pytest

from monolayer_client.errors import RefusedError
from monolayer_client.image_body import FileContent
from monolayer_client.result_folder import ImageWork, ResultFolder
from monolayer_client.watching.sightings import Sighting, Stamp
from monolayer_client.watching.watcher import Surroundings, Watcher

SETTLE_S = 2.0
QUIET_ROUNDS = 4


def answer_to(image_id, content):
    return {
        "image_id": image_id,
        "image": {"sha256": hashlib.sha256(content).hexdigest()},
        "confluency": {"percent": float(len(content)), "of": "cell"},
        "count": len(content),
        "method": "unet",
        "model": {"name": "cells", "version": "1"},
        "fallback": None,
        "quality": {"flags": []},
    }


class World:
    """Files by name, each with bytes, time of change and number; time passes only when something is waited for.

    `script` holds functions, one for each time that the watch waits for a change; behind its end it stays quiet, and
    once nothing is left to do the watch is stopped. `service` holds errors that are raised first, one per request.
    Options with `refused_options` among them are refused before the image is looked at, others over bytes that are
    `unsuited`. `made` says of which bytes an answer must be there, by image.
    """

    def __init__(self, folder):
        self.folder = folder
        self.files = {}
        self.now_s = 1000.0
        self.script = deque()
        self.service = deque()
        self.asked = []
        self.file_names = []
        self.answered = []
        self.listed = []
        self.held_up = []
        self.rows = {}
        self.is_reachable = True
        self.is_full = False
        self.made = {}
        self.refused_options = None
        self.unsuited = None
        self.ends = "stop"
        self._next_id = 1

    def write(self, name, content, *, age_s=0.0):
        self.now_s += 0.001
        file_id = self.files[name][2] if name in self.files else self._next_id
        self._next_id += 1
        self.files[name] = (content, round((self.now_s - age_s) * 1e9), file_id)

    def grow(self, name, more):
        if name in self.files:
            self.write(name, self.files[name][0] + more)

    def rename(self, name, other):
        if name in self.files and name != other:
            self.files[other] = self.files.pop(name)

    def delete(self, name):
        self.files.pop(name, None)

    # what the watch sees

    async def look(self):
        await asyncio.sleep(0)
        if not self.is_reachable:
            raise PermissionError("the network path was not found")
        return {name: self._sighting(name) for name in list(self.files)}

    async def sight(self, name):
        await asyncio.sleep(0)
        return self._sighting(name) if name in self.files else None

    def _sighting(self, name):
        content, mtime_ns, file_id = self.files[name]
        return Sighting(Stamp(len(content), mtime_ns), (1, file_id))

    async def read(self, name):
        await asyncio.sleep(0)
        if name not in self.files:
            raise FileNotFoundError(name)
        return self.files[name][0]

    async def changed(self, timeout_s):
        await asyncio.sleep(0)
        if self.script:
            self.script.popleft()()
            return
        if self.ends != "quiet":
            self.end()
            await asyncio.sleep(0)
            return
        if self.watcher._backlog.is_idle:
            self.quiet += 1
            if self.quiet > QUIET_ROUNDS:
                self.watcher.stop()
            self.now_s += timeout_s

    def end(self):
        if self.ends == "crash":
            self.running.cancel()
        else:
            self.watcher.stop()

    async def pause(self, pause_s):
        self.now_s += pause_s
        await asyncio.sleep(0)

    # the service

    async def ask(self, client, image_id, file, keep, on_progress):
        for _ in range(3):
            await asyncio.sleep(0)
        content = file  # no bytes, where only the options are tried
        if isinstance(file, FileContent):
            content = file.content
            self.file_names.append(file.file_name)
        if self.service:
            self.asked.append((image_id, content))
            raise self.service.popleft()
        if self.refused_options is not None and self.refused_options.items() <= self.options.items():
            ((name, value),) = self.refused_options.items()
            raise RefusedError(f"{name}={value} cannot be used", status=422, service_code="invalid_option")
        if not content:
            raise RefusedError("the image has no bytes", status=400, service_code="empty_image")
        self.asked.append((image_id, content))
        if content == self.unsuited and "channel" in self.options:
            message = f"channel={self.options['channel']} is outside the image"
            raise RefusedError(message, status=422, service_code="invalid_option")
        if content.startswith(b"bad"):
            self.made.pop(image_id, None)
            raise RefusedError("no image", status=415, service_code="unknown_format")
        if self.is_full:
            raise OSError("no space left on device")
        answer = answer_to(image_id, content)
        keep(".confluency.json", json.dumps(answer).encode())
        self.made[image_id] = answer["image"]["sha256"]
        return answer

    # who is told

    def on_answered(self, image_id, answer, latency_s):
        self.answered.append((image_id, answer["count"], latency_s))

    def live(self, script=(), *, ends="quiet", **options):
        """One life of the watch, from start to `quiet`, `stop` or `crash`."""
        self.script, self.ends, self.quiet, self.options = deque(script), ends, 0, options
        work = ImageWork(self.ask, (".confluency.json",), options, "confluency.csv")
        with ResultFolder(self.folder, work) as results:
            asyncio.run(self._run(results))
        return self

    async def _run(self, results):
        around = Surroundings(
            self.look, self.sight, self.read, lambda: self.now_s, lambda: self.now_s, self.changed, self.pause
        )
        self.watcher = Watcher(None, results, around, _Listener(self), SETTLE_S, 10.0, 2)
        self.running = asyncio.current_task()
        try:
            await self.watcher.run()
        except asyncio.CancelledError:
            asyncio.current_task().uncancel()


class _Listener:
    def __init__(self, world):
        self._world = world

    def answered(self, image_id, answer, latency_s):
        self._world.on_answered(image_id, answer, latency_s)

    def troubles(self, troubles):
        self._world.listed = troubles

    def waiting(self, reason):
        self._world.held_up.append(reason)

    def idle(self, rows):
        self._world.rows = dict(rows)


@pytest.fixture
def world(tmp_path):
    return World(tmp_path / "results")


@pytest.fixture(scope="session")
def make_world():
    return World
