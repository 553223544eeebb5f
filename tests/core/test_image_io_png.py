"""PNG files built chunk by chunk, because no encoder writes the odd ones."""

import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monolayer_core.errors import ImageTooLargeError, TruncatedImageError
from monolayer_core.image_io import decode_image, read_header

MAGIC = b"\x89PNG\r\n\x1a\n"
PALETTE = bytes([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def header(width: int, height: int, depth: int, kind: int, interlace: int = 0) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, interlace))


def png(width: int, depth: int, kind: int, rows: list[bytes], *extra: bytes) -> bytes:
    packed = zlib.compress(b"".join(b"\0" + row for row in rows))
    parts = (header(width, len(rows), depth, kind), *extra, chunk(b"IDAT", packed), chunk(b"IEND", b""))
    return MAGIC + b"".join(parts)


PLTE = chunk(b"PLTE", PALETTE)
PALETTE_ROW = [[[1, 2, 3], [4, 5, 6], [7, 8, 9], [10, 11, 12]]]

KINDS = {
    "1-bit grey becomes 0 and 255": (png(8, 1, 0, [b"\xb0"]), [[255, 0, 255, 255, 0, 0, 0, 0]], "u1"),
    "2-bit grey is spread": (png(4, 2, 0, [b"\x1b"]), [[0, 85, 170, 255]], "u1"),
    "4-bit grey is spread": (png(2, 4, 0, [b"\x5f"]), [[85, 255]], "u1"),
    "16-bit grey is kept": (png(2, 16, 0, [struct.pack(">2H", 1, 60_000)]), [[1, 60_000]], "u2"),
    "16-bit RGB is kept": (png(1, 16, 2, [struct.pack(">3H", 1000, 2, 3)]), [[[1000, 2, 3]]], "u2"),
    "grey with alpha is grey": (png(2, 8, 4, [bytes([10, 255, 20, 0])]), [[10, 20]], "u1"),
    "16-bit grey with alpha is grey": (png(1, 16, 4, [struct.pack(">2H", 4095, 0)]), [[4095]], "u2"),
    "RGB with alpha is RGB": (png(1, 8, 6, [bytes([10, 20, 30, 0])]), [[[10, 20, 30]]], "u1"),
    "16-bit RGB with alpha is RGB": (png(1, 16, 6, [struct.pack(">4H", 1000, 2, 3, 0)]), [[[1000, 2, 3]]], "u2"),
    "a palette is RGB": (png(4, 8, 3, [bytes([0, 1, 2, 3])], PLTE), PALETTE_ROW, "u1"),
    "a 2-bit palette is RGB": (png(4, 2, 3, [b"\x1b"], PLTE), PALETTE_ROW, "u1"),
    "a palette with alpha is RGB": (
        png(4, 8, 3, [bytes([0, 1, 2, 3])], PLTE, chunk(b"tRNS", b"\x00\x80")),
        PALETTE_ROW,
        "u1",
    ),
    "a transparent grey level is a grey level": (
        png(3, 8, 0, [bytes([0, 1, 2])], chunk(b"tRNS", b"\0\1")),
        [[0, 1, 2]],
        "u1",
    ),
    "gamma is not applied": (
        png(2, 8, 0, [bytes([0, 100])], chunk(b"gAMA", struct.pack(">I", 100_000))),
        [[0, 100]],
        "u1",
    ),
    "the frames of an animation are left out": (
        png(2, 8, 0, [bytes([7, 8])], chunk(b"acTL", struct.pack(">II", 9, 0))),
        [[7, 8]],
        "u1",
    ),
    "significant bits do not shift": (
        png(1, 16, 0, [struct.pack(">H", 65_520)], chunk(b"sBIT", b"\x0c")),
        [[65_520]],
        "u2",
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_pixel_is_read_as_decided(kind):
    data, expected, dtype = KINDS[kind]
    pixels = decode_image(data).pixels
    assert pixels.dtype == dtype
    assert pixels.tolist() == expected
    described = read_header(data)
    assert (described.height, described.width, described.dtype) == (*pixels.shape[:2], pixels.dtype.name)


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.randoms(use_true_random=False))
def test_an_interlaced_picture_is_put_together(width, height, random):
    image = np.array([[random.randrange(256) for _ in range(width)] for _ in range(height)], dtype=np.uint8)
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    parts = [image[y::row_step, x::column_step] for y, x, row_step, column_step in passes]
    packed = zlib.compress(b"".join(b"\0" + row.tobytes() for part in parts if part.size for row in part))
    data = MAGIC + header(width, height, 8, 0, interlace=1) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
    np.testing.assert_array_equal(decode_image(data).pixels, image)


WHOLE = png(4, 8, 0, [bytes([1, 2, 3, 4])] * 3, chunk(b"tEXt", b"Comment\0nothing"))

DAMAGED = {
    "no end chunk": WHOLE[:-12],
    "end chunk cut": WHOLE[:-1],
    "checksum of a pixel chunk": WHOLE[:-14] + bytes([WHOLE[-14] ^ 1]) + WHOLE[-13:],
    "checksum of a comment": WHOLE.replace(b"nothing", b"notHing"),
    "fewer rows than announced": MAGIC
    + header(4, 3, 8, 0)
    + chunk(b"IDAT", zlib.compress(b"\0\1\2\3\4"))
    + chunk(b"IEND", b""),
    "no pixels": MAGIC + header(4, 3, 8, 0) + chunk(b"IEND", b""),
    "no palette": png(4, 8, 3, [bytes([0, 1, 2, 3])]),
    "two headers": MAGIC + header(4, 1, 8, 0) + png(4, 8, 0, [bytes([1, 2, 3, 4])])[8:],
    "header of the wrong length": MAGIC + chunk(b"IHDR", b"\0\0\0\1"),
    "something before the header": MAGIC + chunk(b"IDAT", b"") + header(4, 1, 8, 0),
    "a depth that does not exist": png(4, 3, 0, [bytes(2)]),
    "a kind that does not exist": png(4, 8, 5, [bytes(4)]),
    "rows interlaced in a way that does not exist": MAGIC
    + header(4, 1, 8, 0, interlace=2)
    + chunk(b"IDAT", zlib.compress(bytes(5)))
    + chunk(b"IEND", b""),
    "a chunk longer than the file": MAGIC + header(4, 1, 8, 0) + struct.pack(">I", 2**31 - 1) + b"IDAT",
    "an unknown chunk that must be understood": png(1, 8, 0, [b"\1"], chunk(b"CgBI", bytes(4))),
    "pixels that are not deflated": MAGIC + header(4, 1, 8, 0) + chunk(b"IDAT", b"pixels") + chunk(b"IEND", b""),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_damage_is_refused(damage):
    with pytest.raises(TruncatedImageError, match="PNG"):
        decode_image(DAMAGED[damage])


def test_what_follows_the_end_is_ignored():
    assert decode_image(WHOLE + b"trailing").pixels.shape == (3, 4)


@pytest.mark.parametrize(("width", "height"), [(30_000, 30_000), (2**31 - 1, 2**31 - 1), (2**32 - 1, 1)])
def test_a_size_beyond_the_limit_is_refused_by_the_header_alone(width, height):
    with pytest.raises(ImageTooLargeError):
        decode_image(MAGIC + header(width, height, 8, 0))


def test_a_picture_of_the_largest_admitted_size_passes_the_limits():
    described = read_header(MAGIC + header(20_000, 20_000, 16, 2))
    assert described.decoded_bytes == 20_000 * 20_000 * 6
    with pytest.raises(TruncatedImageError):
        decode_image(MAGIC + header(20_000, 20_000, 16, 2))
