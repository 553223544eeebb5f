"""A mosaic of labelled images: where its parts lie, and what they score within it."""

import asyncio
import json

import numpy as np
import pytest
from benchmarks.mosaic import lay_out, measure
from benchmarks.stand_in import CARD, stand_in, write_bundle

from monolayer_core.image_io import encode_png
from monolayer_service.segmenters import base
from monolayer_trainer.dataset import Dataset


@pytest.fixture
def dataset(tmp_path):
    """Five held-out images of bright discs on a dark ground, of several sizes and brightness."""
    y, x = np.mgrid[:60, :80]
    disc = (y - 28) ** 2 + (x - 37) ** 2 < 300
    rows, samples = ["ImageId,group,modality,split"], []
    for number, (height, width, bright) in enumerate([(60, 80, 250), (50, 70, 90), (60, 60, 250), (55, 64, 90)]):
        name = f"image{number}"
        labels = disc[:height, :width].astype(np.uint8)
        (tmp_path / f"{name}.png").write_bytes(encode_png(labels * np.uint8(bright)))
        (tmp_path / f"{name}_labels.png").write_bytes(encode_png(labels))
        kind = "bright" if bright == 250 else "dim"
        rows.append(f"{name},{name},{kind},validation")
        common = {"id": name, "group": name, "modality": kind, "objects": 1}
        samples.append(common | {"image": f"{name}.png", "labels": f"{name}_labels.png"})
    (tmp_path / "split.csv").write_text("\n".join(rows) + "\n")
    described = {"name": "discs", "licence": "CC0-1.0", "source": "drawn", "classes": ["nucleus"]}
    described |= {"confluency_of": "nucleus", "samples": samples, "pixels_per_class": [10000, 900]}
    (tmp_path / "dataset.json").write_text(json.dumps(described))
    return Dataset.load(tmp_path)


def test_parts_lie_beside_and_below_one_another_and_never_over_one_another(dataset):
    parts = list(lay_out(dataset, dataset.subset("validation"), width=150))
    taken = np.zeros((200, 150), dtype=int)
    for part in parts:
        taken[part.place] += 1
        assert part.pixels.shape == (*part.labels.shape, 3)
    assert taken.max() == 1
    assert taken.sum() == sum(part.labels.size for part in parts) == 60 * 80 + 50 * 70 + 60 * 60 + 55 * 64
    assert len(list(lay_out(dataset, dataset.subset("validation"), width=72))) == 3  # one is wider


def test_parts_are_scored_alone_stretched_and_as_they_are(dataset, tmp_path, monkeypatch):
    models = write_bundle(tmp_path / "models").parent
    monkeypatch.setattr(base, "WHOLE_IMAGE_PX", 10_000)
    parts = list(lay_out(dataset, dataset.subset("validation"), width=150))
    report = asyncio.run(measure(parts, models, CARD.name, "float32"))
    assert "4 images in a mosaic of 115 by 140 pixels, 96 % filled" in report
    assert "| bright | 2 | 1.000 | 1.000 | 1.000 |" in report
    assert "| dim | 2 | 1.000 | 1.000 | 0.000 |" in report
    assert "| all | 4 | 1.000 | 1.000 | 0.500 |" in report


def test_the_stand_in_is_one_network_in_both_forms(tmp_path):
    import onnxruntime as ort

    tiles = np.random.default_rng(1).integers(0, 256, (1, 32, 16, 3), np.uint8)
    bundle = write_bundle(tmp_path)
    session = ort.InferenceSession(bundle / "model.onnx", providers=["CPUExecutionProvider"])
    np.testing.assert_array_equal(session.run(None, {"image": tiles})[0], stand_in(tiles))
