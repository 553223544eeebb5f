"""Rows of an array, and bands that cover an image once."""

import numpy as np
import pytest

from monolayer_core.row_source import BAND_PX, ArrayRows, bands


@pytest.mark.parametrize(("shape", "channels"), [((4, 5), 1), ((4, 5, 3), 3)])
def test_an_array_gives_its_rows_without_a_copy(shape, channels):
    pixels = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
    source = ArrayRows(pixels)
    assert (source.height, source.width, source.channels, source.dtype) == (4, 5, channels, np.uint16)
    np.testing.assert_array_equal(source.read(slice(1, 3)), pixels[1:3])
    assert np.shares_memory(source.read(slice(1, 3)), pixels)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (10, BAND_PX // 4), (3, 2 * BAND_PX), (5, 7)])
def test_bands_cover_every_row_once_and_are_no_larger_than_they_must_be(height, width):
    found = list(bands(height, width))
    assert [row for band in found for row in range(band.start, band.stop)] == list(range(height))
    assert max(band.stop - band.start for band in found) <= max(1, BAND_PX // width)
