"""``monolayer verify``: what is asked again, and what is said of the answer."""

import json

import numpy as np
import pytest

from monolayer_client.errors import InputError
from monolayer_client.verification import Outcome, compare_answers, repeated_options

RECEIPT = {
    "pixels_sha256": "a" * 64,
    "model_sha256": "b" * 64,
    "options": {"min_area_px": 30, "measurements": True},
    "service_version": "0.1.0",
}
ANSWER = {
    "image_id": "frame",
    "image": {"height": 2, "width": 3, "sha256": "c" * 64},
    "method": "unet",
    "model": {"name": "nuclei", "version": "0.2.0", "sha256": "b" * 64, "provider": "CPUExecutionProvider"},
    "confluency": {"percent": 12.5, "of": "nucleus"},
    "fallback": None,
    "count": 2,
    "instances": [{"id": 1}, {"id": 2}],
    "echo": {"plate": "7"},
    "receipt": RECEIPT,
}


def test_the_model_that_answered_the_options_and_what_was_sent_along_are_asked_again():
    assert repeated_options(ANSWER) == {
        "min_area_px": 30,
        "measurements": True,
        "image_id": "frame",
        "model": "nuclei",
        "echo": {"plate": "7"},
    }


def test_after_kmeans_no_model_is_named():
    receipt = RECEIPT | {"model_sha256": None, "options": {"clusters": 3}}
    answer = ANSWER | {"model": None, "method": "kmeans", "echo": {}, "receipt": receipt}
    assert repeated_options(answer) == {"clusters": 3, "method": "kmeans", "image_id": "frame"}
    stood_in = answer | {"fallback": {"reason": "there was no network"}}
    assert repeated_options(stood_in) == {"clusters": 3, "image_id": "frame"}


@pytest.mark.parametrize("receipt", [None, "text", {"pixels_sha256": "a"}])
def test_an_answer_without_a_receipt_cannot_be_repeated(receipt):
    with pytest.raises(InputError, match="no receipt"):
        repeated_options(ANSWER | {"receipt": receipt})


def changed(**parts):
    return {**ANSWER, **{name: {**ANSWER[name], **part} for name, part in parts.items()}}


@pytest.mark.parametrize(
    ("now", "outcome", "details"),
    [
        pytest.param(ANSWER, Outcome.same, "", id="all alike"),
        pytest.param(changed(image={"sha256": "d" * 64}), Outcome.same, "", id="same pixels in another file"),
        pytest.param(
            changed(image={"axes": "ZYX", "plane": {"t": None, "channel": None, "channel_name": None, "z": 3}}),
            Outcome.same,
            "",
            id="same pixels in a stack",
        ),
        pytest.param(
            changed(receipt={"service_version": "0.2.0"}), Outcome.same, "service 0.1.0 then, 0.2.0 now", id="newer"
        ),
        pytest.param(
            changed(receipt={"pixels_sha256": "d" * 64}),
            Outcome.other_image,
            "the pixels are not those of the answer",
            id="other pixels",
        ),
        pytest.param(
            changed(receipt={"model_sha256": "d" * 64}, model={"version": "0.3.0", "sha256": "d" * 64}),
            Outcome.other_model,
            "nuclei 0.2.0 (bbbbbbbbbbbb) then, nuclei 0.3.0 (dddddddddddd) now",
            id="other model",
        ),
        pytest.param(
            changed(confluency={"percent": 12.75}) | {"count": 3, "instances": []},
            Outcome.differs,
            "confluency.percent 12.5 then, 12.75 now; count 2 then, 3 now; instances differ",
            id="other findings",
        ),
        pytest.param(
            changed(model={"provider": "CUDAExecutionProvider"}),
            Outcome.differs,
            "model.provider CPUExecutionProvider then, CUDAExecutionProvider now",
            id="other processor",
        ),
    ],
)
def test_what_counts_is_what_was_found(now, outcome, details):
    verification = compare_answers(ANSWER, now)
    assert (verification.outcome, verification.details) == (outcome, details)


@pytest.fixture
def images(tmp_path):
    """Two images, with answers to both calls beside them."""
    folder = tmp_path / "images"
    folder.mkdir()
    for name, labels in {"a": [[1, 0, 2]], "b": [[0, 1, 1]]}.items():
        np.save(folder / f"{name}.npy", np.array(labels))
    return folder


@pytest.fixture
def answers(monolayer, images, tmp_path):
    assert monolayer("segment", images, "-o", tmp_path / "out", "--set", "measurements=true").exit_code == 0
    assert monolayer("confluency", images / "a.npy", "-o", tmp_path / "numbers").exit_code == 0
    return tmp_path / "out"


def test_answers_that_are_the_same_once_more(monolayer, service, images, answers):
    asked = len(service.posts)
    result = monolayer("verify", answers, answers.parent / "numbers" / "a.confluency.json", "--images", images)
    assert result.exit_code == 0, result.output
    assert "3 of 3 answers are the same" in result.output
    again = [(post.url.path, post.url.params.get("measurements")) for post in service.posts[asked:]]
    assert sorted(again, key=str) == [("/v1/confluency", None), ("/v1/segment", "true"), ("/v1/segment", "true")]


def test_an_answer_that_was_tampered_with_is_told_apart(monolayer, images, answers):
    path = answers / "a.json"
    answer = json.loads(path.read_text())
    path.write_text(json.dumps(answer | {"count": answer["count"] + 1}))
    result = monolayer("verify", answers, "--images", images)
    assert result.exit_code == 1
    assert "count 3 then, 2 now" in result.output
    assert "1 of 2 answers are the same" in result.output


def test_another_image_of_the_same_name_is_told_apart(monolayer, images, answers):
    np.save(images / "b.npy", np.array([[1, 1, 0]]))
    result = monolayer("verify", answers / "b.json", "--images", images)
    assert result.exit_code == 1
    assert "other image" in result.output


def test_an_answer_without_its_image_is_refused_before_anything_is_asked(monolayer, service, images, answers):
    asked = len(service.requests)
    result = monolayer("verify", answers, "--images", images / "a.npy")
    assert result.exit_code == 1
    assert "which is not among those given" in result.output
    assert len(service.requests) == asked


def test_a_service_that_fails_is_listed(monolayer, service, images, answers):
    service.script.append(service.fail(500, "internal_error", "a fault"))
    result = monolayer("verify", answers / "a.json", "--images", images)
    assert result.exit_code == 1
    assert "1 failed" in result.output
    assert "0 of 1 answers are the same" in result.output
