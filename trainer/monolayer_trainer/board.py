"""TensorBoard for one run, reachable from this machine alone."""

import importlib.util
import subprocess
import sys
from pathlib import Path

from monolayer_trainer.run_folder import RunError, RunFolder

HOST = "127.0.0.1"


def board_command(run: Path, port: int) -> list[str]:
    """Give the command that shows a run.

    Raises
    ------
    RunError
        TensorBoard is not installed, or the run has written nothing for it.
    """
    folder = RunFolder(run).tensorboard
    if importlib.util.find_spec("tensorboard") is None:
        raise RunError("TensorBoard is not installed: install monolayer-trainer[tensorflow]")
    if not folder.is_dir():
        raise RunError(f"{run} holds nothing for TensorBoard")
    return [sys.executable, "-m", "tensorboard.main", "--logdir", str(folder), "--host", HOST, "--port", str(port)]


def start_board(run: Path, port: int) -> int:
    """Run TensorBoard until it is stopped; its exit status."""
    try:
        return subprocess.run(board_command(run, port), check=False).returncode  # noqa: S603 - no shell, our own words
    except KeyboardInterrupt:
        return 0
