import numpy as np
import pytest
from sklearn.cluster import KMeans

from monolayer_core import colours
from monolayer_core.colours import brightness, cluster_colours, count_colours, partition_axis

WHITE, PINK, PURPLE = (240, 235, 240), (200, 140, 180), (90, 50, 130)


def stained(seed=0, shape=(60, 80)):
    """White, pink and purple pixels in equal numbers, with noise; and which is which."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 3, shape)
    noisy = np.array([PURPLE, PINK, WHITE])[kind] + rng.normal(0, 6, (*shape, 3))
    return noisy.clip(0, 255).astype(np.uint8), kind


def labels_of(image, k):
    table = count_colours(image)
    found = np.zeros(1 << 15, dtype=np.int64)
    found[table.occupied] = cluster_colours(table, partition_axis(table, k), k)
    return found[table.cell]


def test_three_stains_are_told_apart_and_ordered_by_brightness():
    image, kind = stained()
    assert (labels_of(image, 3) == kind).all()


def test_an_inverted_image_has_the_clusters_in_reverse():
    image, _ = stained(1)
    for k in (2, 3, 4):
        assert (labels_of(255 - image, k) == k - 1 - labels_of(image, k)).mean() > 0.999


def test_colours_are_counted_in_cells_of_eight_levels():
    image = np.array([[[0, 0, 7], [7, 7, 0]], [[8, 16, 255], [8, 23, 248]]], dtype=np.uint8)
    table = count_colours(image)
    assert table.colours.tolist() == [[3.5, 3.5, 3.5], [11.5, 19.5, 251.5]]
    assert table.counts.tolist() == [2, 2]
    assert (table.occupied[[[0, 0], [1, 1]]] == table.cell).all()


def test_counting_in_bands_counts_the_same(monkeypatch):
    image, _ = stained(2)
    whole = count_colours(image)
    monkeypatch.setattr(colours, "_BAND_PX", 7 * image.shape[1])
    banded = count_colours(image)
    assert (banded.cell == whole.cell).all()
    assert (banded.counts == whole.counts).all()


@pytest.mark.parametrize("k", [2, 3, 5])
def test_the_start_along_the_principal_axis_costs_next_to_nothing(k):
    table = count_colours(stained(3)[0])
    found = cluster_colours(table, partition_axis(table, k), k)
    inertia = 0.0
    for index in range(k):
        members, weights = table.colours[found == index], table.counts[found == index]
        centre = np.average(members, axis=0, weights=weights)
        inertia += float(np.sum(weights[:, np.newaxis] * (members - centre) ** 2))
    reference = KMeans(k, n_init=10, random_state=0).fit(table.colours, sample_weight=table.counts)
    assert inertia <= 1.05 * reference.inertia_


def test_brightness_is_the_weighted_mean_of_the_channels():
    pixels = np.array([[[100, 200, 50], [0, 0, 0]]], dtype=np.float64)
    assert brightness(pixels) == pytest.approx(np.array([[0.299 * 100 + 0.587 * 200 + 0.114 * 50, 0]]), abs=1e-3)
    grey = np.arange(6).reshape(2, 3)
    assert brightness(grey) is grey
