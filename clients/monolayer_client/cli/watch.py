"""``monolayer watch``: images that appear in a folder are answered as they come."""

import asyncio
import signal
import statistics
import time
from asyncio import to_thread
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from monolayer_client.cli import service
from monolayer_client.cli.confluency import numbers_work
from monolayer_client.cli.console import err, explained, out
from monolayer_client.cli.segment import objects_work
from monolayer_client.cli.service import (
    Concurrency,
    Method,
    MethodOption,
    Model,
    PixelSize,
    Settings,
    Url,
    collect_options,
)
from monolayer_client.connection import DEFAULT_URL
from monolayer_client.errors import InputError
from monolayer_client.files import write_atomically
from monolayer_client.outputs import OutputForm, summary_row, to_summary, to_table
from monolayer_client.result_folder import ImageWork, ResultFolder
from monolayer_client.watching.backlog import Trouble
from monolayer_client.watching.sightings import look, sight
from monolayer_client.watching.watcher import Surroundings, Watcher

FAILED_NAME = "failed.csv"
FAILED_COLUMNS = ("image", "image_id", "reason")


def watch(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder that images appear in.")],
    *,
    out_folder: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results, another than DIR.")],
    with_objects: Annotated[
        bool, typer.Option("--segment", help="Find the objects, as `monolayer segment` does, not only the numbers.")
    ] = False,
    forms: Annotated[
        list[OutputForm] | None,
        typer.Option("--format", "-f", help="With --segment: what to write besides the JSON answer."),
    ] = None,
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Watch the folders in DIR too.")] = False,
    settle_s: Annotated[
        float, typer.Option("--settle", min=0, help="Seconds that a file must stand still to be complete.")
    ] = 2.0,
    rescan_s: Annotated[
        float, typer.Option("--rescan", min=0.1, help="Seconds between looks where nothing tells of a change.")
    ] = 10.0,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Ask again about images that were refused before.")
    ] = False,
    model: Model = None,
    method: MethodOption = Method.auto,
    pixel_size_um: PixelSize = None,
    settings: Settings = None,
    url: Url = DEFAULT_URL,
    concurrency: Concurrency = 2,
) -> None:
    """Answer images as they appear in a folder, until Ctrl-C.

    Each complete image gets NAME.confluency.json, or with --segment NAME.json and the forms asked for, and a line on
    standard output. A file is complete when it stood still, or was moved into place; one that grows later is done
    again. While the service is full or out of reach images wait, however long. A refused image is listed in failed.csv
    and tried again when its file changes. A second run goes on where the first ended, with the same journal as
    `monolayer confluency` and `segment`; `monolayer series` and `plate` read the results. Hidden and temporary names
    are left alone; with --recursive an image in a folder is called FOLDER_NAME.

    Ctrl-C or SIGTERM ends the watch when what the service has is done, a second one at once. The exit status is 1 where
    images are listed in failed.csv. An option that the service refuses, whatever the image, ends the watch at once.

    \b
    Examples:
      monolayer watch D:/acquisition --out numbers
      monolayer watch /mnt/microscope --out objects --segment -f table --recursive --rescan 5
    """  # noqa: D301 - \b tells click to keep the lines as they are
    with explained():
        options = collect_options(model, method, pixel_size_um, settings)
        if forms and not with_objects:
            raise typer.BadParameter("--format needs --segment")
        if not folder.is_dir():
            raise InputError(f"{folder} is no folder")
        if folder.resolve() == out_folder.resolve():
            raise InputError("--out must be another folder than the one watched: results would be taken for images")
        work = objects_work(options, forms or ()) if with_objects else numbers_work(options)
        report = Report(folder, out_folder, work)
        already_done = asyncio.run(
            _watch(
                folder,
                report,
                url=url,
                recursive=recursive,
                settle_s=settle_s,
                rescan_s=rescan_s,
                retry_failed=retry_failed,
                concurrency=concurrency,
            )
        )
        report.sum_up(already_done)
        if report.has_troubles:
            raise typer.Exit(1)


async def _watch(
    folder: Path,
    report: "Report",
    *,
    url: str,
    recursive: bool,
    settle_s: float,
    rescan_s: float,
    retry_failed: bool,
    concurrency: int,
) -> int:
    """Watch until a signal; give the number of images whose results were there already."""
    from monolayer_client.watching.changes import changes_in

    with report.results as results:
        if retry_failed:
            results.forget_refusals()
        async with service.make_client(url, 0) as client, changes_in(folder, recursive=recursive) as changes:
            around = Surroundings(
                look=partial(to_thread, look, folder, recursive=recursive, leave_out=_inside(folder, results.path)),
                sight=lambda name: to_thread(sight, folder / name),
                read=lambda name: to_thread((folder / name).read_bytes),
                now_s=time.monotonic,
                wall_s=lambda: datetime.now(UTC).timestamp(),
                changed=changes.wait,
                pause=asyncio.sleep,
            )
            watcher = Watcher(client, results, around, report, settle_s, rescan_s, concurrency)
            with _on_signal(watcher.stop):
                await watcher.run()
    return watcher.already_done


def _inside(folder: Path, inner: Path) -> Path | None:
    """Give the inner folder as it is called when one goes down from the outer; None where it does not lie in there."""
    try:
        return folder / inner.resolve().relative_to(folder.resolve())
    except ValueError:
        return None


@contextmanager
def _on_signal(stop: Callable[[], None]) -> Iterator[None]:
    """Stop in order at the first Ctrl-C or SIGTERM; the second finds things as they were."""
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def first(*_: object) -> None:
        for number, handler in before.items():
            signal.signal(number, handler)
        loop.call_soon_threadsafe(stop)

    for number in before:
        signal.signal(number, first)  # loop.add_signal_handler is not there on Windows
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Report:
    """Tells the user what the watch does, and keeps its two tables."""

    def __init__(self, folder: Path, out_folder: Path, work: ImageWork) -> None:
        self.results = ResultFolder(out_folder, work)
        self._folder = folder
        self._failed_path = out_folder / FAILED_NAME
        self._troubles: list[Trouble] = []
        self._latencies_s: list[float] = []
        self._answered = 0

    @property
    def has_troubles(self) -> bool:
        """Whether there are images without an answer."""
        return bool(self._troubles)

    def answered(self, image_id: str, answer: Mapping[str, Any], latency_s: float | None) -> None:
        """Show one line."""
        self._answered += 1
        if latency_s is not None:
            self._latencies_s.append(latency_s)
        row = summary_row(answer)
        parts = [
            f"{datetime.now().astimezone():%H:%M:%S}",
            image_id,
            f"confluency {row['confluency_percent']:.2f} %",
            f"count {row['count']}",
            str(row["quality_flags"]),
        ]
        if row["fallback"]:
            parts.append(f"by K-means: {row['fallback']}")
        out().print("  ".join(filter(None, parts)), markup=False, soft_wrap=True)

    def troubles(self, troubles: list[Trouble]) -> None:
        """Show what is new among them, and write the table anew."""
        for trouble in troubles:
            if trouble not in self._troubles:
                err().print(f"{self._folder / trouble.name}: {trouble.reason}", markup=False)
        self._troubles = troubles
        rows = [{"image": each.name, "image_id": each.image_id, "reason": each.reason} for each in troubles]
        write_atomically(self._failed_path, to_table(rows, FAILED_COLUMNS))

    def waiting(self, reason: str | None) -> None:
        """Show what holds things up."""
        err().print("going on" if reason is None else f"{reason}; images wait", markup=False)

    def idle(self, rows: Mapping[str, Mapping[str, Any]]) -> None:
        """Write the summary anew."""
        write_atomically(self.results.summary_path, to_summary(rows[image_id] for image_id in sorted(rows)))

    def sum_up(self, already_done: int) -> None:
        """Show how many images were answered and how fast."""
        console = err()
        before = f", {already_done} were answered before" if already_done else ""
        console.print(
            f"{self._answered} images answered{before}, {len(self._troubles)} without an answer", markup=False
        )
        if self._latencies_s:
            console.print(f"from the complete file to the answer: {_spread(self._latencies_s)}", markup=False)
        if self._troubles:
            console.print(f"those without an answer are in {self._failed_path}", markup=False)
        if self.results.summary_path.exists():
            console.print(f"all images are in {self.results.summary_path}", markup=False)


def _spread(seconds: Sequence[float]) -> str:
    longest, median = max(seconds), statistics.median(seconds)
    within = sorted(seconds)[max(0, -(-95 * len(seconds) // 100) - 1)]
    return f"median {median:.2f} s, 95 % within {within:.2f} s, longest {longest:.2f} s"
