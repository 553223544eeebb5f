"""Is this image worth analysing? Five numbers and the flags that follow from them.

The numbers say nothing of the biology and cost a few milliseconds per megapixel. The thresholds were set on 664 images
that people had found good enough to annotate (fluorescence, stained tissue, blood smears, brightfield and phase
contrast) and on spoiled copies of them.

**Focus** tells blurred edges from sharp ones whatever their contrast; see `monolayer_core.sharpness`.

**Structure** tells a field with cells from noise, also where its brightness varies slowly; see there too.

**Unevenness** is how far a quadratic surface through the medians of 8 x 8 blocks falls off, times the share of the
medians' variance that it explains: cells are many and scattered, a vignette is one surface.
"""

import functools
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from monolayer_core.levels import DEFAULT_SPEC, Index, Levels, count_levels, percentile_levels, stretch_table
from monolayer_core.model_card import NormalizationSpec
from monolayer_core.row_source import RowSource, bands
from monolayer_core.sharpness import measure_sharpness

FOCUS_THRESHOLD = 0.22
"""Below: out of focus; edges are blurred by about 2.5 pixels. 0.3 % of the good images lie below it, and 99.8 % of
their copies after a Gaussian blur of 4 pixels, with or without fresh noise."""

SATURATED_THRESHOLD = 0.05
"""Above: saturated. No good image has more than 3.1 % of its values at the maximum."""

CONTRAST_THRESHOLD = 0.08
"""Below: low contrast. The palest good image has 0.25; 86 % of the copies with a tenth of the contrast are flagged."""

MIN_GREY_STEPS = 12
"""Fewer steps of an integer type between the percentiles are low contrast too: rounding then hides what there is."""

STRUCTURE_THRESHOLD = 0.78
"""Below: blank. Noise has 0 to 0.5, with a vignette up to 0.77; the good images have 0.996 and more."""

UNEVENNESS_THRESHOLD = 0.42
"""Above: uneven illumination. Of copies with a third of the light in the corners all stained, brightfield and phase
contrast images lie above and half of the fluorescence images, whose dark ground shows little of the light; of the good
images 4 % of the fluorescence images, whose cells gather on one side, and no other."""


@dataclass(frozen=True)
class Quality:
    """What is known of an image before it is analysed; numbers are rounded to four digits.

    Attributes
    ----------
    focus
        0 to 1: about 0.85 where edges are as sharp as pixels allow, 0.6 where they are blurred by 1 pixel, 0.3 by 2,
        0.1 by 4; 0 where nothing is to be seen.
    saturated_fraction
        Share of values (pixels times channels) at the end of the type's range, or, where values pile up there, at the
        image's own maximum (a 12-bit camera in 16-bit data).
    contrast
        (high - low) / (high + low) of the 0.5th and 99.5th percentile; 1 where the low one is 0 or negative.
    structure
        0 to 1: how much of what varies is more than white noise.
    unevenness
        0 to 1: fall-off of the illumination over the image.
    flags
        Any of ``blank``, ``out_of_focus``, ``saturated``, ``low_contrast``, ``uneven_illumination``, in this order.
    """

    focus: float
    saturated_fraction: float
    contrast: float
    structure: float
    unevenness: float
    flags: tuple[str, ...]


def assess_quality(source: RowSource) -> Quality:
    """Measure focus, saturation, contrast, structure and illumination of an image as it was decoded.

    Parameters
    ----------
    source
        Grey or RGB of any size and real type, not normalised: saturation cannot be seen afterwards. Values of 8 and 16
        bits are gone through once and then looked at in a few rows; others some times.

    Raises
    ------
    UnusableImageError
        The image is empty, complex, or holds NaN or infinity.

    Examples
    --------
    >>> from monolayer_core.row_source import ArrayRows
    >>> assess_quality(ArrayRows(np.full((64, 64), 255, dtype=np.uint8))).flags
    ('blank', 'saturated')
    """
    levels = count_levels(source)
    low, high = percentile_levels(levels.counts, DEFAULT_SPEC)
    saturated_fraction = _saturated_fraction(source, levels)
    contrast = _contrast(levels.origin + low * levels.step, levels.origin + high * levels.step)
    few_steps = source.dtype.kind in "iu" and (high - low) * levels.step < MIN_GREY_STEPS

    def grey(rows: slice) -> Index:
        index = levels.place(source.read(rows))
        return index if index.ndim == 2 else np.asarray(cv2.cvtColor(index, cv2.COLOR_RGB2GRAY))

    darkest, brightest = percentile_levels(levels.counts, _NEARLY_ALL)
    if darkest == brightest:
        darkest, brightest = np.flatnonzero(levels.counts)[[0, -1]].tolist()
    sharpness = measure_sharpness(source.height, grey, stretch_table(darkest, brightest, len(levels.counts)))
    unevenness = _unevenness(source, levels)

    blank = sharpness.structure < STRUCTURE_THRESHOLD
    found = {
        "blank": blank,
        "out_of_focus": not blank and sharpness.focus < FOCUS_THRESHOLD,
        "saturated": saturated_fraction > SATURATED_THRESHOLD,
        "low_contrast": not blank and (contrast < CONTRAST_THRESHOLD or few_steps),
        "uneven_illumination": unevenness > UNEVENNESS_THRESHOLD,
    }
    return Quality(
        round(sharpness.focus, 4),
        round(saturated_fraction, 4),
        round(contrast, 4),
        round(sharpness.structure, 4),
        round(unevenness, 4),
        tuple(name for name, present in found.items() if present),
    )


# A few cells on a large field are fewer pixels than lie above the 99.5th percentile, and hot pixels are fewer still.
_NEARLY_ALL = NormalizationSpec(low_percentile=0.02, high_percentile=99.98)


def _contrast(low: float, high: float) -> float:
    if high <= low:
        return 0.0
    return 1.0 if low <= 0 else (high - low) / (high + low)


_PILE_UP = 5  # times as many values at the maximum as at any of the levels just below: that is no tail
_TAIL = 8  # of the levels that occur next below the maximum


def _saturated_fraction(source: RowSource, levels: Levels) -> float:
    occurring = np.flatnonzero(levels.counts)
    size = source.height * source.width * source.channels
    if source.dtype.kind == "f":
        # The last level also holds what lies beyond the levels.
        read = map(source.read, bands(source.height, source.width))
        at_maximum = sum(int(np.count_nonzero(rows == levels.maximum)) for rows in read)
    else:
        at_maximum = int(levels.counts[occurring[-1]])
        if source.dtype != np.bool_ and levels.maximum == np.iinfo(source.dtype).max:
            return at_maximum / size
    tail = levels.counts[occurring[:-1][-_TAIL:]]
    piled_up = tail.size > 0 and at_maximum >= _PILE_UP * int(tail.max())
    return at_maximum / size if piled_up else 0.0


_BLOCKS = 8  # along either side
_SAMPLES = 16  # pixels looked at along either side of a block
_READ_PX = 1 << 18  # rows that lie within so many pixels are read in one go; of a large file only those looked at


def _unevenness(source: RowSource, levels: Levels) -> float:
    # The middles of equal parts; a small image gives some pixels several times.
    places = (np.arange(_BLOCKS * _SAMPLES) + 0.5) / (_BLOCKS * _SAMPLES)
    rows, columns = (places * source.height).astype(int), (places * source.width).astype(int)
    together = max(1, _READ_PX * len(rows) // (source.height * source.width))
    read = [
        source.read(slice(int(near[0]), int(near[-1]) + 1))[near - near[0]].take(columns, axis=1)
        for near in np.split(rows, range(together, len(rows), together))
    ]
    samples = levels.place(np.concatenate(read))
    if samples.ndim == 3:
        # Stains take light away: the channel they spare shows it best. Planes, since numpy is slow along a short axis.
        samples = functools.reduce(np.maximum, np.moveaxis(samples, 2, 0))
    blocks = samples.reshape(_BLOCKS, _SAMPLES, _BLOCKS, _SAMPLES).transpose(0, 2, 1, 3)
    medians = np.median(blocks.reshape(_BLOCKS * _BLOCKS, -1), axis=1)
    medians = np.maximum(levels.origin + medians * levels.step, 0.0)
    medians = np.ldexp(medians, -int(np.frexp(medians.max())[1]))  # exact, and their squares are numbers
    surface = _surface_projection() @ medians
    variance, brightest = float(medians.var()), float(surface.max())
    if variance <= 1e-12 * brightest**2:
        return 0.0
    explained = max(0.0, 1.0 - float(((medians - surface) ** 2).mean()) / variance)
    return (brightest - max(float(surface.min()), 0.0)) / brightest * explained


@functools.cache
def _surface_projection() -> npt.NDArray[np.float64]:
    """Matrix that turns block values, row by row, into those of the quadratic surface closest to them."""
    y, x = np.mgrid[-1 : 1 : _BLOCKS * 1j, -1 : 1 : _BLOCKS * 1j].reshape(2, -1)
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)
    return np.asarray(terms @ np.linalg.pinv(terms))
