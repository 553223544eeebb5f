"""Measurements are those of scikit-image, for all objects at once."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.measure import regionprops

from monolayer_core import row_source
from monolayer_core.instances import relabel
from monolayer_core.measure import confluency_percent, mean_values, measure
from monolayer_core.row_runs import find_row_runs
from monolayer_core.row_source import ArrayRows

label_images = hnp.arrays(
    np.int32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=14), elements=st.sampled_from([0, 0, 1, 1, 2, 3])
).map(relabel)


def check_against_scikit_image(labels, intensity):
    found = measure(labels, intensity)
    expected = regionprops(labels, intensity)
    assert len(found) == len(expected)
    for i, region in enumerate(expected):
        top, left, bottom, right = region.bbox
        assert found.area_px[i] == region.area
        assert found.bbox_px[i].tolist() == [top, left, bottom - top, right - left]
        np.testing.assert_allclose(found.centroid_px[i], region.centroid, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(found.equivalent_diameter_px[i], region.equivalent_diameter_area, rtol=1e-12)
        # scikit-image sums float32 images in float32.
        np.testing.assert_allclose(found.mean_intensity[i], region.intensity_mean, rtol=1e-6)
        # The square root makes 1e-4 of a rounding error of 1e-8 where an object is nearly round.
        np.testing.assert_allclose(found.eccentricity[i], region.eccentricity, atol=1e-6)


@given(label_images, st.sampled_from([np.uint8, np.uint16, np.float32]), st.integers(0, 2**32 - 1))
def test_measurements_are_those_of_scikit_image(labels, dtype, seed):
    rng = np.random.default_rng(seed)
    check_against_scikit_image(labels, (rng.random(labels.shape) * 200).astype(dtype))


def test_measurements_of_ellipses_far_from_the_origin_are_those_of_scikit_image():
    image = np.zeros((3000, 3000), dtype=np.int32)
    for number, (y, x, a, b, angle) in enumerate(
        [(2900, 2800, 60, 20, 30), (100, 2950, 9, 8, 0), (1500, 40, 3, 30, 75)], 1
    ):
        cv2.ellipse(image, (x, y), (a, b), angle, 0, 360, number, -1)
    labels = relabel(image)
    check_against_scikit_image(labels, np.random.default_rng(0).integers(0, 65536, labels.shape, dtype=np.uint16))


@pytest.mark.parametrize(
    ("rows", "eccentricity"),
    [
        pytest.param([[1]], 0.0, id="a single pixel"),
        pytest.param([[1, 1], [1, 1]], 0.0, id="a square"),
        pytest.param([[1, 1, 1]], 1.0, id="a line"),
        pytest.param([[1, 1, 1, 1]] * 2, np.sqrt(1 - 3 / 15), id="a rectangle of 2 by 4"),
    ],
)
def test_eccentricity_of_shapes_one_can_calculate(rows, eccentricity):
    assert measure(np.array(rows, dtype=np.int32)).eccentricity[0] == pytest.approx(eccentricity, abs=1e-12)


def test_intensity_is_averaged_per_channel():
    labels = np.array([[1, 2, 2]], dtype=np.int32)
    rgb = np.array([[[10, 20, 30], [1, 2, 3], [3, 4, 6]]], dtype=np.uint8)
    np.testing.assert_array_equal(measure(labels, rgb).mean_intensity, [[10, 20, 30], [2, 3, 4.5]])


def test_without_an_intensity_image_there_is_no_intensity():
    assert measure(np.ones((2, 2), dtype=np.int32)).mean_intensity is None


def test_micrometres_are_given_only_where_the_pixel_size_is_known():
    labels = np.ones((4, 5), dtype=np.int32)
    known, unknown = measure(labels, pixel_size_um=0.5), measure(labels)
    assert known.area_um2.tolist() == [5.0]
    assert known.equivalent_diameter_um[0] == pytest.approx(known.equivalent_diameter_px[0] / 2)
    assert unknown.area_um2 is None
    assert unknown.equivalent_diameter_um is None


@pytest.mark.parametrize(
    ("rows", "solidity"),
    [
        pytest.param([[1]], 1.0, id="a single pixel"),
        pytest.param([[1, 1, 1], [1, 1, 1]], 1.0, id="a rectangle"),
        pytest.param([[1, 0], [1, 1]], 3 / 3.5, id="an L of three pixels"),
        pytest.param([[1, 0, 1], [1, 1, 1]], 5 / 6, id="a U"),
    ],
)
def test_solidity_of_shapes_one_can_calculate(rows, solidity):
    assert measure(np.array(rows, dtype=np.int32), solidity=True).solidity[0] == pytest.approx(solidity)


def test_solidity_of_several_objects_is_close_to_that_of_scikit_image():
    image = np.zeros((200, 200), dtype=np.int32)
    cv2.circle(image, (50, 50), 30, 1, -1)
    cv2.circle(image, (60, 50), 12, 0, -1)
    cv2.ellipse(image, (140, 140), (40, 15), 30, 0, 360, 2, -1)
    labels = relabel(image)
    # scikit-image counts the pixels within the hull, here the hull's own area counts.
    np.testing.assert_allclose(
        measure(labels, solidity=True).solidity, [region.solidity for region in regionprops(labels)], rtol=0.03
    )


@pytest.mark.parametrize("shape", [(1, 1), (3, 4)])
def test_an_image_without_objects_has_no_rows(shape):
    found = measure(np.zeros(shape, dtype=np.int32), np.zeros((*shape, 3), dtype=np.uint8), solidity=True)
    assert len(found) == 0
    assert found.bbox_px.shape == (0, 4)
    assert found.centroid_px.shape == (0, 2)
    assert found.mean_intensity.shape == (0, 3)
    assert found.solidity.shape == (0,)


def test_a_missing_label_is_refused():
    with pytest.raises(ValueError, match="label 1 has no pixel"):
        measure(np.array([[0, 2]], dtype=np.int32))


def test_an_intensity_image_of_another_size_is_refused():
    with pytest.raises(ValueError, match="does not fit"):
        measure(np.ones((2, 3), dtype=np.int32), np.zeros((3, 2)))


def test_sums_of_integers_are_exact():
    labels = np.ones((1000, 1000), dtype=np.int32)
    values = np.full(labels.shape, 65535, dtype=np.uint16)
    assert find_row_runs(labels).sums(values).tolist() == [65535 * 10**6]
    assert mean_values(find_row_runs(labels), ArrayRows(values)).tolist() == [65535.0]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 3])
def test_means_are_those_of_each_object_whatever_the_bands(dtype, channels, monkeypatch):
    random = np.random.default_rng(3)
    labels = np.kron(random.permutation(12).reshape(3, 4), np.ones((7, 5), dtype=np.int32)).astype(np.int32)
    pixels = random.integers(0, 250, (*labels.shape, channels)).astype(dtype)
    expected = np.array([pixels[labels == label].mean(axis=0, dtype=np.float64) for label in range(1, 12)])
    source = ArrayRows(pixels[..., 0] if channels == 1 else pixels)
    for rows in (1, 4, 100):
        monkeypatch.setattr(row_source, "BAND_PX", rows * labels.shape[1])
        found = mean_values(find_row_runs(labels), source)
        np.testing.assert_allclose(found, expected[:, 0] if channels == 1 else expected, rtol=1e-12)


def test_confluency_is_the_share_of_the_pixels_that_belong_to_an_object():
    assert confluency_percent(np.array([[0, 1, 2, 0], [0, 0, 0, 7]], dtype=np.int32)) == 37.5
    assert confluency_percent(np.array([[True, True]])) == 100.0
    assert confluency_percent(np.zeros((3, 3), dtype=np.int32)) == 0.0
