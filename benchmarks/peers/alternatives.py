"""The plain ways of doing what core does in passes over the whole image: slower or less exact, for comparison.

Times are processor time, as in `benchmarks.steps`, so that a library that takes several cores gains nothing by it.
"""

import time
from collections.abc import Callable
from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt
import pycocotools.mask
from benchmarks.pictures import encode_mosaic, read_picture
from benchmarks.places import EXAMPLES, NUCLEI
from benchmarks.tables import markdown_table
from sklearn.cluster import KMeans

from monolayer_core.arrays import LabelImage
from monolayer_core.image_io import decode_image
from monolayer_core.kmeans import KMeansOptions, cluster
from monolayer_core.model_card import INT8_MODEL_NAME, read_card
from monolayer_core.pipeline import segment
from monolayer_core.rle import encode_coco, encode_kaggle
from monolayer_service.compute import NetworkThreads
from monolayer_service.segmenters.runtime import CPU
from monolayer_service.segmenters.session import Network

CLUSTERS = 3
ROUNDS = 3

Points = npt.NDArray[np.float32]
Result = TypeVar("Result")


def compare_alternatives(side: int = 1024) -> str:
    """Run lengths of real objects and K-means of real pixels, in images of `side`²."""
    cv2.setNumThreads(1)
    touching = decode_image(encode_mosaic(read_picture(EXAMPLES / "fluorescence_touching.png"), side)).pixels
    stained = decode_image(encode_mosaic(read_picture(EXAMPLES / "histology_purple.png"), side)).pixels
    card = read_card(NUCLEI)
    content = (NUCLEI / INT8_MODEL_NAME).read_bytes()
    network = Network(INT8_MODEL_NAME, content, card, prefer_cuda=False, threads=NetworkThreads(1, 1))
    labels = segment(touching, card, lambda tiles: network.run(tiles, CPU)).labels
    return "\n\n".join(
        [
            f"Milliseconds of processor time on one core, {side}².",
            compare_run_lengths(labels),
            f"K-means on all pixels, k = {CLUSTERS}; the inertia is that of all pixels.",
            compare_kmeans(cv2.cvtColor(touching, cv2.COLOR_RGB2GRAY)),
            compare_kmeans(stained),
        ]
    )


def compare_run_lengths(labels: LabelImage) -> str:
    """All objects in one pass against one after the other, from the label image on.

    Raises
    ------
    RuntimeError
        Two ways give different run lengths.
    """
    count = int(labels.max())
    kaggle, kaggle_ms = _best(lambda: encode_kaggle(labels))
    coco, coco_ms = _best(lambda: encode_coco(labels))
    one_by_one, loop_ms = _best(lambda: [encode_one(labels == label) for label in range(1, count + 1)], 1)
    by_pycocotools, pycocotools_ms = _best(lambda: encode_by_pycocotools(labels), 1)
    if kaggle != one_by_one or coco != by_pycocotools:
        raise RuntimeError("two ways of run-length encoding differ")
    return markdown_table(
        (f"{count} objects", "ms", "times"),
        (
            ("Kaggle, one pass over the label image", f"{kaggle_ms:.1f}", "1"),
            ("Kaggle, loop over objects", f"{loop_ms:.1f}", f"{loop_ms / kaggle_ms:.0f}"),
            ("COCO, one pass over the label image", f"{coco_ms:.1f}", "1"),
            ("COCO, pycocotools", f"{pycocotools_ms:.1f}", f"{pycocotools_ms / coco_ms:.0f}"),
        ),
    )


def encode_by_pycocotools(labels: LabelImage) -> list[str]:
    """Objects one by one: all masks at once would be as many images."""
    columns = np.asfortranarray(labels)
    masks = ((columns == label).view(np.uint8) for label in range(1, int(labels.max()) + 1))
    return [pycocotools.mask.encode(mask)["counts"].decode("ascii") for mask in masks]


def encode_one(mask: npt.NDArray[np.bool_]) -> str:
    """One object as everybody writes it down."""
    pixels = np.concatenate([[0], mask.T.ravel().view(np.uint8), [0]])
    runs = np.flatnonzero(pixels[1:] != pixels[:-1]) + 1
    runs[1::2] -= runs[::2]
    return " ".join(map(str, runs.tolist()))


def compare_kmeans(pixels: npt.NDArray[np.uint8]) -> str:
    """Core's K-means, from pixels to the mask, against clustering all pixels; the inertia on the same pixels."""
    points = pixels.reshape(-1, 1 if pixels.ndim == 2 else 3).astype(np.float32)
    ways: dict[str, Callable[[], npt.ArrayLike]] = {
        "core": lambda: cluster(pixels, KMeansOptions(clusters=CLUSTERS, foreground="bright")).centres,
        "cv2.kmeans, 1 attempt": lambda: _opencv(points, attempts=1),
        "cv2.kmeans, 10 attempts": lambda: _opencv(points, attempts=10),
        "scikit-learn, n_init=1": lambda: _scikit_learn(points, starts=1),
        "scikit-learn, n_init=10": lambda: _scikit_learn(points, starts=10),
    }
    measured = {name: _best(way, ROUNDS if name == "core" else 1) for name, way in ways.items()}
    best = min(_inertia(points, centres) for centres, _ in measured.values())
    fast_ms = measured["core"][1]
    return markdown_table(
        ("grey" if pixels.ndim == 2 else "RGB", "ms", "times", "inertia / best"),
        (
            (name, f"{ms:.1f}", f"{ms / fast_ms:.0f}", f"{_inertia(points, centres) / best:.4f}")
            for name, (centres, ms) in measured.items()
        ),
    )


def _opencv(points: Points, attempts: int) -> npt.ArrayLike:
    cv2.setRNGSeed(0)
    criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 100, 0.1)
    return cv2.kmeans(points, CLUSTERS, None, criteria, attempts, cv2.KMEANS_PP_CENTERS)[2]


def _scikit_learn(points: Points, starts: int) -> npt.ArrayLike:
    return KMeans(CLUSTERS, n_init=starts, random_state=0).fit(points).cluster_centers_


def _inertia(points: Points, centres: npt.ArrayLike) -> float:
    """Sum of squared distances of all pixels to their nearest centre."""
    nearest = np.full(len(points), np.inf)
    for centre in np.asarray(centres, dtype=np.float64).reshape(CLUSTERS, -1):
        np.minimum(nearest, ((points - centre) ** 2).sum(axis=1), out=nearest)
    return float(nearest.sum())


def _best(work: Callable[[], Result], rounds: int = ROUNDS) -> tuple[Result, float]:
    """Result and least milliseconds of processor time of a few rounds."""
    times = []
    for _ in range(rounds):
        began = time.process_time()
        result = work()
        times.append(1000 * (time.process_time() - began))
    return result, min(times)
