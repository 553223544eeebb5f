"""Where a donor fits best between the cells that are there already.

All places are compared at once, on a coarse grid, by correlating the occupied area with the donor's outline: ground
that becomes covered counts for a place, what would lie beneath other cells against it, and cells along the outline for
it.
"""

import cv2
import numpy as np
import numpy.typing as npt

GRID = 64
"""Rows and columns into which a crop is divided at least."""

HIDDEN_COST = 1.0
"""What a hidden pixel of the donor costs, compared with one newly covered."""

DISORDER = 0.3
"""Largest random addition to the worth of a place, where that of a donor all on the ground is 1."""


def find_place(
    occupied: npt.NDArray[np.bool_], donor: npt.NDArray[np.bool_], touching: float, rng: np.random.Generator
) -> tuple[int, int]:
    """Choose the first pixel ``(y, x)`` of a donor, in coordinates of the crop; up to half of it may lie outside.

    Parameters
    ----------
    occupied
        ``(y, x)`` of the crop.
    donor
        Outline of the donor, ``(y, x)``.
    touching
        Worth of an outline all along other cells, compared with that of the donor's own area.
    rng
        Places are worth up to `DISORDER` more at random.
    """
    step = max(min(occupied.shape) // GRID, 1)
    shape, taken = _coarse(donor, step), _coarse(occupied, step)
    height, width = shape.shape
    framed = _framed(shape, 1, 1)
    outline = np.asarray(cv2.dilate(framed, np.ones((3, 3), np.uint8)), np.float32) - framed
    pad = height // 2, width // 2
    gain = _framed(1 - np.float32(1 + HIDDEN_COST) * taken, *pad)
    neighbours = _framed(taken, pad[0] + 1, pad[1] + 1)
    worth = np.asarray(cv2.matchTemplate(gain, shape, cv2.TM_CCORR), np.float32)
    worth /= max(float(shape.sum()), 1e-6)
    beside = np.asarray(cv2.matchTemplate(neighbours, outline, cv2.TM_CCORR), np.float32)
    worth += np.float32(touching / max(float(outline.sum()), 1e-6)) * beside
    worth += np.float32(DISORDER) * rng.random(worth.shape, np.float32)
    row, column = np.unravel_index(int(np.argmax(worth)), worth.shape)
    return (int(row) - pad[0]) * step, (int(column) - pad[1]) * step


def _coarse(mask: npt.NDArray[np.bool_], step: int) -> npt.NDArray[np.float32]:
    """Covered part of each square of `step` pixels; rows and columns that fill no square count with their part."""
    height, width = (-(-length // step) for length in mask.shape)
    missing = height * step - mask.shape[0], width * step - mask.shape[1]
    values = cv2.copyMakeBorder(mask.astype(np.float32), 0, missing[0], 0, missing[1], cv2.BORDER_CONSTANT)
    return np.asarray(cv2.resize(values, (width, height), interpolation=cv2.INTER_AREA), np.float32)


def _framed(values: npt.NDArray[np.float32], rows: int, columns: int) -> npt.NDArray[np.float32]:
    """Surround with zeros."""
    return np.asarray(cv2.copyMakeBorder(values, rows, rows, columns, columns, cv2.BORDER_CONSTANT), np.float32)
