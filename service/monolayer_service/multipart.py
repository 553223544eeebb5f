"""Multipart bodies, read into memory as they arrive.

Starlette's own parser goes through temporary files and takes a body that ends early for a complete one; an image must
neither touch the disk nor be used in part.
"""

import io
from collections.abc import AsyncIterable
from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from monolayer_service.content_disposition import read_disposition
from monolayer_service.errors import BadBodyError

MAX_TEXT_FIELDS = 8
MAX_TEXT_BYTES = 64 * 1024
MAX_HEADER_BYTES = 16 * 1024
"""Of all headers of a part together."""


@dataclass
class Part:
    """One field of the body. Text fields have no file name.

    The content is in a stream, which gives it as bytes without copying it.
    """

    name: str
    file_name: str | None
    stream: io.BytesIO = field(default_factory=io.BytesIO)


class _Collector:
    """Callbacks of the parser: puts its events together to parts and bounds their number."""

    def __init__(self, max_files: int) -> None:
        self.parts: list[Part] = []
        self.is_complete = False
        self._max_files = max_files
        self._header_name = b""
        self._header_value = b""
        self._disposition = b""
        self._header_bytes = 0

    def on_part_begin(self) -> None:
        self._disposition = b""
        self._header_bytes = 0

    def on_header_begin(self) -> None:
        self._header_name = self._header_value = b""

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._count_header(end - start)
        self._header_name += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._count_header(end - start)
        self._header_value += data[start:end]

    def _count_header(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > MAX_HEADER_BYTES:
            raise BadBodyError(f"the headers of a part are longer than {MAX_HEADER_BYTES} bytes")

    def on_header_end(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = self._header_value

    def on_headers_finished(self) -> None:
        name, file_name = read_disposition(self._disposition)
        if name is None:
            raise BadBodyError("a part of the multipart body has no name")
        self.parts.append(Part(name, file_name))
        if sum(part.file_name is not None for part in self.parts) > self._max_files:
            raise BadBodyError(f"the multipart body holds more files than the {self._max_files} that are taken at once")
        if sum(part.file_name is None for part in self.parts) > MAX_TEXT_FIELDS:
            raise BadBodyError(f"the multipart body holds more than {MAX_TEXT_FIELDS} text fields")

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        part = self.parts[-1]
        if part.file_name is None and part.stream.tell() + end - start > MAX_TEXT_BYTES:
            raise BadBodyError(
                f"form field {part.name[:64]!r} is longer than {MAX_TEXT_BYTES} bytes: give it a file name"
            )
        part.stream.write(memoryview(data)[start:end])

    def on_end(self) -> None:
        self.is_complete = True


async def read_parts(content_type: str, chunks: AsyncIterable[bytes], *, max_files: int) -> list[Part]:
    """Read every part of a multipart body.

    Parameters
    ----------
    content_type
        The header of the request; it holds the boundary.
    chunks
        The body; whoever gives it bounds its length.

    Raises
    ------
    BadBodyError
        There is no boundary, the body is broken, ends early, or holds too many or too large parts.
    """
    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary:
        raise BadBodyError("the multipart body has no boundary in its Content-Type")
    collector = _Collector(max_files)
    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": collector.on_part_begin,
                "on_part_data": collector.on_part_data,
                "on_header_begin": collector.on_header_begin,
                "on_header_field": collector.on_header_field,
                "on_header_value": collector.on_header_value,
                "on_header_end": collector.on_header_end,
                "on_headers_finished": collector.on_headers_finished,
                "on_end": collector.on_end,
            },
        )
        async for chunk in chunks:
            parser.write(chunk)
    except FormParserError as error:
        raise BadBodyError(f"the multipart body is broken: {error}") from None
    if not collector.is_complete:
        raise BadBodyError("the multipart body ends early")
    return collector.parts
