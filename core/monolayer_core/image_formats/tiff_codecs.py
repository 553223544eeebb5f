"""Which compressions and colours of TIFF are read, and what is checked of a strip or tile before it is decoded.

tifffile bounds what most compressions unpack to by the tags. JPEG and JPEG 2000 announce a size of their own.
"""

from math import prod

import tifffile

from monolayer_core.errors import TruncatedImageError, UnusableImageError
from monolayer_core.image_formats import jpeg, jpeg2000

JPEG = 7
UNCOMPRESSED = 1
_JPEG_2000 = {34712, 33005}  # the second is Aperio's number for RGB
# None, LZW, deflate (two numbers), PackBits, LZMA, zstd (two numbers)
_BOUNDED = {UNCOMPRESSED, 5, 8, 32946, 32773, 34925, 34926, 50000}

MIN_IS_WHITE, MIN_IS_BLACK, RGB, PALETTE, YCBCR = 0, 1, 2, 3, 6
_PHOTOMETRICS = {MIN_IS_WHITE, MIN_IS_BLACK, RGB, PALETTE, YCBCR}
SEPARATE = 2


def check_kind(page: tifffile.TiffPage) -> None:
    """Refuse a page whose compression or colours are not read; raises `UnusableImageError`."""
    if page.compression not in _BOUNDED | _JPEG_2000 | {JPEG} or page.jpegheader is not None:
        name = getattr(page.compression, "name", page.compression)
        raise UnusableImageError(
            f"TIFF compression {name} is not read: save it uncompressed or with LZW, deflate or zstd"
        )
    if page.photometric not in _PHOTOMETRICS or (page.photometric == YCBCR and page.compression != JPEG):
        name = getattr(page.photometric, "name", page.photometric)
        raise UnusableImageError(f"TIFF colours of kind {name} are not read: save it as RGB or grey")
    if page.imagedepth != 1:
        raise UnusableImageError("a TIFF page with depth is not read: save one page for each z plane")


def check_stream(stream: bytes, page: tifffile.TiffPage) -> None:
    """Refuse a strip or tile that would outgrow what the tags announce, or that is cut.

    Raises
    ------
    TruncatedImageError, UnusableImageError
        As `jpeg.check_complete` and `jpeg2000.read_codestream`; or it is larger than the tags say.
    """
    if page.compression == JPEG:
        frame = jpeg.read_frame(stream)
        size = (frame.height, frame.width, frame.samples)
    elif page.compression in _JPEG_2000:
        codestream = jpeg2000.read_codestream(stream)
        size = (codestream.height, codestream.width, codestream.components)
    else:
        return
    height, width = page.chunks[:2] if page.planarconfig != SEPARATE else page.chunks[-2:]
    if any(here > said for here, said in zip(size, (height, width, page.samplesperpixel), strict=True)):
        raise TruncatedImageError("the TIFF data is damaged: a JPEG strip or tile is larger than the tags say")
    if page.compression == JPEG:
        jpeg.check_complete(stream)


def check_streams(data: bytes, page: tifffile.TiffPage) -> None:
    """Do `check_stream` for all strips or tiles of a page, which lie whole within the file."""
    if page.compression in _JPEG_2000 | {JPEG}:
        count = prod(page.chunked)
        for offset, length in zip(page.dataoffsets[:count], page.databytecounts[:count], strict=True):
            check_stream(data[offset : offset + length], page)
