import subprocess
import sys

import cv2
import numpy as np
import pytest

from monolayer_core.errors import OptionError, UnusableImageError
from monolayer_core.kmeans import KMeansOptions, cluster, otsu_mask
from monolayer_core.robustness import inversion_change, vignette, vignette_dice


def nuclei(seed=0, shape=(160, 200), brightness_of=(90, 160)):
    """Fluorescence: round nuclei of several brightnesses, with chromatin, on a dark noisy ground; where they are."""
    rng = np.random.default_rng(seed)
    image = np.zeros(shape, dtype=np.float32)
    for y in range(20, shape[0], 32):
        for x in range(20, shape[1], 32):
            level = float(rng.uniform(*brightness_of))
            cv2.circle(image, (x + int(rng.integers(-3, 4)), y + int(rng.integers(-3, 4))), 9, level, -1)
    cells = image > 0
    chromatin = cv2.GaussianBlur(rng.normal(0, 1, shape), (0, 0), 1.5)
    image = cv2.GaussianBlur(image, (0, 0), 0.8) + np.where(cells, 8 * chromatin / chromatin.std(), 0)
    return (image + 15 + rng.normal(0, 2, shape)).clip(0, 255).astype(np.uint8), cells


def stained(seed=0):
    """Purple nuclei on pink tissue; where they are."""
    image, cells = nuclei(seed)
    share = ((image.astype(np.float32) - 15) / 130).clip(0, 1)[..., np.newaxis]
    pink, purple = np.array([225, 170, 205]), np.array([90, 55, 140])
    return (pink + share * (purple - pink)).astype(np.uint8), cells


def dice(a, b):
    return 2 * np.sum(a & b) / (a.sum() + b.sum())


def test_grey_levels_are_clustered_ordered_and_described_in_the_units_of_the_input():
    image = np.array([[1000, 1000, 1000, 1200], [1000, 5000, 5200, 9000]], dtype=np.uint16)
    found = cluster(image, KMeansOptions(clusters=3, foreground="bright"))
    assert found.k == 3
    assert found.centres == ((1040.0,), (5100.0,), (9000.0,))
    assert found.shares == (5 / 8, 2 / 8, 1 / 8)
    assert found.mask.tolist() == [[False] * 4, [False, True, True, True]]
    dark = cluster(image, KMeansOptions(clusters=3, foreground="dark"))
    assert dark.mask.tolist() == [[True] * 4, [True, True, True, False]]
    assert (dark.foreground, found.foreground) == ("dark", "bright")


def test_centres_of_colours_are_red_green_blue():
    image = np.zeros((20, 30, 3), dtype=np.uint16)
    image[:, :20] = (60000, 50000, 55000)
    image[:, 20:] = (20000, 10000, 40000)
    found = cluster(image, KMeansOptions(foreground="dark"))
    assert found.centres == ((20000.0, 10000.0, 40000.0), (60000.0, 50000.0, 55000.0))
    assert found.shares == (1 / 3, 2 / 3)
    assert found.mask[:, 20:].all()
    assert not found.mask[:, :20].any()


@pytest.mark.parametrize("k", range(2, 9))
@pytest.mark.parametrize("make", [nuclei, stained], ids=["grey", "colour"])
def test_every_number_of_clusters_can_be_asked_for(make, k):
    found = cluster(make()[0], KMeansOptions(clusters=k, foreground="bright"))
    assert found.k == len(found.centres) == len(found.shares) == k
    assert sum(found.shares) == pytest.approx(1)
    assert found.mask.mean() == pytest.approx(sum(found.shares[1:]))
    levels = [np.dot(centre, (0.299, 0.587, 0.114)) if len(centre) == 3 else centre[0] for centre in found.centres]
    assert levels == sorted(levels)


def test_nuclei_of_several_brightnesses_are_found():
    image, cells = nuclei()
    found = cluster(image)
    assert found.foreground == "bright"
    assert dice(found.mask, cells) > 0.9


def test_faint_nuclei_need_more_than_two_clusters():
    image, cells = nuclei(1, brightness_of=(25, 200))
    found = cluster(image)
    assert found.k == 3
    assert dice(found.mask, cells) > dice(cluster(image, KMeansOptions(clusters=2)).mask, cells) + 0.02


def test_stained_nuclei_are_dark():
    image, cells = stained()
    found = cluster(image)
    assert (found.foreground, found.k) == ("dark", 2)
    assert dice(found.mask, cells) > 0.85


def test_a_ground_between_darker_and_brighter_parts_calls_for_texture():
    rng = np.random.default_rng(0)
    image = rng.normal(1000, 5, (200, 200))
    image[40:120, 40:120] += cv2.GaussianBlur(rng.normal(0, 400, (80, 80)), (0, 0), 1)
    found = cluster(image)
    assert found.foreground == "texture"
    assert found.mask[50:110, 50:110].mean() > 0.9
    assert not found.mask[140:].any()


def test_noise_is_not_taken_for_texture():
    assert cluster(np.random.default_rng(0).normal(1000, 50, (200, 200))).foreground != "texture"


@pytest.mark.parametrize("make", [nuclei, stained], ids=["grey", "colour"])
@pytest.mark.parametrize("clusters", ["auto", 2, 3, 4])
def test_an_inverted_image_gives_the_same_mask(make, clusters):
    assert inversion_change(make()[0], KMeansOptions(clusters=clusters)) < 0.01


@pytest.mark.parametrize("make", [nuclei, stained], ids=["grey", "colour"])
def test_a_vignette_does_not_matter_with_the_flat_field_on(make):
    image, cells = make()
    assert vignette_dice(image, KMeansOptions()) >= 0.95
    assert dice(cluster(vignette(image), KMeansOptions(flat_field=True)).mask, cells) > 0.8


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda image: image.astype(np.uint16) * 200 + 40, id="uint16"),
        pytest.param(lambda image: image / 255, id="float64"),
        pytest.param(lambda image: image.astype(np.float32) - 1000, id="below zero"),
        pytest.param(lambda image: np.stack([image] * 3, axis=2), id="three equal channels"),
    ],
)
def test_type_range_and_equal_channels_do_not_matter(change):
    image, _ = nuclei(2)
    expected, found = cluster(image), cluster(change(image))
    assert np.mean(found.mask != expected.mask) < 0.002
    assert (found.k, found.foreground) == (expected.k, expected.foreground)
    assert len(found.centres[0]) == 1


@pytest.mark.parametrize("make", [nuclei, stained], ids=["grey", "colour"])
def test_the_same_image_gives_the_same_answer(make):
    first, second = cluster(make()[0]), cluster(make()[0])
    assert (first.mask == second.mask).all()
    assert (first.centres, first.shares) == (second.centres, second.shares)


def test_one_hot_pixel_does_not_take_a_cluster():
    image, cells = nuclei(3)
    hot = image.astype(np.float32)
    hot[5, 5] = 1e6
    assert dice(cluster(hot).mask, cells) > 0.9


@pytest.mark.parametrize(
    ("pixels", "k"),
    [
        pytest.param(np.full((6, 5), 9, np.uint8), 1, id="constant"),
        pytest.param(np.full((6, 5, 3), (1, 2, 3), np.uint8), 1, id="one colour"),
        pytest.param(np.array([[0.5]]), 1, id="one pixel"),
        pytest.param(np.eye(8, dtype=bool), 2, id="two values"),
        pytest.param(np.arange(300, dtype=np.int64)[np.newaxis] % 4, 4, id="one row of four values"),
    ],
)
@pytest.mark.parametrize("flat_field", [False, True], ids=["as it is", "flat field"])
def test_images_with_few_values_get_a_cluster_for_each(pixels, k, flat_field):
    found = cluster(pixels, KMeansOptions(clusters=8, flat_field=flat_field and k == 1))
    assert found.k == k
    assert found.mask.any() == (k > 1)
    assert found.mask.shape == pixels.shape[:2]


@pytest.mark.parametrize("foreground", ["auto", "texture"])
def test_values_that_are_no_numbers_are_refused(foreground):
    pixels = np.ones((4, 4))
    pixels[1, 2] = np.nan
    with pytest.raises(UnusableImageError, match="NaN"):
        cluster(pixels, KMeansOptions(foreground=foreground, flat_field=True))


@pytest.mark.parametrize("options", [{"clusters": 1}, {"clusters": 9}, {"foreground": "red"}])
def test_options_that_cannot_be_are_refused(options):
    with pytest.raises(OptionError, match=r"must be auto"):
        KMeansOptions(**options)


def test_local_contrast_can_be_evened_out_first():
    image, cells = nuclei(4)
    found = cluster(image, KMeansOptions(clahe=True))
    assert (found.mask != cluster(image).mask).any()
    assert dice(found.mask, cells) > 0.8


def test_otsu_is_the_threshold_of_opencv():
    image, _ = nuclei(5)
    level, _ = cv2.threshold(image, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    assert np.mean(otsu_mask(image) != (image > level)) < 0.001


def test_otsu_finds_its_side_and_takes_no_colours():
    image, cells = stained()
    assert dice(otsu_mask(image), cells) > 0.85
    assert (otsu_mask(image, foreground="bright") == ~otsu_mask(image)).all()
    assert not otsu_mask(np.full((5, 5), 3)).any()


def test_scikit_learn_is_loaded_for_colours_alone():
    program = (
        "import sys, numpy as np; from monolayer_core.kmeans import cluster;"
        "cluster(np.arange(64, dtype=np.uint8).reshape(8, 8)); print('sklearn' in sys.modules);"
        "cluster(np.arange(192, dtype=np.uint8).reshape(8, 8, 3)); print('sklearn' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == ["False", "True"]
