"""How far the service is with an image: the lines it sends ahead of an answer in the form ``application/x-ndjson``."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias, TypeVar

import httpx2

from monolayer_client.calls import Call, answer_of_lines

T = TypeVar("T")

NDJSON = "application/x-ndjson"


@dataclass(frozen=True)
class Progress:
    """What the service says on its way.

    Attributes
    ----------
    stage : str
        What it does: ``decode``, ``prepare``, ``inference``, ``postprocess`` or ``encode``.
    done_megapixels, total_megapixels : float
        How much of the image the network has seen.
    elapsed_seconds : float
        Since the request came in.
    """

    stage: str
    done_megapixels: float
    total_megapixels: float
    elapsed_seconds: float


OnProgress: TypeAlias = Callable[[Progress], None]


def with_progress(call: Call[T]) -> Call[T]:
    """Ask for the same, with progress ahead of the answer."""
    return replace(call, headers={**call.headers, "Accept": NDJSON})


class LineReader:
    """Takes the bytes of a stream of lines as they come and makes of the last line the response it stands for.

    Lines end at a line feed and nowhere else: a name in the answer may hold other characters that some take for an end.

    Parameters
    ----------
    response
        The stream, of a good status.
    on_progress
        Told what each line but the last says.
    """

    def __init__(self, response: httpx2.Response, on_progress: OnProgress) -> None:
        self._response = response
        self._on_progress = on_progress
        self._pieces: list[bytes] = []
        self._last = b""

    def take(self, chunk: bytes) -> None:
        """Read on."""
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            self._read(b"".join([*self._pieces, end]))
            self._pieces.clear()
        self._pieces.append(rest)

    def _read(self, line: bytes) -> None:
        if line.startswith(b'{"progress":'):
            told = json.loads(line)["progress"]
            self._on_progress(Progress(**{name: told[name] for name in Progress.__dataclass_fields__}))
        elif line:
            self._last = line

    def final(self) -> httpx2.Response:
        """Give the answer as if it had been asked for without progress: an error has its status again."""
        return answer_of_lines(self._last, self._response)
