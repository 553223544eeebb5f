"""What happens between the steps of a training: the learning rate, the checkpoint, the history."""

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

import keras

from monolayer_trainer.averaging import save_weights
from monolayer_trainer.config import TrainConfig
from monolayer_trainer.run_folder import Best, Progress, RunFolder
from monolayer_trainer.schedule import Budget, learning_rate
from monolayer_trainer.tables import read_rows, write_rows, write_whole

Logs = Mapping[str, Any] | None

log = logging.getLogger(__name__)


class Pace(keras.callbacks.Callback):  # type: ignore[misc] # Keras publishes no types
    """Sets the learning rate before each step and ends the training when its budget is spent.

    Parameters
    ----------
    config
        Says the highest learning rate and the warm-up.
    budget
        Of the run.
    steps_per_epoch
        Batches per epoch from now on.
    first_step
        Steps done before, in epochs of whatever length.
    """

    def __init__(self, config: TrainConfig, budget: Budget, *, steps_per_epoch: int, first_step: int) -> None:
        super().__init__()
        self.config = config
        self.budget = budget
        self.steps_per_epoch = steps_per_epoch
        self.step = first_step

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:  # noqa: ARG002
        """Note how many epochs are done."""
        self.epoch = epoch

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:  # noqa: ARG002
        """Set the learning rate for the step to come."""
        if keras.backend.backend() == "jax":
            # JAX keeps the optimizer's state outside the model during an epoch.
            self.model.jax_state_sync()
        fraction = self.budget.fraction(self.epoch + batch / self.steps_per_epoch)
        rate = learning_rate(fraction, peak=self.config.learning_rate, warmup=self.config.warmup)
        self.model.optimizer.learning_rate = rate

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:  # noqa: ARG002
        """Count the step and stop when the wall-clock budget is spent."""
        self.step += 1
        done = self.epoch + (batch + 1) / self.steps_per_epoch
        if self.budget.minutes is not None and self.budget.fraction(done) >= 1:
            self.model.stop_training = True


class FirstPace(keras.callbacks.Callback):  # type: ignore[misc] # Keras publishes no types
    """Says once, after a minute of steps, how fast it goes: on a slow machine the first epoch may take an hour.

    The first step is not counted, in which the backend compiles.

    Parameters
    ----------
    config
        Says how many crops a step has.
    budget
        Of the run.
    steps_per_epoch
        Batches per epoch.
    now
        The clock, in seconds.
    """

    after_seconds = 60.0

    def __init__(
        self, config: TrainConfig, budget: Budget, *, steps_per_epoch: int, now: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self.config = config
        self.budget = budget
        self.steps_per_epoch = steps_per_epoch
        self._now = now
        self._steps = 0
        self._told = False

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:  # noqa: ARG002
        """Count a step, and say the pace when it is known."""
        if self._steps == 0:
            self._began = self._now()
        elif not self._told and (seconds := self._now() - self._began) >= self.after_seconds:
            self._told = True
            log.info("%s", self.pace(self._steps / seconds))
        self._steps += 1

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:  # noqa: ARG002
        """Leave it to the line of the epoch, which has come first."""
        self._told = True

    def pace(self, steps_per_second: float) -> str:
        """Put the pace in words."""
        epoch_minutes = self.steps_per_epoch / steps_per_second / 60
        if self.budget.minutes is None:
            whole = f"all {self.budget.epochs} of them {self.budget.epochs * epoch_minutes / 60:.1f} hours"
        else:
            whole = f"the run has {self.budget.minutes:g} minutes"
        crops = self.config.batch_size * steps_per_second
        return f"{crops:.1f} crops per second: an epoch takes {epoch_minutes:.1f} minutes, {whole}"


class LastCheckpoint(keras.callbacks.Callback):  # type: ignore[misc] # Keras publishes no types
    """Writes weights, optimizer state, averaged weights and progress after each epoch."""

    def __init__(self, folder: RunFolder, kept: keras.Model, pace: Pace) -> None:
        super().__init__()
        self.folder = folder
        self.kept = kept
        self.pace = pace

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:  # noqa: ARG002
        """Write the checkpoint."""
        save_weights(self.model, self.folder.last_weights)
        save_weights(self.kept, self.folder.last_average)
        progress = Progress(epochs=epoch + 1, steps=self.pace.step, elapsed_seconds=self.pace.budget.elapsed_seconds)
        write_whole(self.folder.progress, progress.model_dump_json(indent=2) + "\n")


class KeepBest(keras.callbacks.Callback):  # type: ignore[misc] # Keras publishes no types
    """Scores the network now and then, keeps the best one as ``model.keras`` and stops when none is better for long.

    Parameters
    ----------
    folder
        Takes the model and the score.
    kept
        The network to be scored and written, see `WeightAverage`.
    score
        Gives the figure to be maximised.
    every
        Epochs between two scores; the first and the last epoch are always scored.
    patience
        Scores without a better one after which the training ends; None for never.
    """

    def __init__(
        self,
        folder: RunFolder,
        kept: keras.Model,
        score: Callable[[keras.Model], float],
        *,
        every: int,
        patience: int | None,
    ) -> None:
        super().__init__()
        self.folder = folder
        self.kept = kept
        self.score = score
        self.every = every
        self.patience = patience

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Score the network where it is their turn, and add ``score`` to the logs."""
        last = self.model.stop_training or epoch + 1 == self.params["epochs"]
        best = self.folder.read_best()
        if best is not None and (epoch + 1) % self.every and not last:
            return
        score = self.score(self.kept)
        if logs is not None:
            logs["score"] = score
        if best is None or score > best.score:
            best = Best(score=score, epoch=epoch + 1)
            save_model(self.kept, self.folder)
        else:
            best = best.model_copy(update={"scores_since": best.scores_since + 1})
        write_whole(self.folder.best, best.model_dump_json(indent=2) + "\n")
        if self.patience is not None and best.scores_since >= self.patience:
            log.info("no better score since epoch %d: stopping", best.epoch)
            self.model.stop_training = True


class KeepLast(keras.callbacks.Callback):  # type: ignore[misc] # Keras publishes no types
    """Writes the network as ``model.keras`` when the training has ended: there are no images to choose one by.

    Parameters
    ----------
    folder
        Takes the model.
    kept
        The network to be written, see `WeightAverage`.
    """

    def __init__(self, folder: RunFolder, kept: keras.Model) -> None:
        super().__init__()
        self.folder = folder
        self.kept = kept

    def on_train_end(self, logs: Logs = None) -> None:  # noqa: ARG002
        """Write the network."""
        save_model(self.kept, self.folder)


def save_model(model: keras.Model, folder: RunFolder) -> None:
    """Write ``model.keras``, whole or not at all."""
    fresh = folder.path / "next.keras"
    model.save(fresh)
    fresh.replace(folder.model)


class History(keras.callbacks.Callback):  # type: ignore[misc] # Keras publishes no types
    """Writes ``history.csv`` and one log line after each epoch; a resumed run continues the table."""

    def __init__(self, folder: RunFolder, config: TrainConfig, budget: Budget) -> None:
        super().__init__()
        self.folder = folder
        self.config = config
        self.budget = budget
        self.rows: list[dict[str, str]] = read_rows(folder.history)
        self._epoch_start = 0.0

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:  # noqa: ARG002
        """Start the clock of the epoch."""
        self._epoch_start = time.monotonic()
        self.crops = 0

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:  # noqa: ARG002
        """Count crops, to know their rate."""
        self.crops += self.config.batch_size
        self.crops_seconds = time.monotonic() - self._epoch_start

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Add the epoch to the table."""
        row = {"epoch": str(epoch + 1), "minutes": f"{self.budget.elapsed_seconds / 60:.2f}"}
        row["crops_per_second"] = f"{self.crops / self.crops_seconds:.1f}"
        row["learning_rate"] = f"{float(self.model.optimizer.learning_rate):.2e}"
        row |= {name: f"{float(value):.4f}" for name, value in (logs or {}).items()}
        self.rows = [old for old in self.rows if int(old["epoch"]) <= epoch] + [row]
        write_rows(self.folder.history, self.rows)
        log.info("%s", ", ".join(f"{name} {value}" for name, value in row.items()))
