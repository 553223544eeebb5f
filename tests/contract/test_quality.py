"""`make evaluate`: the figures of served bundles are those of their answers."""

import asyncio
import json

import numpy as np
import pytest
from benchmarks.quality import evaluate, parse_arguments, read_cards

from monolayer_core.errors import MonolayerError
from monolayer_core.image_io import encode_png
from monolayer_core.model_card import read_card, write_card


@pytest.fixture
def data(tmp_path, blobs):
    """A prepared data set: an image for training, and two held out whose discs are the labels."""
    folder = tmp_path / "data"
    folder.mkdir()
    labels = np.zeros(blobs.shape, np.uint8)
    for number, value in enumerate((200, 220, 180), start=1):
        labels[blobs == value] = number
    samples, rows = [], ["ImageId,group,modality,split"]
    for name, kind, side in (("a", "discs", "train"), ("b", "discs", "validation"), ("c", "other", "validation")):
        (folder / f"{name}.png").write_bytes(encode_png(blobs))
        (folder / f"{name}_labels.png").write_bytes(encode_png(labels))
        samples.append(
            {
                "id": name,
                "image": f"{name}.png",
                "labels": f"{name}_labels.png",
                "group": name,
                "modality": kind,
                "objects": 3,
            }
        )
        rows.append(f"{name},{name},{kind},{side}")
    (folder / "split.csv").write_text("\n".join(rows) + "\n")
    (folder / "dataset.json").write_text(
        json.dumps(
            {
                "name": "discs",
                "licence": "CC0-1.0",
                "source": "drawn",
                "classes": ["nucleus"],
                "confluency_of": "nucleus",
                "samples": samples,
                "pixels_per_class": [10000, 900],
            }
        )
    )
    return folder


def report_of(models, data, limit=None):
    return asyncio.run(evaluate(models, read_cards(models), data, limit))


def test_both_precisions_stand_beside_kmeans_and_otsu(toy_bundle, tmp_path, data):
    models = tmp_path / "models"
    toy_bundle(models, int8_default=True)

    report = report_of(models, {"nuclei": data})

    assert "## nuclei 1.2.0" in report
    assert "| Kaggle score | images | float32 | int8 | K-means | Otsu |" in report
    rows = {line.split(" | ")[0].strip("| "): line for line in report.splitlines() if line.startswith("| ")}
    # Two images that are the same, each a group of its own: an interval without width.
    assert "| all | 2 | " in report
    assert "| discs | 1 | " in report
    assert "| other | 1 | " in report
    assert "1.000 [1.000, 1.000]" in report
    assert "request to answer; Otsu alone" in rows
    assert "int8 against float32 on 2 images: Kaggle score +0.0000, confluency 0.000 points apart" in report
    assert "On a CPU int8 is the default: a test." in report


def test_a_bundle_whose_figures_come_from_folds_shows_those_and_the_agreement(toy_bundle, tmp_path, data):
    models = tmp_path / "models"
    bundle = toy_bundle(models, int8_default=False)
    folds = {"folds": 5, "kaggle_score": {"mean": 0.61, "low": 0.5, "high": 0.7}, "note": "by group"}
    write_card(read_card(bundle).model_copy(update={"metrics": {"folds": folds}}), bundle)

    report = report_of(models, {"nuclei": data})

    assert "Figures of the cross-validation, as the card records them" in report
    assert "- folds: 5\n- kaggle_score: 0.6100 [0.5000, 0.7000]" in report
    assert "int8 against float32 on 3 images that were trained on" in report
    assert "| Kaggle score |" not in report
    assert "int8 is not the default" in report


def test_without_images_the_card_speaks_and_the_report_says_so(toy_bundle, tmp_path):
    bundle = toy_bundle(tmp_path)
    validation = {"images": 108, "kaggle_score": 0.5617}
    write_card(read_card(bundle).model_copy(update={"metrics": {"validation": validation}}), bundle)

    report = report_of(tmp_path, {})

    assert "nothing was measured here" in report
    assert "- images: 108\n- kaggle_score: 0.5617" in report


def test_a_bundle_without_int8_is_scored_in_float32(toy_bundle, tmp_path, data):
    toy_bundle(tmp_path / "models")

    report = report_of(tmp_path / "models", {"nuclei": data}, limit=1)

    assert "| Kaggle score | images | float32 | K-means | Otsu |" in report
    assert "| all | 1 | 1.000 |" in report
    assert "The bundle has no int8 file." in report


def test_a_data_set_for_no_bundle_is_named(toy_bundle, tmp_path, data):
    toy_bundle(tmp_path / "models")

    with pytest.raises(MonolayerError, match="no bundle 'cells'"):
        report_of(tmp_path / "models", {"cells": data})


def test_data_sets_are_given_by_bundle(capsys):
    options = parse_arguments(["--data", "nuclei=data/a", "--data", "cells=data/b=c"])

    assert {name: str(folder) for name, folder in options.data} == {"nuclei": "data/a", "cells": "data/b=c"}
    with pytest.raises(SystemExit):
        parse_arguments(["--data", "nuclei"])
    assert "BUNDLE=FOLDER" in capsys.readouterr().err
