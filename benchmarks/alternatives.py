"""The plain ways of doing what core does in passes over the whole image: slower or less exact, for comparison.

Times are processor time, as in `benchmarks.steps`, so that a library that takes several cores gains nothing by it.
"""

import importlib
import importlib.util
import time
from collections.abc import Callable
from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from monolayer_core.arrays import LabelImage
from monolayer_core.kmeans import KMeansOptions, cluster
from monolayer_core.rle import encode_kaggle

CLUSTERS = 3
ROUNDS = 3

Points = npt.NDArray[np.float32]
Result = TypeVar("Result")


def compare_run_lengths(labels: LabelImage) -> str:
    """All objects in one pass against one after the other."""
    count = int(labels.max())
    together, fast_ms = _best(lambda: encode_kaggle(labels))
    one_by_one, slow_ms = _best(lambda: [encode_one(labels == label) for label in range(1, count + 1)])
    if together != one_by_one:
        raise SystemExit("the two ways of run-length encoding differ")
    return "\n".join(
        [
            f"| {count} objects | ms | times |",
            "| --- | --- | --- |",
            f"| one pass over the label image | {fast_ms:.1f} | 1 |",
            f"| loop over objects | {slow_ms:.1f} | {slow_ms / fast_ms:.0f} |",
        ]
    )


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
    }
    if importlib.util.find_spec("sklearn") is not None:
        importlib.import_module("sklearn.cluster")  # loading it is not counted
        ways["scikit-learn, n_init=1"] = lambda: _scikit_learn(points, starts=1)
        ways["scikit-learn, n_init=10"] = lambda: _scikit_learn(points, starts=10)
    measured = {name: _best(way, ROUNDS if name == "core" else 1) for name, way in ways.items()}
    best = min(_inertia(points, centres) for centres, _ in measured.values())
    fast_ms = measured["core"][1]
    rows = [
        f"| {name} | {ms:.1f} | {ms / fast_ms:.0f} | {_inertia(points, centres) / best:.4f} |"
        for name, (centres, ms) in measured.items()
    ]
    kind = "grey" if pixels.ndim == 2 else "RGB"
    return "\n".join([f"| {kind} | ms | times | inertia / best |", "| --- | --- | --- | --- |", *rows])


def _opencv(points: Points, attempts: int) -> npt.ArrayLike:
    cv2.setRNGSeed(0)
    criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 100, 0.1)
    return cv2.kmeans(points, CLUSTERS, None, criteria, attempts, cv2.KMEANS_PP_CENTERS)[2]


def _scikit_learn(points: Points, starts: int) -> npt.ArrayLike:
    from sklearn.cluster import KMeans

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
