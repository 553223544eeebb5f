"""Scores of every bundle through the path that serves it, in float32 and int8, beside K-means and Otsu.

The real application runs in this process, once for each precision, and the client library posts the image files of
prepared data sets to it. Figures are those of the validation images; where a bundle was trained on all images its card
holds the figures of a cross-validation, which are printed as such, and the images only show how far int8 and float32
are apart.

    python -m benchmarks.quality --data nuclei=data/dsb2018 --data cells=data/usiigaci
"""

import argparse
import asyncio
import sys
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx2
from benchmarks.quality_report import FOLDS, Measured, render

from monolayer_client.async_client import AsyncClient
from monolayer_core.errors import MonolayerError
from monolayer_core.metrics import score_image
from monolayer_core.model_card import ModelCard, read_card
from monolayer_service.app import create_app
from monolayer_service.settings import SHIPPED_BUNDLES, Settings
from monolayer_service.telemetry.logs import configure_logging
from monolayer_trainer.dataset import Dataset, Sample
from monolayer_trainer.methods import segment_otsu

URL = "http://in-process"


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse_arguments(arguments)
    configure_logging(Settings(log_level="warning", log_format="console"))
    try:
        report = asyncio.run(evaluate(options.models, read_cards(options.models), dict(options.data), options.limit))
    except MonolayerError as error:
        sys.exit(str(error))
    print(report)
    if options.output:
        options.output.write_text(report, encoding="utf-8")


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data",
        type=bundle_and_folder,
        action="append",
        default=[],
        metavar="BUNDLE=FOLDER",
        help="prepared data set for a bundle; once for each",
    )
    parser.add_argument("--models", type=Path, default=SHIPPED_BUNDLES, help="folder of bundles")
    parser.add_argument("--limit", type=int, help="score this many images of each data set only, evenly spaced")
    parser.add_argument("--output", type=Path, help="write the tables to this file too")
    return parser.parse_args(arguments)


def bundle_and_folder(text: str) -> tuple[str, Path]:
    """Read ``nuclei=data/dsb2018``."""
    name, equals, folder = text.partition("=")
    if not (name and equals and folder):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form BUNDLE=FOLDER")
    return name, Path(folder)


def read_cards(models: Path) -> dict[str, ModelCard]:
    """The cards of all bundles of a folder, by name."""
    return {folder.name: read_card(folder) for folder in sorted(models.glob("[!._]*")) if folder.is_dir()}


async def evaluate(models: Path, cards: dict[str, ModelCard], data: dict[str, Path], limit: int | None = None) -> str:
    """Measure the bundles of a folder that have a data set and render the report on all in Markdown."""
    if unknown := sorted(data.keys() - cards.keys()):
        raise MonolayerError(f"there is no bundle {unknown[0]!r} in {models}; there are: {', '.join(cards)}")
    measured = {}
    async with AsyncExitStack() as stack:
        clients = {
            precision: await stack.enter_async_context(serving(models, precision)) for precision in ("float32", "int8")
        }
        for name, folder in data.items():
            dataset = Dataset.load(folder)
            own = clients if cards[name].int8 else {"float32": clients["float32"]}
            measured[name] = await measure(own, name, dataset, choose(dataset, cards[name], limit))
    return render(cards, measured)


def choose(dataset: Dataset, card: ModelCard, limit: int | None) -> list[Sample]:
    """The validation images; all images where the card's figures come from folds, because none was held out."""
    from_folds = FOLDS in card.metrics
    samples = dataset.samples if from_folds else dataset.subset("validation")
    if not samples:
        raise MonolayerError(f"{dataset.folder} holds no image back: there is nothing to score {card.name} on")
    step = max(len(samples) / (limit or len(samples)), 1.0)
    return [samples[int(index * step)] for index in range(min(limit or len(samples), len(samples)))]


@asynccontextmanager
async def serving(models: Path, precision: str) -> AsyncIterator[AsyncClient]:
    """Run the application in this process and give a client that talks to it."""
    app = create_app(Settings(models=models, precision=precision, device="cpu", log_level="warning"))
    async with (
        app.router.lifespan_context(app),
        AsyncClient(URL, transport=httpx2.ASGITransport(app=app)) as client,
    ):
        yield client


async def measure(
    clients: dict[str, AsyncClient], name: str, dataset: Dataset, samples: Iterable[Sample]
) -> list[Measured]:
    """Post each image to each service in turn, ask for K-means too, and cut it at Otsu's threshold beside them."""
    found = []
    for number, sample in enumerate(samples, start=1):
        pixels, truth, _ = dataset.read(sample)
        one = Measured(sample.id, sample.group, sample.modality)
        path = dataset.folder / sample.image
        for method in (*clients, "K-means"):
            began = time.perf_counter()
            if method == "K-means":
                result = await clients["float32"].segment(path, method="kmeans")
            else:
                result = await clients[method].segment(path, model=name, method="unet", fallback="never")
            one.seconds[method] = time.perf_counter() - began
            one.scores[method] = score_image(truth, result.labels())
            one.confluency[method] = result.confluency.percent
        began = time.perf_counter()
        labels = segment_otsu(pixels).labels
        one.seconds["Otsu"] = time.perf_counter() - began
        one.scores["Otsu"] = score_image(truth, labels)
        found.append(one)
        print(f"{name}: {number}", end="\r", file=sys.stderr, flush=True)
    return found


if __name__ == "__main__":
    main()
