"""The split in windows is that of the whole image, pixel by pixel."""

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from monolayer_core import splitting
from monolayer_core.bit_plane import BitPlane
from monolayer_core.instances import above, foreground_mask, relabel, seeds_from_map
from monolayer_core.splitting import UNKNOWN, OpenSides, plan_split, split_by_seeds, split_components
from monolayer_core.window_split import Windows, fill_small_holes, plan_windows


def levels(rng, shape, sigma):
    """Noise of a grain of `sigma` pixels, stretched to 0 to 255."""
    noise = rng.random(shape)
    if sigma:
        noise = cv2.GaussianBlur(noise, (0, 0), sigma).reshape(shape)
    return (255 * (noise - noise.min()) / max(np.ptp(noise), 1e-9)).astype(np.uint8)


def plane_of(mask):
    plane = BitPlane(*mask.shape)
    plane[0 : mask.shape[0], 0 : mask.shape[1]] = mask
    return plane


def whole(plane):
    return plane[0 : plane.height, 0 : plane.width]


def split_in_windows(mask, core, min_seed_area_px, windows):
    image = plan_windows(plane_of(mask), plane_of(core), min_seed_area_px, windows)
    labels = np.full(mask.shape, UNKNOWN, dtype=np.int32)
    for region, part in image.split():
        assert (labels[region] == UNKNOWN).all()
        labels[region] = part
    return labels, image


def check_is_the_whole_split(mask, core, min_seed_area_px, windows):
    """Seeds have the same numbers in both; components without a seed are only told apart by where they lie."""
    seeds = seeds_from_map(np.where(core, 255, 0).astype(np.uint8), mask, 0.5, min_area_px=min_seed_area_px)
    expected = split_by_seeds(mask, seeds)
    labels, image = split_in_windows(mask, core, min_seed_area_px, windows)
    assert image.seeds.count == seeds.max(initial=0)
    np.testing.assert_array_equal(relabel(labels), relabel(expected))
    of_seed = expected <= image.seeds.count
    np.testing.assert_array_equal(labels[of_seed], expected[of_seed])
    assert labels.max(initial=0) <= image.plan.largest


@st.composite
def cases(draw):
    shape = draw(st.tuples(st.integers(1, 48), st.integers(1, 48)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    foreground = levels(rng, shape, draw(st.sampled_from([0.0, 0.5, 1.0, 2.0, 4.0])))
    seed_map = levels(rng, shape, draw(st.sampled_from([0.0, 0.5, 1.0, 2.0])))
    windows = Windows(*draw(st.sampled_from([(1, 6), (2, 3), (3, 1), (3, 4), (5, 2), (8, 1), (13, 2), (64, 1)])))
    return foreground, seed_map, windows


@settings(deadline=None)
@given(
    cases(),
    st.tuples(st.sampled_from([0.1, 0.3, 0.4, 0.5, 0.6]), st.sampled_from([0.5, 0.6, 0.8, 0.95])),
    st.sampled_from([0, 1, 5, 50, 10_000]),
    st.sampled_from([0, 1, 3, 10]),
    st.sampled_from([1, 2, 500]),
)
def test_holes_seeds_and_objects_are_those_of_the_whole_image(
    case, thresholds, max_hole_area_px, min_seed_area_px, steps
):
    foreground, seed_map, windows = case
    threshold, seed_threshold = thresholds
    mask = foreground_mask(foreground, threshold=threshold, max_hole_area_px=max_hole_area_px)
    plane = plane_of(above(foreground, threshold))
    fill_small_holes(plane, max_hole_area_px, windows.cell_px)
    np.testing.assert_array_equal(whole(plane), mask)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(splitting, "_MAX_STEPS", steps)
        check_is_the_whole_split(mask, above(seed_map, seed_threshold), min_seed_area_px, windows)


@st.composite
def open_windows(draw):
    top, left = draw(st.integers(0, 20)), draw(st.integers(0, 20))
    bottom, right = draw(st.integers(top + 1, 32)), draw(st.integers(left + 1, 32))
    return slice(top, bottom), slice(left, right)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), open_windows(), st.sampled_from([0.5, 0.8, 1.0]), st.sampled_from([0.01, 0.05, 0.2]))
@example(0, (slice(0, 32), slice(0, 32)), 1.0, 0.01)
def test_what_a_window_knows_is_true(seed, region, density, seed_density):
    rng = np.random.default_rng(seed)
    mask, core = rng.random((32, 32)) < density, rng.random((32, 32)) < seed_density
    seeds = seeds_from_map(np.where(core, 255, 0).astype(np.uint8), mask, 0.5)
    count, components = cv2.connectedComponents(mask.view(np.uint8), connectivity=8)
    component_of_seed = np.zeros(int(seeds.max(initial=0)) + 1, dtype=np.int32)
    component_of_seed[seeds[seeds > 0]] = components[seeds > 0]
    plan = plan_split(component_of_seed, count)
    rows, columns = region
    sides = OpenSides(rows.start > 0, rows.stop < 32, columns.start > 0, columns.stop < 32)
    part = split_components(components[region], np.ascontiguousarray(seeds[region]), plan, sides)
    expected = split_by_seeds(mask, seeds)[region]
    known = part != UNKNOWN
    np.testing.assert_array_equal(part[known], expected[known])
    if not any(sides):
        assert known.all()


def test_a_closed_layer_is_split_without_ever_looking_at_all_of_it():
    """One component from edge to edge with seeds every eight pixels: no window needs more than twice its margin."""
    mask = np.ones((256, 256), dtype=bool)
    core = np.zeros((256, 256), dtype=bool)
    core[4::8, 4::8] = True
    core[::2, ::2] &= np.random.default_rng(1).random((128, 128)) < 0.8
    check_is_the_whole_split(mask, core, 0, Windows(16, 4))
    image = plan_windows(plane_of(mask), plane_of(core), 0, Windows(16, 4))
    seen = []
    original = image._split
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(image), "_split", lambda _, window: seen.append(window) or original(window))
        regions = [region for region, _ in image.split()]
    assert len(regions) == 16
    assert max(window[0].stop - window[0].start for window in seen) <= 4 + 2 * 2


def test_two_seeds_at_the_ends_of_a_large_blob_take_the_whole_image():
    mask = np.ones((40, 90), dtype=bool)
    core = np.zeros_like(mask)
    core[20, 2] = core[20, 87] = True
    check_is_the_whole_split(mask, core, 0, Windows(5, 2))


def test_an_image_without_foreground_has_no_objects():
    nothing = np.zeros((9, 11), dtype=bool)
    labels, image = split_in_windows(nothing, ~nothing, 0, Windows(4, 1))
    assert (labels == 0).all()
    assert image.plan.largest == 0
