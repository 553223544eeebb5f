"""A whole Kaggle submission: one image per request, each finished one in a journal, the table written at the end."""

import asyncio
import hashlib
import io
from collections import Counter
from collections.abc import Callable, Sequence
from typing import cast

from monolayer_client.async_client import AsyncClient
from monolayer_client.batch import Failure, run_batch
from monolayer_client.errors import ServiceFaultError
from monolayer_client.image_files import ImageFile
from monolayer_client.journal import Journal, Rows
from monolayer_client.options import SegmentOptions
from monolayer_core.submission import validate_submission, write_submission


def left_to_do(images: Sequence[ImageFile], journal: Journal[Rows]) -> list[ImageFile]:
    """Give the images that the journal does not hold, or holds from another file of the same name."""
    return [image for image in images if not _is_done(image, journal)]


async def fill_journal(
    client: AsyncClient,
    images: Sequence[ImageFile],
    journal: Journal[Rows],
    options: dict[str, object],
    *,
    concurrency: int,
    on_done: Callable[[ImageFile], None] = lambda _: None,
) -> list[Failure[ImageFile]]:
    """Segment images and note them in the journal; what failed is returned and not noted."""

    async def work(image: ImageFile) -> None:
        content = await asyncio.to_thread(image.read)
        result = await client.segment(content, **cast("SegmentOptions", {**options, "image_id": image.image_id}))
        model = result.model
        journal.add(
            Rows(
                image_id=image.image_id,
                sha256=hashlib.sha256(content).hexdigest(),
                height=result.image.height,
                width=result.image.width,
                rows=tuple(result.kaggle_rows()),
                method=result.method,
                model=None if model is None else f"{model.name} {model.version}",
                fallback=result.fallback,
            )
        )

    return await run_batch(images, work, concurrency=concurrency, on_done=on_done)


def _is_done(image: ImageFile, journal: Journal[Rows]) -> bool:
    entry = journal.entries.get(image.image_id)
    return entry is not None and image.has_sha256(entry.sha256)


def make_table(entries: Sequence[Rows]) -> bytes:
    """Write the submission table and check it as `validate` would.

    Raises
    ------
    ServiceFaultError
        The rows that the service gave do not make a valid submission.
    """
    file = io.StringIO(newline="")
    write_submission(file, {entry.image_id: entry.rows for entry in entries})
    file.seek(0)
    problems = validate_submission(file, {entry.image_id: (entry.height, entry.width) for entry in entries}).problems
    if problems:
        raise ServiceFaultError(f"the service's answers make no valid submission: {problems[0]}")
    return file.getvalue().encode()


def count_answers(entries: Sequence[Rows]) -> Counter[str]:
    """Count the images by who found their objects: a model with its version, or K-means and why."""
    return Counter(
        entry.model or (f"kmeans ({entry.fallback})" if entry.fallback else entry.method) for entry in entries
    )
