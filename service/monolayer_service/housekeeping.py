"""Memory is given back when nothing runs.

The runtimes keep what their largest runs once took, because giving it back after every run costs a quarter of the
speed; and the C library keeps what threads have freed, which it is told to (`keep_freed_memory`). Both are trimmed once
the service has had nothing to do for a while.
"""

import asyncio
import ctypes
from collections.abc import Callable

import structlog

from monolayer_service.admission.gate import Gate
from monolayer_service.containment import contained
from monolayer_service.registry import Registry
from monolayer_service.telemetry.memory import resident_bytes

log = structlog.get_logger(__name__)


class Housekeeper:
    """Looks in from time to time, and gives memory back once after every stretch of work.

    Parameters
    ----------
    registry
        Gives the bundles of now.
    """

    def __init__(self, gate: Gate, registry: Callable[[], Registry]) -> None:
        self._gate = gate
        self._registry = registry
        self._finished_at_last_look = 0
        self._finished_at_last_trim = 0

    async def look(self) -> None:
        """Trim if nothing runs, nothing was finished since the last look, and something since the last trim."""
        finished = self._gate.finished
        is_quiet = self._gate.is_idle and finished == self._finished_at_last_look
        self._finished_at_last_look = finished
        if is_quiet and finished != self._finished_at_last_trim:
            self._finished_at_last_trim = finished
            await asyncio.get_running_loop().run_in_executor(
                self._gate.pool, contained, give_back_memory, self._registry()
            )


async def keep_house(gate: Gate, registry: Callable[[], Registry], idle_seconds: float) -> None:
    """Look in every `idle_seconds`, for ever; cancelled when the service stops. A failed look is logged."""
    housekeeper = Housekeeper(gate, registry)
    while True:
        await asyncio.sleep(idle_seconds)
        try:
            await housekeeper.look()
        except Exception:  # whatever went wrong this time, the next look must come
            log.exception("housekeeping failed")


def give_back_memory(registry: Registry) -> None:
    """Trim the runtime's memory and the C library's."""
    before = resident_bytes() or 0
    registry.trim()
    if (trim := _glibc("malloc_trim")) is not None:
        trim(0)
    log.info("memory given back", before_mib=before >> 20, after_mib=(resident_bytes() or 0) >> 20)


_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # of malloc.h
_KEPT_BYTES = 256 << 20
_LARGE_BYTES = 32 << 20  # the most that glibc takes


def keep_freed_memory() -> None:
    """Tell glibc to keep what is freed while requests come; elsewhere nothing happens.

    Left to itself it gives the layers of a 1024² image back after every step, and the system clears their pages anew
    for the next: a fifth of the processor time. It also keeps a heap for each thread, whose end `malloc_trim` never
    gives back; all threads share one heap instead. Arrays of 32 MiB and more come from the system as before.
    """
    if (tune := _glibc("mallopt")) is not None:
        tune(_ARENA_MAX, 1)
        tune(_TRIM_THRESHOLD, _KEPT_BYTES)
        tune(_MMAP_THRESHOLD, _LARGE_BYTES)


def _glibc(name: str) -> Callable[..., int] | None:
    """Give a function of glibc that other C libraries have not."""
    try:
        function: Callable[..., int] = getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError, TypeError):
        return None
    return function
