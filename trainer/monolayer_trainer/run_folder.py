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
        self.class_counts = path / "class_counts.csv"
        self.predictions = path / "predictions"
        self.metrics = path / "metrics.json"
        self.report = path / "evaluation.md"
        self.figures = path / "figures"
        self.samples = path / "samples"
        self.tensorboard = path / "tb"

    def begin(self, config: TrainConfig) -> None:
        """Make the folder for a new run and write its configuration.

        Raises
        ------
        RunError
            The folder already holds a run.
        """
        if self.config.exists():
            raise RunError(f"{self.path} already holds a run: resume it or choose another folder")
        self.path.mkdir(parents=True, exist_ok=True)
        write_config(config, self.path)

    def take_up(self, *, epochs: int | None, minutes: float | None, patience: int | None) -> TrainConfig:
        """Read the configuration of the run that is there, with another duration where one is given.

        Parameters
        ----------
        epochs, minutes, patience
            Of the whole run, what is done already included; None leaves what the run was begun with.

        Returns
        -------
        TrainConfig
            The configuration to go on with. Nothing is written.

        Raises
        ------
        RunError
            The folder holds no run.
        pydantic.ValidationError
            The duration makes no sense.
        """
        if not self.config.exists():
            raise RunError(f"{self.path} holds no run to resume")
        duration = {"epochs": epochs, "minutes": minutes, "patience": patience}
        given = {name: value for name, value in duration.items() if value is not None}
        return TrainConfig.model_validate(read_config(self.path).model_dump() | given)

    def read_progress(self) -> Progress:
        """Read how far the run has come; nothing yet for a new one."""
        return Progress.model_validate_json(self.progress.read_bytes()) if self.progress.exists() else Progress()

    def read_best(self) -> Best | None:
        """Read the best score so far; None before the first."""
        return Best.model_validate_json(self.best.read_bytes()) if self.best.exists() else None
