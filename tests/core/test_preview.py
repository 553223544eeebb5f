"""The preview is the normalised image, averaged over blocks that lie where they say."""

import io

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from monolayer_core import preview
from monolayer_core.errors import OptionError, UnusableImageError
from monolayer_core.image_io import open_image
from monolayer_core.normalization import normalize
from monolayer_core.preview import make_preview
from monolayer_core.row_source import ArrayRows


def slow_preview(pixels, factor):
    """Average the normalised image block by block, halves rounded up."""
    seen = normalize(pixels)
    height, width = -(-seen.shape[0] // factor), -(-seen.shape[1] // factor)
    averaged = np.empty((height, width, *seen.shape[2:]), np.uint8)
    for y in range(height):
        for x in range(width):
            block = seen[y * factor : (y + 1) * factor, x * factor : (x + 1) * factor].astype(int)
            averaged[y, x] = np.floor(block.mean(axis=(0, 1)) + 0.5)
    return averaged


SHAPES = st.tuples(st.integers(1, 23), st.integers(1, 23)).flatmap(lambda yx: st.sampled_from([yx, (*yx, 3)]))


@given(arrays(np.uint16, SHAPES), st.integers(1, 12), st.sampled_from([1, 40, 10_000]))
def test_a_preview_is_the_mean_of_the_blocks_of_the_normalised_image(pixels, max_side_px, band_px):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(preview, "BAND_PX", band_px)
        made = make_preview(ArrayRows(pixels), max_side_px)
    assert max(made.pixels.shape[:2]) <= max_side_px
    assert made.factor == 1 or max(pixels.shape[:2]) > (made.factor - 1) * max_side_px
    np.testing.assert_array_equal(made.pixels, slow_preview(pixels, made.factor))


def test_an_image_that_fits_is_only_stretched():
    pixels = np.linspace(-5, 3, 12, dtype=np.float32).reshape(3, 4)
    made = make_preview(ArrayRows(pixels))
    assert made.factor == 1
    np.testing.assert_array_equal(made.pixels, normalize(pixels))


def test_a_large_tiff_is_never_read_as_a_whole(monkeypatch):
    pixels = np.add.outer(np.arange(600), np.arange(50)).astype(np.uint16)
    stream = io.BytesIO()
    tifffile.imwrite(stream, pixels, compression="zlib", rowsperstrip=16)
    rows = open_image(stream.getvalue()).rows
    read, most = rows.read, []
    monkeypatch.setattr(rows, "read", lambda part: most.append(part.stop - part.start) or read(part))
    monkeypatch.setattr(preview, "BAND_PX", 1 << 11)
    monkeypatch.setattr("monolayer_core.row_source.BAND_PX", 1 << 11)
    made = make_preview(rows, 100)
    assert max(most) <= 40
    np.testing.assert_array_equal(made.pixels, slow_preview(pixels, 6))


def test_what_has_no_preview_is_refused():
    with pytest.raises(OptionError, match="at least 1 pixel, not 0"):
        make_preview(ArrayRows(np.zeros((2, 2), np.uint8)), 0)
    with pytest.raises(UnusableImageError, match="no pixels"):
        make_preview(ArrayRows(np.zeros((0, 2), np.uint8)))
