"""Requests of every kind that callers make: shapes, formats, calls, mistakes, and callers who hang up.

Each says which status it is to be answered with. The same seed gives the same errands.
"""

import base64
import contextlib
import http.client
import io
import itertools
import json
import socket
import struct
import threading
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt
import tifffile
from benchmarks.load import ANSWER_SECONDS
from benchmarks.pictures import encode_png, make_mosaic
from benchmarks.shapes import LARGE_SHAPES, SHAPES, choose_shapes

Pixels = npt.NDArray[np.uint8]

BOUNDARY = "b7a2c0f19d"
MULTIPART = f"multipart/form-data; boundary={BOUNDARY}"

CALLS = (
    "/v1/segment?fallback=never",
    "/v1/confluency?model=nuclei&fallback=never",
    "/v1/segment?fallback=never&format=csv",
    "/v1/segment?fallback=never&rle=coco&measurements=true&polygons=true",
    "/v1/segment?model=blood&fallback=never",
    "/v1/segment?fallback=never&format=ndjson",
    "/v1/segment?method=kmeans",
    "/v1/segment?fallback=never&format=tiff",
    "/v1/confluency?method=kmeans&foreground=texture",
    "/v1/segment?fallback=never&format=overlay",
    "/v1/segment?fallback=never&tta=true&clahe=true&flat_field=true",
)


@dataclass(frozen=True)
class Errand:
    """One request, and what is to become of it.

    Attributes
    ----------
    kind
        What the report counts it under.
    status
        That of its answer; of no meaning where the caller hangs up.
    hangs_up
        When the caller closes the connection, if not after the answer.
    """

    kind: str
    path: str
    body: bytes | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "POST"
    status: int = 200
    hangs_up: Literal["", "while sending", "while waiting"] = ""


@dataclass(frozen=True)
class Errands:
    """What a run of errands came to."""

    done: Counter[str]
    surprises: list[str]


def make_errands(picture: Pixels, *, count: int, seed: int = 0) -> Iterator[Errand]:
    """Give so many errands in a random order: nine of ten are images that are answered."""
    images = list(image_errands(picture))
    others = [*question_errands(), *submission_errands(picture), *mistaken_errands(picture), *broken_off(images)]
    rng = np.random.default_rng(seed)
    for is_other in rng.random(count) < 0.1:
        chosen = others if is_other else images
        yield chosen[rng.integers(len(chosen))]


def image_errands(picture: Pixels) -> Iterator[Errand]:
    """Images of many shapes: every format meets every call and every form of the body, as far as there are shapes."""
    formats, bodies, calls = (itertools.cycle(items) for items in (FORMATS.items(), BODIES.items(), CALLS))
    for shape, (name, encode), path in zip(choose_shapes(SHAPES, LARGE_SHAPES), formats, calls, strict=False):
        media_type, image = encode(make_mosaic(picture, *shape))
        form, wrap = next(bodies)
        body, content_type = wrap(image, media_type)
        yield Errand(f"{name}, {form}", path, body, {"Content-Type": content_type})


def question_errands() -> Iterator[Errand]:
    """What is asked without an image."""
    for path in (
        "/v1/models",
        "/v1/models/nuclei",
        "/version",
        "/readyz",
        "/livez",
        "/metrics",
        "/openapi.json",
        "/docs",
    ):
        yield Errand("question", path, method="GET")


def submission_errands(picture: Pixels) -> Iterator[Errand]:
    """Several images in one call, and such of which one is broken."""
    good = [encode_png(make_mosaic(picture, side, 2 * side)) for side in (40, 64, 90)]
    multipart = {"Content-Type": MULTIPART}
    body = join_parts([("images", f"{number}.png", image) for number, image in enumerate(good)])
    yield Errand("submission", "/v1/submission?fallback=never", body, multipart)
    body = join_parts([("images", "good.png", good[0]), ("images", "half.png", good[1][: len(good[1]) // 2])])
    yield Errand("submission, an image skipped", "/v1/submission?fallback=never&on_error=skip", body, multipart)
    yield Errand("submission, an image broken", "/v1/submission?fallback=never", body, multipart, status=422)


def mistaken_errands(picture: Pixels) -> Iterator[Errand]:
    """One for every way of being refused."""
    png = encode_png(make_mosaic(picture, 64, 64))
    is_png = {"Content-Type": "image/png"}
    for status, path, body, headers in (
        (400, "/v1/segment", b"", is_png),
        (400, "/v1/segment", b"not a part", {"Content-Type": MULTIPART}),
        (400, "/v1/segment", b'{"image": "!"}', {"Content-Type": "application/json"}),
        (404, "/v1/segment?model=hearts", png, is_png),
        (404, "/v2/segment", png, is_png),
        (406, "/v1/segment", png, {**is_png, "Accept": "application/pdf"}),
        (413, "/v1/segment", huge_png_header(), is_png),
        (415, "/v1/segment", png, {"Content-Type": "text/plain"}),
        (415, "/v1/segment", b"GIF89a and so on", is_png),
        (422, "/v1/segment", png[: len(png) // 2], is_png),
        (422, "/v1/segment?treshold=0.5", png, is_png),
        (422, "/v1/segment?threshold=7", png, is_png),
        (422, "/v1/segment", npy(np.full((8, 8), np.nan)), {"Content-Type": "application/x-npy"}),
        (422, "/v1/segment", npy(np.zeros((5, 8, 8), np.uint8)), {"Content-Type": "application/x-npy"}),
    ):
        yield Errand(f"refused, {status}", path, body, headers, status=status)
    yield Errand("refused, 405", "/v1/segment", method="GET", status=405)


def broken_off(errands: list[Errand]) -> Iterator[Errand]:
    """Callers who hang up half-way through the body, and such who do not wait for the answer."""
    for errand in errands[:: len(errands) // 8]:
        for when in ("while sending", "while waiting"):
            yield Errand(f"hung up {when}", errand.path, errand.body, errand.headers, hangs_up=when)


def run_errands(port: int, errands: Iterable[Errand], *, clients: int) -> Errands:
    """Run each errand once, over so many connections; an answer of another status than expected is a surprise."""
    remaining = iter(errands)
    lock = threading.Lock()
    done: Counter[str] = Counter()
    surprises: list[str] = []

    def work() -> None:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)) as connection:
            while True:
                with lock:
                    if (errand := next(remaining, None)) is None:
                        return
                surprise = hang_up(port, errand) if errand.hangs_up else ask(connection, errand)
                with lock:
                    done[errand.kind] += 1
                    if surprise:
                        surprises.append(f"{errand.kind}, {errand.path}: {surprise}")

    threads = [threading.Thread(target=work) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Errands(done, surprises)


def ask(connection: http.client.HTTPConnection, errand: Errand) -> str:
    """Run an errand; what was surprising about it, empty where nothing was."""
    try:
        connection.request(errand.method, errand.path, errand.body, dict(errand.headers))
        response = connection.getresponse()
        answer = response.read()
    except (OSError, http.client.HTTPException) as error:
        connection.close()  # the next errand opens it anew
        return repr(error)
    return "" if response.status == errand.status else f"{response.status} {answer[:200]!r}"


def hang_up(port: int, errand: Errand) -> str:
    """Send a request, or half of it, and close the connection; what was surprising is that there was none to be had."""
    body = errand.body or b""
    lines = [f"{errand.method} {errand.path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in errand.headers.items()]
    sent = body if errand.hangs_up == "while waiting" else body[: len(body) // 2]
    try:
        connection = socket.create_connection(("127.0.0.1", port), timeout=ANSWER_SECONDS)
    except OSError as error:
        return repr(error)
    with connection, contextlib.suppress(OSError):  # the service may have refused and closed by then
        connection.sendall("\r\n".join([*lines, "", ""]).encode("ascii") + sent)
    return ""


def npy(array: npt.NDArray[np.generic]) -> bytes:
    """A ``.npy`` file."""
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def huge_png_header() -> bytes:
    """The first bytes of a PNG of 60,000 by 60,000 pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))


def join_parts(parts: Iterable[tuple[str, str, bytes]]) -> bytes:
    """A multipart body of fields, each with a file's name and its bytes."""
    pieces = []
    for name, filename, content in parts:
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"\r\n\r\n'
        pieces += [head.encode("ascii"), content, b"\r\n"]
    return b"".join([*pieces, f"--{BOUNDARY}--\r\n".encode("ascii")])


def _opencv(suffix: str) -> Callable[[Pixels], bytes]:
    return lambda pixels: bytes(cv2.imencode(suffix, pixels)[1])


def _tiff(pixels: Pixels) -> bytes:
    stream = io.BytesIO()
    grey = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY).astype(np.uint16) * 200
    tifffile.imwrite(stream, grey, compression="zlib")
    return stream.getvalue()


FORMATS: dict[str, Callable[[Pixels], tuple[str, bytes]]] = {
    "PNG": lambda pixels: ("image/png", encode_png(pixels)),
    "JPEG": lambda pixels: ("image/jpeg", _opencv(".jpg")(pixels)),
    "TIFF of 16 bits": lambda pixels: ("image/tiff", _tiff(pixels)),
    "BMP": lambda pixels: ("image/bmp", _opencv(".bmp")(pixels)),
    "NPY": lambda pixels: ("application/x-npy", npy(pixels[..., 0])),
}
"""Media type and file of BGR pixels."""

BODIES: dict[str, Callable[[bytes, str], tuple[bytes, str]]] = {
    "raw": lambda image, media_type: (image, media_type),
    "multipart": lambda image, _: (join_parts([("image", "frame.bin", image)]), MULTIPART),
    "base64": lambda image, _: (
        json.dumps({"image": base64.b64encode(image).decode("ascii")}).encode("ascii"),
        "application/json",
    ),
}
"""Body and content type of an image."""
