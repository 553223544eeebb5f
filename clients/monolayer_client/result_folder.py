"""What is asked of every image, and the folder that keeps the answers with a journal of what they were made of."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeAlias

from monolayer_client.answer_files import read_answer
from monolayer_client.async_client import AsyncClient
from monolayer_client.errors import InputError
from monolayer_client.journal import Journal, Results
from monolayer_client.progress import OnProgress

Ask: TypeAlias = Callable[[AsyncClient, str, bytes, Path, OnProgress | None], Awaitable[Mapping[str, Any]]]
"""Asks about the image of this name and these bytes, writes its files into the folder, and gives the service's answer.

What it is given last wants to be told how far the service is, where the service tells.
"""


@dataclass(frozen=True)
class ImageWork:
    """What is asked of every image.

    Attributes
    ----------
    ask : coroutine function
        Does one image.
    suffixes : tuple of str
        Of the files that every image gets; the first is the service's answer.
    options : mapping
        What the results depend on besides the images.
    summary_name : str
        Name of the table with one row per image.
    """

    ask: Ask
    suffixes: tuple[str, ...]
    options: Mapping[str, object]
    summary_name: str


class ResultFolder:
    """Results of images in one folder; use it as a context manager to add some.

    A journal beside the summary says which bytes and options the results were made of. Results count only if both are
    those of now: a file of the right name may be the answer to another question.

    Parameters
    ----------
    path : Path
        The folder; made when it is not there.
    work : ImageWork
        What is asked.

    Raises
    ------
    InputError
        The journal there is none.
    """

    def __init__(self, path: Path, work: ImageWork) -> None:
        self.path = path
        self._work = work
        self._journal = Journal(self.summary_path.with_name(f"{work.summary_name}.journal"), Results, options=None)

    @property
    def summary_path(self) -> Path:
        """Where the table with one row per image belongs."""
        return self.path / self._work.summary_name

    def __enter__(self) -> Self:
        self._journal.__enter__()
        return self

    def __exit__(self, *details: object) -> None:
        self._journal.__exit__(*details)

    def has_files(self, image_id: str) -> bool:
        """Tell whether files of all forms are there, of whatever they may be made."""
        return all(file.exists() for file in self._files(image_id))

    def is_done(self, image_id: str, has_sha256: Callable[[str], bool]) -> bool:
        """Tell whether the results are of this image and these options; `has_sha256`, maybe slow, is asked last."""
        return self._stands(image_id) and has_sha256(self._journal.entries[image_id].sha256)

    def refusal(self, image_id: str, sha256: str) -> str | None:
        """Tell why the service refused these bytes with these options; None where it did not."""
        entry = self._journal.entries.get(image_id)
        if entry is None or entry.sha256 != sha256 or entry.options != self._work.options:
            return None
        return entry.refused

    def answer_of(self, image_id: str) -> dict[str, Any]:
        """Read the answer that is kept of an image.

        Raises
        ------
        InputError
            The file holds something else.
        OSError
            There is none.
        """
        return read_answer(self._files(image_id)[0])

    def standing_answers(self) -> Iterator[dict[str, Any]]:
        """Read the answers that are kept to these options, also of images that are no longer anywhere."""
        for image_id in list(self._journal.entries):
            if self._stands(image_id):
                try:
                    yield self.answer_of(image_id)
                except InputError:
                    self._journal.drop(image_id)

    async def make(
        self, client: AsyncClient, image_id: str, content: bytes, on_progress: OnProgress | None = None
    ) -> Mapping[str, Any]:
        """Ask about an image and keep its results; raises as the client does, and `OSError` where none can be kept."""
        self._journal.drop(image_id)
        answer = await self._work.ask(client, image_id, content, self.path, on_progress)
        sha256 = str(answer["image"]["sha256"])
        self._journal.add(Results(image_id, sha256, dict(self._work.options), self._work.suffixes))
        return answer

    def refuse(self, image_id: str, sha256: str, reason: str) -> None:
        """Note that the service refused these bytes."""
        self._journal.add(Results(image_id, sha256, dict(self._work.options), (), reason))

    def forget_refusals(self) -> None:
        """Let refused images be asked about again."""
        for entry in list(self._journal.entries.values()):
            if entry.refused is not None:
                self._journal.drop(entry.image_id)

    def discard(self, image_id: str) -> None:
        """Remove the results of an image whose bytes are no more: they must not pass for those of the new ones."""
        self._journal.drop(image_id)
        for file in self._files(image_id):
            file.unlink(missing_ok=True)

    def _files(self, image_id: str) -> list[Path]:
        return [self.path / f"{image_id}{suffix}" for suffix in self._work.suffixes]

    def _stands(self, image_id: str) -> bool:
        entry = self._journal.entries.get(image_id)
        return (
            entry is not None
            and entry.options == self._work.options
            and set(entry.suffixes) >= set(self._work.suffixes)
            and self.has_files(image_id)
        )
