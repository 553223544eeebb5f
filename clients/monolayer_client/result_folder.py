"""What is asked of every image, and the folder that keeps the answers with a journal of what they were made of."""

import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeAlias

from monolayer_client.answer_files import read_answer
from monolayer_client.async_client import AsyncClient
from monolayer_client.errors import InputError, RefusedError, RefusedOptionsError
from monolayer_client.files import StagedFiles
from monolayer_client.image_body import FileContent
from monolayer_client.journal import Journal, Results
from monolayer_client.outputs import summary_row
from monolayer_client.progress import OnProgress

Keep: TypeAlias = Callable[[str, bytes], None]
"""Keeps one file of an image: how its name ends, and what is in it."""

Ask: TypeAlias = Callable[
    [AsyncClient, str, bytes | FileContent, Keep, OnProgress | None], Awaitable[Mapping[str, Any]]
]
"""Asks about the image of this name and these bytes, keeps its files, and gives the service's answer.

What it is given last wants to be told how far the service is, where the service tells.
"""

_OF_THE_OPTIONS = frozenset({"invalid_option", "unknown_option"})


@dataclass(frozen=True)
class ImageWork:
    """What is asked of every image.

    Attributes
    ----------
    ask : coroutine function
        Does one image; the file that it keeps last is the service's answer.
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
        return all(self._file(image_id, suffix).exists() for suffix in self._work.suffixes)

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
        return read_answer(self._file(image_id, self._work.suffixes[0]))

    def standing_rows(self) -> dict[str, Mapping[str, Any]]:
        """Give the summary's rows of the results to these options by image, also of images that are no longer anywhere.

        The journal has them: an answer, which may be large, is read only where an earlier version wrote the journal.
        """
        if not self.path.is_dir():
            return {}
        names = {entry.name for entry in os.scandir(self.path)}
        rows: dict[str, Mapping[str, Any]] = {}
        for image_id, entry in self._journal.entries.items():
            if self._is_of_now(entry) and {f"{image_id}{suffix}" for suffix in self._work.suffixes} <= names:
                with suppress(InputError):
                    rows[image_id] = summary_row(self.answer_of(image_id)) if entry.row is None else entry.row
        return rows

    async def make(
        self, client: AsyncClient, image_id: str, content: bytes | FileContent, on_progress: OnProgress | None = None
    ) -> Mapping[str, Any]:
        """Ask about an image and keep its results; what was kept of it before stays until all of them are there.

        Raises
        ------
        RefusedOptionsError
            An option is refused, whatever the image.
        ClientError
            As the client raises.
        OSError
            The results cannot be kept.
        """
        with StagedFiles() as files:
            try:
                answer = await self._work.ask(
                    client,
                    image_id,
                    content,
                    lambda suffix, data: files.put(self._file(image_id, suffix), data),
                    on_progress,
                )
            except RefusedError as error:
                if error.service_code in _OF_THE_OPTIONS:
                    await self._try_options(client)
                raise
            self._journal.drop(image_id)
            files.move_in()
        sha256 = str(answer["image"]["sha256"])
        row = summary_row(answer)
        self._journal.add(Results(image_id, sha256, dict(self._work.options), self._work.suffixes, row=row))
        return answer

    async def _try_options(self, client: AsyncClient) -> None:
        """Ask about an image of no bytes: the service looks at the options first.

        One that it refuses then would suit no image; else it was one that an image does not have, such as a channel.
        """
        try:
            await self._work.ask(client, "no image", b"", lambda *_: None, None)
        except RefusedError as error:
            if error.service_code in _OF_THE_OPTIONS:
                raise RefusedOptionsError(
                    f"the service refuses an option, whatever the image: {error}",
                    service_code=error.service_code,
                    status=error.status,
                    request_id=error.request_id,
                ) from error

    def refuse(self, image_id: str, sha256: str, reason: str) -> None:
        """Note that the service refused these bytes, and remove results of others: they would pass for those of these.

        Results of the same bytes, made with other options, stay, and so does what the journal says of them.
        """
        if self._sha256_of_results(image_id) == sha256:
            return
        entry = self._journal.entries.get(image_id)
        self._journal.add(Results(image_id, sha256, dict(self._work.options), (), reason))
        for suffix in {*self._work.suffixes, *(() if entry is None else entry.suffixes)}:
            self._file(image_id, suffix).unlink(missing_ok=True)

    def forget_refusals(self) -> None:
        """Let refused images be asked about again."""
        for entry in list(self._journal.entries.values()):
            if entry.refused is not None:
                self._journal.drop(entry.image_id)

    def _sha256_of_results(self, image_id: str) -> str | None:
        """Tell of which bytes the results are, as the journal says or else the answer itself; None without results."""
        entry = self._journal.entries.get(image_id)
        if entry is not None:
            return entry.sha256 if entry.refused is None else None
        try:
            return str(self.answer_of(image_id)["image"]["sha256"])
        except (InputError, OSError, KeyError, TypeError):
            return None

    def _file(self, image_id: str, suffix: str) -> Path:
        return self.path / f"{image_id}{suffix}"

    def _stands(self, image_id: str) -> bool:
        entry = self._journal.entries.get(image_id)
        return entry is not None and self._is_of_now(entry) and self.has_files(image_id)

    def _is_of_now(self, entry: Results) -> bool:
        return entry.options == self._work.options and set(entry.suffixes) >= set(self._work.suffixes)
