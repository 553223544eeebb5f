"""What is seen through windows is a part of what is prepared as a whole."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monolayer_core import row_source
from monolayer_core.errors import UnusableImageError
from monolayer_core.model_card import ModelCard, NormalizationSpec, Output, TrainingData
from monolayer_core.pipeline import prepare
from monolayer_core.row_source import ArrayRows
from monolayer_core.window_input import WindowInput


def card(channels, low=0.5, high=99.5):
    return ModelCard(
        name="toy",
        version="1",
        task="instances",
        confluency_of="nucleus",
        channels=channels,
        outputs=(Output(name="nucleus", role="class"),),
        normalization=NormalizationSpec(low_percentile=low, high_percentile=high),
        tile_sides=(32,),
        halo=8,
        divisor=8,
        training_data=TrainingData(name="none", licence="none", source="none", images=0, objects=0),
    )


@settings(deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.tuples(st.integers(1, 30), st.integers(1, 30)),
    st.tuples(st.sampled_from([np.uint8, np.uint16]), st.sampled_from([1, 3]), st.sampled_from(["grey", "rgb"])),
    st.tuples(st.sampled_from([0, 0.5, 20]), st.sampled_from([99.5, 100, 60])),
    st.integers(1, 5),
)
def test_it_is_the_same_stretch_whatever_the_bands(seed, size, kind, percentiles, rows_at_once):
    dtype, channels, seen = kind
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, rng.choice([2, 200, np.iinfo(dtype).max]), (*size, channels), dtype=dtype, endpoint=True)
    pixels = pixels[..., 0] if channels == 1 else pixels
    toy = card(seen, *percentiles)
    expected = prepare(pixels, toy)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_source, "BAND_PX", rows_at_once * size[1])
        found = WindowInput(ArrayRows(pixels), toy)
    assert found.shape == expected.shape
    top, left = rng.integers(0, size[0]), rng.integers(0, size[1])
    region = slice(top, rng.integers(top, size[0]) + 1), slice(left, rng.integers(left, size[1]) + 1)
    np.testing.assert_array_equal(found[region], expected[region])
    np.testing.assert_array_equal(found[0 : size[0], 0 : size[1]], expected)


@pytest.mark.parametrize(
    "pixels", [np.zeros((4, 4), np.float32), np.zeros((4, 4, 4), np.uint8), np.zeros((0, 4), np.uint8)]
)
def test_what_cannot_be_read_in_windows_is_refused(pixels):
    with pytest.raises(UnusableImageError):
        WindowInput(ArrayRows(pixels), card("grey"))
