from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.cluster import KMeans

from monolayer_core.partition import fewest_clusters, partition_line

WEIGHTED_POINTS = st.dictionaries(st.integers(-1000, 1000), st.integers(1, 500), min_size=1, max_size=8)


def inertia_of(values, weights, starts):
    bounds = [*starts, len(values)]
    return sum(
        float(np.sum(weights[a:b] * (values[a:b] - np.average(values[a:b], weights=weights[a:b])) ** 2))
        for a, b in pairwise(bounds)
    )


@given(WEIGHTED_POINTS)
def test_each_partition_is_the_best_of_all_there_are(points):
    values = np.array(sorted(points), dtype=np.float64)
    weights = np.array([points[value] for value in sorted(points)], dtype=np.float64)
    found = partition_line(values, weights, most=8)
    assert len(found.starts) == len(values)
    for k, starts in enumerate(found.starts, start=1):
        best = min(inertia_of(values, weights, (0, *cut)) for cut in combinations(range(1, len(values)), k - 1))
        assert found.inertia[k - 1] == pytest.approx(best, rel=1e-9, abs=1e-6)
        assert inertia_of(values, weights, starts) == pytest.approx(best, rel=1e-9, abs=1e-6)


@pytest.mark.parametrize("k", [2, 3, 5, 8])
def test_no_random_start_of_scikit_learn_is_better(k):
    rng = np.random.default_rng(k)
    grey = np.concatenate([rng.normal(mean, 12, 4000) for mean in (30, 90, 140, 220)]).clip(0, 255).astype(np.uint8)
    counts = np.bincount(grey, minlength=256)
    levels = np.flatnonzero(counts)
    found = partition_line(levels.astype(np.float64), counts[levels], most=8)
    reference = KMeans(k, n_init=10, random_state=0).fit(levels[:, np.newaxis], sample_weight=counts[levels])
    assert found.inertia[k - 1] <= reference.inertia_ * (1 + 1e-9)
    assert found.inertia[k - 1] == pytest.approx(reference.inertia_, rel=0.02)


@given(WEIGHTED_POINTS)
def test_mirrored_points_give_mirrored_clusters(points):
    values = np.array(sorted(points), dtype=np.float64)
    weights = np.array([points[value] for value in sorted(points)])
    found, mirrored = partition_line(values, weights, 4), partition_line(-values[::-1], weights[::-1], 4)
    assert mirrored.inertia == pytest.approx(found.inertia, rel=1e-9, abs=1e-6)


def test_values_far_from_zero_lose_no_accuracy():
    values = np.array([0.0, 1.0, 10.0, 12.0])
    far = partition_line(values + 1e7, [10**6] * 4, most=3)
    assert far.inertia == pytest.approx(1e6 * partition_line(values, [1] * 4, most=3).inertia, rel=1e-6)


def test_no_more_clusters_than_points_are_made():
    found = partition_line(np.array([3.0, 4.0]), [5, 5], most=8)
    assert [starts.tolist() for starts in found.starts] == [[0], [0, 1]]
    assert found.inertia.tolist() == [2.5, 0.0]


@pytest.mark.parametrize(
    ("inertia", "explained", "expected"),
    [
        pytest.param([100, 30, 10, 4], 0.85, 3, id="the first that explains enough"),
        pytest.param([100, 15, 10, 4], 0.85, 2, id="exactly enough is enough"),
        pytest.param([100, 90, 80], 0.85, 3, id="none explains enough: the last"),
        pytest.param([0], 0.85, 1, id="a constant image has one cluster"),
        pytest.param([100, 0], 0.0, 2, id="two where two can be had"),
    ],
)
def test_fewest_clusters_that_explain_the_variance(inertia, explained, expected):
    assert fewest_clusters(np.array(inertia, dtype=np.float64), explained) == expected
