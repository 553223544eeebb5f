"""Images of many shapes: as many as asked for, all different, the same every time."""

import cv2
import numpy as np
import pytest
from benchmarks.pictures import encode_grey_tiff, encode_mosaic, make_mosaic
from benchmarks.shapes import choose_shapes

from monolayer_core.image_io import decode_image


def test_shapes_are_different_and_mostly_small():
    shapes = choose_shapes(200, 10)

    assert len(set(shapes)) == 200
    assert shapes == choose_shapes(200, 10)
    assert sum(max(shape) > 300 for shape in shapes) == 10
    assert min(min(shape) for shape in shapes) >= 16


@pytest.mark.parametrize(("height", "width"), [(2, 3), (5, 4), (1, 1)])
def test_a_mosaic_is_mirrored_at_the_borders(height, width):
    picture = np.arange(6, dtype=np.uint8).reshape(2, 3)
    mirrored = np.array([[0, 1, 2, 2, 1], [3, 4, 5, 5, 4], [3, 4, 5, 5, 4], [0, 1, 2, 2, 1], [0, 1, 2, 2, 1]])

    np.testing.assert_array_equal(make_mosaic(picture, height, width), mirrored[:height, :width])


def test_files_hold_the_mosaic():
    picture = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)

    png, tiff = decode_image(encode_mosaic(picture, 40)), decode_image(encode_grey_tiff(picture, 40))

    np.testing.assert_array_equal(png.pixels, make_mosaic(picture[..., ::-1], 40, 40))
    np.testing.assert_array_equal(tiff.pixels, make_mosaic(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), 40, 40))
