"""Loading the folder of bundles anew while requests are answered.

What is new is opened, verified and warmed in a thread of its own, beside what answers; then one assignment puts it in
place. A request keeps the bundles it has met when it came, so that none is lost and none is answered by two versions;
the last one that has met the old ones lets go of them.
"""

import asyncio
import functools
from collections.abc import Callable
from typing import get_args

import structlog
from starlette.concurrency import run_in_threadpool

from monolayer_service.analysis import Analyst
from monolayer_service.containment import contained
from monolayer_service.dependencies import Services
from monolayer_service.housekeeping import give_back_memory
from monolayer_service.registry import BundleState, Registry

log = structlog.get_logger(__name__)


class Reloader:
    """Reloads one after the other; used from the event loop only.

    Parameters
    ----------
    services
        Whose bundles are replaced.
    load
        Loads the folder, given the bundles of before.
    """

    def __init__(self, services: Services, load: Callable[[Registry], Registry]) -> None:
        self._services = services
        self._load = load
        self._task: asyncio.Task[None] | None = None
        self._is_wanted = False

    def request(self) -> None:
        """Reload, or once more after the reload in progress: that may have read what has changed since."""
        self._is_wanted = True
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._reload_while_wanted())

    def close(self) -> None:
        """Put nothing in place any more."""
        if self._task is not None:
            self._task.cancel()

    async def finished(self) -> None:
        """Wait until no reload is in progress."""
        if self._task is not None:
            await asyncio.wait({self._task})

    async def _reload_while_wanted(self) -> None:
        while self._is_wanted:
            self._is_wanted = False
            outcome = "failed"
            try:
                outcome = await self._reload()
            except Exception:  # whatever it is, what answers now goes on, and the next signal is heard
                log.exception("reload failed")
            self._services.metrics.reloads.labels(outcome).inc()

    async def _reload(self) -> str:
        """Put what lies in the folder in place; gives the outcome."""
        services = self._services
        log.info("reload begins")
        registry = await run_in_threadpool(contained, self._load, services.registry)
        services.analyst = Analyst(registry, services.metrics, services.settings.max_whole_pixels)
        states = {bundle.name: bundle.state for bundle in registry.bundles.values()}
        refused = any(bundle.refusal or bundle.stale_because for bundle in registry.bundles.values())
        log.info("reloaded", bundles=states)
        try:
            await run_in_threadpool(contained, _tidy_up, registry, services.settings.idle_memory_mib * 2**20)
        except Exception:  # the bundles are in place all the same
            log.exception("memory not given back")
        return "partial" if refused else "complete"


def _tidy_up(registry: Registry, idle_memory_bytes: int) -> None:
    """Give back the memory of what was replaced, then warm what it left no room for."""
    give_back_memory(registry)
    registry.warm(idle_memory_bytes)


def show_states(services: Services) -> None:
    """Let the metrics count the bundles by state, as they are when they are asked for."""

    def count(state: BundleState) -> float:
        return sum(bundle.state == state for bundle in services.registry.bundles.values())

    for state in get_args(BundleState):
        services.metrics.bundles.labels(state).set_function(functools.partial(count, state))
