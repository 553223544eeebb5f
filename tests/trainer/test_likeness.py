"""What is learnt of two kinds of images, and what is then unlike them."""

import numpy as np

from monolayer_core.likeness import distance_from_training, distances
from monolayer_trainer.likeness import INSIDE_FRACTION, MIN_GROUPS, fit_described, fit_likeness


def image(seed, ground, dot):
    """Dots of one grey level on a ground of another, both a little different each time, with noise."""
    rng = np.random.default_rng(seed)
    picture = np.full((96, 96), float(np.clip(ground + rng.normal(0, 5), 0, 255)))
    for y, x in rng.integers(0, 84, (15, 2)):
        picture[y : y + 10, x : x + 10] = dot + rng.normal(0, 5)
    return np.clip(picture + rng.normal(0, 4, picture.shape), 0, 255).astype(np.uint8)[..., np.newaxis]


def two_kinds(count, start=0):
    dark = [image(start + seed, 10, 200) for seed in range(count)]
    bright = [image(start + 500 + seed, 240, 60) for seed in range(count)]
    return dark + bright


def test_new_images_of_both_kinds_are_like_and_those_between_are_not():
    likeness = fit_likeness(two_kinds(30), [f"g{index}" for index in range(60)])
    new = [distance_from_training(one, likeness) > likeness.max_distance for one in two_kinds(40, start=1000)]
    between = [distance_from_training(image(seed, 120, 160), likeness) for seed in range(20)]
    assert np.mean(new) <= 0.08
    assert min(between) > likeness.max_distance


def test_the_limit_lies_above_the_distance_of_most_images_left_out():
    features = np.random.default_rng(0).normal(0, [1.0, 0.1], (400, 2))
    groups = [f"g{index}" for index in range(400)]
    likeness = fit_described(features, groups, ("grey_25", "grey_75"))
    new = np.random.default_rng(1).normal(0, [1.0, 0.1], (2000, 2))
    centres = np.array([kind.centre for kind in likeness.kinds])
    assert len(likeness.kinds) == 4
    assert np.abs(centres[:, 1]).max() < 0.2
    assert abs(np.mean(distances(new, likeness) <= likeness.max_distance) - INSIDE_FRACTION) < 0.02


def test_images_of_one_group_weigh_as_one():
    rng = np.random.default_rng(2)
    once = rng.normal(0, 1, (11, 1))  # one kind, whose centre is the mean
    many = np.concatenate([once, np.repeat(once[:1], 500, axis=0)])
    groups = [f"g{index}" for index in range(11)]
    alone = fit_described(once, groups, ("grey_50",))
    repeated = fit_described(many, groups + ["g0"] * 500, ("grey_50",))
    for one, other in zip(alone.kinds, repeated.kinds, strict=True):
        np.testing.assert_allclose(one.whitening[0], other.whitening[0], rtol=1e-4)
        np.testing.assert_allclose(one.centre, other.centre, rtol=1e-4)


def test_few_groups_teach_nothing():
    assert fit_likeness(two_kinds(MIN_GROUPS), ["a", "b"] * MIN_GROUPS) is None
