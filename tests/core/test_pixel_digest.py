"""The digest of an image's pixels: what it is taken of, and what it does not depend on."""

import doctest
import hashlib

import numpy as np
import pytest

from monolayer_core import pixel_digest
from monolayer_core.image_io import decode_image, encode_png
from monolayer_core.pixel_digest import digest_pixels
from monolayer_core.row_source import ArrayRows


def test_the_example_holds():
    assert doctest.testmod(pixel_digest).failed == 0


@pytest.mark.parametrize(
    ("pixels", "header"),
    [
        pytest.param(np.arange(6, dtype=np.uint8).reshape(2, 3), "2 3 1 uint8", id="grey"),
        pytest.param(np.arange(18, dtype=np.uint8).reshape(2, 3, 3), "2 3 3 uint8", id="colour"),
        pytest.param(np.array([[1.5, -2.0]], dtype=np.float32), "1 2 1 float32", id="float"),
    ],
)
def test_it_is_taken_of_the_size_the_type_and_the_values(pixels, header):
    expected = hashlib.sha256(header.encode() + b"\n" + pixels.tobytes()).hexdigest()
    assert digest_pixels(ArrayRows(pixels)) == expected


def test_the_order_of_bytes_and_of_memory_does_not_count():
    pixels = np.arange(12, dtype="<u2").reshape(3, 4)
    expected = digest_pixels(ArrayRows(pixels))
    assert digest_pixels(ArrayRows(pixels.astype(">u2"))) == expected
    assert digest_pixels(ArrayRows(np.asfortranarray(pixels))) == expected


def test_an_image_of_several_bands_is_one_image():
    pixels = np.random.default_rng(0).integers(0, 256, (3, 700_000), dtype=np.uint8)
    assert digest_pixels(ArrayRows(pixels)) == hashlib.sha256(b"3 700000 1 uint8\n" + pixels.tobytes()).hexdigest()


def test_size_type_and_values_tell_images_apart():
    zeros = [np.zeros(shape, dtype) for shape in ((2, 6), (6, 2), (2, 2, 3)) for dtype in (np.uint8, np.uint16)]
    one_pixel = np.zeros((2, 6), np.uint8)
    one_pixel[1, 5] = 1
    assert len({digest_pixels(ArrayRows(pixels)) for pixels in [*zeros, one_pixel]}) == 7


def test_a_file_that_was_read_has_the_digest_of_its_pixels():
    pixels = np.random.default_rng(1).integers(0, 65536, (5, 7), dtype=np.uint16)
    assert digest_pixels(decode_image(encode_png(pixels)).rows) == digest_pixels(ArrayRows(pixels))
