"""How much processor time the process' control groups allow it, on Linux.

A container sees its own group at the root of the file system of groups. A unit of systemd (``CPUQuota=``), or a
container that shares its host's view, sees all groups and stands in one further down; the least quota on the way to it
counts. Version 2 of control groups has one tree, version 1 one for each kind of resource.
"""

import math
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

GROUPS = Path("/sys/fs/cgroup")
OWN_GROUPS = Path("/proc/self/cgroup")


def quota_cores(groups: Path = GROUPS, own_groups: Path = OWN_GROUPS) -> float:
    """Give the cores' worth of time that the process may use in all; infinity where nothing bounds it.

    Parameters
    ----------
    groups
        Where the file system of control groups is mounted.
    own_groups
        Names the process' group in each tree.
    """
    return min((_quota(folder) for folder in _folders(groups, own_groups)), default=math.inf)


def _folders(groups: Path, own_groups: Path) -> Iterator[Path]:
    """Folders of the process' groups that may bound the processor, and of all groups above these."""
    try:
        lines = own_groups.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    yield groups  # of a container with a view of its own, whatever its group is called outside
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:
            yield from _chain(groups, path)
        elif "cpu" in controllers.split(","):
            for name in dict.fromkeys((controllers, "cpu")):
                yield groups / name
                yield from _chain(groups / name, path)


def _chain(root: Path, path: str) -> Iterator[Path]:
    parts = [part for part in PurePosixPath(path).parts if part not in ("/", "..")]
    for count in range(1, len(parts) + 1):
        yield root.joinpath(*parts[:count])


def _quota(folder: Path) -> float:
    """Give the quota of one group in cores; infinity where it has none, or none that can be read."""
    try:
        if (unified := folder / "cpu.max").exists():
            limit, period = unified.read_text(encoding="ascii").split()
        else:
            limit = (folder / "cpu.cfs_quota_us").read_text(encoding="ascii").strip()
            period = (folder / "cpu.cfs_period_us").read_text(encoding="ascii").strip()
        return int(limit) / int(period) if limit != "max" and int(limit) > 0 else math.inf
    except (OSError, ValueError, ZeroDivisionError):
        return math.inf
