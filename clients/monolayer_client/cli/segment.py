"""``monolayer segment``: the objects of many images, one file per image and form."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from monolayer_client.async_client import AsyncClient
from monolayer_client.calls import Form
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
from monolayer_client.options import SegmentOptions
from monolayer_client.outputs import OutputForm, to_json, to_kaggle, to_object_table
from monolayer_client.progress import OnProgress
from monolayer_client.result_folder import ImageWork, Keep
from monolayer_client.results import SegmentResult

_MADE_HERE: dict[OutputForm, Callable[[SegmentResult], bytes]] = {
    OutputForm.json: lambda result: to_json(result.raw),
    OutputForm.csv: to_kaggle,
    OutputForm.table: to_object_table,
}
_ASKED_FOR: dict[OutputForm, Form] = {
    OutputForm.tiff: "tiff",
    OutputForm.overlay: "overlay",
    OutputForm.geojson: "geojson",
    OutputForm.rois: "rois",
    OutputForm.coco: "coco",
    OutputForm.ndjson: "ndjson",
}
ONLY_IN: dict[str, frozenset[OutputForm]] = {
    "measurements": frozenset({OutputForm.json, OutputForm.ndjson, OutputForm.table, OutputForm.geojson}),
    "polygons": frozenset({OutputForm.json, OutputForm.ndjson}),
}
"""Options that some forms have no place for: the service refuses them there."""


def segment(
    inputs: Annotated[list[str], typer.Argument(metavar="IMAGE", help="Files, folders, zip archives, or patterns.")],
    *,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")] = Path("segmented"),
    forms: Annotated[
        list[OutputForm] | None,
        typer.Option("--format", "-f", help="What to write besides the JSON answer; may be given several times."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Do images again whose results are there.")] = False,
    model: Model = None,
    method: MethodOption = Method.auto,
    pixel_size_um: PixelSize = None,
    settings: Settings = None,
    url: Url = DEFAULT_URL,
    concurrency: Concurrency = 4,
    patience: Patience = 60.0,
) -> None:
    """Find the objects of images.

    Each image gets NAME.json with the service's answer, and what else is asked for:

    \b
      csv      NAME.rle.csv       Kaggle rows
      table    NAME.objects.csv   one row per object
      tiff     NAME.labels.tif    label image
      overlay  NAME.overlay.png   outlines over the image
      geojson  NAME.geojson       outlines for QuPath
      rois     NAME.rois.zip      outlines for ImageJ's ROI Manager
      coco     NAME.coco.json     COCO data set
      ndjson   NAME.ndjson        the service's progress and the JSON answer, one line each

    All but json, csv and table take a request of their own. summary.csv has one row per image, and summary.csv.journal
    what the results were made of: images whose results are there already, made of the same file with the same options,
    are skipped. Failed ones are listed at the end, and the exit status is 1. On a terminal a bar shows how many images
    are done, and one for each large image how far the service is with it.

    \b
    Examples:
      monolayer segment frame.tif
      monolayer segment plate1 --out results -f table -f overlay
      monolayer segment 'day*/*.png' --set measurements=true --set min_area_px=30
      monolayer segment stack.ome.tif --set channel=DAPI --set z=max --method kmeans
    """  # noqa: D301 - \b tells click to keep the lines as they are
    with explained():
        work = objects_work(collect_options(model, method, pixel_size_um, settings), forms or ())
        run = ImageRun(find_images(inputs), out, work, overwrite)
        run.perform(url=url, patience_s=patience, concurrency=concurrency)


def objects_work(options: Mapping[str, object], forms: Iterable[OutputForm]) -> ImageWork:
    """Ask for the objects of images, and keep the answer and these forms of it."""
    wanted = [OutputForm.json, *dict.fromkeys(form for form in forms if form is not OutputForm.json)]

    async def ask(
        client: AsyncClient, image_id: str, content: bytes | FileContent, keep: Keep, on_progress: OnProgress | None
    ) -> Mapping[str, Any]:
        named = {**options, "image_id": image_id}
        result = await client.segment(content, on_progress=on_progress, **cast("SegmentOptions", named))
        for form in reversed(wanted):  # the answer itself last: where it is, all is done
            if form in _MADE_HERE:
                data = _MADE_HERE[form](result)
            else:
                fitting = {name: named[name] for name in named if form in ONLY_IN.get(name, OutputForm)}
                data = await client.segment(content, format=_ASKED_FOR[form], **cast("SegmentOptions", fitting))
            keep(form.suffix, data)
        return result.raw

    return ImageWork(ask, tuple(form.suffix for form in wanted), options, "summary.csv")
