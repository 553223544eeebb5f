"""The service at several times of what it can do: who is answered, who is told to come back, what stays in bounds.

First the peak is measured, with eight connections that wait for each answer. Then 256 connections post at four times
that rate for a minute, and on until `monolayer submit`, which works beside them, has brought home its images. Probes
are asked all the while by a process of their own.

    python -m benchmarks.overload --output benchmarks/results       what `make overload` runs; overload.md
    python -m benchmarks.overload --seconds 10 --images 0           a look, without the submission
"""

import argparse
import statistics
import subprocess
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import psutil
from benchmarks.load import Post, post_all, repeat
from benchmarks.machine import describe
from benchmarks.pictures import encode_mosaic, read_picture
from benchmarks.places import EXAMPLES
from benchmarks.pressure import Pressed, press, wrong_times
from benchmarks.probes import probing
from benchmarks.server import Server, running_service
from benchmarks.server_log import bad_lines
from benchmarks.submitting import Submission, judge_submission, start_submission, write_images
from benchmarks.tables import mark, markdown_table
from benchmarks.targets import OVERLOAD_TARGETS, Figure, target_table

from monolayer_service.compute import plan_compute
from monolayer_service.settings import Settings

PATH = "/v1/confluency?model=nuclei&fallback=never"
ANSWERS_OF_SUBMISSION = 'monolayer_request_duration_seconds_count{route="/v1/segment",status="200"}'
PEAK_CLIENTS = 8
PEAK_ROUNDS = 3
ALONE_REQUESTS = 15
PROBE_EVERY_SECONDS = 0.1
SUBMISSION_PATIENCE_SECONDS = 600
SUBMISSION_CONCURRENCY = 64
STRAGGLER_SECONDS = 900
FAST_AGAIN = 1.5
"""A request is as fast as before when it takes at most so many times the median of before."""
RECOVERY_LIMIT_SECONDS = 60
MEGABYTE = 1e6

MEASURED = """\
A refusal's `Retry-After` is right when a request was finished within it, and when no more were finished a second before
it than can be inside at once. Throughput counts the submission's answers too. A request is fast again when it takes at
most one and a half times as long as alone; that counts from the last request of the crowd, so what is still in the
queue then is part of it."""


@dataclass(frozen=True)
class ProcessorTime:
    """Seconds of processor time since some moment, by who took them; `machine` is all of it, idle time left out."""

    event_loop: float
    service: float
    generator: float
    machine: float
    idle: float

    @classmethod
    def read(cls, server: Server) -> "ProcessorTime":
        """What was taken so far."""
        whole = psutil.cpu_times()
        idle = whole.idle + getattr(whole, "iowait", 0.0)
        return cls(
            server.main_thread_cpu_seconds(),
            server.cpu_seconds(),
            time.process_time(),
            whole.user + whole.system + whole.nice,
            idle,
        )

    def rows(self, before: "ProcessorTime") -> list[tuple[str, str]]:
        """Who took which share of all cores since `before`."""
        loop, service, generator = (
            self.event_loop - before.event_loop,
            self.service - before.service,
            self.generator - before.generator,
        )
        machine, idle = self.machine - before.machine, self.idle - before.idle
        shares = {
            "the service's event loop": loop,
            "its other threads": service - loop,
            "the crowd": generator,
            "the submission, probes and all else": max(0.0, machine - service - generator),
            "idle": idle,
        }
        return [(name, f"{100 * seconds / (machine + idle):.0f} %") for name, seconds in shares.items()]


@dataclass(frozen=True)
class Overload:
    """One run."""

    peak_per_second: float
    rate: float
    most_inside: int
    alone_ms: float
    deadline_seconds: float
    pressed: Pressed
    probes_ms: list[float]
    idle_bytes: int
    peak_bytes: int
    recovery_seconds: float
    processor_time: list[tuple[str, str]]
    submission: Submission | None
    bad_lines: list[str]


def main() -> None:
    arguments = parse_arguments()
    with tempfile.TemporaryDirectory() as folder:
        overload = measure_overload(arguments, Path(folder))
    for line in (*overload.pressed.problems[:20], *overload.bad_lines[:20]):
        print(line)
    report = render(overload)
    print(f"\n{report}")
    if arguments.output is not None:
        arguments.output.mkdir(parents=True, exist_ok=True)
        (arguments.output / "overload.md").write_text(report, encoding="utf-8")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="of pressure, and on until the submission has ended")
    parser.add_argument("--times", type=float, default=4, help="as many requests as the peak")
    parser.add_argument("--clients", type=int, default=256, help="open connections")
    parser.add_argument("--images", type=int, default=2000, help="of the submission; 0 leaves it out")
    parser.add_argument("--side", type=int, default=256, help="of an image, in pixels")
    parser.add_argument("--peak-seconds", type=float, default=8, help="of each of three rounds at the peak")
    parser.add_argument("--image", type=Path, default=EXAMPLES / "fluorescence_tissue.png", help="what images are of")
    parser.add_argument("--start-seconds", type=float, default=60, help="how long the service may take to be ready")
    parser.add_argument("--output", type=Path, help="folder for the table; without it it is not kept")
    return parser.parse_args()


def measure_overload(arguments: argparse.Namespace, folder: Path) -> Overload:
    image = encode_mosaic(read_picture(arguments.image), arguments.side)
    post = Post(PATH, image)
    log = folder / "service.log"
    with running_service(arguments.start_seconds, log=log) as server:
        idle = server.resident_bytes()
        server.forget_peak()
        peak = max(
            post_all(
                server.port, repeat(post, 10**9), clients=PEAK_CLIENTS, seconds=arguments.peak_seconds
            ).requests_per_second
            for _ in range(PEAK_ROUNDS)
        )
        alone_ms = post_all(server.port, repeat(post, ALONE_REQUESTS), clients=1).median_ms
        print(f"peak {peak:.1f} requests/s, alone {alone_ms:.0f} ms", flush=True)
        rate = arguments.times * peak
        submitting = None
        if arguments.images:
            write_images(folder / "images", image, arguments.images)
            submitting = start_submission(
                f"http://127.0.0.1:{server.port}",
                folder / "images",
                folder / "table.csv",
                concurrency=SUBMISSION_CONCURRENCY,
                patience_seconds=SUBMISSION_PATIENCE_SECONDS,
                log=folder / "submit.log",
            )
        before = ProcessorTime.read(server)
        try:
            with probing(server.port, PROBE_EVERY_SECONDS) as probes:
                pressed = press(
                    server.port,
                    post,
                    rate=rate,
                    clients=arguments.clients,
                    is_over=lambda passed: is_over(passed, arguments.seconds, submitting),
                )
            processor_time = ProcessorTime.read(server).rows(before)
            recovery = seconds_until_fast(server, post, FAST_AGAIN * alone_ms / 1000, pressed.last_sent_at)
            submission = None
            if submitting is not None:
                status = submitting.wait(STRAGGLER_SECONDS)
                answered = int(server.metric(ANSWERS_OF_SUBMISSION))
                submission = judge_submission(folder / "images", folder / "table.csv", status=status, answered=answered)
                if submission.wrong:
                    print((folder / "submit.log").read_text(encoding="utf-8")[-2000:])
        finally:
            if submitting is not None:
                submitting.kill()
        peak_bytes = server.peak_bytes()
    settings = Settings()  # the service reads the same environment
    megapixels = arguments.side**2 / 1e6
    deadline_seconds = settings.deadline_seconds + settings.deadline_seconds_per_megapixel * megapixels
    return Overload(
        peak,
        rate,
        plan_compute(settings).running_requests + settings.waiting_requests,
        alone_ms,
        deadline_seconds,
        pressed,
        probes.milliseconds,
        idle,
        peak_bytes,
        recovery,
        processor_time,
        submission,
        bad_lines(log),
    )


def is_over(passed: float, seconds: float, submitting: "subprocess.Popen[bytes] | None") -> bool:
    """Whether the time is over and the submission, where there is one, has ended or takes for ever."""
    if passed < seconds:
        return False
    return submitting is None or submitting.poll() is not None or passed > seconds + STRAGGLER_SECONDS


def seconds_until_fast(server: Server, post: Post, seconds: float, since: float) -> float:
    """Time from a moment until a request is sent that is answered as fast as that."""
    while (sent := time.perf_counter() - since) < RECOVERY_LIMIT_SECONDS:
        outcome = post_all(server.port, [post], clients=1)
        if outcome.latencies_ms[0] / 1000 <= seconds:
            return sent
    return float("inf")


def figures(overload: Overload) -> dict[str, Figure]:
    """What is to be judged."""
    pressed, submission = overload.pressed, overload.submission
    statuses = ", ".join(f"{count} with {status}" for status, count in statuses_of(pressed).items())
    slowest = max((reply.seconds for reply in pressed.accepted), default=float("inf"))
    answered = len(pressed.accepted) + (submission.answered if submission is not None else 0)
    pace = answered / pressed.seconds
    wrong = wrong_times(pressed.replies, most_inside=overload.most_inside)
    named = [reply.retry_after_s for reply in pressed.refused if reply.retry_after_s is not None]
    above = (overload.peak_bytes - overload.idle_bytes) / MEGABYTE
    found = {
        "probes": Figure(
            max(overload.probes_ms),
            f"{len(overload.probes_ms)} probes, median {statistics.median(overload.probes_ms):.1f} ms",
        ),
        "deadline": Figure(slowest / overload.deadline_seconds, f"{slowest:.1f} of {overload.deadline_seconds:.1f} s"),
        "lost": Figure(pressed.lost, f"{statuses}; {len(pressed.problems)} broken connections"),
        "untruthful": Figure(
            len(wrong.too_short) + len(wrong.too_long),
            f"of {len(pressed.refused)}, {len(wrong.too_short)} too short and {len(wrong.too_long)} too long; "
            f"up to {max(named, default=0)} s were named",
        ),
        "throughput": Figure(
            pace / overload.peak_per_second,
            f"{pace:.1f} of {overload.peak_per_second:.1f} answers/s, {overload.rate:.0f} asked for, "
            f"{pressed.seconds:.0f} s",
        ),
        "memory": Figure(above, f"idle {overload.idle_bytes / MEGABYTE:.0f} MB"),
        "recovery": Figure(overload.recovery_seconds, f"{overload.alone_ms:.0f} ms alone before"),
    }
    if submission is not None:
        found["submission"] = Figure(
            submission.wrong,
            f"{submission.images} images, {submission.answered} answers, exit status {submission.status}",
        )
    return found


def statuses_of(pressed: Pressed) -> dict[int, int]:
    """Answers by status."""
    return dict(sorted(Counter(reply.status for reply in pressed.replies).items()))


def render(overload: Overload) -> str:
    """The document: what it was measured on, the targets, and the answers by status."""
    statuses = markdown_table(
        ("status", "answers"), [(str(status), str(count)) for status, count in statuses_of(overload.pressed).items()]
    )
    parts = ["# Overload", describe(), MEASURED]
    parts += [mark("overload", target_table(figures(overload), OVERLOAD_TARGETS)), "## Answers", statuses]
    parts += ["## Processor time", "Shares of all cores while the crowd was there."]
    parts += [markdown_table(("who", "share"), overload.processor_time)]
    parts += [f"Lines of level error in the log: {len(overload.bad_lines)}."]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    main()
