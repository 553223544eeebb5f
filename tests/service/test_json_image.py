"""Base64 in JSON is decoded piece by piece, as if it were decoded at once."""

import base64
import binascii
import json
import tracemalloc

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monolayer_service import json_image
from monolayer_service.errors import BadBodyError, UnknownOptionError
from monolayer_service.json_image import decode_json_image
from monolayer_service.uploads import JSON_MEMORY_PER_BYTE


@pytest.fixture(params=[8, 9, 64, None], ids=lambda size: f"pieces of {size or 'the usual size'}")
def pieces(request, monkeypatch):
    if request.param is not None:
        monkeypatch.setattr(json_image, "PIECE_BYTES", request.param)


def decoded_at_once(body):
    """Decode the plain way: the reference."""
    try:
        text = orjson.loads(body)["image"]
        return binascii.a2b_base64("".join(text.split()).encode("ascii"), strict_mode=True)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def decoded_in_pieces(body):
    try:
        return decode_json_image(body)
    except BadBodyError:
        return None


@pytest.mark.usefixtures("pieces")
def test_json_holds_the_file_in_base64():
    text = base64.b64encode(b"\x00\xffdata").decode()
    assert decode_json_image(b'{"image": "%s"}' % text.encode()) == b"\x00\xffdata"
    assert decode_json_image(b'{"image": " %s\\r\\n%s "}' % (text[:3].encode(), text[3:].encode())) == b"\x00\xffdata"
    assert decode_json_image(b' \n{\t"image"\r:\n"" } ') == b""


SPACES = st.sampled_from(["", "", "", "\r\n", " ", "\t", "\u2028", "\x0b"])


@pytest.mark.usefixtures("pieces")
@given(content=st.binary(max_size=200), spaces=st.lists(SPACES, min_size=1), escape=st.booleans(), plain=st.booleans())
def test_whatever_is_written_is_read(content, spaces, escape, plain):
    text = base64.b64encode(content).decode()
    wrapped = "".join(char + spaces[number % len(spaces)] for number, char in enumerate(text))
    body = json.dumps({"image": wrapped}, ensure_ascii=plain)
    if escape:  # as PHP writes it, and as nobody does
        body = body.replace("/", "\\/").replace("A", "\\u0041")
    assert decode_json_image(body.encode()) == content


@pytest.mark.usefixtures("pieces")
@given(text=st.text(alphabet='AB=+/_ \n\\"é\u2028\U0001f600', max_size=60))
def test_texts_that_are_no_base64_are_refused_as_they_are_at_once(text):
    for body in (json.dumps({"image": text}, ensure_ascii=False), f'{{"image": "{text}"}}'):
        assert decoded_in_pieces(body.encode()) == decoded_at_once(body.encode())


@given(body=st.binary(max_size=60) | st.text(alphabet='{}[]:,"image\\u0 ', max_size=60).map(str.encode))
def test_any_bytes_are_read_or_refused(body):
    try:
        decoded = decode_json_image(body)
    except (BadBodyError, UnknownOptionError):
        return
    assert decoded == decoded_at_once(body)


def test_a_large_text_takes_no_more_memory_than_is_accounted_for():
    body = b'{"image": "%b"}' % base64.b64encode(bytes(12 * 2**20))
    tracemalloc.start()
    try:
        decoded = decode_json_image(body)
        taken = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert decoded == bytes(12 * 2**20)
    assert len(body) + taken <= JSON_MEMORY_PER_BYTE * len(body)


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"null",
        b'"aGVsbG8="',
        b'{"image": null}',
        b'{"image": "aGVsbG8"}',
        b'{"image": "aGV=sbG8="}',
        b"\xff",
        b'{"image": "aGVsbG8=',
        b'{"image": "aGVsbG8="',
        b'{"image": "aGVsbG8=" "aGVsbG8="}',
        b'{"image": "aGVsbG8=\n"}',
        b'{"image": "aGVsbG8=", "image": "aGVsbG8="}',
        b'{"\\u0069mage": "aGVsbG8="}',
        b'{"a": {"image": "aGVsbG8="}}',
        b'[{"image": "aGVsbG8="}]',
        b'{"image": {"image": "aGVsbG8="}}',
        b'{"image": ["' + b"A" * 100_000 + b'"]}',
        b" " * 100_000 + b'{"image": ""}',
        b"[" * 100_000,
    ],
    ids=lambda document: document[:40].decode("latin-1"),
)
def test_other_json_is_refused(document):
    with pytest.raises(BadBodyError):
        decode_json_image(document)


@pytest.mark.parametrize("name", ["clahe", "x" * 1000, '"image": "'], ids=["an option", "a long name", "a trap"])
def test_options_in_the_json_are_refused_with_advice(name):
    body = json.dumps({name: True, "image": "aGVsbG8="}).encode()
    with pytest.raises((UnknownOptionError, BadBodyError)) as refusal:
        decode_json_image(body)
    assert len(str(refusal.value)) < 200
    if name == "clahe":
        assert "query parameters" in str(refusal.value)
