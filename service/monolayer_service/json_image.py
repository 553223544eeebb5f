"""``{"image": "<base64>"}``: the bytes of an image out of JSON, piece by piece.

Python's lock is held while a text is parsed or decoded, and with it the event loop stands still: half a second for 64
MiB at once. So the long string is cut out first; what is left is parsed as JSON, and the string in pieces, each by the
same parser. Between two of them others have their turn. It takes less memory, too: the text is never copied as a whole.
"""

import binascii
import io
import re
from collections.abc import Iterator

import orjson

from monolayer_service.errors import BadBodyError, UnknownOptionError

IMAGE_KEY = "image"

PIECE_BYTES = 1 << 16

_MAX_FRAME_BYTES = 1 << 16
"""Of the JSON around the image."""

_IMAGE_BEGINS = re.compile(rb'"image"\s*:\s*"')
_LONGEST_ESCAPE, _LONGEST_CHARACTER = len("\\uFFFF"), 4  # in bytes
_WRONG_SHAPE = 'the JSON body must be {"image": "<the file in base64>"}'


def decode_json_image(body: bytes) -> bytes:
    """Take the bytes out of ``{"image": "<base64>"}``; line breaks in the base64 are allowed.

    Raises
    ------
    BadBodyError
        It is no JSON, no such object, or no base64.
    UnknownOptionError
        The object holds something besides the image.
    """
    start, end = _find_image(body)
    if len(body) - (end - start) > _MAX_FRAME_BYTES:
        raise BadBodyError(_WRONG_SHAPE)
    document = _parse(body[:start] + body[end:])
    if not isinstance(document, dict) or not isinstance(document.get(IMAGE_KEY), str):
        raise BadBodyError(_WRONG_SHAPE)
    if others := sorted(set(document) - {IMAGE_KEY}):
        raise UnknownOptionError(f"{others[0][:64]!r} in the JSON body is not known: options are query parameters")
    if document[IMAGE_KEY]:  # a second one, or one whose name is written in escapes
        raise BadBodyError(_WRONG_SHAPE)
    return _decode_base64(_pieces(body, start, end))


def _find_image(body: bytes) -> tuple[int, int]:
    """Say where the image's text begins and ends; nowhere, at the beginning, where there is none."""
    begin = _IMAGE_BEGINS.search(body, 0, _MAX_FRAME_BYTES)
    if begin is None:
        return 0, 0
    end = body.find(b'"', begin.end())
    return begin.end(), end if end >= 0 else len(body)


def _pieces(body: bytes, start: int, end: int) -> Iterator[str]:
    """Parse a JSON string in pieces, none of which ends inside a character or an escape."""
    while start < end:
        stop = min(start + PIECE_BYTES, end)
        if stop < end:
            stop -= next((back for back in range(_LONGEST_CHARACTER) if body[stop - back] & 0xC0 != 0x80), 0)
            if (escape := body.rfind(b"\\", stop - _LONGEST_ESCAPE, stop)) > start:
                stop = escape
        text = _parse(b'"%b"' % body[start:stop])
        yield str(text)
        start = stop


def _decode_base64(pieces: Iterator[str]) -> bytes:
    """Decode base64 whose pieces end anywhere."""
    decoded = io.BytesIO()
    left = b""
    try:
        for piece in pieces:
            text = left + "".join(piece.split()).encode("ascii")
            whole = len(text) // 4 * 4
            if text.endswith(b"=", 0, whole):
                whole -= 4  # whether anything comes behind the padding is not known yet
            decoded.write(binascii.a2b_base64(text[:whole], strict_mode=True))
            left = text[whole:]
        decoded.write(binascii.a2b_base64(left, strict_mode=True))
    except (binascii.Error, UnicodeEncodeError) as error:
        raise BadBodyError(f"the image is not base64: {error}") from None
    return decoded.getvalue()


def _parse(text: bytes) -> object:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadBodyError(f"the body is not JSON: {error}") from None
