"""What `segment` and `confluency` share: skip what is done, do the rest, sum up, list what failed."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import typer
from rich.table import Table

from monolayer_client.answer_files import read_answer
from monolayer_client.async_client import AsyncClient
from monolayer_client.batch import Failure, run_batch
from monolayer_client.cli.console import err, followed, list_failures, out, progress
from monolayer_client.cli.service import connected
from monolayer_client.files import write_atomically
from monolayer_client.image_files import ImageFile
from monolayer_client.journal import Journal, Results
from monolayer_client.outputs import summary_row, to_summary
from monolayer_client.progress import OnProgress

Work: TypeAlias = Callable[[AsyncClient, ImageFile, Path, OnProgress | None], Awaitable[str]]
"""Does one image, with results in the folder, and gives the SHA-256 that the service's answer names.

What it is given last wants to be told how far the service is, where the service tells.
"""

MAX_SHOWN = 20
"""Images shown in the terminal; the summary file has all of them."""


@dataclass(frozen=True)
class ImageRun:
    """Images to be done, each with results in one folder.

    A journal beside the summary says which bytes and options the results were made of. Results count only if both are
    those of now: a file of the right name may be the answer to another question.

    Attributes
    ----------
    images : sequence of ImageFile
        In the order of the summary.
    folder : Path
        Where results go.
    suffixes : sequence of str
        Of the files that every image gets; the first is the service's answer.
    options : mapping
        What the results depend on besides the images.
    summary_name : str
        Name of the table with one row per image.
    overwrite : bool
        Whether images are done again whose files are all there.
    """

    images: Sequence[ImageFile]
    folder: Path
    suffixes: Sequence[str]
    options: Mapping[str, object]
    summary_name: str
    overwrite: bool

    def perform(self, work: Work, *, url: str, patience_s: float, concurrency: int) -> None:
        """Do what is to be done, and end the program with status 1 when an image failed."""
        journal = Journal(self.folder / f"{self.summary_name}.journal", Results, options=None)
        waiting = [image for image in self.images if self.overwrite or not self._is_done(image, journal)]
        if len(waiting) < len(self.images):
            err().print(f"{len(self.images) - len(waiting)} of {len(self.images)} images are done already")
        stale = 0 if self.overwrite else sum(self._has_files(image) for image in waiting)
        if stale:
            err().print(f"{stale} images are done again: their results are of another image or of other options")
        failures: list[Failure[ImageFile]] = []
        if waiting:
            for image in waiting:  # what breaks off half-way must not leave new files under an old entry
                journal.entries.pop(image.image_id, None)
            with journal:
                asking = self._ask(waiting, work, journal, url=url, patience_s=patience_s, concurrency=concurrency)
                failures = asyncio.run(asking)
        self._sum_up({failure.item.image_id for failure in failures})
        list_failures(failures)
        if failures:
            raise typer.Exit(1)

    async def _ask(
        self,
        waiting: Sequence[ImageFile],
        work: Work,
        journal: Journal[Results],
        *,
        url: str,
        patience_s: float,
        concurrency: int,
    ) -> list[Failure[ImageFile]]:
        async def work_and_note(image: ImageFile) -> None:
            with followed(bar, image.image_id) as on_progress:
                sha256 = await work(client, image, self.folder, on_progress)
            journal.add(Results(image.image_id, sha256, dict(self.options), tuple(self.suffixes)))

        async with connected(url, patience_s) as client:
            with progress("images", len(waiting)) as bar:
                return await run_batch(
                    waiting,
                    work_and_note,
                    concurrency=concurrency,
                    on_done=lambda _: bar.advance(bar.task_ids[0]),
                )

    def _is_done(self, image: ImageFile, journal: Journal[Results]) -> bool:
        entry = journal.entries.get(image.image_id)
        return (
            entry is not None
            and entry.options == self.options
            and set(entry.suffixes) >= set(self.suffixes)
            and self._has_files(image)
            and image.has_sha256(entry.sha256)
        )

    def _has_files(self, image: ImageFile) -> bool:
        return all((self.folder / f"{image.image_id}{suffix}").exists() for suffix in self.suffixes)

    def _sum_up(self, failed: set[str]) -> None:
        answers = [
            read_answer(self.folder / f"{image.image_id}{self.suffixes[0]}")
            for image in self.images
            if image.image_id not in failed
        ]
        if not answers:
            return
        path = self.folder / self.summary_name
        write_atomically(path, to_summary(answers))
        out().print(_table(answers))
        if len(answers) > MAX_SHOWN:
            out().print(f"and {len(answers) - MAX_SHOWN} more images")
        fallbacks = [answer for answer in answers if answer["fallback"]]
        if fallbacks:
            reason = fallbacks[0]["fallback"]["reason"]
            err().print(f"{len(fallbacks)} images were answered by K-means: {reason}", markup=False)
        err().print(f"all {len(answers)} images are in {path}", markup=False)


def _table(answers: Sequence[dict[str, Any]]) -> Table:
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
