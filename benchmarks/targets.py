"""What the service is to reach, and whether it did."""

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.tables import markdown_table


@dataclass(frozen=True)
class Target:
    """A bound on one figure: a least value, or, where `is_floor` is false, a largest one."""

    what: str
    bound: float
    unit: str = ""
    is_floor: bool = False
    decimals: int = 2

    def is_met(self, value: float) -> bool:
        return value >= self.bound if self.is_floor else value <= self.bound

    def share_of_bound(self, value: float) -> float:
        """How far a figure has come towards its bound: at most 1 where it is met, whichever way it counts."""
        return self.bound / value if self.is_floor else value / self.bound

    def write(self, value: float) -> str:
        """A value with its unit."""
        return f"{value:.{self.decimals}f} {self.unit}".rstrip()

    @property
    def written_bound(self) -> str:
        return f"{'≥' if self.is_floor else '≤'} {self.bound:g} {self.unit}".rstrip()


@dataclass(frozen=True)
class Figure:
    """A measured value, and what it was made of."""

    value: float
    made_of: str


TARGETS = {
    "tiles_256": Target("256² PNG, 8 clients, tiles/s against bare `session.run`", 0.80, is_floor=True),
    "cpu_256": Target("the same, processor time outside `session.run`", 20, "%", decimals=0),
    "tiles_1024": Target("1024² PNG, 8 clients, tiles/s against bare `session.run`", 0.85, is_floor=True),
    "cpu_1024": Target("the same, processor time outside `session.run`", 15, "%", decimals=0),
    "single_256": Target("single 256² request above bare inference", 4, "ms", decimals=1),
    "pace_1024": Target("1024² end to end, decode to run lengths", 5, "Mpx/s", is_floor=True),
    "large": Target("8192² per megapixel against 1024², one client", 1.25),
    "fairness": Target("p99 of 256² requests beside a slide against an idle service", 3, "times", decimals=1),
    "memory": Target("resident memory after 2,000 requests of 200 shapes against after 200", 1.05, decimals=3),
    "start": Target("start to ready", 3, "s", decimals=1),
}
"""On two cores, by the name that what measures it gives its figure; in the order of the table."""


SOAK_TARGETS = {
    "memory_growth": Target("growth of resident memory in 1,000 requests", 0, "KiB", decimals=1),
    "file_growth": Target("growth of open files and connections in 1,000 requests", 0),
    "thread_growth": Target("growth of threads in 1,000 requests", 0),
    "surprises": Target("answers of another status than expected", 0, decimals=0),
    "bad_lines": Target("errors in the log", 0, decimals=0),
}

OVERLOAD_TARGETS = {
    "probes": Target("slowest answer of `/livez` and `/readyz`", 200, "ms", decimals=0),
    "deadline": Target("slowest accepted request as a share of its deadline", 1),
    "lost": Target("requests neither answered nor refused with `Retry-After`", 0, decimals=0),
    "untruthful": Target("refusals whose `Retry-After` was wrong", 0, decimals=0),
    "throughput": Target("throughput against the peak", 0.9, is_floor=True),
    "memory": Target("peak of resident memory above idle", 800, "MB", decimals=0),
    "recovery": Target("time until a request is as fast again as before", 2, "s", decimals=1),
    "submission": Target("images of a submission lost or repeated", 0, decimals=0),
}


def target_table(figures: Mapping[str, Figure], targets: Mapping[str, Target] = TARGETS) -> str:
    """The targets of which there are figures.

    Raises
    ------
    KeyError
        A figure belongs to no target.
    """
    if unknown := sorted(figures.keys() - targets.keys()):
        raise KeyError(f"there is no target for {', '.join(unknown)}")
    rows = [
        (
            target.what,
            target.written_bound,
            f"**{target.write(figures[name].value)}**",
            "yes" if target.is_met(figures[name].value) else "no",
            figures[name].made_of,
        )
        for name, target in targets.items()
        if name in figures
    ]
    return markdown_table(("what", "target", "figure", "met", "made of"), rows)
