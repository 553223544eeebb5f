"""``monolayer confluency``: only the numbers of many images."""

import asyncio
from pathlib import Path
from typing import Annotated, cast

import typer

from monolayer_client.answer_files import CONFLUENCY_SUFFIX
from monolayer_client.async_client import AsyncClient
from monolayer_client.cli.console import explained
from monolayer_client.cli.image_run import ImageRun
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
)
from monolayer_client.connection import DEFAULT_URL
from monolayer_client.files import write_atomically
from monolayer_client.image_files import ImageFile, find_images
from monolayer_client.options import ConfluencyOptions
from monolayer_client.outputs import to_json
from monolayer_client.progress import OnProgress


def confluency(
    inputs: Annotated[list[str], typer.Argument(metavar="IMAGE", help="Files, folders, zip archives, or patterns.")],
    *,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")] = Path("confluency"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Do images again whose results are there.")] = False,
    model: Model = None,
    method: MethodOption = Method.auto,
    pixel_size_um: PixelSize = None,
    settings: Settings = None,
    url: Url = DEFAULT_URL,
    concurrency: Concurrency = 4,
    patience: Patience = 60.0,
) -> None:
    """Measure confluency, count and quality of images.

    Each image gets NAME.confluency.json with the service's answer; confluency.csv has one row per image, and
    confluency.csv.journal what the answers were made of: images whose answer is there already, made of the same file
    with the same options, are skipped. Failed ones are listed at the end, and the exit status is 1.

    \b
    Examples:
      monolayer confluency frame.tif
      monolayer confluency plate1 --out numbers --concurrency 8
      monolayer confluency 'well_*.png' --method kmeans --set foreground=texture
    """  # noqa: D301 - \b tells click to keep the lines as they are
    with explained():
        options = collect_options(model, method, pixel_size_um, settings)

        async def work(client: AsyncClient, image: ImageFile, folder: Path, _: OnProgress | None) -> str:
            content = await asyncio.to_thread(image.read)
            named = cast("ConfluencyOptions", {**options, "image_id": image.image_id})
            result = await client.confluency(content, **named)
            write_atomically(folder / f"{image.image_id}{CONFLUENCY_SUFFIX}", to_json(result.raw))
            return result.image.sha256

        run = ImageRun(find_images(inputs), out, [CONFLUENCY_SUFFIX], options, "confluency.csv", overwrite)
        run.perform(work, url=url, patience_s=patience, concurrency=concurrency)
