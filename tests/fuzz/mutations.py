"""Image files that nobody wrote: sound ones of every format, damaged in ways that know the format, the same every time.

A mutant is made of a seed and a number alone, so that whatever it uncovers can be made again.
"""

import io
import random
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import tifffile

from monolayer_core.image_io import encode_png

EXTREMES = (0, 1, 2, 3, 7, 127, 128, 255, 256, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)

Mutation = Callable[[bytes, random.Random], bytes]


@dataclass(frozen=True)
class Mutant:
    """One file: the format it claims to be of, what was done to it, and its bytes."""

    format: str
    mutation: str
    data: bytes


def mutants(seed: int, count: int, first: int = 0) -> Iterator[Mutant]:
    """Make files of all formats in turn."""
    formats = sorted(SOUND)
    for number in range(first, first + count):
        chance = random.Random(f"{seed} {number}")  # noqa: S311 - reproducible on purpose
        kind = formats[number % len(formats)]
        name, mutate = chance.choice(MUTATIONS[kind] + 2 * [ANYWHERE[number // len(formats) % len(ANYWHERE)]])
        yield Mutant(kind, name, mutate(chance.choice(SOUND[kind]), chance))


def _tiff(array: np.ndarray, **options: object) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, array, **options)
    return stream.getvalue()


def _npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def _coded(suffix: str, array: np.ndarray, *options: int) -> bytes:
    return bytes(cv2.imencode(suffix, array, list(options))[1])


_RANDOM = np.random.default_rng(0)
_FAR = 1 + ((np.mgrid[:40, :50] - 20) ** 2).sum(axis=0)
_GREY = (_RANDOM.random((40, 50)) * 60 + 150 * _FAR**-0.1).astype(np.uint8)
_DEEP = _GREY.astype(np.uint16) * 250
_COLOUR = np.stack([_GREY, _GREY[::-1], _GREY[:, ::-1]], axis=2)
_STACK = np.stack([_DEEP, _DEEP[::-1], _DEEP + 1])

SOUND: dict[str, list[bytes]] = {
    "png": [encode_png(_GREY), encode_png(_DEEP), encode_png(_COLOUR), _coded(".png", _COLOUR)],
    "jpeg": [
        _coded(".jpg", _GREY),
        _coded(".jpg", _COLOUR),
        _coded(".jpg", _COLOUR, cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
        _coded(".jpg", _GREY, cv2.IMWRITE_JPEG_RST_INTERVAL, 2),
    ],
    "bmp": [_coded(".bmp", _GREY), _coded(".bmp", _COLOUR), _coded(".bmp", np.dstack([_COLOUR, _GREY]))],
    "npy": [_npy(_GREY), _npy(_GREY / np.float32(255)), _npy(np.asfortranarray(_COLOUR)), _npy(_STACK)],
    "tiff": [
        _tiff(_DEEP, rowsperstrip=7),
        _tiff(_COLOUR, photometric="rgb", compression="zlib", predictor=True),
        _tiff(_GREY, compression="lzw", tile=(16, 16)),
        _tiff(_GREY, compression="zstd", rowsperstrip=9),
        _tiff(_COLOUR, photometric="rgb", compression="jpeg"),
        _tiff(
            _STACK,
            ome=True,
            photometric="minisblack",
            metadata={"axes": "ZYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5},
        ),
        _tiff(_STACK, imagej=True),
        _tiff(_STACK, bigtiff=True, compression="zlib", photometric="minisblack"),
        _tiff(_GREY > 100),
    ],
}


def truncate(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data))]


def flip_bits(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice((1, 2, 8, 64))):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def flip_head(data: bytes, chance: random.Random) -> bytes:
    return data[:4] + flip_bits(data[4:160], chance) + data[160:]


def repeat_part(data: bytes, chance: random.Random) -> bytes:
    start, end = sorted(chance.sample(range(len(data)), 2))
    return data[:end] + data[start:]


def remove_part(data: bytes, chance: random.Random) -> bytes:
    start, end = sorted(chance.sample(range(len(data)), 2))
    return data[:start] + data[end:]


def blank_part(data: bytes, chance: random.Random) -> bytes:
    start, end = sorted(chance.sample(range(len(data)), 2))
    return data[:start] + bytes([chance.choice((0, 255))]) * (end - start) + data[end:]


ANYWHERE: list[tuple[str, Mutation]] = [
    ("cut short", truncate),
    ("bits flipped", flip_bits),
    ("bits of the head flipped", flip_head),
    ("a part repeated", repeat_part),
    ("a part removed", remove_part),
    ("a part blanked", blank_part),
]


def _png_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    chunks, place = [], 8
    while place < len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        chunks.append((data[place + 4 : place + 8], data[place + 8 : place + 8 + length]))
        place += 12 + length
    return chunks


def _png(chunks: list[tuple[bytes, bytes]]) -> bytes:
    whole = [struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
             for name, body in chunks]  # fmt: skip
    return b"\x89PNG\r\n\x1a\n" + b"".join(whole)


def png_header_extreme(data: bytes, chance: random.Random) -> bytes:
    """A field of IHDR, its checksum right."""
    chunks = _png_chunks(data)
    header = bytearray(chunks[0][1])
    if chance.random() < 0.6:
        struct.pack_into(">I", header, chance.choice((0, 4)), chance.choice((*EXTREMES, 30_000, 20_000)))
    else:
        header[chance.randrange(8, 13)] = chance.choice((0, 1, 2, 3, 4, 6, 8, 16, 255))
    return _png([(b"IHDR", bytes(header)), *chunks[1:]])


def png_chunks_shuffled(data: bytes, chance: random.Random) -> bytes:
    """Chunks doubled, removed, swapped, or of the wrong content, checksums right."""
    chunks = _png_chunks(data)
    number = chance.randrange(len(chunks))
    change = chance.randrange(4)
    if change == 0:
        chunks.insert(chance.randrange(len(chunks)), chunks[number])
    elif change == 1:
        del chunks[number]
    elif change == 2:
        chance.shuffle(chunks)
    else:
        name, body = chunks[number]
        chunks[number] = (name, flip_bits(body, chance) if body else bytes(chance.choice((1, 4, 300))))
    return _png(chunks)


def png_length_lie(data: bytes, chance: random.Random) -> bytes:
    place = data.index(chance.choice((b"IHDR", b"IDAT", b"IEND"))) - 4
    return data[:place] + struct.pack(">I", chance.choice(EXTREMES)) + data[place + 4 :]


def png_inflated(data: bytes, chance: random.Random) -> bytes:
    """More compressed data than the header announces."""
    header = _png_chunks(data)[0]
    return _png([header, (b"IDAT", zlib.compress(bytes(chance.choice((1, 10_000, 30_000_000))), 9)), (b"IEND", b"")])


def _jpeg_segments(data: bytes) -> list[tuple[int, int]]:
    """Begin and end of each segment before the scan."""
    segments, place = [], 2
    while data[place + 1] != 0xDA:
        end = place + 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        segments.append((place, end))
        place = end
    return [*segments, (place, place + 2 + int.from_bytes(data[place + 2 : place + 4], "big"))]


def jpeg_size_extreme(data: bytes, chance: random.Random) -> bytes:
    place = next(begin for begin, _ in _jpeg_segments(data) if data[begin + 1] in (0xC0, 0xC2)) + 5
    size = struct.pack(">H", chance.choice((0, 1, 8, 16, 39, 41, 20_000, 30_000, 65_500, 65_535)))
    place += chance.choice((0, 2))
    return data[:place] + size + data[place + 2 :]


def jpeg_length_lie(data: bytes, chance: random.Random) -> bytes:
    place = chance.choice(_jpeg_segments(data))[0] + 2
    return data[:place] + struct.pack(">H", chance.choice((0, 1, 2, 3, 8, 255, 0x7FFF, 0xFFFF))) + data[place + 2 :]


def jpeg_segments_shuffled(data: bytes, chance: random.Random) -> bytes:
    begin, end = chance.choice(_jpeg_segments(data))
    if chance.random() < 0.5:
        return data[:begin] + data[end:]
    return data[:end] + data[begin:end] * chance.choice((1, 2, 50)) + data[end:]


def jpeg_scans_repeated(data: bytes, chance: random.Random) -> bytes:
    begin = _jpeg_segments(data)[-1][0]
    return data[:-2] + data[begin:-2] * chance.choice((1, 20, 200)) + data[-2:]


def bmp_header_extreme(data: bytes, chance: random.Random) -> bytes:
    place, kind = chance.choice([(2, "<I"), (10, "<I"), (14, "<I"), (18, "<I"), (22, "<I"), (26, "<H"), (28, "<H"),
                                 (30, "<I"), (34, "<I"), (46, "<I"), (50, "<I")])  # fmt: skip
    limit = (1 << (16 if kind == "<H" else 32)) - 1
    value = struct.pack(kind, min(chance.choice((*EXTREMES, 4, 8, 16, 24, 32, 20_000, 30_000)), limit))
    return data[:place] + value + data[place + len(value) :]


def bmp_run_lengths(data: bytes, chance: random.Random) -> bytes:
    """Pixels said to be run lengths, of a size that they do not fill."""
    changed = bytearray(data)
    struct.pack_into("<H", changed, 28, chance.choice((4, 8)))
    struct.pack_into("<I", changed, 30, chance.choice((1, 2)))
    struct.pack_into("<i", changed, chance.choice((18, 22)), chance.choice((50, 2000, -2000)))
    return bytes(changed)


_NPY_HEADERS = (
    "{'descr': '|u1', 'fortran_order': False, 'shape': (1000000000, 1000000000)}",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (30000, 30000)}",
    "{'descr': '|u1', 'fortran_order': False, 'shape': (-1, 5)}",
    "{'descr': '|u1', 'fortran_order': False, 'shape': (" + "9" * 3000 + ", 2)}",
    "{'descr': '|u1', 'fortran_order': False, 'shape': (" + "1, " * 900 + ")}",
    "{'descr': '|u1', 'fortran_order': False, 'shape': (True, 50)}",
    "{'descr': '|u1', 'fortran_order': 0, 'shape': (40, 50)}",
    "{'descr': '|u1', 'fortran_order': False, 'shape': (40L, 50L)}",
    "{'descr': '|u1', 'fortran_order': False, 'shape': (" + "-" * 3000 + "1, 2)}",
    "{'descr': '|u1', 'fortran_order': False, 'shape': " + "(" * 150 + ")" * 150 + "}",
    "{'descr': '|O', 'fortran_order': False, 'shape': (1,)}",
    "{'descr': '|V2000000000', 'fortran_order': False, 'shape': (1, 1)}",
    "{'descr': '|S0', 'fortran_order': False, 'shape': (40, 50)}",
    "{'descr': '<f2', 'fortran_order': False, 'shape': (40, 25)}",
    "{'descr': '<f16', 'fortran_order': False, 'shape': (5, 25)}",
    "{'descr': '<M8[ns]', 'fortran_order': False, 'shape': (5, 50)}",
    "{'descr': [('a', '|u1'), ('b', '|O')], 'fortran_order': False, 'shape': (5, 50)}",
    "{'descr': ('|u1', (40, 50)), 'fortran_order': False, 'shape': (1,)}",
    "__import__('os').system('true')",
    "{'descr': '\\d', 'fortran_order': False, 'shape': (4, 5)}",
)


def npy_header_replaced(data: bytes, chance: random.Random) -> bytes:
    length = int.from_bytes(data[8:10], "little")
    header = chance.choice(_NPY_HEADERS).encode() + b"\n"
    if chance.random() < 0.3:
        return data[:6] + b"\2\0" + struct.pack("<I", len(header)) + header + data[10 + length :]
    return data[:8] + struct.pack("<H", len(header)) + header + data[10 + length :]


def npy_length_lie(data: bytes, chance: random.Random) -> bytes:
    version = chance.choice((b"\1\0", b"\2\0", b"\3\0", b"\xff\xff"))
    return data[:6] + version + struct.pack("<I", chance.choice(EXTREMES)) + data[12:]


def npy_objects(_: bytes, chance: random.Random) -> bytes:
    """Pickled objects; whoever unpickles them runs a command, here one that does nothing."""
    array = np.empty(chance.choice((1, 9)), dtype=object)
    array[:] = [print] * len(array)
    return _npy(array)


_Entry = tuple[int, int, int, int]  # where it stands, its code, its type and its count


def _tiff_layout(data: bytes) -> tuple[int, int, int, str]:
    """Bytes of the tag count, of an entry, where its value begins in it, and the letter of offsets."""
    return (8, 20, 12, "Q") if data[2] == 43 else (2, 12, 8, "I")


def _tiff_entries(data: bytes) -> tuple[list[_Entry], list[int]]:
    """Entries of all pages, and where the offset of each next page stands (little endian, classic or BigTIFF)."""
    counted, size, _, letter = _tiff_layout(data)
    entries, links = [], [8 if counted == 8 else 4]
    while page := struct.unpack_from(f"<{letter}", data, links[-1])[0]:
        number = int.from_bytes(data[page : page + counted], "little")
        begin = page + counted
        for place in range(begin, begin + number * size, size):
            entries += [(place, *struct.unpack_from(f"<HH{letter}", data, place))]
        links.append(begin + number * size)
    return entries, links


def tiff_tag_edited(data: bytes, chance: random.Random) -> bytes:
    """Sizes, offsets, counts, types and codes of tags, one to three of them."""
    changed = bytearray(data)
    entries, _ = _tiff_entries(data)
    _, _, value, letter = _tiff_layout(data)
    for _ in range(chance.choice((1, 1, 2, 3))):
        place = chance.choice(entries)[0]
        what = chance.randrange(5)
        if what < 2:
            struct.pack_into(f"<{letter}", changed, place + value, chance.choice((*EXTREMES, len(data) - 1)))
        elif what == 2:
            struct.pack_into(f"<{letter}", changed, place + 4, chance.choice(EXTREMES))
        elif what == 3:
            struct.pack_into("<H", changed, place + 2, chance.randrange(20))
        else:
            code = chance.choice((254, 256, 257, 258, 262, 270, 273, 279, 320, 322, 324, 330, 347, 513, 33628, 50839))
            struct.pack_into("<H", changed, place, code)
    return bytes(changed)


def tiff_size_extreme(data: bytes, chance: random.Random) -> bytes:
    """A wrong size, strip length, tile or bits, in a valid type."""
    changed = bytearray(data)
    _, _, value, letter = _tiff_layout(data)
    wanted = chance.choice((256, 257, 258, 277, 278, 279, 322, 323, 325))
    for place, code, _, count in _tiff_entries(data)[0]:
        if code == wanted and count == 1:
            struct.pack_into("<H", changed, place + 2, 4)
            size = chance.choice((*EXTREMES, 41, 20_000, 30_000))
            struct.pack_into(f"<{letter}", changed, place + value, size)
    return bytes(changed)


def tiff_compression_changed(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    _, _, value, _ = _tiff_layout(data)
    for place, code, _, _ in _tiff_entries(data)[0]:
        if code == 259:
            number = chance.choice((0, 1, 2, 3, 4, 5, 6, 7, 8, 32771, 32773, 33003, 34712, 34887, 34925, 50000, 50002))
            struct.pack_into("<H", changed, place + value, number)
    return bytes(changed)


def tiff_chain_turned(data: bytes, chance: random.Random) -> bytes:
    """The next page is an earlier one, the same one, or nowhere."""
    _, links = _tiff_entries(data)
    letter = _tiff_layout(data)[3]
    first = struct.unpack_from(f"<{letter}", data, links[0])[0]
    changed = bytearray(data)
    target = chance.choice((first, first + 1, first + 12, len(data), len(data) - 1, 0xFFFFFFFF, 4))
    struct.pack_into(f"<{letter}", changed, chance.choice(links), target)
    return bytes(changed)


MUTATIONS: dict[str, list[tuple[str, Mutation]]] = {
    "png": [
        ("header field extreme", png_header_extreme),
        ("chunks doubled, removed, swapped", png_chunks_shuffled),
        ("chunk length lies", png_length_lie),
        ("more data than announced", png_inflated),
    ],
    "jpeg": [
        ("size extreme", jpeg_size_extreme),
        ("segment length lies", jpeg_length_lie),
        ("segments doubled, removed", jpeg_segments_shuffled),
        ("scans repeated", jpeg_scans_repeated),
    ],
    "bmp": [("header field extreme", bmp_header_extreme), ("run lengths that do not fit", bmp_run_lengths)],
    "npy": [
        ("header replaced", npy_header_replaced),
        ("header length lies", npy_length_lie),
        ("pickled objects", npy_objects),
    ],
    "tiff": [
        ("tags edited", tiff_tag_edited),
        ("size or length extreme", tiff_size_extreme),
        ("compression changed", tiff_compression_changed),
        ("chain of pages turned", tiff_chain_turned),
    ],
}
