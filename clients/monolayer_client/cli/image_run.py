"""What `segment` and `confluency` share: skip what is done, do the rest, sum up, list what failed."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import typer
from rich.table import Table

from monolayer_client.batch import Failure, run_batch
from monolayer_client.cli.console import err, followed, list_failures, out, progress
from monolayer_client.cli.service import connected
from monolayer_client.files import write_atomically
from monolayer_client.image_body import FileContent
from monolayer_client.image_files import ImageFile
from monolayer_client.outputs import summary_row, to_summary
from monolayer_client.result_folder import ImageWork, ResultFolder

MAX_SHOWN = 20
"""Images shown in the terminal; the summary file has all of them."""


@dataclass(frozen=True)
class ImageRun:
    """Images to be done, each with results in one folder.

    Attributes
    ----------
    images : sequence of ImageFile
        In the order of the summary.
    folder : Path
        Where results go.
    work : ImageWork
        What is asked of them.
    overwrite : bool
        Whether images are done again whose files are all there.
    """

    images: Sequence[ImageFile]
    folder: Path
    work: ImageWork
    overwrite: bool

    def perform(self, *, url: str, patience_s: float, concurrency: int) -> None:
        """Do what is to be done, and end the program with status 1 when an image failed."""
        results = ResultFolder(self.folder, self.work)
        waiting = [
            image for image in self.images if self.overwrite or not results.is_done(image.image_id, image.has_sha256)
        ]
        if len(waiting) < len(self.images):
            err().print(f"{len(self.images) - len(waiting)} of {len(self.images)} images are done already")
        stale = 0 if self.overwrite else sum(results.has_files(image.image_id) for image in waiting)
        if stale:
            err().print(f"{stale} images are done again: their results are of another image or of other options")
        failures: list[Failure[ImageFile]] = []
        if waiting:
            with results:
                asking = _ask(waiting, results, url=url, patience_s=patience_s, concurrency=concurrency)
                failures = asyncio.run(asking)
        failed = {failure.item.image_id for failure in failures}
        _sum_up([results.answer_of(image.image_id) for image in self.images if image.image_id not in failed], results)
        list_failures(failures)
        if failures:
            raise typer.Exit(1)


async def _ask(
    waiting: Sequence[ImageFile], results: ResultFolder, *, url: str, patience_s: float, concurrency: int
) -> list[Failure[ImageFile]]:
    async def make(image: ImageFile) -> None:
        with followed(bar, image.image_id) as on_progress:
            content = FileContent(await asyncio.to_thread(image.read), PurePath(image.name).name)
            await results.make(client, image.image_id, content, on_progress)

    async with connected(url, patience_s) as client:
        with progress("images", len(waiting)) as bar:
            return await run_batch(
                waiting, make, concurrency=concurrency, on_done=lambda _: bar.advance(bar.task_ids[0])
            )


def _sum_up(answers: Sequence[Mapping[str, Any]], results: ResultFolder) -> None:
    if not answers:
        return
    write_atomically(results.summary_path, to_summary(map(summary_row, answers)))
    out().print(_table(answers))
    if len(answers) > MAX_SHOWN:
        out().print(f"and {len(answers) - MAX_SHOWN} more images")
    fallbacks = [answer for answer in answers if answer["fallback"]]
    if fallbacks:
        reason = fallbacks[0]["fallback"]["reason"]
        err().print(f"{len(fallbacks)} images were answered by K-means: {reason}", markup=False)
    err().print(f"all {len(answers)} images are in {results.summary_path}", markup=False)


def _table(answers: Sequence[Mapping[str, Any]]) -> Table:
    table = Table("image", "confluency %", "of", "count", "method", "quality")
    for answer in answers[:MAX_SHOWN]:
        row = summary_row(answer)
        table.add_row(
            str(row["image_id"]),
            f"{row['confluency_percent']:.2f}",
            str(row["confluency_of"]),
            str(row["count"]),
            " ".join(str(row[name]) for name in ("method", "model", "model_version") if row[name]),
            str(row["quality_flags"]),
        )
    return table
