"""Column-major runs from horizontal ones are those of the label image."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from monolayer_core import column_runs
from monolayer_core.column_runs import find_column_runs
from monolayer_core.row_runs import find_row_runs
from monolayer_core.runs import find_runs

label_images = hnp.arrays(
    np.int32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.sampled_from([0, 1, 1, 2, 4])
)


@given(label_images, st.sampled_from([1, 20, 1000]))
def test_they_are_those_of_the_label_image_whatever_the_bands(labels, band_px):
    expected = find_runs(labels)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(column_runs, "_BAND_PX", band_px)
        found = find_column_runs(find_row_runs(labels))
    for name in ("objects", "starts", "lengths"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert (found.count, found.height, found.width) == (expected.count, expected.height, expected.width)
