"""The runs of a label image: what both run-length encodings, Kaggle's and COCO's, are made of.

A run is a stretch of pixels of one object in *column-major* order: down the first column, then down the second. The
image is read once for all objects together; nothing here loops over objects or over runs, so the price depends on the
size of the image and hardly on what is in it. The text forms live in `rle`.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monolayer_core.arrays import LabelImage
from monolayer_core.errors import RunLengthError

Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Runs:
    """Runs of the objects of one image, ordered by object and within an object by position.

    Attributes
    ----------
    objects : int64 (run,)
        Index of the object, 0 to ``count - 1``; object ``i`` has the label ``i + 1``.
    starts : int64 (run,)
        First pixel of the run, 0-based, column-major: ``x * height + y``.
    lengths : int64 (run,)
        Number of pixels, at least 1. A run may go on in the next column.
    count : int
        Number of objects, those without a run among them.
    height, width : int
        Size of the image in pixels.
    """

    objects: Int64Array
    starts: Int64Array
    lengths: Int64Array
    count: int
    height: int
    width: int

    @property
    def ends(self) -> Int64Array:
        """First pixel behind each run."""
        return self.starts + self.lengths

    @property
    def runs_per_object(self) -> Int64Array:
        """Number of runs of each object, ``(count,)``."""
        return np.bincount(self.objects, minlength=self.count)

    @property
    def areas_px(self) -> Int64Array:
        """Pixels of each object, ``(count,)``; 0 for an object without a run."""
        return np.bincount(self.objects, weights=self.lengths, minlength=self.count).astype(np.int64)


def find_runs(labels: npt.NDArray[np.integer], count: int | None = None) -> Runs:
    """Find the runs of all objects in one pass over the label image.

    Parameters
    ----------
    labels : integer (y, x)
        0 for background, ``i + 1`` for object ``i``. Labels without pixels are objects without runs.
    count : int, optional
        Number of objects; the largest label where not given.

    Raises
    ------
    ValueError
        `labels` is not a two-dimensional integer image, holds a negative label or one above `count`, or numbers its
        objects with gaps so wide that there would be more objects than pixels (and more than 16 bits can count).
    """
    if labels.ndim != 2 or labels.dtype.kind not in "iu":
        raise ValueError(f"a label image is (y, x) of integers, not {labels.dtype} with {labels.ndim} axes")
    height, width = labels.shape
    largest = int(labels.max(initial=0))
    if count is None:
        count = largest
    if labels.size and int(labels.min()) < 0:
        raise ValueError("a label image holds no negative numbers")
    if largest > count or count > max(labels.size, 65535):
        raise ValueError(f"labels up to {largest} for {count} objects in {labels.size} pixels: relabel them to 1..N")

    # Everything reads the image row by row, as it lies in memory; only the few pixels that begin a run change places.
    is_start = np.zeros((height, width), dtype=np.bool_)
    if labels.size:
        np.not_equal(labels[1:], labels[:-1], out=is_start[1:])
        np.not_equal(labels[0, 1:], labels[-1, :-1], out=is_start[0, 1:])
        is_start[0, 0] = True
    index = np.flatnonzero(is_start)
    y, x = np.divmod(index, max(width, 1))
    by_column = _stable_order(x, width)
    starts = (x * height + y)[by_column]
    lengths = np.diff(starts, append=labels.size)
    found = labels.ravel()[index][by_column]

    is_object = np.flatnonzero(found)
    order = is_object[_stable_order(found[is_object], count + 1)]  # groups the runs of one object
    return Runs(found[order].astype(np.int64) - 1, starts[order], lengths[order], count, height, width)


def _stable_order(values: npt.NDArray[np.integer], bound: int) -> npt.NDArray[np.intp]:
    """Order that sorts values from 0 up to less than `bound` and leaves equal ones as they stand.

    Of 16 bits numpy sorts by radix, in linear time.
    """
    return np.argsort(values.astype(np.uint16 if bound <= 65536 else np.int64), kind="stable")


def find_overlap(runs: Runs) -> tuple[int, int, int] | None:
    """Find a pixel that two runs share.

    Returns
    -------
    (int, int, int) or None
        The indices of two objects and the pixel, 0-based and column-major; None where every pixel belongs to one object
        at most.
    """
    return _first_clash(*_by_position(runs))


def lay_out(runs: Runs) -> tuple[npt.NDArray[np.int32], Int64Array]:
    """Lay runs and the background between them end to end.

    Returns
    -------
    values : int32 (2 * run + 1,)
        Label of each stretch; background, run, background, run, ..., background. A background may have no pixels.
    borders : int64 (2 * run + 2,)
        Where each stretch begins, and last the number of pixels of the image; column-major.

    Raises
    ------
    RunLengthError
        Two runs cover the same pixel or a run leaves the image.
    """
    size = runs.height * runs.width
    objects, starts, ends = _by_position(runs)
    if starts.size and (int(starts[0]) < 0 or int(ends.max()) > size):
        raise RunLengthError(f"a run leaves the image of {runs.height} by {runs.width} pixels")
    clash = _first_clash(objects, starts, ends)
    if clash is not None:
        x, y = divmod(clash[2], runs.height)
        raise RunLengthError(f"objects {clash[0] + 1} and {clash[1] + 1} overlap at y={y}, x={x}")
    values = np.zeros(2 * starts.size + 1, dtype=np.int32)
    values[1::2] = objects + 1
    borders = np.empty(2 * starts.size + 2, dtype=np.int64)
    borders[0], borders[1:-1:2], borders[2:-1:2], borders[-1] = 0, starts, ends, size
    return values, borders


def paint_runs(runs: Runs) -> LabelImage:
    """Paint runs into a label image, object ``i`` with the label ``i + 1``.

    The memory taken is that of the image, whatever the runs say.

    Raises
    ------
    RunLengthError
        Two runs cover the same pixel or a run leaves the image.
    """
    values, borders = lay_out(runs)
    flat = np.repeat(values, np.diff(borders))
    return np.ascontiguousarray(flat.reshape(runs.width, runs.height).T)


def _by_position(runs: Runs) -> tuple[Int64Array, Int64Array, Int64Array]:
    """Objects, starts and ends of the runs in the order of the image."""
    order = np.argsort(runs.starts)
    return runs.objects[order], runs.starts[order], runs.ends[order]


def _first_clash(objects: Int64Array, starts: Int64Array, ends: Int64Array) -> tuple[int, int, int] | None:
    """Find the first run that begins before the one in front of it has ended; the runs are in order."""
    clash = np.flatnonzero(starts[1:] < ends[:-1])
    if not clash.size:
        return None
    first = int(clash[0])
    return int(objects[first]), int(objects[first + 1]), int(starts[first + 1])
