"""Where a cross-validation keeps its files: its own, and one run folder for each network."""

from pathlib import Path

from monolayer_trainer.config import CONFIG_NAME, TrainConfig, read_config, write_config
from monolayer_trainer.run_folder import RunError

DATA_NAME = "data"
"""Folder, in that of a network, with the split it was trained on."""


class CrossFolder:
    """Names of the files of one cross-validation; each of its networks has an ordinary run folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / CONFIG_NAME
        self.folds = path / "folds.csv"
        self.scores = path / "scores.csv"
        self.metrics = path / "metrics.json"
        self.report = path / "evaluation.md"
        self.figures = path / "figures"
        self.final = path / "final"

    def fold(self, number: int) -> Path:
        """Folder of the network that holds out this fold; folds are counted from 1."""
        return self.path / f"fold-{number}"

    def begin_or_go_on(self, config: TrainConfig) -> None:
        """Write the configuration, or see that it is the one that is there.

        Raises
        ------
        RunError
            The folder holds an ordinary run, or a cross-validation with another configuration.
        """
        if not self.config.exists():
            self.path.mkdir(parents=True, exist_ok=True)
            write_config(config, self.path)
            return
        if not self.folds.exists():
            raise RunError(f"{self.path} already holds a run: choose another folder")
        begun = read_config(self.path)
        changed = [name for name in TrainConfig.model_fields if getattr(begun, name) != getattr(config, name)]
        if changed:
            raise RunError(
                f"{self.path} was begun with another {', '.join(changed)}: give the same options, or another folder"
            )
