"""A folder of images sent by `monolayer submit` in a process of its own, and whether each came back once."""

import csv
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Submission:
    """What came of a submission.

    `answered` is how many answers the service gave to it, counted by the service.
    """

    images: int
    status: int
    lost: int
    repeated: int
    answered: int

    @property
    def wrong(self) -> int:
        """Images that were lost, stand twice in the journal, or were computed more than once."""
        return self.lost + self.repeated + max(0, self.answered - self.images)


def write_images(folder: Path, image: bytes, count: int) -> None:
    """The same image under so many names."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        (folder / f"image{number:05d}.png").write_bytes(image)


def start_submission(
    url: str, images: Path, table: Path, *, concurrency: int, patience_seconds: float, log: Path
) -> subprocess.Popen[bytes]:
    """Start the command as it is installed."""
    command = [sys.executable, "-m", "monolayer_client", "submit", str(images), "-o", str(table), "--url", url]
    command += ["--concurrency", str(concurrency), "--patience", str(patience_seconds)]
    with log.open("wb") as output:
        return subprocess.Popen(command, stdout=output, stderr=output)


def judge_submission(images: Path, table: Path, *, status: int, answered: int) -> Submission:
    """Compare the images with the table and with the journal, in which each stands once."""
    expected = {path.stem for path in images.iterdir()}
    journal = table.with_name(f"{table.name}.journal")
    noted = journal.read_text(encoding="utf-8").splitlines()[1:] if journal.exists() else []
    in_table: set[str] = set()
    if table.exists():
        with table.open(encoding="utf-8", newline="") as file:
            in_table = {row["ImageId"] for row in csv.DictReader(file)}
    lost = len(expected - in_table) + len(in_table - expected)
    return Submission(len(expected), status, lost, max(0, len(noted) - len(expected)), answered)
