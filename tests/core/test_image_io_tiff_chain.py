"""Chains of pages made to cost more than they are worth: small files that would be read for minutes or fill memory."""

import io
import json
import struct

import numpy as np
import pytest
import tifffile

from monolayer_core.errors import AmbiguousAxesError, ImageTooLargeError, TruncatedImageError
from monolayer_core.image_formats import tiff_chain
from monolayer_core.image_io import ReadOptions, decode_image, read_header

SHORT, LONG, ASCII = 3, 4, 2
DESCRIPTION, STRIP_OFFSETS = 270, 273
SIDE = 8
PAGE = [
    (256, SHORT, 1, SIDE), (257, SHORT, 1, SIDE), (258, SHORT, 1, 8), (259, SHORT, 1, 1), (262, SHORT, 1, 1),
    (STRIP_OFFSETS, LONG, 1, 8), (277, SHORT, 1, 1), (278, SHORT, 1, SIDE), (279, LONG, 1, SIDE * SIDE),
]  # fmt: skip
PIXELS = bytes(range(SIDE * SIDE))


def chain(*pages: list[tuple[int, int, int, int]], after: bytes = b"") -> bytes:
    """A TIFF file of these tags; all pages share the pixels at byte 8, `after` stands behind them."""
    data = bytearray(b"II*\0" + struct.pack("<I", 8 + len(PIXELS) + len(after)) + PIXELS + after)
    for number, tags in enumerate(pages):
        data += struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags)
        data += struct.pack("<I", 0 if number == len(pages) - 1 else len(data) + 4)
    return bytes(data)


def test_pages_are_counted_without_asking_tifffile_for_each_of_them(monkeypatch):
    asked = []
    read_page = tifffile.TiffPage.__init__

    def counted(self, *args, **options):
        asked.append(1)
        read_page(self, *args, **options)

    monkeypatch.setattr(tifffile.TiffPage, "__init__", counted)
    assert read_header(chain(*[PAGE] * 1000), ReadOptions(z=500)).shape == (1000, SIDE, SIDE)
    assert len(asked) == 1
    pixels = decode_image(chain(*[PAGE] * 1000), ReadOptions(z=500)).pixels
    np.testing.assert_array_equal(pixels.ravel(), np.frombuffer(PIXELS, np.uint8))
    assert len(asked) == 3


@pytest.mark.parametrize(
    ("code", "value"), [(256, SIDE - 1), (258, 16), (259, 5), (277, 3)], ids=["width", "bits", "compression", "samples"]
)
def test_pages_of_another_kind_are_not_planes_of_the_stack(code, value):
    other = [(tag[0], tag[1], tag[2], value if tag[0] == code else tag[3]) for tag in PAGE]
    assert read_header(chain(PAGE, other, PAGE), ReadOptions(z=0)).shape == (2, SIDE, SIDE)
    assert read_header(chain(PAGE, other)).shape == (SIDE, SIDE)


def test_pages_are_alike_however_their_numbers_are_written():
    wide = [(code, LONG if code in (256, 257) else kind, values, value) for code, kind, values, value in PAGE]
    without_defaults = [tag for tag in PAGE if tag[0] not in (259, 277)]
    assert read_header(chain(PAGE, wide, without_defaults), ReadOptions(z=0)).shape == (3, SIDE, SIDE)


@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_bits_of_each_sample_are_compared_wherever_they_stand(bigtiff, byteorder):
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream, bigtiff=bigtiff, byteorder=byteorder) as writer:
        for dtype in (np.uint8, np.uint16, np.uint8):
            writer.write(np.zeros((SIDE, SIDE, 3), dtype), photometric="rgb", metadata=None, contiguous=False)
    with pytest.raises(AmbiguousAxesError, match="2 planes"):
        decode_image(stream.getvalue())


def test_one_text_that_many_tags_point_to_is_refused_before_it_is_read():
    text = b"a" * (1 << 20)
    tags = [*PAGE, *[(DESCRIPTION, ASCII, len(text), 8 + len(PIXELS))] * 100]
    with pytest.raises(ImageTooLargeError, match="104857600 bytes"):
        decode_image(chain(tags, after=text))


def test_one_list_that_many_tags_point_to_is_refused_before_it_is_read():
    offsets = struct.pack("<I", 8) * (1 << 18)
    tags = [*PAGE, *[(STRIP_OFFSETS, LONG, len(offsets) // 4, 8 + len(PIXELS))] * 30]
    with pytest.raises(ImageTooLargeError, match="values"):
        decode_image(chain(tags, after=offsets))


def test_tags_of_all_pages_together_are_bounded(monkeypatch):
    monkeypatch.setattr(tiff_chain, "MAX_TAGS", 3 * len(PAGE))
    assert read_header(chain(*[PAGE] * 3), ReadOptions(z=0)).shape == (3, SIDE, SIDE)
    with pytest.raises(ImageTooLargeError, match="27 tags"):
        read_header(chain(*[PAGE] * 4), ReadOptions(z=0))


def test_a_description_of_countless_axes_is_refused():
    claims = json.dumps({"shape": [9_999_999] * 100_000 + [SIDE, SIDE]}).encode()
    tags = [*PAGE, (DESCRIPTION, ASCII, len(claims), 8 + len(PIXELS))]
    with pytest.raises(TruncatedImageError):
        decode_image(chain(tags, after=claims))
