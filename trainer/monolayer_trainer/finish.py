"""After the last epoch: the thresholds, and the draft of the card. Imports Keras to load the network that was kept."""

import logging
from collections.abc import Sequence

import keras

from monolayer_core.model_card import ModelCard, write_card
from monolayer_trainer.augmentation import AugmentationConfig
from monolayer_trainer.card import draft_card, median_diameter_px
from monolayer_trainer.config import TrainConfig
from monolayer_trainer.dataset import Dataset, Sample
from monolayer_trainer.likeness import fit_likeness_of_samples
from monolayer_trainer.run_folder import RunFolder
from monolayer_trainer.scoring import OWN_SIZE_COUNTS, at_half_size, keras_predict, predict_examples, read_examples
from monolayer_trainer.trust import learn_from_answers
from monolayer_trainer.tuning import ThresholdSearch, tuning_window

log = logging.getLogger(__name__)


def finish(
    dataset: Dataset, folder: RunFolder, config: TrainConfig, *, training: Sequence[Sample], tuning: Sequence[Sample]
) -> ModelCard:
    """Tune the thresholds of the best network on the images set aside for it and write the draft of its card.

    Parameters
    ----------
    dataset
        That holds the samples.
    folder
        Holds the network; takes the card.
    config
        With which the network was trained.
    training, tuning
        Samples trained on, and those set aside; without any of these the thresholds are left as they are.
    """
    card = draft_card(config, dataset, training, object_diameter_px=median_diameter_px(dataset, training))
    if tuning:
        card = tuned(card, dataset, folder, tuning, config.augmentation)
    card = card.model_copy(update={"likeness": fit_likeness_of_samples(dataset, [*training, *tuning], card)})
    write_card(card, folder.path)
    return card


def tuned(
    card: ModelCard,
    dataset: Dataset,
    folder: RunFolder,
    tuning: Sequence[Sample],
    augmentation: AugmentationConfig,
) -> ModelCard:
    """Give the card with the thresholds that suit the network of the folder best on these samples, and what follows."""
    examples = read_examples(dataset, tuning, card)
    predict = keras_predict(keras.saving.load_model(folder.model, compile=False))
    smaller = at_half_size(examples, augmentation)
    probabilities = predict_examples(examples, card, predict)
    truths = [example.labels for example in examples]
    search = ThresholdSearch(
        [tuning_window(example.labels) for example in (*examples, *smaller)],
        [tuning_window(one) for one in (*probabilities, *predict_examples(smaller, card, predict))],
        card,
    )
    own, half = range(len(examples)), range(len(examples), len(examples) + len(smaller))
    thresholds, _ = search.thoroughly([*own] * OWN_SIZE_COUNTS + [*half])
    score = search.score_with(thresholds, own)
    metrics = {"tuning": {"images": len(examples), "kaggle_score": round(score, 4)}}
    return learn_from_answers(
        truths, probabilities, card.model_copy(update={"thresholds": thresholds, "metrics": metrics})
    )
