import io
from urllib.parse import quote

import numpy as np
import pytest

from monolayer_core.errors import OptionError, UnusableImageError
from monolayer_core.rle import decode_kaggle
from monolayer_core.submission import read_submission
from monolayer_service.analysis import Analyst
from monolayer_service.routes.submission import MAX_SKIPPED_BYTES, name_skipped


def submit(client, *files, **query):
    return client.post("/v1/submission", params=query, files=[("images", file) for file in files])


def test_every_image_gets_its_rows_and_an_empty_one_keeps_one(client, blobs, blobs_png):
    from monolayer_core.image_io import encode_png

    black = encode_png(np.zeros((20, 30), np.uint8))
    answer = submit(client, ("well_1.png", blobs_png), ("black.png", black))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert (answer.headers["x-method"], answer.headers["x-model"]) == ("unet", "nuclei/1.2.0")
    assert "x-skipped" not in answer.headers
    rows = read_submission(io.StringIO(answer.text))
    assert list(rows) == ["well_1", "black"]
    np.testing.assert_array_equal(decode_kaggle(rows["well_1"], 96, 120) > 0, blobs > 100)
    assert answer.text.splitlines()[-1] == "black,"


def test_every_failed_file_is_listed(client, blobs_png):
    answer = submit(client, ("good.png", blobs_png), ("text.png", b"hello there"), ("cut.png", blobs_png[:-20]))
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert error["code"] == "images_rejected"
    assert [(failure["image_id"], failure["code"]) for failure in error["failures"]] == [
        ("text", "unknown_format"),
        ("cut", "image_truncated"),
    ]


def test_failures_found_while_decoding_are_all_listed(client, blobs_png):
    answer = submit(client, ("a.png", blobs_png[:-20]), ("good.png", blobs_png), ("b.png", blobs_png[:-40]))
    failures = answer.json()["error"]["failures"]
    assert [(failure["image_id"], failure["code"]) for failure in failures] == [
        ("a", "image_truncated"),
        ("b", "image_truncated"),
    ]
    assert all(failure["message"] for failure in failures)


def test_failed_images_are_left_out_and_named_when_the_caller_says_so(client, blobs_png):
    files = (("good.png", blobs_png), ("täxt, a.png", b"hello there"), ("cut.png", blobs_png[:-20]))
    answer = submit(client, *files, on_error="skip")
    assert answer.status_code == 200
    assert list(read_submission(io.StringIO(answer.text))) == ["good"]
    assert answer.headers["x-skipped"] == f"{quote('täxt, a', safe=' ')}, cut"


def test_images_go_by_their_extended_names(client, blobs_png):
    """As .NET sends them, which encodes the plain names as in e-mails."""
    extended = ["=?utf-8?B?5pelLnBuZw==?=\"; filename*=utf-8''%E6%97%A5.png", "x.png\"; filename*=utf-8''%C3%9F.png"]
    parts = [
        f'--edge\r\nContent-Disposition: form-data; name=images; filename="{name}\r\n\r\n'.encode() + blobs_png
        for name in extended
    ]
    answer = client.post(
        "/v1/submission",
        content=b"\r\n".join([*parts, b"--edge--\r\n"]),
        headers={"Content-Type": "multipart/form-data; boundary=edge"},
    )
    assert list(read_submission(io.StringIO(answer.text))) == ["\u65e5", "ß"]


def test_when_every_image_is_skipped_the_table_is_its_header(client):
    answer = submit(client, ("a.png", b"hello there"), on_error="skip")
    assert answer.status_code == 200
    assert answer.text.splitlines() == ["ImageId,EncodedPixels"]
    assert answer.headers["x-skipped"] == "a"


def test_names_that_are_not_unique_are_failures(client, blobs_png):
    answer = submit(client, ("a.png", blobs_png), ("folder/a.tif", blobs_png), ("b.png", blobs_png))
    failures = answer.json()["error"]["failures"]
    assert [(failure["image_id"], failure["code"]) for failure in failures] == [("a", "image_id_not_unique")] * 2


def test_kmeans_is_announced_with_how_often_it_stepped_in(make_client, blobs_png, tmp_path):
    client = make_client(models=tmp_path)
    answer = submit(client, ("a.png", blobs_png), ("b.png", blobs_png))
    assert answer.headers["x-fallback"] == "there is no bundle nuclei (2 of 2 images)"
    assert answer.headers["x-method"] == "kmeans"
    assert "x-model" not in answer.headers


def test_the_images_together_are_bounded(make_client):
    from monolayer_core.image_io import encode_png

    client = make_client(max_image_megapixels=1)
    half = encode_png(np.zeros((800, 800), np.uint8))
    assert submit(client, ("a.png", half)).status_code == 200
    answer = submit(client, ("a.png", half), ("b.png", half))
    assert answer.status_code == 413
    assert "altogether" in answer.json()["error"]["message"]


def test_an_image_that_is_too_large_is_a_failure_among_others(make_client, blobs_png):
    from monolayer_core.image_io import encode_png

    client = make_client(max_image_megapixels=1)
    large = encode_png(np.zeros((1200, 1000), np.uint8))
    answer = submit(client, ("large.png", large), ("good.png", blobs_png), on_error="skip")
    assert answer.status_code == 200
    assert answer.headers["x-skipped"] == "large"


@pytest.mark.parametrize("option", [{"rle": "coco"}, {"format": "json"}, {"image_id": "a"}, {"measurements": "true"}])
def test_options_that_have_no_place_in_the_table_are_refused(client, blobs_png, option):
    assert submit(client, ("a.png", blobs_png), **option).status_code == 422


def npy(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def test_an_option_that_does_not_suit_one_file_is_that_file_s_failure(client, blobs, blobs_png):
    files = (("flat.png", blobs_png), ("stack.npy", npy(np.stack([blobs, blobs]))))
    answer = submit(client, *files, axes="ZYX", z=1)
    failures = answer.json()["error"]["failures"]
    assert [(failure["image_id"], failure["code"]) for failure in failures] == [("flat", "invalid_option")]
    answer = submit(client, *files, axes="ZYX", z=1, on_error="skip")
    assert answer.headers["x-skipped"] == "flat"
    assert list(read_submission(io.StringIO(answer.text))) == ["stack"]


@pytest.mark.parametrize("error", [UnusableImageError("not usable"), OptionError("does not suit")])
def test_an_image_that_turns_out_unusable_while_it_is_analysed_is_a_failure_among_others(
    make_client, blobs_png, monkeypatch, error
):
    analyse = Analyst.analyse

    def fail_for_b(self, source, *rest):
        if source.image_id == "b":
            raise error
        return analyse(self, source, *rest)

    monkeypatch.setattr(Analyst, "analyse", fail_for_b)
    client, files = make_client(), [(f"{name}.png", blobs_png) for name in "abc"]
    failures = submit(client, *files).json()["error"]["failures"]
    assert failures == [{"image_id": "b", "code": error.code, "message": str(error)}]
    answer = submit(client, *files, on_error="skip")
    assert answer.headers["x-skipped"] == "b"
    assert list(read_submission(io.StringIO(answer.text))) == ["a", "c"]


def test_a_name_that_image_id_would_not_take_is_none(client, blobs_png):
    failures = submit(client, ("a" * 256 + ".png", blobs_png)).json()["error"]["failures"]
    assert [(failure["image_id"], failure["code"]) for failure in failures] == [("", "image_id_unusable")]


def test_names_that_cannot_be_used_are_told_from_names_that_are_there_twice(client, blobs_png):
    files = (("=1.png", blobs_png), ("a.png", blobs_png), ("a.tif", blobs_png), ("-1.png", blobs_png))
    failures = submit(client, *files).json()["error"]["failures"]
    assert [(failure["image_id"], failure["code"]) for failure in failures] == [
        ("", "image_id_unusable"),
        ("a", "image_id_not_unique"),
        ("a", "image_id_not_unique"),
        ("", "image_id_unusable"),
    ]
    assert failures[0]["message"].startswith("every image needs a file name, of at most 255 characters")
    assert failures[1]["message"].startswith("2 images have this name")


@pytest.mark.parametrize("name", ["a", "a" * 255, "\U0001f9eb" * 255])
@pytest.mark.parametrize("count", [1, 2, 1000, 2000])
def test_skipped_images_are_named_as_far_as_a_header_has_room(name, count):
    listed, _, rest = name_skipped([name] * count).partition("; ")
    names = listed.split(", ")
    assert names == [quote(name)] * len(names)
    assert len(listed) <= MAX_SKIPPED_BYTES
    if len(names) == count:
        assert rest == ""
    else:
        assert rest == f"{count - len(names)} more"
        assert len(listed) + 2 * len(", ") + len(quote(name)) > MAX_SKIPPED_BYTES
