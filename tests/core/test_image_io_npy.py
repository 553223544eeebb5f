import io
import struct

import numpy as np
import pytest

from monolayer_core.errors import ImageTooLargeError, TruncatedImageError, UnusableImageError
from monolayer_core.image_io import ReadOptions, decode_image, read_header


def npy(array: np.ndarray, **options: bool) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


def with_header(text: str, content: bytes = b"", version: int = 1) -> bytes:
    encoded = text.encode() + b"\n"
    length = struct.pack("<H" if version == 1 else "<I", len(encoded))
    return b"\x93NUMPY" + bytes([version, 0]) + length + encoded + content


def header(shape: str, descr: str = "'|u1'") -> str:
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}"


@pytest.mark.parametrize("dtype", [">u2", ">i4", ">f4", "<f8", "f2", "u8", "i1"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_byte_and_memory_order_do_not_matter(dtype, order):
    array = np.asarray(np.arange(12).reshape(3, 4), dtype=dtype, order=order)
    pixels = decode_image(npy(array)).pixels
    assert pixels.dtype == array.dtype.newbyteorder("=")
    assert pixels.dtype.isnative
    assert pixels.flags.c_contiguous
    np.testing.assert_array_equal(pixels, array)


def test_true_and_false_become_255_and_0():
    pixels = decode_image(npy(np.array([[True, False]]))).pixels
    assert pixels.dtype == np.uint8
    assert pixels.tolist() == [[255, 0]]


def test_objects_are_never_unpickled():
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("unpickled",))

    with pytest.raises(UnusableImageError, match="object"):
        decode_image(npy(np.array([[Trap()]], dtype=object), allow_pickle=True))


@pytest.mark.parametrize(
    ("array", "word"),
    [
        (np.ones((2, 2), dtype=complex), "complex"),
        (np.array([["a"]]), "U1"),
        (np.zeros((2, 2), dtype=[("r", "u1"), ("g", "u1")]), "cannot be used"),
        (np.zeros((2, 2), dtype="M8[s]"), "datetime"),
        (np.zeros((0, 5)), "no pixels"),
        (np.zeros((5, 0, 3)), "no pixels"),
        (np.array(7), "no pixels"),
    ],
    ids=["complex", "text", "fields", "dates", "no rows", "no columns", "a single number"],
)
def test_what_is_no_picture_is_refused(array, word):
    with pytest.raises(UnusableImageError, match=word):
        decode_image(npy(array))


@pytest.mark.parametrize(
    "data",
    [
        b"\x93NUMPY",
        b"\x93NUMPY\x01\x00\xff\xff{'descr'",
        with_header("nonsense"),
        with_header("{}"),
        with_header(header("(2, 2)", "'nonsense'"), bytes(4)),
        with_header(header("(-2, -2)"), bytes(4)),
        with_header(header("(2, 2)") + " " * 5000, bytes(4)),
        with_header("(" * 3000, bytes(4)),
        with_header("__import__('os').getcwd()", bytes(4)),
        with_header(header("(2, 2)"), bytes(3)),
        with_header(header("(2, 2.5)"), bytes(9)),
        with_header(header("(True, 9)"), bytes(9)),
    ],
    ids=[
        "magic only",
        "cut",
        "text",
        "empty",
        "type",
        "negative",
        "long",
        "deep",
        "code",
        "a byte short",
        "half",
        "true",
    ],
)
def test_damage_is_refused(data):
    with pytest.raises(TruncatedImageError, match="npy"):
        decode_image(data)


def test_a_version_for_field_names_is_refused():
    with pytest.raises(UnusableImageError, match=r"3\.0"):
        decode_image(with_header(header("(2, 2)"), bytes(4), version=3))


def test_version_two_is_read():
    assert decode_image(with_header(header("(2, 2)"), bytes(range(4)), version=2)).pixels.tolist() == [[0, 1], [2, 3]]


@pytest.mark.parametrize("shape", ["(30000, 30000)", "(10**0, 2)", f"({2**70}, {2**70})", f"({2**63}, 1)"])
def test_a_shape_is_judged_before_anything_is_allocated(shape):
    expected = TruncatedImageError if "**" in shape else ImageTooLargeError
    with pytest.raises(expected):
        decode_image(with_header(header(shape), bytes(9)))


def test_only_the_chosen_plane_counts_against_the_limit():
    stack = npy(np.zeros((9, 4, 5), dtype=np.uint16))
    described = read_header(stack, ReadOptions(axes="TYX"))
    assert (described.height, described.width, described.decoded_bytes) == (4, 5, 40)
    assert described.shape == (9, 4, 5)


@pytest.mark.parametrize("shape", ["(" + "9" * 3000 + ", 2)", "(" + "1, " * 900 + ")", "(" + "0, " * 900 + ")"])
def test_a_shape_is_not_repeated_at_any_length(shape):
    with pytest.raises((ImageTooLargeError, UnusableImageError)) as caught:
        decode_image(with_header(header(shape), bytes(9)))
    assert len(str(caught.value)) < 100


def test_the_memory_of_a_plane_is_that_of_all_its_colours():
    header = read_header(npy(np.zeros((4, 5, 3))))
    assert (header.dtype, header.decoded_bytes, header.decoded_dtype) == ("float64", 4 * 5 * 3 * 8, np.float64)
    header = read_header(npy(np.zeros((4, 5), np.bool_)))
    assert (header.dtype, header.decoded_bytes, header.decoded_dtype) == ("bool", 4 * 5, np.uint8)
