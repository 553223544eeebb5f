"""What ``Content-Disposition`` says, of a part of a multipart body and of a raw body."""

import re
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from python_multipart.multipart import parse_options_header

_EXTENDED_NAME = re.compile(
    r"""
    "(?:[^"\\]|\\.?)*+"?                                # what stands in quotes is no parameter
    | ;\s*+filename\*\s*+=\s*+(?P<quote>"?)
      (?P<charset>utf-8|iso-8859-1)'[^';"\s]*+'(?P<text>(?:%[0-9a-f]{2}|[^%;"\s])++)(?P=quote)\s*+(?=;|\Z)
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)


class Disposition(NamedTuple):
    """The names a header gives, None where it does not: of a field, and of the file in it."""

    name: str | None
    file_name: str | None


def read_disposition(value: bytes) -> Disposition:
    """Read the names in a header.

    A ``filename*`` that can be decoded wins over ``filename``, which is there for programs that do not know it
    (RFC 6266, 4.3). RFC 7578 wants none in multipart bodies, but .NET sends it there, beside a ``filename`` that is
    encoded as in e-mails. Its text is UTF-8 or ISO-8859-1, the two that RFC 5987 names.
    """
    _, options = parse_options_header(value)
    name, plain = options.get(b"name"), options.get(b"filename")
    extended = _extended_name(_text_of(value))
    return Disposition(
        None if name is None else _text_of(name),
        extended if extended is not None or plain is None else _text_of(plain),
    )


def _extended_name(value: str) -> str | None:
    for found in _EXTENDED_NAME.finditer(value):
        if found["text"] is not None:
            try:
                return unquote_to_bytes(found["text"]).decode(found["charset"])
            except UnicodeDecodeError:
                continue
    return None


def _text_of(value: bytes) -> str:
    """Read a name as UTF-8, or byte by byte where it is none."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
