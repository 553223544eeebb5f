"""Bootstrap intervals: what they must be where it is plain."""

from dataclasses import asdict

import numpy as np
import pytest

from monolayer_core.intervals import Interval, bootstrap_mean, bootstrap_means


def test_the_mean_is_over_images_and_not_over_groups():
    assert bootstrap_mean([0.0, 0.0, 0.0, 1.0], ["a", "a", "a", "b"]).mean == 0.25


def test_equal_values_leave_no_doubt():
    assert bootstrap_mean([0.5, 0.5, 0.5]) == Interval(0.5, 0.5, 0.5)


@pytest.mark.parametrize("groups", [["a"], ["a", "a", "a"]])
def test_one_group_says_nothing_about_the_spread(groups):
    assert bootstrap_mean([0.25] * len(groups), groups) == Interval(0.25, None, None)


def test_the_interval_is_that_of_the_normal_distribution_for_many_images():
    values = np.random.default_rng(0).normal(0.6, 0.2, size=400)
    interval = bootstrap_mean(values.tolist())
    half_width = 1.96 * values.std() / np.sqrt(400)
    assert interval.low == pytest.approx(values.mean() - half_width, abs=0.002)
    assert interval.high == pytest.approx(values.mean() + half_width, abs=0.002)


def test_images_of_one_group_count_as_one_witness():
    values = np.random.default_rng(0).normal(0.6, 0.2, size=40)
    alone = bootstrap_mean(values.tolist())
    copied = bootstrap_mean(np.repeat(values, 10).tolist(), np.repeat(np.arange(40), 10).tolist())
    assert (copied.low, copied.high) == pytest.approx((alone.low, alone.high))


def test_the_same_seed_gives_the_same_interval():
    values = np.random.default_rng(0).uniform(size=50).tolist()
    assert bootstrap_mean(values, seed=3) == bootstrap_mean(values, seed=3)
    assert bootstrap_mean(values, seed=3) != bootstrap_mean(values, seed=4)


def test_several_scores_share_their_draws():
    rng = np.random.default_rng(0)
    columns = {"a": rng.uniform(size=30).tolist(), "b": rng.uniform(size=30).tolist()}
    groups = rng.integers(0, 8, size=30).tolist()
    together = bootstrap_means(columns, groups)
    assert asdict(together["b"]) == pytest.approx(asdict(bootstrap_mean(columns["b"], groups)))
    assert list(together) == ["a", "b"]


@pytest.mark.parametrize(
    ("values", "groups", "message"),
    [
        pytest.param([], None, "at least one value", id="no values"),
        pytest.param([0.5, float("nan")], None, "finite", id="not a number"),
        pytest.param([0.5, 0.5], ["a"], "1 groups for 2 values", id="lengths differ"),
    ],
)
def test_values_that_have_no_mean_are_refused(values, groups, message):
    with pytest.raises(ValueError, match=message):
        bootstrap_mean(values, groups)
