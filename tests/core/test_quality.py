import csv
import doctest
import io
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from monolayer_core import quality, row_source
from monolayer_core.errors import UnusableImageError
from monolayer_core.image_io import decode_image, open_image
from monolayer_core.quality import Quality
from monolayer_core.row_source import ArrayRows

RANDOM = np.random.default_rng(0)


def cells(side: int = 256, *, count: int = 40, radius: int = 9, noise: float = 4.0, blur: float = 0.7) -> np.ndarray:
    """Bright discs on a dark ground, float32 of 40 to 200."""
    random = np.random.default_rng(7)
    image = np.zeros((side, side), dtype=np.float32)
    for x, y in random.integers(0, side, (count, 2)).tolist():
        cv2.circle(image, (x, y), radius, 1.0, -1, cv2.LINE_AA)
    image = cv2.GaussianBlur(image, (0, 0), blur)
    return 40 + 160 * image + random.normal(0, noise, image.shape).astype(np.float32)


def assess_quality(pixels: np.ndarray) -> Quality:
    return quality.assess_quality(ArrayRows(pixels))


def uint8(values: np.ndarray) -> np.ndarray:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


def vignette(shape: tuple[int, int]) -> np.ndarray:
    y, x = np.meshgrid(*(np.linspace(-1, 1, side) for side in shape), indexing="ij")
    return 1 / (1 + x * x + y * y)


def test_the_examples_in_the_docstrings_are_true():
    assert doctest.testmod(quality).failed == 0


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32])
def test_a_good_image_has_no_flags_whatever_its_type(dtype):
    image = np.round(cells() * (1 if dtype == np.uint8 else 50)).astype(dtype)
    found = assess_quality(image)
    assert found.flags == ()
    assert found.focus == pytest.approx(assess_quality(uint8(cells())).focus, abs=0.02)


def test_focus_falls_with_blur_and_not_with_noise_brightness_or_inversion():
    focus = [assess_quality(uint8(cells(blur=blur))).focus for blur in (0.5, 1, 1.5, 2, 3, 4, 6)]
    assert focus == sorted(focus, reverse=True)
    assert focus[0] > 0.6
    assert 0.22 < focus[3] < 0.35
    assert focus[5] < 0.15
    sharp = assess_quality(uint8(cells())).focus
    for same in (cells(noise=15), cells() / 3, cells() * 0.3 + 150, 255 - cells()):
        assert assess_quality(uint8(same)).focus == pytest.approx(sharp, abs=0.06)


@pytest.mark.parametrize("shape", ["discs", "lines"])
def test_discs_and_lines_of_the_same_blur_have_about_the_same_focus(shape):
    image = np.zeros((256, 256), dtype=np.float32)
    for place in range(20, 256, 40):
        if shape == "discs":
            cv2.circle(image, (place, 255 - place), 12, 200.0, -1)
        else:
            cv2.line(image, (0, place), (255, place // 2), 200.0, 2)
    image = cv2.GaussianBlur(image, (0, 0), 2.0)
    assert assess_quality(uint8(image * 200 / image.max() + 20)).focus == pytest.approx(0.32, abs=0.05)


def test_a_blurred_image_is_out_of_focus_also_under_fresh_noise():
    for noise in (0.0, 4.0, 8.0):
        assert assess_quality(uint8(cells(blur=4, noise=noise))).flags == ("out_of_focus",)


def test_values_at_the_end_of_the_type_are_saturated():
    image = uint8(cells())
    image[:64] = 255
    found = assess_quality(image)
    assert found.saturated_fraction == pytest.approx(0.25, abs=0.001)
    assert "saturated" in found.flags


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_values_piled_up_below_the_end_of_the_type_are_saturated(dtype):
    image = np.minimum(cells() * 50, 4095).astype(np.uint16).astype(dtype)
    found = assess_quality(image)
    assert found.saturated_fraction == pytest.approx(float((image == 4095).mean()), abs=1e-4)
    assert found.saturated_fraction > 0.05
    assert "saturated" in found.flags


def test_the_brightest_pixels_of_a_good_image_are_not_saturated():
    assert assess_quality(uint8(cells())).saturated_fraction == 0
    assert assess_quality(cells()).saturated_fraction == 0


@pytest.mark.parametrize("value", [0, 7, 255])
def test_a_constant_image_is_blank(value):
    found = assess_quality(np.full((64, 64), value, dtype=np.uint8))
    expected = ("blank", "saturated") if value == 255 else ("blank",)
    assert found == Quality(0.0, float(value == 255), 0.0, 0.0, 0.0, expected)


BLANKS = {
    "camera noise": lambda: uint8(RANDOM.normal(100, 3, (256, 256))),
    "noise of less than one step": lambda: uint8(RANDOM.normal(100, 0.3, (256, 256))),
    "photon noise": lambda: RANDOM.poisson(300, (256, 256)).astype(np.uint16),
    "a few photons": lambda: RANDOM.poisson(5, (256, 256)).astype(np.uint16),
    "floats": lambda: RANDOM.normal(0, 1, (256, 256)).astype(np.float32),
    "colour": lambda: uint8(RANDOM.normal((210, 200, 205), 3, (256, 256, 3))),
    "hot pixels": lambda: np.where(RANDOM.random((256, 256)) < 1e-4, 60_000, RANDOM.normal(300, 10, (256, 256))).astype(
        np.uint16
    ),
    "rows of different offset": lambda: (RANDOM.normal(300, 10, (256, 256)) + RANDOM.normal(0, 3, (256, 1))).astype(
        np.uint16
    ),
}


@pytest.mark.parametrize("kind", BLANKS)
def test_noise_is_blank(kind):
    for _ in range(5):
        assert "blank" in assess_quality(BLANKS[kind]()).flags


def test_a_blank_with_a_vignette_is_blank_and_unevenly_lit():
    image = RANDOM.poisson(5000 * vignette((512, 512))).astype(np.uint16)
    assert assess_quality(image).flags == ("blank", "uneven_illumination")


@pytest.mark.parametrize("side", [128, 256])
def test_a_single_cell_on_a_field_of_noise_is_not_blank(side):
    image = np.zeros((side, side), dtype=np.float32)
    cv2.circle(image, (side // 2, side // 3), 8, 1.0, -1)
    noisy = 300 + 100 * cv2.GaussianBlur(image, (0, 0), 1) + RANDOM.normal(0, 10, image.shape)
    assert "blank" not in assess_quality(noisy.astype(np.uint16)).flags


def test_a_pale_image_has_low_contrast():
    pale = assess_quality(uint8(150 + (cells() - 100) * 0.08))
    assert pale.contrast < 0.08
    assert pale.flags == ("low_contrast",)
    steps = assess_quality(np.round(cells() / 20).astype(np.uint16))
    assert steps.contrast > 0.5
    assert "low_contrast" in steps.flags


def test_contrast_is_that_of_the_percentiles():
    image = np.repeat(np.array([[50, 150]], dtype=np.uint8), 128, axis=1).repeat(256, axis=0)
    assert assess_quality(image).contrast == 0.5
    assert assess_quality(image.astype(np.float32) - 50).contrast == 1.0


@pytest.mark.parametrize("colour", [False, True])
def test_a_vignette_is_uneven_illumination(colour):
    bright = 255 - cells() * 0.5
    image = np.stack([bright, bright - 20, bright], axis=2) if colour else bright
    light = vignette((256, 256))
    assert assess_quality(uint8(image)).unevenness < 0.1
    uneven = assess_quality(uint8(image * (light[..., None] if colour else light)))
    assert uneven.unevenness > 0.5
    assert uneven.flags == ("uneven_illumination",)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([(1, 1), (1, 2), (2, 1), (3, 3), (1, 500), (500, 1), (7, 9), (8, 8), (9, 130), (700, 5)]),
    st.booleans(),
    st.sampled_from(["bool", "u1", "u2", "i2", "i8", "f2", "f4", "f8"]),
    st.integers(0, 2**32 - 1),
)
def test_every_size_and_type_is_answered_with_numbers_in_range(shape, colour, dtype, seed):
    random = np.random.default_rng(seed)
    image = (random.random((*shape, 3) if colour else shape) * random.choice([0, 1, 100])).astype(dtype)
    found = assess_quality(image)
    for number in (found.focus, found.saturated_fraction, found.contrast, found.structure, found.unevenness):
        assert 0 <= number <= 1


def test_a_very_long_image_is_answered():
    for shape in ((20_000, 1), (1, 20_000)):
        assert assess_quality(RANDOM.integers(0, 256, shape).astype(np.uint8)).contrast > 0.9


@pytest.mark.parametrize(
    "bad", [np.zeros((0, 3)), np.array([[np.nan]]), np.array([[1j]])], ids=["empty", "nan", "complex"]
)
def test_what_cannot_be_measured_is_refused(bad):
    with pytest.raises(UnusableImageError):
        assess_quality(bad)


def every_nth(data: Path, wanted: int) -> list[np.ndarray]:
    with zipfile.ZipFile(data / "stage1_train.zip") as archive:
        rows = csv.DictReader(io.StringIO((data / "image_groups.csv").read_text()))
        ids = [row["ImageId"] for row in rows if int(row["Height"]) <= 600]
        chosen = ids[:: len(ids) // wanted]
        return [decode_image(archive.read(f"{name}/images/{name}.png")).pixels for name in chosen]


@pytest.fixture(scope="module")
def good_images(dsb2018, usiigaci, blood_cells) -> list[np.ndarray]:
    phase = sorted((usiigaci / "images").iterdir())[::10]
    blood = sorted((blood_cells / "images").iterdir())[::10]
    return every_nth(dsb2018, 50) + [decode_image(file.read_bytes()).pixels for file in [*phase, *blood]]


def share(images, flag: str, spoil) -> float:
    return float(np.mean([flag in assess_quality(spoil(image)).flags for image in images]))


def as_stored(values: np.ndarray, image: np.ndarray) -> np.ndarray:
    return np.clip(np.round(values), 0, np.iinfo(image.dtype).max).astype(image.dtype)


def test_few_images_that_people_annotated_are_flagged(good_images):
    assert len(good_images) >= 60
    flagged = [bool(assess_quality(image).flags) for image in good_images]
    assert np.mean(flagged) <= 0.06


def test_real_images_blurred_by_four_pixels_are_out_of_focus(good_images):
    assert (
        share(good_images, "out_of_focus", lambda i: as_stored(cv2.GaussianBlur(i.astype("f4"), (0, 0), 4), i)) >= 0.97
    )


def test_real_images_with_half_of_their_values_cut_off_are_saturated(good_images):
    def overexpose(image):
        return as_stored(image * (np.iinfo(image.dtype).max / max(float(np.median(image)), 1.0)), image)

    assert share(good_images, "saturated", overexpose) == 1.0


def test_most_real_images_with_a_tenth_of_the_contrast_are_pale(good_images):
    def fade(image):
        return as_stored(image.mean() + (image - image.mean()) * 0.1, image)

    assert share(good_images, "low_contrast", fade) >= 0.8


def test_most_real_images_with_dark_corners_are_unevenly_lit(good_images):
    def darken(image):
        light = vignette(image.shape[:2])
        return as_stored(image * (light[..., None] if image.ndim == 3 else light), image)

    assert share(good_images, "uneven_illumination", darken) >= 0.6


@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.tuples(st.integers(1, 90), st.integers(1, 90), st.sampled_from([(), (3,)])),
    dtype=st.sampled_from([np.bool_, np.uint8, np.uint16, np.int16, np.int32, np.float32]),
    band_rows=st.integers(1, 40),
)
def test_an_image_read_in_other_bands_has_the_same_numbers(*, seed, shape, dtype, band_rows):
    random = np.random.default_rng(seed)
    values = cv2.GaussianBlur(random.normal(0, 1, (*shape[:2], 3)), (0, 0), 1.0).reshape(*shape[:2], 3)
    values = np.rint(values * random.choice([20, 300, 70_000])).clip(-30_000, 70_000)
    image = (values if shape[2] else values[..., 0]).astype(np.int64).astype(dtype)
    expected = assess_quality(image)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_source, "BAND_PX", band_rows * shape[1])
        patch.setattr(quality, "_READ_PX", band_rows * shape[1])
        assert assess_quality(image) == expected


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_rows_of_a_file_have_the_numbers_of_the_decoded_image(dtype):
    image = np.tile(np.round(cells(700, count=300) * vignette((700, 700)) * (1 if dtype == np.uint8 else 9)), (2, 1))
    stream = io.BytesIO()
    tifffile.imwrite(
        stream, image.clip(0, 250 if dtype == np.uint8 else None).astype(dtype), compression="zlib", rowsperstrip=60
    )
    expected = quality.assess_quality(decode_image(stream.getvalue()).rows)
    assert expected.unevenness > 0.1
    assert quality.assess_quality(open_image(stream.getvalue()).rows) == expected


@pytest.mark.parametrize("scale", [2.0**-1000, 2.0**1000])
def test_quality_depends_on_no_unit_however_large(scale):
    pixels = np.random.default_rng(0).gamma(2.0, 1.0, (64, 80)) * np.linspace(1, 3, 80)
    assert quality.assess_quality(ArrayRows(pixels * scale)) == quality.assess_quality(ArrayRows(pixels))
