"""Tiles cover the image once, keep their halo, begin at multiples of the divisor and compute little."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monolayer_core.errors import OptionError, PredictionError
from monolayer_core.tiling import plan_fitted_tiles, plan_tiles, predict_tiled, read_tile

DIVISOR = 8


@st.composite
def geometries(draw, most=200):
    """Height, width, sides, halo: any that can be planned."""
    sides = draw(st.lists(st.integers(1, 12).map(lambda n: n * DIVISOR), min_size=1, max_size=3, unique=True))
    halo = draw(st.integers(0, max(sides) // 2 - 1))
    rounded = -(-halo // DIVISOR) * DIVISOR
    limit = most if max(sides) > 2 * rounded else max(sides)
    return draw(st.integers(1, limit)), draw(st.integers(1, limit)), sides, halo


@st.composite
def plans(draw, most=200):
    """A plan of either kind, and the halo it must keep."""
    height, width, sides, halo = draw(geometries(most=most))
    if draw(st.booleans()):
        return plan_tiles(height, width, sides=sides, halo=halo, divisor=DIVISOR), halo
    largest_px = draw(st.integers(1, most**2))
    plan = plan_fitted_tiles(height, width, least_side=min(sides), largest_px=largest_px, halo=halo, divisor=DIVISOR)
    return plan, halo


@given(plans())
def test_write_regions_cover_each_pixel_exactly_once(planned):
    plan, _ = planned
    times = np.zeros((plan.height, plan.width), dtype=int)
    for tile in plan.tiles:
        times[tile.write] += 1
    assert (times == 1).all()


@given(plans())
def test_what_is_kept_has_its_halo_or_lies_at_an_edge_of_the_image(planned):
    plan, halo = planned
    for tile in plan.tiles:
        lengths, sizes = (plan.height, plan.width), (tile.height, tile.width)
        for length, size, read, local, write in zip(lengths, sizes, tile.read, tile.local, tile.write, strict=True):
            assert size % DIVISOR == read.start % DIVISOR == 0
            assert 0 <= read.start < read.stop <= length
            assert read.stop == min(read.start + size, length)
            assert (local.start + read.start, local.stop + read.start) == (write.start, write.stop)
            assert write.start - read.start >= halo or read.start == 0
            assert read.stop - write.stop >= halo or read.stop == length


@given(plans())
def test_tiles_reach_beyond_the_image_by_less_than_the_divisor_unless_they_are_larger_than_it(planned):
    plan, _ = planned
    for tile in plan.tiles:
        lengths, sizes = (plan.height, plan.width), (tile.height, tile.width)
        for length, size, read in zip(lengths, sizes, tile.read, strict=True):
            assert read.start == 0 or read.start + size < length + DIVISOR


def every_grid(height, width, least_side, largest_px, halo):
    """Pixels that are computed by each grid of equal tiles that is allowed, found by trying all."""
    halo = -(-halo // DIVISOR) * DIVISOR
    least = max(least_side, 2 * halo + DIVISOR)
    found = []
    for tile_height in range(least, max(height + DIVISOR, least + 1), DIVISOR):
        for tile_width in range(least, max(width + DIVISOR, least + 1), DIVISOR):
            if tile_height * tile_width <= max(largest_px, least**2):
                tall, wide = (
                    1 if side >= length else 1 + -(-(-(-length // DIVISOR) * DIVISOR - side) // (side - 2 * halo))
                    for length, side in ((height, tile_height), (width, tile_width))
                )
                found.append(tall * wide * tile_height * tile_width)
    return found


@given(st.integers(1, 150), st.integers(1, 150), st.integers(1, 5), st.integers(0, 24), st.integers(1, 20_000))
def test_no_other_grid_of_equal_tiles_computes_fewer_pixels(height, width, steps, halo, largest_px):
    least_side = steps * DIVISOR
    plan = plan_fitted_tiles(height, width, least_side=least_side, largest_px=largest_px, halo=halo, divisor=DIVISOR)
    assert plan.computed_px == min(every_grid(height, width, least_side, largest_px, halo))
    assert len({(tile.height, tile.width) for tile in plan.tiles}) == 1


@given(geometries())
def test_no_single_side_computes_fewer_pixels(geometry):
    height, width, sides, halo = geometry
    plan = plan_tiles(height, width, sides=sides, halo=halo, divisor=DIVISOR)
    rounded = -(-halo // DIVISOR) * DIVISOR
    for side in sides:
        if side > 2 * rounded or side >= max(height, width):
            assert plan.computed_px <= plan_tiles(height, width, sides=[side], halo=halo, divisor=DIVISOR).computed_px


@given(plans(most=120), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_stitching_the_identity_returns_the_image(planned, batch_size, seed):
    plan, _ = planned
    image = np.random.default_rng(seed).integers(0, 256, (plan.height, plan.width, 3), dtype=np.uint8)
    stitched = predict_tiled(image, lambda batch: batch, plan, output_count=3, batch_size=batch_size)
    np.testing.assert_array_equal(stitched, image)


@given(plans(most=120), st.integers(0, 2**32 - 1))
def test_a_filter_no_wider_than_the_halo_cannot_tell_tiles_from_the_whole_image(planned, seed):
    plan, halo = planned
    height, width = plan.height, plan.width
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 1), dtype=np.uint8)

    def mean_of_neighbourhood(batch):
        """Mean over the pixels up to `halo` away that the tile has: like a network, it sees nothing beyond."""
        sums = batch.astype(np.int64)
        counts = np.ones_like(sums)
        for axis in (1, 2):
            sums, counts = (_window_sum(values, halo, axis) for values in (sums, counts))
        return (sums // counts).astype(np.uint8)

    tiled = predict_tiled(image, mean_of_neighbourhood, plan, output_count=1)
    inside = (slice(0, max(height - halo, 0)), slice(0, max(width - halo, 0)))
    untiled = mean_of_neighbourhood(image[np.newaxis])[0]
    np.testing.assert_array_equal(tiled[inside], untiled[inside])


def _window_sum(values, radius, axis):
    running = np.cumsum(values, axis=axis)
    last = np.minimum(np.arange(values.shape[axis]) + radius, values.shape[axis] - 1)
    before = np.arange(values.shape[axis]) - radius - 1
    lower = np.take(running, np.maximum(before, 0), axis=axis)
    shape = [1, 1, 1, 1]
    shape[axis] = -1
    return np.take(running, last, axis=axis) - np.where((before >= 0).reshape(shape), lower, 0)


@pytest.mark.parametrize(
    ("height", "width", "sides", "expected"),
    [
        pytest.param(1, 1, [256, 512], {256: 1}, id="one pixel"),
        pytest.param(256, 256, [256, 512], {256: 1}, id="exactly one small tile"),
        pytest.param(257, 256, [256, 512], {256: 2}, id="two small tiles are cheaper than one large one"),
        pytest.param(500, 500, [256, 512], {512: 1}, id="one large tile is cheaper than nine small ones"),
        pytest.param(520, 696, [256, 512], {512: 1, 256: 6}, id="small tiles at the far edges"),
        pytest.param(128, 128, [128], {128: 1}, id="network of a fixed size, one tile"),
        pytest.param(192, 128, [128], {128: 2}, id="network of a fixed size, two tiles without a halo at the edges"),
        pytest.param(20000, 1, [256, 512], {256: 104}, id="a line"),
    ],
)
def test_the_planner_chooses(height, width, sides, expected):
    plan = plan_tiles(height, width, sides=sides, halo=32, divisor=16)
    assert {side: sum(tile.height == tile.width == side for tile in plan.tiles) for side in expected} == expected
    assert len(plan.tiles) == sum(expected.values())


def test_a_frame_that_fits_one_tile_has_no_halo():
    plan = plan_tiles(100, 250, sides=[256], halo=96, divisor=16)
    (tile,) = plan.tiles
    assert plan.halo == 0
    assert tile.write == tile.local == tile.read == (slice(0, 100), slice(0, 250))


def test_a_side_within_two_halos_serves_only_frames_that_fit_it():
    assert [tile.height for tile in plan_tiles(64, 64, sides=[64, 256], halo=32, divisor=16).tiles] == [64]
    assert {tile.height for tile in plan_tiles(64, 65, sides=[64, 256], halo=32, divisor=16).tiles} == {256}


def test_a_slide_is_planned_at_once_and_computes_little():
    plan = plan_tiles(20_000, 20_000, sides=[256, 512, 1024, 2048], halo=32, divisor=16)
    assert plan.computed_px < 1.09 * 20_000**2
    assert len(plan.tiles) < 400


@pytest.mark.parametrize(
    ("height", "width", "count", "size"),
    [
        pytest.param(5, 7, 1, (256, 256), id="smaller than the least side"),
        pytest.param(520, 696, 1, (528, 704), id="one tile of just the size"),
        pytest.param(1024, 1024, 1, (1024, 1024), id="one tile"),
        pytest.param(1040, 1388, 2, (1040, 800), id="two halves"),
        pytest.param(2048, 2048, 4, (1120, 1120), id="four quarters"),
        pytest.param(300, 20_000, 5, (304, 4160), id="a strip"),
    ],
)
def test_tiles_that_fit_are_large_and_few(height, width, count, size):
    plan = plan_fitted_tiles(height, width, least_side=256, largest_px=1152**2, halo=96, divisor=16)
    assert [(tile.height, tile.width) for tile in plan.tiles] == [size] * count


def test_tiles_that_fit_a_slide_compute_no_more_than_squares_do():
    plan = plan_fitted_tiles(20_000, 20_000, least_side=256, largest_px=1024**2, halo=96, divisor=16)
    squares = plan_tiles(20_000, 20_000, sides=[256, 512, 1024], halo=96, divisor=16)
    assert plan.computed_px <= squares.computed_px
    assert max(tile.height * tile.width for tile in plan.tiles) <= 1024**2


def test_a_tile_is_reflected_at_the_far_edges_without_repeating_the_edge():
    image = np.arange(6, dtype=np.uint8).reshape(2, 3, 1)
    (tile,) = plan_tiles(2, 3, sides=[8], halo=0, divisor=8).tiles
    np.testing.assert_array_equal(read_tile(image, tile)[..., 0], np.pad(image[..., 0], ((0, 6), (0, 5)), "reflect"))


def test_a_single_pixel_fills_its_tile():
    (tile,) = plan_tiles(1, 1, sides=[16], halo=0, divisor=16).tiles
    assert (read_tile(np.full((1, 1, 3), 7, dtype=np.uint8), tile) == 7).all()


def test_batches_hold_tiles_of_one_side_and_no_more_than_asked_for():
    plan = plan_tiles(520, 696, sides=[256, 512], halo=32, divisor=16)
    batches = list(plan.batches(4))
    assert [(batch[0].height, len(batch)) for batch in batches] == [(512, 1), (256, 4), (256, 2)]
    assert all((tile.height, tile.width) == (batch[0].height, batch[0].width) for batch in batches for tile in batch)
    assert sorted(id(tile) for batch in batches for tile in batch) == sorted(map(id, plan.tiles))


def test_the_network_sees_uint8_batches_of_the_tiles():
    seen = []

    def predict(batch):
        seen.append((batch.shape, batch.dtype, batch.flags.c_contiguous))
        return batch[..., :1]

    image = np.zeros((300, 256, 3), dtype=np.uint8)
    predict_tiled(image, predict, plan_tiles(300, 256, sides=[256], halo=32, divisor=16), output_count=1, batch_size=8)
    assert seen == [((2, 256, 256, 3), np.uint8, True)]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(lambda batch: batch.astype(np.float32), id="float probabilities"),
        pytest.param(lambda batch: batch[..., :1], id="too few outputs"),
        pytest.param(lambda batch: batch[:, ::2, ::2], id="half the size"),
        pytest.param(lambda batch: batch[:0], id="no tile"),
        pytest.param(lambda batch: batch[0], id="no batch axis"),
    ],
)
def test_an_answer_of_the_wrong_kind_is_refused(answer):
    image = np.zeros((16, 16, 3), dtype=np.uint8)
    plan = plan_tiles(16, 16, sides=[16], halo=0, divisor=16)
    with pytest.raises(PredictionError, match="the network gave"):
        predict_tiled(image, answer, plan, output_count=3)


def test_a_plan_for_another_size_is_refused():
    plan = plan_tiles(16, 16, sides=[16], halo=0, divisor=16)
    with pytest.raises(PredictionError, match="does not fit"):
        predict_tiled(np.zeros((16, 17, 3), dtype=np.uint8), lambda batch: batch, plan, output_count=3)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        pytest.param({"sides": [100]}, "multiples of 16", id="side no multiple of the divisor"),
        pytest.param({"sides": []}, "multiples of 16", id="no side"),
        pytest.param({"halo": -1}, "not negative", id="negative halo"),
        pytest.param({"height": 0}, "at least one pixel", id="empty image"),
        pytest.param({"halo": 33}, "more than twice the halo of 48", id="nothing left between the halos"),
    ],
)
def test_what_cannot_be_planned_is_refused(kwargs, message):
    arguments = {"height": 100, "width": 100, "sides": [64, 96], "halo": 16, "divisor": 16} | kwargs
    with pytest.raises(OptionError, match=message):
        plan_tiles(arguments.pop("height"), arguments.pop("width"), **arguments)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        pytest.param({"least_side": 100}, "multiple of 16", id="side no multiple of the divisor"),
        pytest.param({"halo": -1}, "not negative", id="negative halo"),
        pytest.param({"width": 0}, "at least one pixel", id="empty image"),
    ],
)
def test_what_cannot_be_fitted_is_refused(kwargs, message):
    arguments = {"height": 100, "width": 100, "least_side": 64, "largest_px": 9999, "halo": 16, "divisor": 16} | kwargs
    with pytest.raises(OptionError, match=message):
        plan_fitted_tiles(arguments.pop("height"), arguments.pop("width"), **arguments)
