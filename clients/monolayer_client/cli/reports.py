"""What `series` and `plate` share: answers in, and reports in the forms their file names ask for."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from monolayer_client.answer_files import find_answers, read_answer, read_summary
from monolayer_client.cli.console import err
from monolayer_client.errors import InputError
from monolayer_client.files import write_atomically
from monolayer_client.html_report import ReportPicture, ReportTable, render_report
from monolayer_client.outputs import to_table
from monolayer_client.plots import FORMATS

Results = Annotated[
    list[Path],
    typer.Argument(metavar="RESULTS", help="Folders that `confluency` or `segment` wrote, answers, or tables."),
]
Outputs = Annotated[
    list[Path] | None,
    typer.Option(
        "--out",
        "-o",
        help="Write a report: .csv (the table), .png, .svg or .pdf (the picture), .html (both, in one file); "
        "may be given several times. Pictures need the extra reports.",
    ),
]
SkipFlagged = Annotated[
    bool, typer.Option("--skip-flagged", help="Leave out images with a quality flag, such as out_of_focus.")
]

SUFFIXES = ("csv", "html", *FORMATS)


def check_outputs(paths: Sequence[Path]) -> None:
    """Refuse file names whose form is not known, before anything is computed; raises `InputError`."""
    for path in paths:
        if _form(path) not in SUFFIXES:
            raise InputError(f"{path}: a report is written as {', '.join(SUFFIXES)}")


def collect_answers(results: Sequence[Path], *, skip_flagged: bool) -> list[dict[str, Any]]:
    """Read the answers, one an image, and say what makes them hard to compare.

    Raises
    ------
    InputError
        There is none, or two are of images of the same name.
    """
    answers: list[dict[str, Any]] = []
    for path in find_answers(results):
        answers.extend(read_summary(path) if path.suffix.lower() == ".csv" else [read_answer(path)])
    flagged = [answer for answer in answers if answer["quality"]["flags"]]
    if skip_flagged:
        answers = [answer for answer in answers if not answer["quality"]["flags"]]
    if flagged:
        done = "left out" if skip_flagged else "used; --skip-flagged leaves them out"
        err().print(f"{len(flagged)} images have a quality flag: {done}", markup=False)
    seen: set[str] = set()
    for answer in answers:
        if (name := answer["image_id"]) in seen:
            raise InputError(f"two answers are of images called {name}")
        seen.add(name)
    if not answers:
        raise InputError("no answer is left")
    told = ("name", "version", "sha256")
    judges = {(answer["method"], *map((answer["model"] or {}).get, told)) for answer in answers}
    if len(judges) > 1:
        err().print(f"the images were answered in {len(judges)} ways (method, model): they may not compare")
    return answers


def write_reports(
    paths: Sequence[Path],
    rows: Sequence[Mapping[str, object]],
    draw: Callable[[str], bytes],
    *,
    title: str,
    notes: Sequence[str],
    tables: Sequence[ReportTable],
    alternative: str,
) -> None:
    """Write a report to each path.

    Parameters
    ----------
    rows
        The table of a ``.csv``.
    draw
        Makes the picture, given one of `plots.FORMATS`.
    title, notes, tables, alternative
        Of a ``.html``; `alternative` says in words what the picture shows.
    """
    for path in paths:
        form = _form(path)
        if form == "csv":
            data = to_table(rows, list(rows[0]))
        elif form == "html":
            picture = ReportPicture("Picture", draw("svg"), alternative)
            data = render_report(title, notes, [picture, *tables])
        else:
            data = draw(form)
        write_atomically(path, data)
        err().print(f"written: {path}", markup=False)


def number(value: float | None, digits: int = 2) -> str:
    """Write a number for people; a dash where there is none."""
    return "-" if value is None else f"{value:.{digits}f}"


def _form(path: Path) -> str:
    return path.suffix.lower().removeprefix(".")
