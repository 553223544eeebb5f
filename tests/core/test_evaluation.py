"""The summary of a data set."""

import json

import numpy as np
import pytest

from monolayer_core.evaluation import ScoredImage, summarise
from monolayer_core.metrics import score_image

EMPTY = np.zeros((1, 4), dtype=np.int32)
ONE = np.array([[1, 1, 0, 0]])
TWO = np.array([[1, 1, 2, 0]])

IMAGES = [
    ScoredImage("found", score_image(ONE, ONE), group="field 1", modality="fluorescence"),
    ScoredImage("missed", score_image(ONE, EMPTY), group="field 1", modality="fluorescence"),
    ScoredImage("too many", score_image(ONE, TWO), group="field 2", modality="histology"),
    ScoredImage("alone", score_image(EMPTY, EMPTY)),
]


def test_means_are_over_images_overall_and_by_modality():
    summary = summarise(IMAGES)
    assert summary["overall"]["images"] == 4
    assert summary["overall"]["groups"] == 3
    assert summary["overall"]["truth_objects"] == 3
    assert summary["overall"]["prediction_objects"] == 3
    assert summary["overall"]["kaggle_score"]["mean"] == (1 + 0 + 0.5 + 1) / 4
    assert list(summary["by_modality"]) == ["fluorescence", "histology"]
    assert summary["by_modality"]["fluorescence"]["dice"] == {"mean": 0.5, "low": None, "high": None}
    assert summary["by_modality"]["histology"]["iou"]["mean"] == pytest.approx(2 / 3)


def test_errors_are_given_with_their_sign_and_without():
    overall = summarise(IMAGES)["overall"]
    assert overall["count_error"]["mean"] == (0 - 1 + 1 + 0) / 4
    assert overall["count_error_absolute"]["mean"] == 2 / 4
    assert overall["confluency_error"]["mean"] == (0 - 50 + 25 + 0) / 4
    assert overall["confluency_error_absolute"]["mean"] == 75 / 4


def test_the_interval_holds_the_mean():
    score = summarise(IMAGES)["overall"]["kaggle_score"]
    assert score["low"] <= score["mean"] <= score["high"]


def test_an_image_without_a_group_is_not_thrown_together_with_another():
    same_name = [ScoredImage(str(i), IMAGES[0].scores, group=i) for i in range(2)]
    assert summarise([IMAGES[3], *same_name])["overall"]["groups"] == 3


def test_the_summary_is_json_and_repeats():
    assert json.loads(json.dumps(summarise(IMAGES))) == summarise(IMAGES)


def test_no_images_have_no_summary():
    with pytest.raises(ValueError, match="at least one value"):
        summarise([])
