"""``python -m tests.fuzz.campaign``: hostile files against the running service, and a table of what came of them.

The service runs in a process of its own, as an operator starts it. Whatever is against the contract is listed: a status
that no image may cause, an answer that shows the inside, a log line that is no JSON or an error, a crash, a file that
takes too long or too much memory.
"""

import argparse
import functools
import http.client
import itertools
import json
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.server import Server, free_port, running
from benchmarks.tables import markdown_table
from tests.fuzz.mutations import Mutant, mutants

MAX_SECONDS = 10.0
"""For one file, of the processor and by the clock on the wall."""

MAX_MIB = 600.0
REFUSALS = {400, 413, 415, 422}

MEDIA_TYPES = {"png": "image/png", "jpeg": "image/jpeg", "bmp": "image/bmp", "npy": "application/x-npy",
               "tiff": "image/tiff"}  # fmt: skip
OPTIONS = (
    "", "channel=0", "z=0", "z=2&channel=0", "t=0", "axes=YX", "axes=ZYX&z=1", "method=kmeans",
    "method=kmeans&clusters=8&foreground=texture", "clahe=true&flat_field=true", "tta=true",
    "rle=coco&polygons=true&measurements=true", "format=png", "format=tiff", "format=csv", "format=ndjson",
    "exclude_border=true&min_area_px=0&threshold=0", "pixel_size_um=0.5&channel=0",
)  # fmt: skip

INSIDE = re.compile(r"Traceback|File \"|site-packages|/(home|usr|tmp|work|io)/|0x[0-9a-f]{6,}|\.(py|cpp|so)\b|"
                    r"\b(cv2|numpy|tifffile|imagecodecs|starlette|monolayer_(core|service))\b")  # fmt: skip
"""What an answer to a caller must not show: paths, tracebacks, modules, addresses in memory."""


@dataclass
class Tally:
    """What came of one kind of input."""

    statuses: Counter[int] = field(default_factory=Counter)
    slowest_cpu_seconds: float = 0.0
    slowest_seconds: float = 0.0
    above_idle_mib: float = 0.0

    def row(self, kind: str) -> list[str]:
        refused = ", ".join(f"{status}: {count}" for status, count in sorted(self.statuses.items()) if status != 200)
        numbers = [str(self.statuses.total()), str(self.statuses[200]), refused or "none"]
        slowest = [f"{seconds * 1000:.0f}" for seconds in (self.slowest_cpu_seconds, self.slowest_seconds)]
        return [kind, *numbers, *slowest, f"{self.above_idle_mib:.0f}"]


@dataclass
class Findings:
    """What came of all kinds, and what must not have come."""

    tallies: dict[str, Tally] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def table(self) -> str:
        header = ["input", "tried", "answered", "refused by status", "slowest CPU ms", "slowest ms", "MiB above idle"]
        return markdown_table(header, [tally.row(kind) for kind, tally in sorted(self.tallies.items())])


@dataclass(frozen=True)
class Reply:
    """The answer to one file, the processor's time it took, and the time by the clock."""

    status: int
    body: bytes
    cpu_seconds: float
    seconds: float

    @property
    def took_seconds(self) -> float:
        return max(self.cpu_seconds, self.seconds)

    @property
    def is_late(self) -> bool:
        return self.took_seconds > MAX_SECONDS


@contextmanager
def service(folder: Path, environment: Mapping[str, str] | None = None) -> Iterator[tuple[Server, Path]]:
    """Run the service, and give it with the file of its log."""
    port, log = free_port(), folder / "service.log"
    command = [sys.executable, "-m", "monolayer_service", "--port", str(port)]
    with running(
        command, port=port, ready_path="/readyz", start_seconds=120, environment=environment, log=log
    ) as server:
        yield server, log


def attack(server: Server, files: Iterable[tuple[int, Mutant]], seed: int, findings: Findings) -> None:
    """Send files, each with options by chance, and note what comes of them."""
    idle_bytes = server.resident_bytes()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    for number, mutant in files:
        chance = random.Random(f"{seed} {number} options")  # noqa: S311 - reproducible on purpose
        path = f"/v1/segment?{chance.choice(OPTIONS)}"
        name = f"{mutant.format}: {mutant.mutation}"
        label = f"{name} (seed {seed}, number {number}, {path})"
        tally = findings.tallies.setdefault(name, Tally())
        server.forget_peak()
        try:
            reply = asked_twice_if_late(functools.partial(ask, server, connection, path, mutant))
        except (OSError, http.client.HTTPException) as error:
            findings.faults.append(f"{label}: {error!r}")
            connection.close()
            continue
        tally.statuses[reply.status] += 1
        tally.slowest_cpu_seconds = max(tally.slowest_cpu_seconds, reply.cpu_seconds)
        tally.slowest_seconds = max(tally.slowest_seconds, reply.seconds)
        tally.above_idle_mib = max(tally.above_idle_mib, (server.peak_bytes() - idle_bytes) / 2**20)
        findings.faults += [f"{label}: {problem}" for problem in problems_of_reply(reply)]
    connection.close()


def ask(server: Server, connection: http.client.HTTPConnection, path: str, mutant: Mutant) -> Reply:
    """Send one file and wait for the answer."""
    cpu_begin, begin = server.cpu_seconds(), time.monotonic()
    connection.request("POST", path, mutant.data, {"Content-Type": MEDIA_TYPES[mutant.format]})
    response = connection.getresponse()
    status, body = response.status, response.read()
    return Reply(status, body, server.cpu_seconds() - cpu_begin, time.monotonic() - begin)


def asked_twice_if_late(ask: Callable[[], Reply]) -> Reply:
    """Ask once more where the answer was late, and take the faster one: another program may have had the machine."""
    reply = ask()
    return min(reply, ask(), key=lambda reply: reply.took_seconds) if reply.is_late else reply


def problems_of_reply(reply: Reply) -> list[str]:
    """What is wrong with an answer and with the time it took."""
    problems = problems_of(reply.status, reply.body)
    if reply.is_late:
        took = f"{reply.cpu_seconds:.1f} s of the processor and {reply.seconds:.1f} s by the clock"
        problems.append(f"took {took}, and more than {MAX_SECONDS:g} s the other time too")
    return problems


def problems_of(status: int, body: bytes) -> list[str]:
    """What is wrong with an answer to a file that may be broken in any way."""
    if status == 200:
        return []
    if status not in REFUSALS:
        return [f"status {status}: {body[:300]!r}"]
    error = json.loads(body)["error"]
    if set(error) != {"code", "message", "request_id"} or len(error["message"]) > 500:
        return [f"the body of the error: {body[:600]!r}"]
    return [f"the message shows the inside: {error['message']}"] if INSIDE.search(error["message"]) else []


def problems_of_log(lines: Sequence[str]) -> list[str]:
    """What is wrong with a log after nothing but bad requests."""
    problems = []
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            problems.append(f"a log line is no JSON: {line[:300]}")
            continue
        if event["level"] in ("error", "critical"):
            problems.append(f"an error was logged: {line[:2000]}")
        elif len(line) > 2000:
            problems.append(f"a log line of {len(line)} characters: {line[:300]}")
    return problems


def run(
    seed: int, *, minutes: float | None = None, count: int | None = None, environment: Mapping[str, str]
) -> Findings:
    """Attack a service of its own for so many minutes, or with so many files."""
    findings = Findings()
    end = float("inf") if minutes is None else time.monotonic() + 60 * minutes
    numbers = itertools.count() if count is None else range(count)
    files = ((number, next(mutants(seed, 1, number))) for number in numbers)
    with tempfile.TemporaryDirectory() as folder, service(Path(folder), environment) as (server, log):
        attack(server, itertools.takewhile(lambda _: time.monotonic() < end, files), seed, findings)
        findings.faults += problems_of_log(log.read_text(encoding="utf-8", errors="replace").splitlines())
    for name, tally in findings.tallies.items():
        if tally.above_idle_mib > MAX_MIB:
            findings.faults.append(f"{name}: {tally.above_idle_mib:.0f} MiB above idle")
    return findings


def main() -> None:
    """Entry point: prints the table, lists what was found, and fails where that is not nothing."""
    parser = argparse.ArgumentParser(description="send damaged images to the service and say what came of them")
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seed", type=int, default=0, help="another seed makes other files")
    arguments = parser.parse_args()
    findings = run(arguments.seed, minutes=arguments.minutes, environment={})
    sys.stdout.write(f"{findings.table()}\n\n")
    for fault in findings.faults[:50]:
        sys.stdout.write(f"FAULT {fault}\n")
    sys.stdout.write(f"{sum(t.statuses.total() for t in findings.tallies.values())} files, "
                     f"{len(findings.faults)} faults\n")  # fmt: skip
    sys.exit(bool(findings.faults))


if __name__ == "__main__":
    main()
