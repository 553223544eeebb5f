import doctest
from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pydantic import ValidationError

from monolayer_core import levels, normalization
from monolayer_core.errors import OptionError, UnusableImageError
from monolayer_core.illumination import correct_illumination
from monolayer_core.model_card import NormalizationSpec
from monolayer_core.normalization import apply_clahe, correct_flat_field, normalize

WHOLE_RANGE = NormalizationSpec(low_percentile=0, high_percentile=100)
REAL_TYPES = ["bool", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8", ">u2", ">i4", ">f4"]

small_images = hnp.arrays(
    st.sampled_from([np.uint8, np.uint16, np.int16, np.int32]),
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12),
    elements=st.integers(0, 120),
)


def percentile_ends(values: np.ndarray, spec: NormalizationSpec) -> tuple[float, float]:
    """The definition in the module's docstring, word for word."""
    occurring = sorted(set(values.ravel().tolist()))
    total = values.size
    # Exact: the percentiles of the test are whole hundredths.
    low_share, high_share = round(spec.low_percentile * 100), round(spec.high_percentile * 100)
    low = next(v for v in occurring if (values <= v).sum() * 10_000 > low_share * total)
    high = next(v for v in occurring[::-1] if (values >= v).sum() * 10_000 > (10_000 - high_share) * total)
    return low, high


def grey_level(value: int, low: int, high: int) -> int:
    clipped = min(max(value, low), high)
    return floor(Fraction(255 * (clipped - low), high - low) + Fraction(1, 2)) if high > low else 0


def test_the_examples_in_the_docstrings_are_true():
    assert doctest.testmod(normalization).failed == 0
    assert doctest.testmod(levels).failed == 0


@settings(deadline=None)
@given(small_images, st.lists(st.integers(0, 10_000), min_size=2, max_size=2, unique=True).map(sorted))
def test_the_stretch_follows_the_written_definition(image, hundredths):
    spec = NormalizationSpec(low_percentile=hundredths[0] / 100, high_percentile=hundredths[1] / 100)
    low, high = percentile_ends(image, spec)
    if low == high:
        low, high = int(image.min()), int(image.max())
    expected = [[grey_level(value, low, high) for value in row] for row in image.tolist()]
    assert normalize(image, spec).tolist() == expected


@settings(deadline=None)
@given(small_images)
def test_an_inverted_image_gives_the_inverted_result(image):
    inverted = normalize((120 - image).astype(image.dtype))
    direct = normalize(image)
    if image.min() == image.max():
        assert not inverted.any()
        assert not direct.any()
    else:
        assert np.abs(255 - direct.astype(int) - inverted).max() <= 1


@settings(deadline=None)
@given(small_images, st.randoms(use_true_random=False))
def test_a_pixel_keeps_its_grey_level_wherever_it_stands(image, random):
    order = random.sample(range(image.size), image.size)
    np.testing.assert_array_equal(normalize(image.reshape(1, -1)[:, order]), normalize(image).reshape(1, -1)[:, order])


@settings(max_examples=30, deadline=None)
@given(hnp.arrays(np.float32, (7, 5), elements=st.floats(-1000, 1000, width=32)), st.floats(0.01, 100))
def test_brightness_and_gain_of_a_float_image_do_not_matter(image, gain):
    direct, changed = normalize(image), normalize(image.astype(np.float64) * gain + 12.5)
    assert np.abs(direct.astype(int) - changed).max() <= 1


@pytest.mark.parametrize("dtype", REAL_TYPES)
def test_every_real_type_is_stretched_to_the_full_range(dtype):
    image = np.array([[0, 1], [1, 0]]).astype(dtype)
    np.testing.assert_array_equal(normalize(image), [[0, 255], [255, 0]])


@pytest.mark.parametrize("dtype", REAL_TYPES)
@pytest.mark.parametrize("shape", [(1, 1), (3, 4), (2, 2, 3)])
def test_a_constant_image_becomes_zeros(dtype, shape):
    result = normalize(np.ones(shape, dtype=dtype))
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(result, np.zeros(shape))


@pytest.mark.parametrize("dtype", ["u1", "u2", "i2", "i4", "u8", ">i2"])
def test_integer_types_with_the_same_values_give_the_same_result(dtype):
    image = np.random.default_rng(1).integers(0, 100, (40, 30))
    np.testing.assert_array_equal(normalize(image.astype(dtype)), normalize(image))


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_floats_differ_from_the_same_integers_by_rounding_alone(dtype):
    image = np.random.default_rng(1).integers(0, 100, (40, 30))
    assert np.abs(normalize(image.astype(dtype)).astype(int) - normalize(image)).max() <= 1


def test_percentiles_are_taken_over_all_channels_together():
    image = np.zeros((10, 10, 3), dtype=np.uint8)
    image[..., 0], image[..., 1] = 200, 100
    np.testing.assert_array_equal(normalize(image)[0, 0], [255, 128, 0])


def test_outliers_beyond_the_percentiles_are_clipped():
    image = np.tile(np.arange(100, dtype=np.uint16), (100, 1))
    image[0, :10] = 60_000
    result = normalize(image)
    assert (result[0, :10] == 255).all()
    assert result[5, 49] == 126  # (49 - 0) / (99 - 0) * 255
    assert result[5, 99] == 255


def test_few_bright_specks_on_an_even_ground_are_kept():
    image = np.full((100, 100), 7, dtype=np.uint8)
    image[50, 50], image[50, 51] = 9, 11
    result = normalize(image)
    assert result[50, 50:52].tolist() == [128, 255]
    assert result.sum() == 128 + 255


@pytest.mark.parametrize("outlier", [1e6, 1e12, -1e9])
def test_one_hot_pixel_costs_a_float_image_no_grey_levels(outlier):
    image = np.random.default_rng(2).random((200, 200)).astype(np.float64)
    spoiled = image.copy()
    spoiled[3, 4] = outlier
    difference = np.abs(normalize(spoiled).astype(int) - normalize(image))
    difference[3, 4] = 0
    assert difference.max() <= 1


@pytest.mark.parametrize("offset", [2**31 - 40_000, 2**40])
def test_integers_far_from_zero_are_exact(offset):
    image = np.arange(256, dtype=np.int64).reshape(16, 16)
    np.testing.assert_array_equal(normalize(image + offset, WHOLE_RANGE), image)


def test_signed_integers_over_the_whole_of_their_range_do_not_overflow():
    image = np.array([[-(2**63), 2**63 - 1], [-1, 0]])
    np.testing.assert_array_equal(normalize(image, WHOLE_RANGE), [[0, 255], [128, 128]])
    image = np.array([[-128, 127]], dtype=np.int8)
    np.testing.assert_array_equal(normalize(image, WHOLE_RANGE), [[0, 255]])


def test_an_image_larger_than_one_chunk_is_counted_whole(monkeypatch):
    image = np.random.default_rng(3).integers(0, 4000, (97, 61)).astype(np.uint16)
    for pixels in (image, (image // 16).astype(np.uint8), image.astype(np.float32) / 7):
        expected = normalize(pixels)
        monkeypatch.setattr(levels, "_CHUNK", 1000)
        np.testing.assert_array_equal(normalize(pixels), expected)
        monkeypatch.undo()


def test_an_image_that_is_not_contiguous_is_read_right():
    image = np.random.default_rng(4).integers(0, 256, (20, 30, 3)).astype(np.uint8)
    np.testing.assert_array_equal(normalize(image[::2, ::3, 1]), normalize(image[::2, ::3, 1].copy()))


@pytest.mark.parametrize(
    ("image", "word"),
    [
        (np.zeros((0, 5), dtype=np.uint8), "no pixels"),
        (np.ones((2, 2), dtype=np.complex64), "complex64"),
        (np.array([[1.0, np.nan]]), "NaN"),
        (np.array([[1.0, np.inf]]), "infinite"),
        (np.array([[-1.7e308, 1.7e308]]), "span"),
    ],
    ids=["empty", "complex", "nan", "inf", "too wide"],
)
def test_values_that_cannot_be_stretched_are_refused(image, word):
    with pytest.raises(UnusableImageError, match=word):
        normalize(image)


@pytest.mark.parametrize(("low", "high"), [(50, 50), (60, 40), (-1, 50), (1, 101)])
def test_percentiles_that_make_no_stretch_are_refused(low, high):
    with pytest.raises(ValidationError):
        NormalizationSpec(low_percentile=low, high_percentile=high)


def test_clahe_raises_local_contrast_and_keeps_the_kind_of_image():
    ramp = np.tile(np.linspace(100, 140, 64, dtype=np.uint8), (64, 1))
    result = apply_clahe(ramp, clip_limit=40)
    assert result.dtype == np.uint8
    assert np.ptp(result[:, 24:40]) > 4 * np.ptp(ramp[:, 24:40])
    assert np.ptp(result) > np.ptp(apply_clahe(ramp)) > np.ptp(ramp)
    np.testing.assert_array_equal(apply_clahe(ramp[..., np.newaxis], clip_limit=40)[..., 0], result)


def test_clahe_on_colours_changes_lightness_and_keeps_the_hue():
    image = np.zeros((64, 64, 3), dtype=np.uint8)
    image[..., 0] = np.linspace(60, 120, 64)
    result = apply_clahe(image)
    assert np.ptp(result[..., 0]) > np.ptp(image[..., 0])
    assert (result[..., 0] >= result[..., 1:].max(axis=2)).all()
    grey = np.repeat(image[..., :1], 3, axis=2)
    assert np.ptp(apply_clahe(grey).astype(int), axis=2).max() <= 2


@pytest.mark.parametrize("shape", [(1, 1), (1, 1, 3), (2000, 1), (1, 2000, 3), (7, 9)])
def test_clahe_takes_any_size(shape):
    image = np.full(shape, 90, dtype=np.uint8)
    assert np.ptp(apply_clahe(image)) == 0


@pytest.mark.parametrize("options", [{"clip_limit": 0}, {"clip_limit": float("nan")}, {"grid": (0, 8)}])
def test_clahe_refuses_options_that_are_not_positive(options):
    with pytest.raises(OptionError, match="CLAHE"):
        apply_clahe(np.zeros((8, 8), dtype=np.uint8), **options)


@pytest.mark.parametrize("shape", [(300, 400), (400, 300, 3)])
def test_flat_field_takes_a_vignette_away(shape):
    random = np.random.default_rng(5)
    flat = random.normal(100, 3, shape)
    y, x = np.mgrid[: shape[0], : shape[1]]
    radius = np.hypot(y - shape[0] / 2, x - shape[1] / 2)
    vignette = 1 / (1 + 2 * (radius / radius.max()) ** 2)
    spoiled = flat * (vignette if flat.ndim == 2 else vignette[..., np.newaxis])
    corrected = correct_flat_field(spoiled)
    assert corrected.dtype == np.float32
    assert corrected.mean() == pytest.approx(spoiled.mean(), rel=1e-4)
    assert corrected.std() / corrected.mean() < 0.25 * spoiled.std() / spoiled.mean()


def test_flat_field_leaves_an_even_image_and_the_balance_of_colours_alone():
    image = np.full((50, 60, 3), (200, 100, 50), dtype=np.uint8)
    np.testing.assert_allclose(correct_flat_field(image), image, rtol=1e-5)


@pytest.mark.parametrize("shape", [(1, 1), (1, 1, 3), (20_000, 1), (1, 5)])
@pytest.mark.parametrize("value", [0, 1, 255])
def test_flat_field_of_a_constant_image_of_any_size_is_that_image(shape, value):
    np.testing.assert_allclose(correct_flat_field(np.full(shape, value, dtype=np.uint8)), value, rtol=1e-5)


def test_flat_field_takes_negative_floats():
    image = np.random.default_rng(6).normal(0, 1, (64, 64))
    corrected = correct_flat_field(image, sigma_px=10)
    assert np.isfinite(corrected).all()
    assert corrected.mean() == pytest.approx(image.mean(), abs=1e-3)


@pytest.mark.parametrize("sigma_px", [0, -1, float("nan"), float("inf")])
def test_flat_field_refuses_a_width_that_is_not_positive(sigma_px):
    with pytest.raises(OptionError, match="sigma"):
        correct_flat_field(np.ones((4, 4)), sigma_px=sigma_px)


@pytest.mark.parametrize("scale", [1e-14, 1e13, 1e300])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_flat_field_of_values_beyond_its_arithmetic_is_refused(scale, sign):
    pixels = sign * scale * np.arange(12, dtype=np.float64).reshape(3, 4)
    for correct in (correct_flat_field, correct_illumination):
        with pytest.raises(UnusableImageError, match="scale the image"):
            correct(pixels)


@pytest.mark.parametrize("scale", [2.0**-36, 2.0**36])
def test_a_flat_field_depends_on_no_unit(scale):
    pixels = np.random.default_rng(0).gamma(2.0, 1.0, (40, 50)).astype(np.float32)
    for correct in (correct_flat_field, correct_illumination):
        np.testing.assert_array_equal(correct(pixels * np.float32(scale)), correct(pixels) * np.float32(scale))
