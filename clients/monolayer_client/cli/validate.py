"""``monolayer validate``: everything that is wrong with a submission."""

from pathlib import Path
from typing import Annotated

import typer

from monolayer_client.cli.console import explained, out, progress
from monolayer_client.file_sources import open_source
from monolayer_client.image_files import image_names
from monolayer_client.image_pixels import image_size
from monolayer_core.submission import validate_submission

MAX_LISTED = 100


def validate(
    submission: Annotated[Path, typer.Argument(metavar="SUBMISSION", help="The table to check.", exists=True)],
    *,
    images: Annotated[
        Path | None,
        typer.Option("--images", help="Folder or zip of its images: checks names and sizes too.", exists=True),
    ] = None,
) -> None:
    """List everything that is wrong with a Kaggle submission, with line numbers.

    Checked are the header, the fields, the run lengths (pairs, order, no overlap within an image) and, with --images,
    that every image is there, no other is, and no run leaves its image. The exit status is 1 when something is wrong.
    --images needs the extra "score" (pip install 'monolayer-client[score]').

    \b
    Examples:
      monolayer validate submission.csv
      monolayer validate submission.csv --images stage1_test.zip
    """  # noqa: D301 - \b tells click to keep the lines as they are
    with explained():
        check = validate_submission(submission, None if images is None else _sizes(images))
        for problem in check.problems[:MAX_LISTED]:
            out().print(str(problem), markup=False, soft_wrap=True)
        if len(check.problems) > MAX_LISTED:
            out().print(f"and {len(check.problems) - MAX_LISTED} more problems")
        if check.problems:
            raise typer.Exit(1)
        out().print(f"valid: {check.image_count} images, {check.object_count} objects")


def _sizes(path: Path) -> dict[str, tuple[int, int]]:
    source = open_source(path)
    names = image_names(source)
    sizes = {}
    with progress("image headers", len(names)) as bar:
        for image_id, name in names.items():
            sizes[image_id] = image_size(source, name)
            bar.advance(bar.task_ids[0])
    return sizes
