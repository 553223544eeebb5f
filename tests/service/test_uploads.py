import base64
import tracemalloc

import pytest

from monolayer_core.errors import ImageTooLargeError
from monolayer_service import uploads
from monolayer_service.errors import BadBodyError
from monolayer_service.multipart import read_parts
from monolayer_service.uploads import JSON_MEMORY_PER_BYTE, BodyLimits, UploadedFile, read_image

CRLF = b"\r\n"


def body(*parts):
    lines = []
    for disposition, content in parts:
        lines += [
            b"--edge",
            b"Content-Disposition: form-data; " + disposition,
            b"Content-Type: image/png",
            b"",
            content,
        ]
    return CRLF.join([*lines, b"--edge--", b""])


async def parse(data, step=None, **options):
    async def chunks():
        size = step or len(data) or 1
        for start in range(0, len(data), size):
            yield data[start : start + size]

    return await read_parts("multipart/form-data; boundary=edge", chunks(), **{"max_files": 2, **options})


@pytest.mark.parametrize("step", [1, 2, 7, None], ids=lambda step: f"chunks of {step}")
async def test_parts_are_the_same_however_the_body_is_cut(step):
    content = bytes(range(256)) + b"\r\n--edg"
    parts = await parse(body((b'name="image"; filename="a b.png"', content), (b'name="note"', b"text")), step)
    assert [(part.name, part.file_name, part.stream.getvalue()) for part in parts] == [
        ("image", "a b.png", content),
        ("note", None, b"text"),
    ]


@pytest.mark.parametrize(
    ("disposition", "file_name"),
    [
        ('name="i"; filename="Ω.png"'.encode(), "Ω.png"),
        (b'name="i"; filename="\xe4.png"', "ä.png"),
        (b'name="i"; filename=""', ""),
        (b"name=i; filename=\"=?utf-8?B?5pelLnBuZw==?=\"; filename*=utf-8''%E6%97%A5.png", "\u65e5.png"),
        (b"name=i; filename*=UTF-8''a%20b.png", "a b.png"),
        (b"name=i; FileName* = \"iso-8859-1'en'%E4.png\"; filename=a.png", "\u00e4.png"),
        (b"name=i; filename=a.png; filename*=UTF-8''%E4.png", "a.png"),
        (b"name=i; filename=a.png; filename*=UTF-8''%E4.png; filename*=UTF-8''b.png", "b.png"),
        (b"name=i; filename=a.png; filename*=UTF-8''b%2.png", "a.png"),
        (b"name=i; filename=a.png; filename*=UTF-8''", "a.png"),
        (b"name=i; filename=a.png; filename*=utf-16''b.png", "a.png"),
        (b"name=i; filename=a.png; filename*=b.png", "a.png"),
        (b"name=i; filename=\"a; filename*=UTF-8''b.png\"", "a; filename*=UTF-8''b.png"),
        (b'name=i; filename="a\\"; filename*=UTF-8\'\'b.png"', "a\"; filename*=UTF-8''b.png"),
        (b"name=i; filename*=punycode''a.png", None),
    ],
    ids=[
        "utf-8",
        "latin-1",
        "empty",
        "extended beside one encoded as in e-mails",
        "extended alone",
        "extended, in quotes",
        "extended, not in its encoding",
        "extended, the first that can be read",
        "extended, a broken escape",
        "extended, empty",
        "extended, another encoding",
        "extended, no encoding",
        "within quotes",
        "within quotes behind an escaped one",
        "extended alone, another encoding",
    ],
)
async def test_file_names_are_read_as_they_come(disposition, file_name):
    assert (await parse(body((disposition, b"x"))))[0].file_name == file_name


async def test_a_raw_body_is_called_what_a_part_would_be_called():
    letter = Letter(b"x", "image/png")
    letter.headers["content-disposition"] = "attachment; filename=\"=?utf-8?B?4pel?=\"; filename*=utf-8''%E6%97%A5.png"
    assert (await read(letter)).file_name == "\u65e5.png"


async def test_the_extended_name_of_a_file_is_bounded_as_every_name_is():
    names = ["..%2F..%2Fetc%2Fpasswd", "%2E%2E", "%3D1%2B1.png", "a%E2%80%AEb.png", "x" * 256]
    letters = [Letter(body((b"name=image; filename*=UTF-8''" + name.encode(), b"x")), FORM) for name in names]
    assert [(await read(letter)).file_name for letter in letters] == ["passwd", None, None, None, None]


async def test_headers_of_one_part_do_not_leak_into_the_next():
    data = body((b'name="a"; filename="a.png"', b"1")).replace(b"--edge--", b"--edge\r\nX-Y: z\r\n\r\nq\r\n--edge--")
    with pytest.raises(BadBodyError, match="no name"):
        await parse(data)


async def test_a_body_that_ends_early_is_refused_wherever_it_ends():
    data = body((b'name="image"; filename="a.png"', b"0123456789"))
    for end in range(len(data) - len(b"--\r\n")):
        with pytest.raises(BadBodyError):
            await parse(data[:end])


async def test_headers_of_a_part_are_bounded_together():
    lines = b"".join(b"X-%d: %s\r\n" % (number, b"y" * 4000) for number in range(6))
    with pytest.raises(BadBodyError, match="longer than 16384 bytes"):
        await parse(b"--edge\r\n" + lines + b"\r\n\r\n--edge--\r\n")


@pytest.mark.parametrize("begin", [b"X-", b"X: "], ids=["name", "value"])
async def test_a_header_without_an_end_is_not_collected(begin):
    taken = 0

    async def chunks():
        nonlocal taken
        yield b"--edge\r\n" + begin
        while True:
            taken += 1024
            yield b"y" * 1024

    with pytest.raises(BadBodyError):
        await read_parts("multipart/form-data; boundary=edge", chunks(), max_files=1)
    assert taken <= 20 * 1024


async def test_a_boundary_of_any_length_is_refused():
    with pytest.raises(BadBodyError):
        await read_parts("multipart/form-data; boundary=" + "x" * 50_000, parse_nothing(), max_files=1)


async def parse_nothing():
    yield b"--"


async def test_too_many_files_are_refused():
    with pytest.raises(BadBodyError, match="more files than the 2"):
        await parse(body(*[(b'name="image"; filename="a.png"', b"1")] * 3))


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("a.png", "a"),
        ("a.b.tif", "a.b"),
        ("/x/y.png", "y"),
        ("x\\y.png", "y"),
        (".png", ".png"),
        ("", None),
        (None, None),
        ("a" * 255 + ".png", "a" * 255),
        ("a" * 256 + ".png", None),
        ("a\tb.png", None),
        ("a\n.png", None),
        ("a\x7f.png", None),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\windows\\system32.png", "system32"),
        ("..", None),
        ("a\0b.png", None),
        ("\u202egnp.exe", None),
        ("a\u2028b.png", None),
        ("a\x85.png", None),
        ("=cmd|' -C calc'!A0.png", None),
        ("+1.png", None),
        ("-1.png", None),
        ("@a.png", None),
        ("a=b+c-d@e.png", "a=b+c-d@e"),
    ],
)
def test_the_stem_is_the_name_without_folders_and_suffix(name, stem):
    assert UploadedFile(b"", name).stem == stem


class Letter:
    """Stands for a request: a body, its media type, and what is noted of its reading."""

    def __init__(self, body, media_type, *, step=65536, announced=True):
        self.headers = {"content-type": media_type} | ({"content-length": str(len(body))} if announced else {})
        self.was_read = False
        self.held_bytes = 0
        self._body, self._step = body, step

    async def stream(self):
        self.was_read = True
        for start in range(0, len(self._body), self._step):
            yield self._body[start : start + self._step]
        yield b""

    def hold(self, count):
        self.held_bytes += count


def read(letter, **limits):
    limits = BodyLimits(**{"max_bytes": 2**30, "max_files": 1, "seconds": 60.0, **limits})
    return read_image(letter, letter, limits)


FORM = "multipart/form-data; boundary=edge"


def as_json(content):
    return b'{"image": "%b"}' % base64.b64encode(content)


@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize("step", [1, 1000, 65536])
@pytest.mark.parametrize(
    ("media_type", "wrap"),
    [("image/png", bytes), (FORM, lambda content: body((b'name="image"; filename="a.png"', content))),
     ("application/json", as_json)],
    ids=["raw", "multipart", "JSON"],
)  # fmt: skip
async def test_the_file_is_the_same_however_it_comes_and_is_accounted_for(media_type, wrap, step, announced):
    content = bytes(range(256)) * 10
    letter = Letter(wrap(content), media_type, step=step, announced=announced)
    assert (await read(letter)).data == content
    weight = JSON_MEMORY_PER_BYTE if media_type == "application/json" else 1
    assert letter.held_bytes == weight * len(wrap(content))


@pytest.mark.parametrize(
    ("media_type", "wrap"),
    [("image/png", bytes), (FORM, lambda content: body((b'name="image"; filename="a.png"', content)))],
    ids=["raw", "multipart"],
)
async def test_a_large_body_is_never_copied_as_a_whole(media_type, wrap):
    content = bytes(16 * 2**20)
    letter = Letter(wrap(content), media_type)
    tracemalloc.start()
    try:
        file = await read(letter)
        taken = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert file.data == content
    assert taken <= 1.2 * len(content)


async def test_json_is_bounded_more_tightly_and_the_refusal_names_the_other_ways(monkeypatch):
    monkeypatch.setattr(uploads, "MAX_JSON_BYTES", 1000)
    assert (await read(Letter(as_json(b"x" * 700), "application/json"))).data == b"x" * 700
    advice = "1000 bytes, the most that is accepted as JSON; send larger images as they are, or as multipart/form-data"
    for announced in (True, False):
        letter = Letter(as_json(b"x" * 800), "application/json", announced=announced)
        with pytest.raises(ImageTooLargeError, match=advice):
            await read(letter)
        assert letter.was_read is not announced
    with pytest.raises(ImageTooLargeError, match="larger than 500 bytes"):
        await read(Letter(as_json(b"x" * 700), "application/json"), max_bytes=500)
    assert (await read(Letter(b"x" * 2000, "image/png"))).data == b"x" * 2000
