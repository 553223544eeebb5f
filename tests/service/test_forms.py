"""What the writers of answers put down, against records made object by object."""

from dataclasses import replace

import numpy as np
import orjson
import pytest

from monolayer_core import column_runs, rle, row_source
from monolayer_core.image_formats import encoding
from monolayer_core.image_io import Image
from monolayer_core.pipeline import Segmentation
from monolayer_core.row_runs import find_row_runs
from monolayer_core.row_source import ArrayRows
from monolayer_service import forms
from monolayer_service.analysis import Analysis, NamedImage
from monolayer_service.cancellation import Cancellation, WantedRows
from monolayer_service.forms import render_confluency, render_segmentation
from monolayer_service.options import Options
from monolayer_service.segmenters.base import ModelUse


def analysis_of(labels, *, pixel_size_um=None):
    """An answer with the given objects; classes and scores by chance."""
    random = np.random.default_rng(0)
    count = int(labels.max())
    image = Image(ArrayRows(random.integers(0, 256, labels.shape, dtype=np.uint8)), "png", pixel_size_um)
    segmentation = Segmentation(
        runs=find_row_runs(labels),
        class_ids=random.integers(0, 2, count),
        class_names=("rbc", "wbc"),
        scores=random.random(count),
        confluency_percent=100 * int(np.count_nonzero(labels)) / labels.size,
        method="unet",
    )
    model = ModelUse("blood", "1.0.0", "0" * 64, "CPUExecutionProvider")
    return Analysis(NamedImage(image, "frame", "1" * 64), segmentation, model, None, "cell")


def crowded_labels():
    """Some 60 objects of 1 to 12 pixels, in no order."""
    random = np.random.default_rng(1)
    blocks = random.permutation(100).reshape(10, 10)
    blocks[blocks > 60] = 0
    labels = np.kron(blocks, np.ones((3, 4), dtype=int)) * (random.random((30, 40)) < 0.7)
    return (np.searchsorted(np.unique(labels), labels)).astype(np.int32)


def slow_record(analysis, label):
    """One object, from its pixels."""
    found = analysis.segmentation
    mask = found.labels == label
    y, x = np.nonzero(mask)
    record = {
        "id": label,
        "class": found.class_names[found.class_ids[label - 1]],
        "score": round(float(found.scores[label - 1]), 4),
        "bbox": {
            "y": int(y.min()),
            "x": int(x.min()),
            "height": int(np.ptp(y)) + 1,
            "width": int(np.ptp(x)) + 1,
        },
        "centroid": {"y": round(float(y.mean()), 4), "x": round(float(x.mean()), 4)},
        "area_px": y.size,
    }
    if analysis.source.image.pixel_size_um is not None:
        record["area_um2"] = round(y.size * analysis.source.image.pixel_size_um**2, 4)
    return record


def slow_kaggle(mask):
    pixels = np.flatnonzero(mask.T) + 1
    runs = np.split(pixels, np.flatnonzero(np.diff(pixels) > 1) + 1)
    return " ".join(f"{run[0]} {run.size}" for run in runs)


@pytest.mark.parametrize("pixel_size_um", [None, 0.65])
def test_the_bytes_are_those_of_records_made_one_by_one(pixel_size_um):
    labels = crowded_labels()
    analysis = analysis_of(labels, pixel_size_um=pixel_size_um)
    body = render_segmentation(analysis, Options(), "json", Cancellation())
    summary = orjson.loads(render_confluency(analysis, Options()))
    instances = [
        slow_record(analysis, label) | {"rle": slow_kaggle(labels == label)} for label in range(1, labels.max() + 1)
    ]
    assert body == orjson.dumps(summary | {"instances": instances, "rle": {"format": "kaggle", "order": "F"}})


class Asked(Cancellation):
    """Counts how often it is asked, and is cancelled at the `last` time."""

    def __init__(self, last=None):
        super().__init__()
        self.times = 0
        self._last = last

    def check(self):
        self.times += 1
        if self.times == self._last:
            self.cancel(TimeoutError("late"))
        super().check()


BANDS, OBJECTS = 10, int(crowded_labels().max())


@pytest.mark.parametrize(
    ("form", "options", "at_least"),
    [
        ("json", {"rle": "kaggle"}, BANDS),
        ("json", {"rle": "coco", "measurements": True}, BANDS + OBJECTS),
        ("ndjson", {"rle": "none", "polygons": True}, OBJECTS),
        ("csv", {}, BANDS),
        ("table", {"measurements": True}, 2 * OBJECTS),
        ("tiff", {}, BANDS),
        ("overlay", {}, BANDS),
        ("geojson", {}, OBJECTS),
        ("rois", {}, OBJECTS),
        ("coco", {}, BANDS + OBJECTS),
    ],
)
def test_no_form_is_written_on_once_nobody_wants_it(form, options, at_least, monkeypatch):
    height, width = crowded_labels().shape
    band_px = height * width // BANDS
    monkeypatch.setattr(column_runs, "_BAND_PX", band_px)
    monkeypatch.setattr(row_source, "BAND_PX", band_px)
    monkeypatch.setattr(encoding, "_STRIP_BYTES", 2 * band_px)
    monkeypatch.setattr(rle, "_RUNS_AT_ONCE", 50)
    monkeypatch.setattr(forms, "_RECORDS_AT_ONCE", 7)
    analysis = analysis_of(crowded_labels())

    def write(cancellation):
        image = replace(analysis.source.image, rows=WantedRows(analysis.source.image.rows, cancellation))
        wanted = replace(analysis, source=replace(analysis.source, image=image))
        return render_segmentation(wanted, Options(**options), form, cancellation)

    whole = Asked()
    assert write(whole) == render_segmentation(analysis, Options(**options), form, Cancellation())
    assert whole.times >= at_least
    for last in range(1, whole.times + 1):
        asked = Asked(last)
        with pytest.raises(TimeoutError, match="late"):
            write(asked)
        assert asked.times == last
