"""``monolayer score``: a submission against the truth."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from monolayer_client.cli.console import err, explained, out, progress
from monolayer_client.files import write_atomically
from monolayer_client.truth import SplitRow, choose_images, open_truth, read_split
from monolayer_core.evaluation import ScoredImage, summarise
from monolayer_core.submission import SubmissionScore, read_submission, score_submission

SHOWN_SCORES = (
    "kaggle_score",
    "average_precision_50",
    "average_precision_75",
    "panoptic_quality",
    "dice",
    "iou",
    "count_error_absolute",
    "confluency_error_absolute",
)


def score(
    submission: Annotated[Path, typer.Argument(metavar="SUBMISSION", help="The table to score.", exists=True)],
    *,
    truth: Annotated[
        Path,
        typer.Option("--truth", help="Solution table (.csv), or folder or zip of masks or label images.", exists=True),
    ],
    split: Annotated[
        Path | None,
        typer.Option("--split", help="Table with the columns ImageId, split, group, modality.", exists=True),
    ] = None,
    only: Annotated[str | None, typer.Option("--only", help="Side of the split to score, such as validation.")] = None,
    lowest: Annotated[int, typer.Option("--lowest", min=0, help="How many images to list, lowest scores first.")] = 20,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all scores of all images here.")] = None,
) -> None:
    """Score a Kaggle submission: Data Science Bowl score, average precision, Dice, errors of count and confluency.

    The mean is over the images of the truth; one that the submission lacks scores as if nothing had been found, one
    that the truth lacks is left out and named. Images whose Usage is Ignored in a solution table are left out. With
    --split the 95 % intervals are those of a bootstrap over groups, and modalities are listed apart. Masks
    (ImageId/masks/*.png) and label images need the extra "score" (pip install 'monolayer-client[score]').

    \b
    Examples:
      monolayer score submission.csv --truth stage1_solution.csv
      monolayer score submission.csv --truth stage1_train.zip --split split.csv --only validation
      monolayer score submission.csv --truth labels --json scores.json
    """  # noqa: D301 - \b tells click to keep the lines as they are
    if only is not None and split is None:
        raise typer.BadParameter("--only needs --split")
    with explained():
        rows_of = read_submission(submission)
        sides = None if split is None else read_split(split)
        opened = open_truth(truth)
        chosen = choose_images(opened, sides, only)
        runs = {}
        with progress("truth", len(chosen)) as bar:
            for image_id in chosen:
                runs[image_id] = opened.read(image_id)
                bar.advance(bar.task_ids[0])
        scored = score_submission(rows_of, runs)
        images = _with_groups(scored, sides or {})
        summary = summarise(images)
        if json_file is not None:
            write_atomically(json_file, _to_json(scored, summary))
        if lowest:
            out().print(_image_table(scored, lowest))
        out().print(_summary_table(summary))
        if scored.missing:
            err().print(f"{len(scored.missing)} images are missing, such as {scored.missing[0]}", markup=False)
        if scored.unknown and sides is None:
            err().print(f"{len(scored.unknown)} images are not in the truth, such as {scored.unknown[0]}", markup=False)
        out().print(f"Kaggle score {scored.kaggle_score:.4f}, mean over {len(scored.images)} images")


def _with_groups(scored: SubmissionScore, sides: dict[str, SplitRow]) -> list[ScoredImage]:
    nothing = SplitRow("", None, None)
    rows = {image_id: sides.get(image_id, nothing) for image_id in scored.images}
    return [
        ScoredImage(image_id, scores, rows[image_id].group, rows[image_id].modality)
        for image_id, scores in scored.images.items()
    ]


def _to_json(scored: SubmissionScore, summary: dict[str, Any]) -> bytes:
    document = summary | {
        "images": {image_id: vars(scores) for image_id, scores in scored.images.items()},
        "missing": scored.missing,
        "unknown": scored.unknown,
    }
    return json.dumps(document, indent=2).encode() + b"\n"


def _image_table(scored: SubmissionScore, count: int) -> Table:
    table = Table("image", "Kaggle", "AP 0.5", "Dice", "true", "found", title="Lowest scores")
    lowest = sorted(scored.images.items(), key=lambda item: item[1].kaggle_score)[:count]
    for image_id, scores in lowest:
        table.add_row(
            image_id if len(image_id) <= 24 else f"{image_id[:23]}…",
            f"{scores.kaggle_score:.3f}",
            f"{scores.average_precision_50:.3f}",
            f"{scores.dice:.3f}",
            str(scores.truth_count),
            str(scores.prediction_count),
        )
    return table


def _summary_table(summary: dict[str, Any]) -> Table:
    parts = {"all": summary["overall"], **summary["by_modality"]}
    table = Table("score", *(f"{name} ({part['images']})" for name, part in parts.items()), title="Means over images")
    for name in SHOWN_SCORES:
        table.add_row(name, *(_interval(part[name]) for part in parts.values()))
    return table


def _interval(values: dict[str, float | None]) -> str:
    mean, low, high = values["mean"], values["low"], values["high"]
    return f"{mean:.3f}" if low is None or high is None else f"{mean:.3f} ({low:.3f}-{high:.3f})"
