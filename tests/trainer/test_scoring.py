"""The network as a plain callable, the choice of examples, and the score that chooses checkpoints."""

import numpy as np
import pytest

from monolayer_core.model_card import ModelCard, Output, TrainingData
from monolayer_trainer.augmentation import AugmentationConfig
from monolayer_trainer.scoring import Example, InstanceScore, at_half_size, keras_predict, one_of_each_kind

CARD = ModelCard(
    name="toy",
    version="1",
    task="instances",
    confluency_of="nucleus",
    channels="grey",
    outputs=(Output(name="nucleus", role="class"), Output(name="distance", role="distance")),
    tile_sides=(32,),
    halo=0,
    divisor=1,
    training_data=TrainingData(name="made", licence="CC0-1.0", source="", images=1, objects=1),
)


class Echo:
    """A network that answers with its input, twice, as probabilities."""

    def predict_on_batch(self, tiles: np.ndarray) -> np.ndarray:
        assert tiles.dtype == np.float32
        return np.repeat(tiles / 255, 2, axis=-1)


def example(modality: str, image: np.ndarray) -> Example:
    return Example("a", modality, image, (image[..., 0] > 127).astype(np.int32))


def test_probabilities_are_rounded_to_uint8():
    tiles = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    answer = keras_predict(Echo())(tiles)
    assert answer.dtype == np.uint8
    np.testing.assert_array_equal(answer[..., 1], tiles[..., 0])


def test_examples_are_taken_from_one_kind_after_the_other():
    image = np.zeros((2, 2, 1), np.uint8)
    examples = [example(kind, image) for kind in ("a", "a", "a", "b", "c", "c")]
    assert [one.modality for one in one_of_each_kind(examples, 5)] == ["a", "b", "c", "a", "c"]
    assert len(one_of_each_kind(examples, 100)) == 6


@pytest.mark.parametrize(("inside", "score"), [(255, 1.0), (0, 0.0)], ids=["found", "missed"])
def test_the_score_is_the_kaggle_score_of_what_the_network_finds(inside, score):
    image = np.zeros((32, 32, 1), np.uint8)
    image[8:20, 8:20] = 200
    truth = example("a", image)
    seen = Example("a", "a", np.where(image > 0, inside, 0).astype(np.uint8), truth.labels)
    assert InstanceScore([seen], CARD)(Echo()) == score


def test_images_are_scored_at_half_their_size_where_the_network_was_trained_to_see_them_so():
    labels = np.zeros((60, 80), np.int32)
    labels[10:30, 10:30] = 1  # 22.6 pixels across
    image = np.repeat((labels * 200).astype(np.uint8)[..., None], 3, axis=2)
    example = Example("a", "grey", image, labels)
    (half,) = at_half_size([example], AugmentationConfig(scale_low=0.5, least_object_px=11))
    assert (half.id, half.modality) == ("a", "grey")
    np.testing.assert_array_equal(half.labels, labels[::2, ::2])
    np.testing.assert_array_equal(half.image, image[::2, ::2])
    assert at_half_size([example], AugmentationConfig(scale_low=0.6)) == []
    assert at_half_size([example], AugmentationConfig(scale_low=0.3, least_object_px=12)) == []
    assert len(at_half_size([Example("b", "grey", image, labels * 0)], AugmentationConfig(scale_low=0.3))) == 1
