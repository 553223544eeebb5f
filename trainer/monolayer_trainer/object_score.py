"""How the IoU of an object is predicted from the network's answer, fitted to labelled images it was not trained on."""

import logging
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from monolayer_core.arrays import LabelImage, Probabilities
from monolayer_core.card_blocks import ObjectScore
from monolayer_core.model_card import ModelCard
from monolayer_core.object_score import OBJECT_FEATURES, describe_objects, predict_iou
from monolayer_core.output_planes import split_outputs
from monolayer_core.overlap import measure_overlap
from monolayer_core.pipeline import interpret
from monolayer_core.row_runs import Float64Array, find_row_runs

MIN_OBJECTS = 50
"""Of fewer objects nothing is learnt."""

_STRENGTH = 1.0  # of the penalty on squared weights of standardised features; an object weighs 1

log = logging.getLogger(__name__)


def fit_object_score(
    truths: Sequence[LabelImage], probabilities: Sequence[Probabilities], card: ModelCard
) -> ObjectScore | None:
    """Fit a logistic function of the objects' features to their IoU.

    Parameters
    ----------
    truths
        Label images ``(y, x)``, of images the network was not trained on.
    probabilities
        The network's answers ``(y, x, output)`` to the same images.
    card
        With the final thresholds: the objects are those that `monolayer_core.pipeline.interpret` finds with it.

    Returns
    -------
    ObjectScore or None
        None where fewer than `MIN_OBJECTS` objects are found.
    """
    described = [describe_found(truth, answer, card) for truth, answer in zip(truths, probabilities, strict=True)]
    features = np.concatenate([one for one, _ in described])
    iou = np.concatenate([one for _, one in described])
    if len(iou) < MIN_OBJECTS:
        log.info("object score: nothing learnt from %d objects, %d are needed", len(iou), MIN_OBJECTS)
        return None
    score = fit_described_objects(features, iou)
    predicted = predict_iou(features, score)
    log.info("object score: mean %.3f, mean IoU %.3f, %d objects", predicted.mean(), iou.mean(), len(iou))
    return score


def describe_found(
    truth: LabelImage, probabilities: Probabilities, card: ModelCard
) -> tuple[Float64Array, Float64Array]:
    """Features ``(object, feature)`` of the objects found in an image, and their IoU ``(object,)`` with the true ones.

    The IoU is that with the true object that fits best, 0 where there is none.
    """
    labels = interpret(probabilities, card).labels
    planes = split_outputs(probabilities, card)
    features = describe_objects(labels, find_row_runs(labels), planes.foreground, planes.boundary)
    return features, best_iou(truth, labels)


def best_iou(truth: LabelImage, labels: LabelImage) -> Float64Array:
    """IoU of each object ``(object,)`` with the true object that fits best, 0 where none overlaps."""
    overlap = measure_overlap(truth, labels)
    best = np.zeros(overlap.prediction_count)
    np.maximum.at(best, overlap.prediction_index, overlap.iou)
    return best


def fit_described_objects(features: Float64Array, iou: npt.NDArray[np.float64]) -> ObjectScore:
    """Fit the score to objects already described; the cross-entropy takes the IoU as the share of success."""
    from sklearn.linear_model import LogisticRegression

    mean, deviation = features.mean(axis=0), features.std(axis=0)
    varies = deviation > 1e-9
    scaled = (features[:, varies] - mean[varies]) / deviation[varies]
    # Every object is a success of the weight of its IoU and a failure of the rest.
    success = np.repeat([1, 0], len(iou))
    fitted = LogisticRegression(C=1 / _STRENGTH, max_iter=1000).fit(
        np.concatenate([scaled, scaled]), success, sample_weight=np.concatenate([iou, 1 - iou])
    )
    weights = np.zeros(len(OBJECT_FEATURES))
    weights[varies] = fitted.coef_[0] / deviation[varies]
    return ObjectScore(
        intercept=round(float(fitted.intercept_[0] - weights @ mean), 5),
        weights={name: round(float(weight), 5) for name, weight in zip(OBJECT_FEATURES, weights, strict=True)},
    )
