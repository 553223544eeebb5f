"""``monolayer verify``: ask again for answers that were kept, and say whether they are the same."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from rich.table import Table

from monolayer_client.answer_files import find_answers, read_answer
from monolayer_client.batch import Failure, run_batch
from monolayer_client.cli.console import explained, list_failures, out, progress
from monolayer_client.cli.service import Concurrency, Patience, Url, connected
from monolayer_client.connection import DEFAULT_URL
from monolayer_client.errors import InputError
from monolayer_client.image_files import ImageFile, find_images
from monolayer_client.options import SegmentOptions
from monolayer_client.verification import Outcome, Verification, compare_answers, repeated_options


@dataclass(frozen=True)
class _Kept:
    """An answer that was kept, and the image it is of."""

    path: Path
    answer: dict[str, Any]
    image: ImageFile

    def __str__(self) -> str:
        return str(self.path)


def verify(
    results: Annotated[
        list[Path],
        typer.Argument(metavar="RESULTS", help="Folders that `segment` or `confluency` wrote, or single answers."),
    ],
    *,
    images: Annotated[
        list[str], typer.Option("--images", "-i", help="The images: files, folders, zip archives or patterns.")
    ],
    url: Url = DEFAULT_URL,
    concurrency: Concurrency = 4,
    patience: Patience = 60.0,
) -> None:
    """Ask again for answers that were kept, and say whether each of them is the same once more.

    The receipt in an answer names all that it depends on: the decoded pixels, the model's file, the options and the
    version of the service. The image of the answer's name is sent again with these options. "same" means that every
    object and every number is the same; "other image" and "other model" that the question was another; "differs" that
    the same question has been answered in another way. The exit status is 1 unless all are the same.

    \b
    Examples:
      monolayer verify segmented --images plate1
      monolayer verify segmented/frame.json --images frame.tif --url http://other:8000
    """  # noqa: D301 - \b tells click to keep the lines as they are
    with explained():
        kept = _with_images(find_answers(results), find_images(images))
        found: dict[Path, Verification] = {}
        failures = asyncio.run(_ask(kept, found, url=url, patience_s=patience, concurrency=concurrency))
        table = Table("answer", "outcome", "details")
        for path, verification in sorted(found.items()):
            table.add_row(str(path), verification.outcome, verification.details)
        out().print(table)
        same = sum(verification.outcome is Outcome.same for verification in found.values())
        out().print(f"{same} of {len(kept)} answers are the same")
        list_failures(failures)
        if same < len(kept):
            raise typer.Exit(1)


def _with_images(paths: Sequence[Path], images: Sequence[ImageFile]) -> list[_Kept]:
    """Find the image of each answer by its name."""
    by_name = {image.image_id: image for image in images}
    kept = []
    for path in paths:
        answer = read_answer(path)
        image = by_name.get(answer["image_id"])
        if image is None:
            raise InputError(f"{path} is of the image {answer['image_id']}, which is not among those given")
        kept.append(_Kept(path, answer, image))
    return kept


async def _ask(
    kept: Sequence[_Kept], found: dict[Path, Verification], *, url: str, patience_s: float, concurrency: int
) -> list[Failure[_Kept]]:
    async def ask_again(one: _Kept) -> None:
        options = repeated_options(one.answer)
        content = await asyncio.to_thread(one.image.read)
        if "instances" in one.answer:
            now = (await client.segment(content, **cast("SegmentOptions", options))).raw
        else:
            now = (await client.confluency(content, **options)).raw
        found[one.path] = compare_answers(one.answer, now)

    async with connected(url, patience_s) as client:
        with progress("answers", len(kept)) as bar:
            return await run_batch(
                kept, ask_again, concurrency=concurrency, on_done=lambda _: bar.advance(bar.task_ids[0])
            )
