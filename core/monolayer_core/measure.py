"""Areas, positions, shapes and intensities of all objects at once.

Everything but solidity is computed from the horizontal runs of the label image by closed forms and whole-array sums,
never by a loop over objects: the price depends on the size of the image. Values are those of scikit-image's
``regionprops``.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from monolayer_core.arrays import LabelImage
from monolayer_core.row_runs import Float64Array, Int64Array, RowRuns, find_row_runs
from monolayer_core.row_source import ArrayRows, RowSource, bands


@dataclass(frozen=True)
class Measurements:
    """Measurements of N objects, column by column; row ``i`` is label ``i + 1``.

    What few ask for is computed when it is first asked for.

    Attributes
    ----------
    runs : RowRuns
        Where the objects lie.
    area_px : int64 (object,)
        Pixels.
    bbox_px : int64 (object, 4)
        Bounding box ``y, x, height, width``: first row and column, and how many.
    centroid_px : float64 (object, 2)
        Mean ``y, x`` of the pixels' indices.
    mean_intensity : float64 (object,) or (object, channel), or None
        Mean pixel value, in the units of the intensity image; None where none was given.
    solidity : float64 (object,) or None
        Area over the area of the convex hull of the pixels' squares, greater than 0 to 1; None unless asked for.
    pixel_size_um : float or None
        Side of a pixel in micrometres, None where unknown.
    """

    runs: RowRuns
    area_px: Int64Array
    bbox_px: Int64Array
    centroid_px: Float64Array
    mean_intensity: Float64Array | None
    solidity: Float64Array | None
    pixel_size_um: float | None

    def __len__(self) -> int:
        return self.area_px.size

    @property
    def area_um2(self) -> Float64Array | None:
        """Area in square micrometres, None where the pixel size is unknown."""
        return None if self.pixel_size_um is None else np.float64(self.pixel_size_um**2) * self.area_px

    @property
    def equivalent_diameter_px(self) -> Float64Array:
        """Diameter of the circle of the same area, ``(object,)``."""
        diameters: Float64Array = np.sqrt(self.area_px * (4 / math.pi))
        return diameters

    @property
    def equivalent_diameter_um(self) -> Float64Array | None:
        """Equivalent diameter in micrometres, None where the pixel size is unknown."""
        return None if self.pixel_size_um is None else self.equivalent_diameter_px * self.pixel_size_um

    @functools.cached_property
    def eccentricity(self) -> Float64Array:
        """Eccentricity ``(object,)`` of the ellipse with the same second moments.

        0 for a circle, towards 1 for a line; 0 for a single pixel.
        """
        return _eccentricity(self.runs, self.centroid_px)


def measure(
    labels: LabelImage,
    intensity: npt.NDArray[np.number] | None = None,
    *,
    pixel_size_um: float | None = None,
    solidity: bool = False,
) -> Measurements:
    """Measure every object of a label image.

    Parameters
    ----------
    labels : int32 (y, x)
        0 for background, 1 to N for objects, each with at least one pixel.
    intensity : (y, x) or (y, x, channel), optional
        Pixel values to average over each object.
    pixel_size_um : float, optional
        Side of a pixel in micrometres.
    solidity : bool
        Whether to compute it: it alone takes time for each object.

    Raises
    ------
    ValueError
        A label between 1 and the largest has no pixel, or the intensity image has another size.

    Examples
    --------
    >>> found = measure(np.array([[1, 1, 0], [1, 1, 2]], dtype=np.int32), pixel_size_um=0.5)
    >>> found.area_px, found.centroid_px.tolist(), found.area_um2.tolist()
    (array([4, 1]), [[0.5, 0.5], [1.0, 2.0]], [1.0, 0.25])
    """
    source = None if intensity is None else ArrayRows(intensity)
    return measure_runs(find_row_runs(labels), source, pixel_size_um=pixel_size_um, solidity=solidity)


def measure_runs(
    runs: RowRuns,
    intensity: RowSource | None = None,
    *,
    pixel_size_um: float | None = None,
    solidity: bool = False,
    check: Callable[[], None] = lambda: None,
) -> Measurements:
    """Measure every object of which the runs are known; see `measure`.

    `check` is called for every object whose solidity is computed; what it raises ends the work.
    """
    area = runs.areas_px
    if not area.all():
        raise ValueError(f"label {int(area.argmin()) + 1} has no pixel: relabel the image to 1..N")
    return Measurements(
        runs=runs,
        area_px=area,
        bbox_px=_bounding_boxes(runs),
        centroid_px=_centroids(runs, area),
        mean_intensity=None if intensity is None else mean_values(runs, intensity),
        solidity=_solidity(runs, area, check) if solidity else None,
        pixel_size_um=pixel_size_um,
    )


def mean_values(runs: RowRuns, intensity: RowSource) -> Float64Array:
    """Average an image over each object: ``(object,)`` for a grey one, ``(object, channel)`` for RGB.

    Sums are exact for integers.

    Raises
    ------
    ValueError
        The image has another size than the label image.
    """
    size = intensity.height, intensity.width
    if size != (runs.height, runs.width):
        raise ValueError(f"an intensity image of {size} pixels does not fit labels of {runs.height} by {runs.width}")
    sums = np.zeros((intensity.channels, runs.count))
    for rows in bands(*size):
        part, pixels = runs.part(rows), intensity.read(rows)
        for channel, plane in enumerate([pixels] if pixels.ndim == 2 else np.moveaxis(pixels, 2, 0)):
            sums[channel] += part.sums(plane)
    means: Float64Array = (sums / runs.areas_px).T
    return means[:, 0] if intensity.channels == 1 else means


def confluency_percent(labels: npt.NDArray[np.generic]) -> float:
    """Percentage, 0 to 100, of the pixels that belong to an object; of a label image or a mask.

    Examples
    --------
    >>> confluency_percent(np.array([[0, 1], [2, 2]]))
    75.0
    """
    return 100.0 * int(np.count_nonzero(labels)) / labels.size


def _centroids(runs: RowRuns, area: Int64Array) -> Float64Array:
    """Mean ``y, x`` of each object; over a run they are sums of arithmetic series."""
    y = runs.totals(runs.lengths * runs.y) / area
    x = runs.totals(runs.lengths * _middles(runs)) / area
    return np.column_stack([y, x])


def _eccentricity(runs: RowRuns, centroid: Float64Array) -> Float64Array:
    """Eccentricities; over a run of n pixels the second moments are sums of square series."""
    n = runs.lengths
    dy = runs.y - centroid[runs.labels - 1, 0]
    dx = _middles(runs) - centroid[runs.labels - 1, 1]
    # Relative to the centroid from the start: no difference of large numbers. About its middle a run adds n(n² - 1)/12.
    yy = runs.totals(n * dy * dy)
    xx = runs.totals(n * dx * dx + n * (n * n - 1) / 12)
    yx = runs.totals(n * dy * dx)
    half_sum, half_gap = (yy + xx) / 2, np.hypot((yy - xx) / 2, yx)
    longest, shortest = half_sum + half_gap, np.maximum(half_sum - half_gap, 0.0)
    is_extended = longest > 0
    ratio = np.divide(shortest, longest, out=np.ones_like(longest), where=is_extended)
    eccentricity: Float64Array = np.sqrt(1 - ratio)
    return eccentricity


def _middles(runs: RowRuns) -> Float64Array:
    return runs.x + (runs.lengths - 1) / 2


def _bounding_boxes(runs: RowRuns) -> Int64Array:
    at = runs.labels - 1
    top, bottom = np.empty((2, runs.count), dtype=np.int64)
    bottom[at] = runs.y + 1  # runs are in raster order: of equal indices the last one stays
    top[at[::-1]] = runs.y[::-1]
    left, right = np.full(runs.count, runs.width), np.zeros(runs.count, dtype=np.int64)
    np.minimum.at(left, at, runs.x)
    np.maximum.at(right, at, runs.x + runs.lengths)
    return np.column_stack([top, left, bottom - top, right - left])


def _solidity(runs: RowRuns, area: Int64Array, check: Callable[[], None]) -> Float64Array:
    """Area over hull area; the corners of the first and last pixel of each run are all the hull needs."""
    order, first = _by_object(runs)
    y, left = runs.y[order], runs.x[order]
    right = left + runs.lengths[order]
    corners = np.stack(
        [np.stack([left, y], 1), np.stack([right, y], 1), np.stack([left, y + 1], 1), np.stack([right, y + 1], 1)], 1
    )
    objects = np.split(corners.astype(np.int32), first[1:])
    hull_area = np.zeros(first.size)
    for i, points in enumerate(objects[: first.size]):  # numpy splits nothing into one part
        check()
        hull_area[i] = cv2.contourArea(cv2.convexHull(points.reshape(-1, 2)))
    return area / hull_area


def _by_object(runs: RowRuns) -> tuple[Int64Array, Int64Array]:
    """Order that groups the runs by object, and where each object begins in it."""
    order = np.argsort(runs.labels, kind="stable")
    counts = np.bincount(runs.labels - 1, minlength=runs.count)
    return order, np.cumsum(counts) - counts
