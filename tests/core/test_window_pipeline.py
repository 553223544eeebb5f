"""Segmented in windows, an image gives what it gives as a whole."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monolayer_core import row_source, window_pipeline
from monolayer_core.card_blocks import ConfluencyUncertainty, ImageKind, ObjectScore, TrainingLikeness
from monolayer_core.errors import OptionError, PredictionError
from monolayer_core.model_card import ModelCard, NormalizationSpec, Output, Thresholds, TrainingData
from monolayer_core.object_score import OBJECT_FEATURES
from monolayer_core.pipeline import SegmentOptions, interpret, prepare, segment
from monolayer_core.prediction import predict_probabilities
from monolayer_core.row_source import ArrayRows
from monolayer_core.window_pipeline import interpret_windows, predict_windows, why_whole
from monolayer_core.window_split import SplitImage, Windows

NUCLEUS, OTHER = Output(name="nucleus", role="class"), Output(name="other", role="class")
BOUNDARY, DISTANCE = Output(name="boundary", role="boundary"), Output(name="distance", role="distance")


def card(*outputs, **fields):
    defaults = {
        "name": "toy",
        "version": "1",
        "task": "instances",
        "confluency_of": "nucleus",
        "channels": "grey",
        "outputs": outputs or (NUCLEUS, BOUNDARY, DISTANCE),
        "normalization": NormalizationSpec(low_percentile=1, high_percentile=99),
        "tile_sides": (32, 64),
        "halo": 8,
        "divisor": 8,
        "training_data": TrainingData(name="none", licence="none", source="none", images=0, objects=0),
    }
    return ModelCard(**(defaults | fields))


def network(output_count):
    """Sees its neighbourhood and where in the tile it is, so that other tiles would give another answer."""

    def answer(tiles):
        seen = []
        for tile in tiles:
            grey = tile.mean(axis=2).astype(np.float32)
            planes = [
                grey,
                255 - cv2.GaussianBlur(grey, (0, 0), 1.0),
                cv2.GaussianBlur(grey, (0, 0), 1.5),
                np.broadcast_to(np.arange(len(grey)) * 7 % 256, grey.shape),
            ]
            shares = (0.9, 0.2, 1.0, 0.3)
            seen.append(np.stack([plane * share for plane, share in zip(planes, shares, strict=True)], axis=2))
        return np.stack(seen)[..., :output_count].astype(np.uint8)

    return answer


def blobs(rng, height, width, dtype, channels):
    noise = cv2.GaussianBlur(rng.random((height, width, channels)), (0, 0), 2.0).reshape(height, width, channels)
    noise = (noise - noise.min()) / max(np.ptp(noise), 1e-9)
    pixels = (noise * np.iinfo(dtype).max * 0.7).astype(dtype)
    return pixels[..., 0] if channels == 1 else pixels


def likeness(max_distance):
    kind = ImageKind(centre=(0.1, 0.2), whitening=((1.0,), (0.0, 1.0)))
    return TrainingLikeness(features=("grey_05", "grey_50"), kinds=(kind,), max_distance=max_distance)


SCORE = ObjectScore(intercept=-0.5, weights={name: 0.1 * (i + 1) for i, name in enumerate(OBJECT_FEATURES)})


@st.composite
def cards(draw):
    outputs = draw(st.sampled_from([(NUCLEUS, BOUNDARY, DISTANCE), (NUCLEUS,), (OTHER, NUCLEUS, BOUNDARY, DISTANCE)]))
    return card(
        *outputs,
        channels=draw(st.sampled_from(["grey", "rgb"])),
        thresholds=Thresholds(
            foreground=draw(st.sampled_from([0.3, 0.5])),
            seed=draw(st.sampled_from([0.3, 0.5, 0.6])),
            min_seed_area_px=draw(st.sampled_from([0, 4])),
            min_score=draw(st.sampled_from([0.0, 0.5, 0.6])),
            min_area_px=draw(st.sampled_from([0, 12])),
            max_hole_area_px=draw(st.sampled_from([0, 20])),
        ),
        score=draw(st.sampled_from([None, SCORE])),
        confluency_uncertainty=draw(st.sampled_from([None, ConfluencyUncertainty(floor_points=0.1, slope=0.5)])),
        likeness=draw(st.sampled_from([None, likeness(0.3)])),
    )


@st.composite
def options(draw):
    return SegmentOptions(
        threshold=draw(st.sampled_from([None, None, 0.4])),
        min_area_px=draw(st.sampled_from([None, None, 30])),
        exclude_border=draw(st.booleans()),
    )


def check_equal(found, expected):
    np.testing.assert_array_equal(found.labels, expected.labels)
    for name in ("labels", "y", "x", "lengths"):
        np.testing.assert_array_equal(getattr(found.runs, name), getattr(expected.runs, name))
    assert (found.runs.count, found.runs.height, found.runs.width) == (
        expected.runs.count,
        expected.runs.height,
        expected.runs.width,
    )
    np.testing.assert_array_equal(found.class_ids, expected.class_ids)
    np.testing.assert_array_equal(found.scores, expected.scores)
    assert found.class_names == expected.class_names
    assert found.confluency_percent == expected.confluency_percent
    assert found.uncertainty_points == expected.uncertainty_points
    assert found.unlike_training_data == expected.unlike_training_data
    assert (found.method, found.kmeans) == (expected.method, expected.kmeans)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    geometry=st.tuples(
        st.integers(1, 100), st.integers(1, 100), st.sampled_from([np.uint8, np.uint16]), st.sampled_from([1, 3])
    ),
    toy=cards(),
    chosen=options(),
    windows=st.sampled_from([(8, 2), (7, 3), (20, 1), (128, 8)]),
    with_scores=st.booleans(),
)
def test_every_number_is_that_of_the_whole_image(*, seed, geometry, toy, chosen, windows, with_scores):
    height, width, dtype, channels = geometry
    pixels = blobs(np.random.default_rng(seed), height, width, dtype, channels)
    predict = network(len(toy.outputs))
    image = prepare(pixels, toy, chosen)
    probabilities = predict_probabilities(image, toy, predict, batch_size=2)
    expected = interpret(probabilities, toy, chosen, image=image, with_scores=with_scores)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_source, "BAND_PX", 5 * width)
        answer = predict_windows(ArrayRows(pixels), toy, predict, chosen, batch_size=2)
        found = interpret_windows(answer, toy, chosen, with_scores=with_scores, windows=Windows(*windows))
    check_equal(found, expected)


def test_probabilities_and_objects_of_a_larger_image_in_windows_of_the_usual_size():
    pixels = blobs(np.random.default_rng(7), 700, 1300, np.uint8, 1)
    toy = card(score=SCORE, thresholds=Thresholds(foreground=0.4, seed=0.55, min_score=0.4, max_hole_area_px=50))
    expected = segment(pixels, toy, network(3))
    assert expected.runs.count > 500
    check_equal(interpret_windows(predict_windows(ArrayRows(pixels), toy, network(3)), toy), expected)
    answer = predict_windows(ArrayRows(pixels), toy, network(3))
    probabilities = predict_probabilities(prepare(pixels, toy), toy, network(3))
    np.testing.assert_array_equal(answer.classes[0], probabilities[..., 0])
    np.testing.assert_array_equal(answer.boundary, probabilities[..., 1])


@pytest.mark.parametrize(
    ("pixels", "toy", "chosen", "reason"),
    [
        (np.zeros((8, 8), np.float32), card(), SegmentOptions(), "values of type float32"),
        (np.zeros((8, 8), np.uint8), card(), SegmentOptions(tta=True), "tta"),
        (np.zeros((8, 8), np.uint8), card(), SegmentOptions(clahe=True), "clahe"),
        (np.zeros((8, 8), np.uint8), card(), SegmentOptions(flat_field=True), "flat_field"),
        (np.zeros((8, 8), np.uint8), card(input_scale=0.5), SegmentOptions(), "the network sees"),
        (np.zeros((8, 8), np.uint8), card(NUCLEUS, task="semantic"), SegmentOptions(), "a semantic network"),
    ],
    ids=["float", "tta", "clahe", "flat_field", "input_scale", "semantic"],
)
def test_what_needs_the_whole_image_says_so_and_is_refused(pixels, toy, chosen, reason):
    assert why_whole(pixels.dtype, toy, chosen).startswith(reason)
    with pytest.raises(OptionError, match=reason):
        predict_windows(ArrayRows(pixels), toy, network(3), chosen)


def test_an_answer_with_other_outputs_than_the_card_is_refused():
    with pytest.raises(PredictionError, match="the network gave"):
        predict_windows(ArrayRows(np.eye(8, dtype=np.uint8)), card(), network(2))


@pytest.mark.parametrize("stage", ["fill_small_holes", "plan_windows", "split", "_outlines"])
def test_what_nobody_waits_for_any_more_stops_in_every_stage(stage, monkeypatch):
    pixels = blobs(np.random.default_rng(7), 300, 300, np.uint8, 1)
    toy = card(score=SCORE, thresholds=Thresholds(foreground=0.4, seed=0.55, max_hole_area_px=50))
    answer = predict_windows(ArrayRows(pixels), toy, network(3))
    is_inside, checks = [], []

    def check():
        checks.append(bool(is_inside))
        if is_inside:
            raise TimeoutError

    owner = SplitImage if stage == "split" else window_pipeline
    function = getattr(owner, stage)

    def enter(*arguments):
        is_inside.append(stage)
        return function(*arguments)

    monkeypatch.setattr(owner, stage, enter)
    with pytest.raises(TimeoutError):
        interpret_windows(answer, toy, windows=Windows(20, 3), check=check)
    assert checks.count(True) == 1
