"""Files that nobody wrote: random damage must end in one of the errors that callers know, never in another."""

import io
import logging
import re

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monolayer_core.errors import ImageError, OptionError
from monolayer_core.image_io import ImageLimits, ReadOptions, decode_image, encode_png

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 17, 3)).astype(np.uint8)


def tiff(array: np.ndarray, **options: object) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, array, **options)
    return stream.getvalue()


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def positions() -> bytes:
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream, ome=True) as writer:
        for name, plane in (("left", PIXELS[..., 0]), ("right", PIXELS[:8, :9, 1])):
            writer.write(plane, compression="zlib", metadata={"axes": "YX", "Name": name})
    return stream.getvalue()


FILES = {
    "png": encode_png(PIXELS),
    "jpeg": cv2.imencode(".jpg", PIXELS)[1].tobytes(),
    "bmp": cv2.imencode(".bmp", PIXELS)[1].tobytes(),
    "npy": npy(PIXELS),
    "tiff": tiff(PIXELS, photometric="rgb", rowsperstrip=4),
    "tiff, deflate": tiff(PIXELS, photometric="rgb", compression="zlib", predictor=True),
    "tiff, lzw tiles": tiff(PIXELS, photometric="rgb", compression="lzw", tile=(16, 16)),
    "tiff, jpeg": tiff(PIXELS, photometric="rgb", compression="jpeg"),
    "ome-tiff": tiff(PIXELS[..., 0], ome=True, compression="zstd"),
    "imagej": tiff(PIXELS.transpose(2, 0, 1).copy(), imagej=True),
    "tiff, jpeg 2000": tiff(PIXELS, photometric="rgb", compression="jpeg2000", tile=(16, 16)),
    "ome-tiff, stack": tiff(PIXELS.transpose(2, 0, 1).copy(), ome=True, compression="zlib", metadata={"axes": "ZYX"}),
    "ome-tiff, several images": positions(),
}


@pytest.fixture(autouse=True)
def quiet_decoders():
    """tifffile logs each flaw of a file; here that is thousands of lines."""
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    yield
    logging.getLogger("tifffile").setLevel(logging.NOTSET)


def read(data: bytes) -> None:
    try:
        series = 1 if b'Name="right"' in data else None
        image = decode_image(data, ReadOptions(series=series, channel=0, z="max"), ImageLimits(max_pixels=100_000))
    except (ImageError, OptionError):
        return
    assert image.pixels.ndim == 2
    assert image.pixels.dtype.kind in "uif"


@pytest.mark.parametrize("kind", FILES)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_changed_bytes_never_cause_an_unknown_error(kind, data):
    damaged = bytearray(FILES[kind])
    for _ in range(data.draw(st.integers(1, 4))):
        # Most of what can go wrong stands at the beginning.
        last = data.draw(st.sampled_from([40, 300, len(damaged) - 1]))
        damaged[data.draw(st.integers(0, min(last, len(damaged) - 1)))] = data.draw(st.integers(0, 255))
    read(bytes(damaged))


@pytest.mark.parametrize("kind", FILES)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_missing_and_repeated_parts_never_cause_an_unknown_error(kind, data):
    whole = FILES[kind]
    start, end = sorted((data.draw(st.integers(0, len(whole))), data.draw(st.integers(0, len(whole)))))
    read(whole[:start] + whole[end:])
    read(whole[:end] + whole[start:])


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from([b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM", b"\x93NUMPY", b"II*\0", b"MM\0*", b"II+\0"]),
    st.binary(),
)
def test_noise_after_any_beginning_is_refused(magic, noise):
    with pytest.raises(ImageError):
        decode_image(magic + noise)


@pytest.mark.parametrize(
    "data",
    [
        b"\x93NUMPY\x01\x00\x40\x00"
        + b"{'descr': '|u1,' * 1, 'fortran_order': False, 'shape': (1, 2)}".ljust(63)
        + b"\n",
        FILES["png"].replace(b"IDAT", b"iDAT"),
        FILES["jpeg"][:200] + b"\xff\xd9",
        FILES["tiff"][:8] + b"\xff\x00" + FILES["tiff"][10:],
        FILES["tiff, deflate"].replace(b"\x78\x5e", b"\0\0").replace(b"\x78\x9c", b"\0\0"),
        FILES["bmp"][:28] + b"\x08\0\x01" + FILES["bmp"][31:],
    ],
    ids=["npy", "png", "jpeg", "tiff tags", "tiff strips", "bmp"],
)
def test_what_a_decoder_says_of_damage_stays_inside(data):
    """Libraries name their modules, files and addresses in memory; callers have no use for them."""
    with pytest.raises(ImageError) as caught:
        decode_image(data, ReadOptions(channel=0))
    assert not re.search(r"0x[0-9a-f]{4}|/|\.(py|cpp)|Error|cv2|tifffile|imagecodecs|Tiff[A-Z]|<", str(caught.value))
