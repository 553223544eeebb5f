"""Where a training run keeps its files.

Programs hand files to one another, not objects: the export reads `model.keras` and `model_card.json` from here.
"""

from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from monolayer_core.errors import MonolayerError
from monolayer_core.model_card import CARD_NAME
from monolayer_trainer.config import CONFIG_NAME, TrainConfig, read_config, write_config


class RunError(MonolayerError):
    """The run folder cannot be used as asked."""

    code: ClassVar[str] = "invalid_run"


class Progress(BaseModel):
    """How far a run has come; saved with every checkpoint."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = 0
    steps: int = 0
    elapsed_seconds: float = 0.0


class Best(BaseModel):
    """The best instance score so far and the number of scores since."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    score: float
    epoch: int
    scores_since: int = 0


class RunFolder:
    """Names of the files of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / CONFIG_NAME
        self.model = path / "model.keras"
        self.last_weights = path / "last.weights.h5"
        self.last_average = path / "last_average.weights.h5"
        self.progress = path / "progress.json"
        self.best = path / "best.json"
        self.images = path / "images.csv"
        self.history = path / "history.csv"
        self.curves = path / "curves.png"
        self.summary = path / "model_summary.txt"
        self.architecture = path / "architecture.png"
        self.card = path / CARD_NAME
        self.provenance = path / "provenance.json"
        self.scores = path / "scores.csv"
        self.predictions = path / "predictions"
        self.metrics = path / "metrics.json"
        self.report = path / "evaluation.md"
        self.figures = path / "figures"
        self.samples = path / "samples"
        self.tensorboard = path / "tb"

    def open(self, config: TrainConfig, *, resume: bool) -> TrainConfig:
        """Make the folder for a new run, or take up an old one.

        Parameters
        ----------
        config
            Written into a new folder.
        resume
            Continue the run that is there; its own configuration counts, but for how long it trains.

        Returns
        -------
        TrainConfig
            The configuration to train with.

        Raises
        ------
        RunError
            The folder already holds a run and `resume` is false, or holds none and it is true.
        """
        if resume:
            if not self.config.exists():
                raise RunError(f"{self.path} holds no run to resume")
            duration = {"epochs": config.epochs, "minutes": config.minutes, "patience": config.patience}
            return read_config(self.path).model_copy(update=duration)
        if self.config.exists():
            raise RunError(f"{self.path} already holds a run: resume it or choose another folder")
        self.path.mkdir(parents=True, exist_ok=True)
        write_config(config, self.path)
        return config

    def read_progress(self) -> Progress:
        """Read how far the run has come; nothing yet for a new one."""
        return Progress.model_validate_json(self.progress.read_bytes()) if self.progress.exists() else Progress()

    def read_best(self) -> Best | None:
        """Read the best score so far; None before the first."""
        return Best.model_validate_json(self.best.read_bytes()) if self.best.exists() else None
