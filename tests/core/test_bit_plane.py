"""A mask of one bit a pixel gives back what was written, whatever the windows."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from monolayer_core.bit_plane import BitPlane


@st.composite
def regions(draw, height, width):
    top, left = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
    return slice(top, draw(st.integers(top + 1, height))), slice(left, draw(st.integers(left + 1, width)))


@given(st.data(), st.integers(1, 9), st.integers(1, 40))
def test_windows_written_one_over_another_read_as_in_an_array(data, height, width):
    plane, array = BitPlane(height, width), np.zeros((height, width), dtype=np.bool_)
    rng = np.random.default_rng(height * 100 + width)
    for _ in range(4):
        region = data.draw(regions(height, width))
        array[region] = rng.random(array[region].shape) < 0.5
        plane[region] = array[region]
    np.testing.assert_array_equal(plane[0:height, 0:width], array)
    region = data.draw(regions(height, width))
    np.testing.assert_array_equal(plane[region], array[region])
