"""The two formats that are written: PNG for pictures, TIFF for label images."""

import io
import struct
import zlib
from collections.abc import Iterator
from math import isfinite
from typing import Any

import numpy as np
import tifffile

from monolayer_core.arrays import Pixels
from monolayer_core.errors import OptionError, UnusableImageError
from monolayer_core.row_source import ArrayRows, RowSource, bands

_STRIP_BYTES = 1 << 20

_CENTIMETRE_UM = 10_000.0
_TAG_RANGE = (1e-4, float(1 << 32))  # of a quotient of 32-bit numbers, with some digits to spare at the lower end
_OME_XML = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"'
    ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
    ' xsi:schemaLocation="http://www.openmicroscopy.org/Schemas/OME/2016-06'
    ' http://www.openmicroscopy.org/Schemas/OME/2016-06/ome.xsd">'
    '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="{dtype}"'
    ' SizeX="{width}" SizeY="{height}" SizeC="1" SizeZ="1" SizeT="1"{size}>'
    '<Channel ID="Channel:0:0" SamplesPerPixel="1"/><TiffData IFD="0" PlaneCount="1"/></Pixels></Image></OME>'
)
_OME_PIXEL_SIZE = ' PhysicalSizeX="{0!r}" PhysicalSizeXUnit="µm" PhysicalSizeY="{0!r}" PhysicalSizeYUnit="µm"'

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_COLOURS = {1: 0, 3: 2}  # the format's number for grey and for RGB, by channels
_PNG_FILTER_UP = 2


def encode_png(pixels: Pixels | RowSource) -> bytes:
    """Encode as PNG, without loss; by rows, none of them kept.

    Parameters
    ----------
    pixels
        Grey or RGB; uint8 or uint16.

    Raises
    ------
    UnusableImageError
        The pixels are of another shape or type, or there are none.
    """
    source = ArrayRows(pixels) if isinstance(pixels, np.ndarray) else pixels
    size = (source.height, source.width, source.channels)
    if source.dtype.newbyteorder("=") not in (np.uint8, np.uint16) or source.channels not in _PNG_COLOURS or 0 in size:
        raise UnusableImageError(f"pixels of type {source.dtype} and shape {size} cannot be written as PNG")
    stream = io.BytesIO(_PNG_SIGNATURE)
    stream.seek(0, io.SEEK_END)
    kind = (8 * source.dtype.itemsize, _PNG_COLOURS[source.channels])
    _write_chunk(stream, b"IHDR", struct.pack(">IIBBBBB", source.width, source.height, *kind, 0, 0, 0))
    for compressed in _png_data(source):
        _write_chunk(stream, b"IDAT", compressed)
    _write_chunk(stream, b"IEND", b"")
    return stream.getvalue()


def _png_data(source: RowSource) -> Iterator[bytes]:
    """Give the rows as differences from the row above, compressed, a band at a time.

    With this filter the fastest level of zlib takes about as long as OpenCV's encoder. It leaves 20 to 40 % less of
    fluorescence and phase contrast, and a tenth more of stained tissue.
    """
    compressor = zlib.compressobj(1)
    above = np.zeros((1, source.width * source.channels * source.dtype.itemsize), dtype=np.uint8)
    for rows in bands(source.height, source.width):
        pixels = np.ascontiguousarray(source.read(rows), dtype=source.dtype.newbyteorder(">"))
        octets = pixels.view(np.uint8).reshape(len(pixels), -1)
        filtered = np.empty((octets.shape[0], 1 + octets.shape[1]), dtype=np.uint8)
        filtered[:, 0] = _PNG_FILTER_UP
        np.subtract(octets[:1], above, out=filtered[:1, 1:])
        np.subtract(octets[1:], octets[:-1], out=filtered[1:, 1:])
        above = octets[-1:].copy()
        yield compressor.compress(filtered.data)
    yield compressor.flush()


def _write_chunk(stream: io.BytesIO, kind: bytes, data: bytes) -> None:
    stream.write(struct.pack(">I4s", len(data), kind))
    stream.write(data)
    stream.write(struct.pack(">I", zlib.crc32(data, zlib.crc32(kind))))


def encode_label_tiff(labels: RowSource, largest: int, pixel_size_um: float | None = None) -> bytes:
    """Encode a label image as TIFF: deflate, uint16 while labels fit, else uint32; by rows, none of them kept.

    The file is an OME-TIFF. The pixel size stands in its OME-XML and, for ImageJ, which reads no OME-XML and takes
    pixels per centimetre for micrometres, in the resolution tags. An image of more than 4 GiB becomes a BigTIFF.

    Parameters
    ----------
    labels
        Of whole numbers.
    largest
        The largest label, or more.
    pixel_size_um
        Side of a pixel in micrometres.

    Raises
    ------
    OptionError
        The pixel size is not a positive number.
    UnusableImageError
        There are no pixels, or a label is negative or larger than `largest`.
    """
    if pixel_size_um is not None and not (isfinite(pixel_size_um) and pixel_size_um > 0):
        raise OptionError(f"pixel_size_um must be a positive number of micrometres, not {pixel_size_um}")
    if not labels.height or not labels.width or labels.channels != 1:
        raise UnusableImageError("a label image has rows, columns and one label a pixel")
    dtype = np.dtype(np.uint16 if largest < 1 << 16 else np.uint32)
    rows_per_strip = max(1, _STRIP_BYTES // (labels.width * dtype.itemsize))
    stream = io.BytesIO()
    tifffile.imwrite(
        stream,
        _strips(labels, largest, dtype, rows_per_strip),
        shape=(labels.height, labels.width),
        dtype=dtype,
        bigtiff=labels.height * labels.width * dtype.itemsize > (1 << 32) - (1 << 20),
        photometric="minisblack",
        compression="zlib",
        byteorder="<",
        rowsperstrip=rows_per_strip,
        description=_ome_xml(labels, dtype, pixel_size_um).encode(),
        metadata=None,
        software="",
        **_resolution(pixel_size_um),
    )
    return stream.getvalue()


def _ome_xml(labels: RowSource, dtype: np.dtype[Any], pixel_size_um: float | None) -> str:
    """Describe one plane without a name or a UUID, so that the same labels give the same bytes."""
    size = "" if pixel_size_um is None else _OME_PIXEL_SIZE.format(pixel_size_um)
    return _OME_XML.format(dtype=dtype.name, width=labels.width, height=labels.height, size=size)


def _resolution(pixel_size_um: float | None) -> dict[str, Any]:
    """Give pixels per centimetre as far as a tag can hold them."""
    per_cm = 0.0 if pixel_size_um is None else _CENTIMETRE_UM / pixel_size_um
    if not _TAG_RANGE[0] < per_cm < _TAG_RANGE[1]:
        return {"resolutionunit": "NONE"}
    return {"resolution": (per_cm, per_cm), "resolutionunit": "CENTIMETER"}


def _strips(labels: RowSource, largest: int, dtype: np.dtype[Any], rows_per_strip: int) -> Iterator[bytes]:
    for top in range(0, labels.height, rows_per_strip):
        rows = labels.read(slice(top, min(top + rows_per_strip, labels.height)))
        if rows.min() < 0 or rows.max() > largest:
            raise UnusableImageError(f"a label lies outside 0 to {largest}")
        yield zlib.compress(rows.astype(dtype.newbyteorder("<")).tobytes())
