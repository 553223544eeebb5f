"""``monolayer confluency``: only the numbers of many images."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, cast

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
from monolayer_client.image_body import FileContent
from monolayer_client.image_files import find_images
from monolayer_client.options import ConfluencyOptions
from monolayer_client.outputs import to_json
from monolayer_client.progress import OnProgress
from monolayer_client.result_folder import ImageWork, Keep


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
        work = numbers_work(collect_options(model, method, pixel_size_um, settings))
        run = ImageRun(find_images(inputs), out, work, overwrite)
        run.perform(url=url, patience_s=patience, concurrency=concurrency)


def numbers_work(options: Mapping[str, object]) -> ImageWork:
    """Ask for the numbers of images, and keep the answer."""

    async def ask(
        client: AsyncClient, image_id: str, content: bytes | FileContent, keep: Keep, _: OnProgress | None
    ) -> Mapping[str, Any]:
        result = await client.confluency(content, **cast("ConfluencyOptions", {**options, "image_id": image_id}))
        keep(CONFLUENCY_SUFFIX, to_json(result.raw))
        return result.raw

    return ImageWork(ask, (CONFLUENCY_SUFFIX,), options, "confluency.csv")
