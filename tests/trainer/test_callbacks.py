"""What happens between steps, driven by hand."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest

from monolayer_trainer.callbacks import FirstPace, KeepBest, KeepLast, Pace
from monolayer_trainer.config import TrainConfig
from monolayer_trainer.displays import PredictionPictures
from monolayer_trainer.run_folder import RunFolder
from monolayer_trainer.schedule import FLOOR, Budget
from monolayer_trainer.tables import read_rows, write_rows


def network() -> keras.Model:
    image = keras.Input((2,))
    return keras.Model(image, keras.layers.Dense(1)(image))


def keep_best(tmp_path, scores: list[float], *, every: int = 1, patience: int | None = None, epochs: int = 100):
    """Run epochs until a score is wanted that is not there, or the callback stops the training."""
    folder, kept, left = RunFolder(tmp_path), network(), iter(scores)
    callback = KeepBest(folder, kept, lambda model: next(left), every=every, patience=patience)
    callback.set_model(SimpleNamespace(stop_training=False))
    callback.set_params({"epochs": epochs})
    scored = []
    for epoch in range(epochs):
        kept.set_weights([np.full_like(weight, epoch + 1) for weight in kept.get_weights()])
        logs: dict[str, float] = {}
        try:
            callback.on_epoch_end(epoch, logs)
        except StopIteration:
            break
        if "score" in logs:
            scored.append(epoch + 1)
        if callback.model.stop_training:
            break
    return folder, scored


def test_the_network_with_the_best_score_is_kept(tmp_path):
    folder, _ = keep_best(tmp_path, [0.1, 0.4, 0.3])
    best = folder.read_best()
    assert best is not None
    assert (best.score, best.epoch, best.scores_since) == (0.4, 2, 1)
    kept = keras.saving.load_model(folder.model, compile=False)
    assert np.all(kept.get_weights()[0] == 2)


def test_without_scores_the_network_of_the_end_is_kept(tmp_path):
    folder, kept = RunFolder(tmp_path), network()
    callback = KeepLast(folder, kept)
    kept.set_weights([np.full_like(weight, 7) for weight in kept.get_weights()])
    callback.on_epoch_end(0)
    assert not folder.model.exists()
    callback.on_train_end()
    assert np.all(keras.saving.load_model(folder.model, compile=False).get_weights()[0] == 7)


def test_the_first_epoch_every_nth_and_the_last_are_scored(tmp_path):
    _, scored = keep_best(tmp_path, [0.1, 0.2, 0.3, 0.4], every=3, epochs=8)
    assert scored == [1, 3, 6, 8]


def test_after_too_many_scores_without_a_better_one_the_training_ends(tmp_path):
    _, scored = keep_best(tmp_path, [0.5, 0.4, 0.3, 0.9], patience=2)
    assert scored == [1, 2, 3]


def test_the_learning_rate_is_set_before_each_step_and_the_clock_ends_the_training():
    seconds = iter([0.0, 0.0, 30.0, 30.0, 61.0])
    budget = Budget(epochs=2, minutes=1, now=lambda: next(seconds))
    pace = Pace(TrainConfig(learning_rate=1.0, warmup=0.0), budget, steps_per_epoch=5, first_step=5)
    pace.set_model(SimpleNamespace(optimizer=SimpleNamespace(learning_rate=0.0), stop_training=False))
    pace.on_epoch_begin(1)
    rates, stopped = [], []
    for batch in range(2):
        pace.on_train_batch_begin(batch)
        pace.on_train_batch_end(batch)
        rates.append(pace.model.optimizer.learning_rate)
        stopped.append(pace.model.stop_training)
    assert rates == pytest.approx([1.0, 0.505])
    assert stopped == [False, True]
    assert pace.step == 7


@pytest.mark.parametrize(("minutes", "whole"), [(None, "all 50 of them 4.2 hours"), (90.0, "the run has 90 minutes")])
def test_after_a_minute_of_steps_the_log_says_once_how_fast_it_goes(minutes, whole, caplog):
    # The first step takes 100 seconds, of compiling; each of the others 10 for 8 crops; an epoch has 30.
    clock = iter([100.0, *np.arange(110.0, 1000.0, 10.0)])
    config = TrainConfig(batch_size=8)
    pace = FirstPace(config, Budget(epochs=50, minutes=minutes), steps_per_epoch=30, now=lambda: next(clock))
    with caplog.at_level("INFO"):
        for batch in range(6):
            pace.on_train_batch_end(batch)
        assert caplog.messages == []
        for batch in range(6, 20):
            pace.on_train_batch_end(batch)
    assert caplog.messages == [f"0.8 crops per second: an epoch takes 5.0 minutes, {whole}"]


def test_an_epoch_of_less_than_a_minute_speaks_for_itself(caplog):
    clock = iter(np.arange(0.0, 1000.0, 10.0))
    pace = FirstPace(TrainConfig(), Budget(epochs=50, minutes=None), steps_per_epoch=2, now=lambda: next(clock))
    with caplog.at_level("INFO"):
        for epoch in range(10):
            for batch in range(2):
                pace.on_train_batch_end(batch)
            pace.on_epoch_end(epoch)
    assert caplog.messages == []


def learning_rates(*, first_epoch: int, last_epoch: int, steps_per_epoch: int) -> list[float]:
    pace = Pace(
        TrainConfig(learning_rate=1.0, warmup=0.0),
        Budget(epochs=10, minutes=None),
        steps_per_epoch=steps_per_epoch,
        first_step=1234,
    )
    pace.set_model(SimpleNamespace(optimizer=SimpleNamespace(learning_rate=0.0), stop_training=False))
    rates = []
    for epoch in range(first_epoch, last_epoch):
        pace.on_epoch_begin(epoch)
        for batch in range(steps_per_epoch):
            pace.on_train_batch_begin(batch)
            pace.on_train_batch_end(batch)
            rates.append(pace.model.optimizer.learning_rate)
    return rates


def test_the_learning_rate_falls_to_its_floor_without_a_jump_when_the_batch_is_halved_midway():
    before = learning_rates(first_epoch=0, last_epoch=5, steps_per_epoch=10)
    after = learning_rates(first_epoch=5, last_epoch=10, steps_per_epoch=20)
    rates = np.array(before + after)
    assert rates[0] == 1.0
    assert rates[-1] == pytest.approx(FLOOR, abs=1e-3)
    steps = np.diff(rates)
    assert np.all(steps < 0)
    assert abs(steps[len(before) - 1]) < 1.1 * abs(steps[len(before) - 2])


def test_the_picture_before_the_first_epoch_is_shown_in_the_second_place_too(tmp_path, monkeypatch):
    monkeypatch.setattr(PredictionPictures, "draw", lambda self: np.zeros((4, 4, 3), np.uint8))
    shown = []
    kept = network()
    pictures = PredictionPictures(tmp_path, kept, [], None, also=lambda epoch, picture: shown.append(epoch))
    pictures.set_model(network())
    pictures.on_train_begin()
    pictures.on_epoch_end(0)
    assert shown == [0, 1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["epoch_0000.png", "epoch_0001.png"]
    np.testing.assert_array_equal(kept.get_weights()[0], pictures.model.get_weights()[0])


def test_a_table_gains_columns_as_they_appear(tmp_path):
    rows = [{"epoch": "1"}, {"epoch": "2", "score": "0.5"}]
    write_rows(tmp_path / "history.csv", rows)
    assert (tmp_path / "history.csv").read_text() == "epoch,score\n1,\n2,0.5\n"
    assert read_rows(tmp_path / "history.csv")[1] == rows[1]


def test_a_missing_table_has_no_rows(tmp_path):
    assert read_rows(tmp_path / "nothing.csv") == []
