"""Pieces found cell by cell are those of the whole image."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from skimage.measure import label

from monolayer_core.pieces import CellGrid, find_pieces


@st.composite
def masks(draw):
    shape = draw(st.tuples(st.integers(1, 24), st.integers(1, 24)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return rng.random(shape) < draw(st.sampled_from([0.0, 0.2, 0.4, 0.6, 0.8, 1.0]))


def pieces_of(mask, side, connectivity):
    return find_pieces(CellGrid(*mask.shape, side), lambda region: np.ascontiguousarray(mask[region]), connectivity)


def everything(pieces):
    return pieces.labels((slice(0, pieces.grid.rows), slice(0, pieces.grid.columns)))


def test_a_spiral_through_four_cells_is_one_piece_and_a_speck_is_another():
    mask = np.array([[1, 1, 1, 1], [0, 0, 0, 1], [1, 0, 0, 1], [0, 0, 1, 1]], dtype=bool)
    pieces = pieces_of(mask, 2, 4)
    assert pieces.areas_px.tolist() == [0, 8, 1] or pieces.areas_px.tolist() == [0, 1, 8]
    kept = pieces.keep(pieces.areas_px > 0)
    assert kept.areas_px.tolist() == [0, 8, 1]
    assert kept.first_pixels[1:].tolist() == [0, 8]
    np.testing.assert_array_equal(everything(kept), [[1, 1, 1, 1], [0, 0, 0, 1], [2, 0, 0, 1], [0, 0, 1, 1]])
    np.testing.assert_array_equal(everything(pieces.keep(pieces.areas_px > 1)), np.where(everything(kept) == 1, 1, 0))


@given(masks(), st.integers(1, 30), st.sampled_from([4, 8]))
def test_pieces_areas_first_pixels_and_edges_are_those_of_the_whole_image(mask, side, connectivity):
    pieces = pieces_of(mask, side, connectivity)
    pieces = pieces.keep(pieces.areas_px > 0)
    # scikit-image numbers pieces by their first pixels.
    expected = label(mask, connectivity=connectivity // 4)
    np.testing.assert_array_equal(everything(pieces), expected)
    np.testing.assert_array_equal(pieces.areas_px[1:], np.bincount(expected.ravel())[1:])
    first = [int(np.flatnonzero(expected.ravel() == number)[0]) for number in range(1, pieces.count + 1)]
    assert pieces.first_pixels[1:].tolist() == first
    edges = np.unique(np.concatenate([expected[0], expected[-1], expected[:, 0], expected[:, -1]]))
    np.testing.assert_array_equal(np.flatnonzero(pieces.at_edge), edges[edges > 0])
    pixels = np.random.default_rng(side).integers(0, mask.size, 10)
    np.testing.assert_array_equal(pieces.at(pixels), expected.ravel()[pixels])


@given(masks(), st.integers(1, 10), st.data())
def test_the_numbers_in_a_window_of_cells_are_those_of_its_pixels(mask, side, data):
    pieces = pieces_of(mask, side, 8)
    ranges = (
        data.draw(st.tuples(st.integers(0, n - 1), st.integers(1, n))) for n in (pieces.grid.rows, pieces.grid.columns)
    )
    window = tuple(slice(start, max(stop, start + 1)) for start, stop in ranges)
    seen = np.unique(pieces.labels(window))
    np.testing.assert_array_equal(np.unique(pieces.numbers_in(window)), seen[seen > 0])
