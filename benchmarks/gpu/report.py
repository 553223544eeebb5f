"""Tables of what was found on a GPU, and the document that grows part by part."""

import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.gpu.agreement import Worst
from benchmarks.gpu.bare import Shape, Transfer
from benchmarks.gpu.choices import Choice
from benchmarks.gpu.served import Case, Found
from benchmarks.tables import markdown_table
from benchmarks.throughput import Served

MISSING = "-"


class Report:
    """A document that is printed and written as it grows: what was measured before a failure is kept."""

    def __init__(self, head: str, path: Path | None, seconds: float) -> None:
        self.failed: list[str] = []
        self._parts = [head]
        self._path = path
        self._began = time.perf_counter()
        self._seconds = seconds

    def is_late(self, share: float = 1.0) -> bool:
        """Whether this share of the time has passed."""
        return time.perf_counter() - self._began > share * self._seconds

    def attempt(self, title: str, measure: Callable[[], str], *, always: bool = False) -> None:
        """Add a part; one that fails is noted with its traceback, one that would begin too late is left out."""
        passed = time.perf_counter() - self._began
        if self.is_late() and not always:
            self._keep(f"## {title}\n\nLeft out: {passed:.0f} s had passed (`--seconds`).")
            return
        try:
            text = measure()
        except Exception:  # noqa: BLE001 - the other parts are wanted all the same
            self.failed.append(title)
            text = f"**Failed.**\n\n```text\n{traceback.format_exc().strip()}\n```"
        took = time.perf_counter() - self._began - passed
        self._keep(f"## {title}\n\n{text}\n\n*{took:.1f} s*")

    def _keep(self, part: str) -> None:
        print(f"\n{part}", flush=True)
        self._parts.append(part)
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_text("\n\n".join(self._parts) + "\n", encoding="utf-8")


def bare_table(found: Mapping[tuple[str, Shape], float]) -> str:
    """Milliseconds and megapixels a second of each network, and how much faster the others are than the first."""
    names = list(dict.fromkeys(name for name, _ in found))
    header = ["run"]
    for name in names:
        header += [f"{name} ms", f"{name} Mpx/s"]
    rows = []
    for shape in dict.fromkeys(shape for _, shape in found):
        row = [str(shape)]
        for name in names:
            milliseconds = found.get((name, shape))
            row += (
                [MISSING, MISSING]
                if milliseconds is None
                else [f"{milliseconds:.2f}", f"{rate(shape, milliseconds):.1f}"]
            )
        rows.append(row)
    return markdown_table(header, rows)


def rate(shape: Shape, milliseconds: float) -> float:
    """Megapixels a second."""
    return 1000 * shape.megapixels / milliseconds


def transfer_table(found: Mapping[tuple[str, Shape], Transfer]) -> str:
    rows = [
        [str(shape), name, f"{transfer.host_ms:.2f}", f"{transfer.device_ms:.2f}", f"{100 * transfer.share:.0f} %"]
        for (name, shape), transfer in found.items()
    ]
    return markdown_table(["run", "network", "from and to the host, ms", "on the device, ms", "transfer"], rows)


def agreement_table(found: Mapping[str, Worst]) -> str:
    header = ["network", "images", "counts equal", "largest difference, 1/255", "values that differ"]
    header += ["pixels of another label", "least IoU of foregrounds", "least Kaggle score between them"]
    rows = [
        [
            name,
            str(worst.images),
            str(worst.equal_counts),
            str(worst.levels),
            f"{100 * worst.differing:.3f} %",
            f"{100 * worst.differing_px:.4f} %",
            f"{worst.iou:.5f}",
            f"{worst.objects_score:.4f}",
        ]
        for name, worst in found.items()
    ]
    return markdown_table(header, rows)


def choice_table(found: Mapping[tuple[str, Shape], Choice | str]) -> str:
    """A row for each set of options; text stands for what went wrong."""
    header = ["options", "run", "ms", "first run, ms", "memory, MiB", "largest difference, 1/255", "values that differ"]
    rows = []
    for (name, shape), choice in found.items():
        if isinstance(choice, str):
            rows.append([name, str(shape), f"failed: {choice}", *[MISSING] * 4])
            continue
        held = MISSING if choice.held_mib is None else str(choice.held_mib)
        rows.append(
            [
                name,
                str(shape),
                f"{choice.run_ms:.2f}",
                f"{choice.first_ms:.0f}",
                held,
                str(choice.levels),
                f"{100 * choice.differing:.3f} %",
            ]
        )
    return markdown_table(header, rows)


def served_table(found: Found, bare_rates: Mapping[int, float]) -> str:
    """`bare_rates` are megapixels a second of bare runs of one tile by image side, as the service makes them."""
    header = ["images", "images/s", "Mpx/s", "of bare", "median ms", "p99 ms", "tiles a run", "network busy"]
    header += ["processor ms", "cores busy", "generator"]
    rows = []
    for case, served in found.cases.items():
        outcome = served.outcome
        pace = outcome.requests_per_second * case.megapixels
        bare = bare_rates.get(case.side)
        rows.append(
            [
                str(case),
                f"{outcome.requests_per_second:.1f}",
                f"{pace:.1f}",
                MISSING if bare is None else f"{pace / bare:.2f}",
                f"{outcome.median_ms:.1f}",
                f"{outcome.p99_ms:.1f}",
                f"{found.batches[case]:.1f}",
                f"{100 * served.busy_share:.0f} %",
                f"{served.cpu_ms:.1f}",
                f"{served.cpu_seconds / outcome.wall_seconds:.1f}",
                f"{100 * outcome.generator_cpu_share:.0f} %",
            ]
        )
    return markdown_table(header, rows)


def stage_table(found: Mapping[Case, Served]) -> str:
    """Median milliseconds of the stages that the service names."""
    names = list(dict.fromkeys(name for served in found.values() for name in served.outcome.stages_ms))
    rows = [
        [str(case), *(f"{served.outcome.stages_ms.get(name, 0.0):.1f}" for name in names)]
        for case, served in found.items()
    ]
    return markdown_table(["images", *(f"{name} ms" for name in names)], rows)


def fault_line(found: Found) -> str:
    """What runs that failed came to."""
    return (
        f"Runs that failed: {', '.join(f'{count} {step}' for step, count in found.faults.items() if count) or 'none'}."
    )


def memory_table(found: Found) -> str:
    rows = [
        [moment, MISSING if of_device is None else str(of_device), str(of_process)]
        for moment, (of_device, of_process) in found.memory.items()
    ]
    return markdown_table(["moment", "on the device, MiB", "of the process, MiB"], rows)
