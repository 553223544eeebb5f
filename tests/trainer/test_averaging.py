"""The average of the weights, against one calculated by hand."""

import doctest

import keras
import numpy as np
import pytest

from monolayer_trainer import averaging
from monolayer_trainer.averaging import WeightAverage, momentum_at, save_weights


def small_network() -> keras.Model:
    image = keras.Input((2,))
    return keras.Model(image, keras.layers.BatchNormalization()(keras.layers.Dense(1, use_bias=False)(image)))


def drive(average: WeightAverage, model: keras.Model, values: list[float]) -> None:
    """Let every weight of the model take one value after another, as if each came from a step."""
    average.set_model(model)
    average.on_train_begin()
    for value in values:
        model.set_weights([np.full_like(weight, value) for weight in model.get_weights()])
        average.on_train_batch_end(0)
    average.on_epoch_end(0)


def test_the_first_steps_count_most():
    model, kept = small_network(), small_network()
    model.set_weights([np.zeros_like(weight) for weight in model.get_weights()])
    drive(WeightAverage(kept, 0.995), model, [1.0, 2.0])
    # 0 -> 0.1 * 0 + 0.9 * 1, then 2/11 of that + 9/11 of 2.
    expected = (2 / 11) * 0.9 + (9 / 11) * 2
    for weight in kept.get_weights():
        np.testing.assert_allclose(weight, expected, rtol=1e-6)


def test_statistics_of_the_normalisation_are_averaged_like_weights():
    model, kept = small_network(), small_network()
    drive(WeightAverage(kept, 0.5, first_step=1000), model, [4.0])
    norm = kept.layers[-1]
    assert np.asarray(norm.moving_mean) == pytest.approx(2.0)
    assert np.asarray(norm.moving_variance) == pytest.approx(2.5)


def test_the_trained_network_is_left_as_it_is():
    model, kept = small_network(), small_network()
    drive(WeightAverage(kept, 0.995), model, [1.0, 3.0])
    assert all(np.all(weight == 3.0) for weight in model.get_weights())


def test_a_continued_run_goes_on_with_its_average():
    model, kept = small_network(), small_network()
    kept.set_weights([np.full_like(weight, 10.0) for weight in kept.get_weights()])
    drive(WeightAverage(kept, 0.9, first_step=1000), model, [0.0])
    assert all(np.allclose(weight, 9.0) for weight in kept.get_weights())


def test_the_momentum_rises_to_its_highest_value_and_no_further():
    momenta = [momentum_at(step, 0.995) for step in range(0, 5000, 10)]
    assert momenta == sorted(momenta)
    assert momenta[-1] == 0.995


def test_a_checkpoint_is_written_under_its_name_alone(tmp_path):
    save_weights(small_network(), tmp_path / "last.weights.h5")
    assert [path.name for path in tmp_path.iterdir()] == ["last.weights.h5"]


def test_the_examples_are_right():
    assert doctest.testmod(averaging).failed == 0
