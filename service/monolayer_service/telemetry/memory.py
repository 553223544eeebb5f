"""Memory of this process."""

import mmap
from pathlib import Path

_STATM = Path("/proc/self/statm")


def resident_bytes(statm: Path = _STATM) -> int | None:
    """Resident memory of the process in bytes; None where the system does not tell (Linux does)."""
    try:
        return int(statm.read_text(encoding="ascii").split()[1]) * mmap.PAGESIZE
    except OSError:
        return None
