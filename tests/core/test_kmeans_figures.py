"""The promises of K-means on real images, each on a few of them; the trainer's evaluation gives them for all."""

import csv
import zipfile

import cv2
import numpy as np
import pytest

from monolayer_core.kmeans import KMeansOptions
from monolayer_core.metrics import confluency_error, kaggle_score
from monolayer_core.pipeline import segment_kmeans
from monolayer_core.robustness import inversion_change, vignette_dice
from monolayer_core.truth import merge_masks

TEXTURE = KMeansOptions(foreground="texture")


@pytest.fixture(scope="module")
def nuclei(dsb2018):
    """Every 36th image of the DSB 2018 with its label image; they come in the random order of their ids."""
    with (dsb2018 / "image_groups.csv").open() as file:
        image_ids = [row["ImageId"] for row in csv.DictReader(file)][::36]
    with zipfile.ZipFile(dsb2018 / "stage1_train.zip") as archive:
        files = {image_id: {"images": [], "masks": []} for image_id in image_ids}
        for name in archive.namelist():
            image_id, _, rest = name.partition("/")
            folder, _, file_name = rest.partition("/")
            if image_id in files and file_name:
                files[image_id][folder].append(name)
        return [
            (
                pixels,
                merge_masks([read(archive, name, cv2.IMREAD_GRAYSCALE) > 0 for name in of["masks"]], *pixels.shape[:2]),
            )
            for of in files.values()
            for pixels in [cv2.cvtColor(read(archive, of["images"][0], cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)]
        ]


def read(archive, name, flag):
    return cv2.imdecode(np.frombuffer(archive.read(name), dtype=np.uint8), flag)


@pytest.fixture(scope="module")
def adherent(usiigaci):
    """Every fifth image in phase contrast with its label image."""
    names = sorted(path.name for path in (usiigaci / "images").iterdir())[::5]
    return [
        tuple(cv2.imread(str(usiigaci / folder / name), cv2.IMREAD_UNCHANGED) for folder in ("images", "labels"))
        for name in names
    ]


def test_nuclei_score_at_least_what_a_baseline_without_learning_should(nuclei):
    assert np.mean([kaggle_score(labels, segment_kmeans(pixels).labels) for pixels, labels in nuclei]) >= 0.45


def test_confluency_in_phase_contrast_is_off_by_a_few_points(adherent):
    errors = [
        confluency_error(labels.astype(np.int32), segment_kmeans(pixels, TEXTURE).labels) for pixels, labels in adherent
    ]
    assert np.mean(np.abs(errors)) <= 5


def test_phase_contrast_is_recognised(adherent):
    found = [segment_kmeans(pixels[:512, :512]).kmeans for pixels, _ in adherent]
    assert [result.foreground for result in found] == ["texture"] * len(adherent)


def test_inverted_images_give_the_same_mask(nuclei, adherent):
    changes = [inversion_change(pixels, KMeansOptions()) for pixels, _ in nuclei]
    changes += [inversion_change(pixels, TEXTURE) for pixels, _ in adherent[:2]]
    assert max(changes) <= 0.01


def test_a_vignette_does_not_matter_with_the_flat_field_on(nuclei, adherent):
    assert np.mean([vignette_dice(pixels, KMeansOptions()) for pixels, _ in nuclei]) >= 0.95
    assert np.mean([vignette_dice(pixels, TEXTURE) for pixels, _ in adherent[:3]]) >= 0.95
