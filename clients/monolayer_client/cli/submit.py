"""``monolayer submit``: a folder of images to a Kaggle submission."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from monolayer_client.batch import Failure
from monolayer_client.cli.console import err, explained, list_failures, progress
from monolayer_client.cli.service import (
    Concurrency,
    Method,
    MethodOption,
    Model,
    Patience,
    PixelSize,
    Settings,
    Url,
    collect_options,
    connected,
)
from monolayer_client.connection import DEFAULT_URL
from monolayer_client.files import write_atomically
from monolayer_client.image_files import ImageFile, find_images
from monolayer_client.journal import Journal, Rows
from monolayer_client.submission_run import count_answers, fill_journal, left_to_do, make_table


def submit(
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="FOLDER", help="Kaggle's layout, a plain folder of images, or a zip of either."),
    ],
    *,
    out: Annotated[Path, typer.Option("--out", "-o", help="The submission.")] = Path("submission.csv"),
    skip_failed: Annotated[
        bool, typer.Option("--skip-failed", help="Write it without the images that failed.")
    ] = False,
    restart: Annotated[bool, typer.Option("--restart", help="Do all images again.")] = False,
    model: Model = None,
    method: MethodOption = Method.auto,
    pixel_size_um: PixelSize = None,
    settings: Settings = None,
    url: Url = DEFAULT_URL,
    concurrency: Concurrency = 4,
    patience: Patience = 60.0,
) -> None:
    """Make a Kaggle submission of a folder of images.

    One image is sent per request. Finished images are noted in a journal beside the submission (NAME.journal), so a run
    that was broken off, or in which images failed, goes on where it ended when it is started again. The submission is
    written at the end, whole and checked; when an image failed it is not written unless --skip-failed says so, and the
    exit status is 1.

    \b
    Examples:
      monolayer submit stage1_test -o submission.csv
      monolayer submit stage1_test.zip -o submission.csv --concurrency 8
      monolayer submit images -o kmeans.csv --method kmeans
    """  # noqa: D301 - \b tells click to keep the lines as they are
    with explained():
        options = collect_options(model, method, pixel_size_um, settings)
        images = find_images(inputs)
        path = out.with_name(f"{out.name}.journal")
        with Journal(path, Rows, options, is_new=restart) as journal:
            waiting = left_to_do(images, journal)
            if len(waiting) < len(images):
                err().print(f"{len(images) - len(waiting)} of {len(images)} images are in {path}", markup=False)
            failures: list[Failure[ImageFile]] = []
            if waiting:
                asking = _ask(waiting, journal, options, url=url, patience_s=patience, concurrency=concurrency)
                failures = asyncio.run(asking)
            failed = {failure.item.image_id for failure in failures}
            entries = [journal.entries[image.image_id] for image in images if image.image_id not in failed]

        for answerer, count in count_answers(entries).most_common():
            err().print(f"{count} images answered by {answerer}", markup=False)
        if entries and (skip_failed or not failures):
            write_atomically(out, make_table(entries))
            objects = sum(len(entry.rows) for entry in entries)
            err().print(f"{out}: {len(entries)} images, {objects} objects", markup=False)
        else:
            err().print(f"{out} was not written; run again to go on with what is left", markup=False)
        list_failures(failures)
        if failures:
            raise typer.Exit(1)


async def _ask(
    images: list[ImageFile],
    journal: Journal[Rows],
    options: dict[str, object],
    *,
    url: str,
    patience_s: float,
    concurrency: int,
) -> list[Failure[ImageFile]]:
    async with connected(url, patience_s) as client:
        with progress("images", len(images)) as bar:
            return await fill_journal(
                client,
                images,
                journal,
                options,
                concurrency=concurrency,
                on_done=lambda _: bar.advance(bar.task_ids[0]),
            )
