"""Crops are a function of seed and step, fit their labels, and cross processes unchanged; so do errors."""

import multiprocessing
import os
import queue
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from monolayer_core import pipeline
from monolayer_core.input_scale import shrink
from monolayer_trainer import sampler_process
from monolayer_trainer.augmentation import AugmentationConfig
from monolayer_trainer.dataset import Dataset, Sample
from monolayer_trainer.dense_config import DenseConfig
from monolayer_trainer.errors import DatasetError, SamplerError
from monolayer_trainer.image_cache import CachedImage, ImageCache, boxes_of, centres_of, nearest
from monolayer_trainer.phase_augmentation import PhaseConfig
from monolayer_trainer.prepare import prepare
from monolayer_trainer.sampler import Batch, CropSampler, SamplerConfig, class_odds, image_weights
from monolayer_trainer.sampler_process import SamplerProcess, start_worker_process
from monolayer_trainer.targets import TargetSpec

PLAIN = AugmentationConfig.none()
SMALL = SamplerConfig(crop_side=32, batch_size=4, channels="grey", seed=7)


def equal(a: Batch, b: Batch) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.fixture(scope="module")
def discs(disc_dataset: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return disc_dataset(tmp_path_factory.mktemp("discs"), count=6)


def test_a_batch_depends_on_seed_and_step_alone(discs: Path):
    first, second = CropSampler(discs, "train", SMALL), CropSampler(discs, "train", SMALL)
    for step in (5, 2, 9):
        second.batch(step)
    assert equal(first.batch(3), second.batch(3))
    assert not equal(first.batch(3), first.batch(4))
    assert not equal(first.batch(3), CropSampler(discs, "train", SMALL.model_copy(update={"seed": 8})).batch(3))


def test_without_augmentation_a_crop_is_a_part_of_a_normalised_image(discs: Path):
    config = SMALL.model_copy(update={"augmentation": PLAIN, "crop_side": 64})
    batch = CropSampler(discs, "train", config).batch(0)
    for image, class_index in zip(batch.images, batch.class_index, strict=True):
        bright = image[..., 0] > 128
        np.testing.assert_array_equal(class_index > 0, bright, "the discs are bright on black")


@pytest.mark.parametrize(("channels", "count"), [("grey", 1), ("rgb", 3)])
def test_shapes_and_types_follow_the_configuration(discs: Path, channels: str, count: int):
    batch = CropSampler(discs, "train", SMALL.model_copy(update={"channels": channels})).batch(0)
    assert (batch.images.shape, batch.images.dtype) == ((4, 32, 32, count), np.uint8)
    assert (batch.class_index.shape, batch.class_index.dtype) == ((4, 32, 32), np.uint8)
    assert (batch.distance.shape, batch.distance.dtype) == ((4, 32, 32), np.float32)
    assert batch.distance.max() == 1
    assert ((batch.distance > 0) == (batch.class_index > 0)).all()


def test_targets_are_made_at_the_scale_of_the_network(discs: Path):
    """Enlarged four times, a boundary is still two pixels deep on each side and not eight."""
    config = SMALL.model_copy(
        update={
            "augmentation": PLAIN.model_copy(update={"native": 0.0, "scale_low": 4.0, "scale_high": 4.0}),
            "batch_size": 64,
        }
    )
    class_index = CropSampler(discs, "train", config).batch(0).class_index
    widths = [len(run) for row in class_index.reshape(-1, 32) for run in runs_of(row, 2)]
    assert widths
    assert np.median(widths) == 4


def runs_of(row: np.ndarray, value: int) -> list[np.ndarray]:
    return [part for part in np.split(row, np.flatnonzero(np.diff(row)) + 1) if part[0] == value]


def test_crops_larger_than_the_image_show_all_of_it(discs: Path):
    config = SMALL.model_copy(update={"augmentation": PLAIN, "crop_side": 256, "batch_size": 3})
    batch = CropSampler(discs, "train", config).batch(0)
    assert (batch.class_index.reshape(3, -1).max(axis=1) > 0).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (300, 2)])
def test_images_of_any_size_can_be_cropped(disc_dataset: Callable[..., Path], tmp_path: Path, size: tuple[int, int]):
    folder = disc_dataset(tmp_path, count=2, size=size)
    batch = CropSampler(folder, "train", SMALL.model_copy(update={"channels": "rgb"})).batch(0)
    assert batch.images.shape == (4, 32, 32, 3)


def test_most_crops_hold_an_object_though_most_of_the_image_is_empty(disc_dataset, tmp_path: Path):
    folder = disc_dataset(tmp_path, count=2, size=(600, 600), discs=1)

    def share_with_object(near_object: float) -> float:
        sampler = CropSampler(folder, "train", SMALL.model_copy(update={"near_object": near_object, "batch_size": 40}))
        return float(sampler.batch(0).class_index.any(axis=(1, 2)).mean())

    assert share_with_object(0.0) < 0.3
    assert share_with_object(0.8) > 0.6


def test_kinds_are_drawn_by_the_square_root_of_their_frequency(discs: Path):
    dataset = Dataset.load(discs)
    sample = dataset.samples[0]
    samples = tuple(
        sample.model_copy(update={"id": f"{kind}{i}", "modality": kind})
        for kind, count in (("common", 16), ("rare", 4))
        for i in range(count)
    )
    drawn: Counter[str] = Counter()
    for weight, each in zip(image_weights(samples, 0.5, 0.5), samples, strict=True):
        drawn[each.modality] += weight
    assert drawn == pytest.approx({"common": 4 / 6, "rare": 2 / 6})
    np.testing.assert_allclose(image_weights(samples, 1.0, 1.0), 1 / 20)


def test_groups_of_a_kind_are_drawn_by_a_power_of_their_size(discs: Path):
    sample = Dataset.load(discs).samples[0]
    groups = ["large"] * 9 + ["small"]
    samples = tuple(sample.model_copy(update={"id": f"{i}", "group": group}) for i, group in enumerate(groups))
    np.testing.assert_allclose(image_weights(samples, 0.5, 0.5), [3 / 4 / 9] * 9 + [1 / 4])
    np.testing.assert_allclose(image_weights(samples, 0.5, 0.0), [1 / 2 / 9] * 9 + [1 / 2])


def of_classes(sample: Sample, *object_classes: int) -> Sample:
    return sample.model_copy(update={"object_classes": object_classes, "objects": len(object_classes)})


def test_objects_are_drawn_by_the_square_root_of_the_frequency_of_their_class(discs: Path):
    sample = Dataset.load(discs).samples[0]
    samples = (of_classes(sample, *[0] * 16), of_classes(sample, 1, 1, 1, 1), of_classes(sample))
    odds = class_odds(samples, 3, 0.5)
    # 16 objects and 4 of them: 4 to 2, where without odds it is 16 to 4.
    assert odds * [16, 4, 0] == pytest.approx([20 * 4 / 6, 20 * 2 / 6, 0])
    assert class_odds(samples, 3, 0.0) * [16, 4, 0] == pytest.approx([10, 10, 0])
    assert class_odds(samples, 3, 1.0) is None
    assert class_odds(samples[:1], 3, 0.0) is None, "one class only"
    # The images follow their objects, one without objects counts as average.
    weights = image_weights(samples, 1.0, 1.0, odds)
    assert weights.sum() == pytest.approx(1)
    assert weights / weights[2] == pytest.approx([odds[0], odds[1], 1])


def test_crops_lie_near_rare_objects_more_often(tmp_path: Path):
    """One image of 15 cells in its left half and a rare one at its right end."""
    for name in ("images", "masks"):
        (tmp_path / "source" / name).mkdir(parents=True)
    mask = np.zeros((64, 800), np.uint8)
    for x in range(15):
        mask[28:36, 10 + 20 * x : 18 + 20 * x] = 1
    mask[28:36, 770:778] = 2
    for name in ("a", "b"):
        cv2.imwrite(str(tmp_path / "source" / "images" / f"{name}.png"), mask * 100)
        cv2.imwrite(str(tmp_path / "source" / "masks" / f"{name}.png"), mask)
    prepare(tmp_path / "source", tmp_path / "set", classes=("common", "rare"))

    def share_of_rare(class_exponent: float) -> float:
        config = SMALL.model_copy(
            update={
                "near_object": 1.0,
                "batch_size": 200,
                "class_exponent": class_exponent,
                "augmentation": PLAIN,
                "target": TargetSpec(classes=("common", "rare")),
            }
        )
        sampler = CropSampler(tmp_path / "set", "train", config)
        assert equal(sampler.batch(1), CropSampler(tmp_path / "set", "train", config).batch(1))
        return float((sampler.batch(0).class_index == 2).any(axis=(1, 2)).mean())

    assert share_of_rare(1.0) == pytest.approx(1 / 16, abs=0.04)
    assert share_of_rare(0.0) == pytest.approx(1 / 2, abs=0.1)


def test_only_the_named_images_are_drawn(discs: Path):
    train = Dataset.load(discs).subset("train")
    sampler = CropSampler(discs, "train", SMALL.model_copy(update={"only": (train[1].id,)}))
    assert sampler.samples == (train[1],)


@pytest.mark.parametrize(
    ("only", "message"),
    [(("nowhere",), "no image nowhere in the train subset"), ((), "the train subset is empty")],
)
def test_nothing_to_draw_from_is_an_error(discs: Path, only: tuple[str, ...], message: str):
    with pytest.raises(DatasetError, match=message):
        CropSampler(discs, "train", SMALL.model_copy(update={"only": only}))


def test_the_cache_forgets_the_least_recently_used_image_first(discs: Path):
    dataset = Dataset.load(discs)
    a, b, c = dataset.samples[:3]
    roomy = ImageCache(dataset, SMALL, 1 << 30)
    size = roomy.read(a).nbytes
    cache = ImageCache(dataset, SMALL, int(2.5 * size))
    first = cache.read(a)
    cache.read(b)
    assert cache.read(a) is first
    cache.read(c)
    assert cache.read(a) is first, "b was used less recently"
    assert cache.nbytes <= 2.5 * size
    tiny = ImageCache(dataset, SMALL, 1)
    assert tiny.read(a) is tiny.read(a), "one image is always held"


@pytest.mark.parametrize("channels", ["grey", "rgb"])
def test_the_network_is_trained_on_what_the_pipeline_will_show_it(tmp_path: Path, channels: str):
    for name in ("images", "labels"):
        (tmp_path / "source" / name).mkdir(parents=True)
    colour = np.random.default_rng(0).integers(0, 4000, (40, 30, 3), np.uint16)
    cv2.imwrite(str(tmp_path / "source" / "images" / "a.png"), colour[..., ::-1])
    cv2.imwrite(str(tmp_path / "source" / "labels" / "a.png"), np.ones((40, 30), np.uint8))
    dataset = prepare(tmp_path / "source", tmp_path / "set")
    spec = SMALL.model_copy(update={"channels": channels})
    np.testing.assert_array_equal(
        ImageCache(dataset, spec, 1).read(dataset.samples[0]).image, pipeline.prepare(colour, spec)
    )


def test_images_and_labels_are_shrunk_alike_before_anything_is_cut(discs: Path):
    dataset = Dataset.load(discs)
    whole, half = (ImageCache(dataset, SMALL, 1, input_scale=scale).read(dataset.samples[0]) for scale in (1.0, 0.5))
    np.testing.assert_array_equal(half.image, shrink(whole.image, 0.5))
    assert half.labels.shape == half.image.shape[:2]
    np.testing.assert_allclose(half.centres, (whole.centres - 0.5) / 2, atol=0.5)
    assert half.diameter_px == pytest.approx(whole.diameter_px / 2, rel=0.05)


def test_a_label_image_of_another_size_takes_the_label_in_the_middle_of_each_pixel():
    labels = np.arange(1, 37, dtype=np.int32).reshape(6, 6)
    np.testing.assert_array_equal(nearest(labels, 2, 2), [[8, 11], [26, 29]])
    np.testing.assert_array_equal(nearest(labels, 3, 3), [[8, 9, 12], [14, 15, 18], [32, 33, 36]])
    assert nearest(labels, 6, 6) is labels
    np.testing.assert_array_equal(nearest(labels[:1, :2], 2, 4), [[1, 1, 2, 2]] * 2)


@pytest.mark.parametrize("scale", [0.5, 0.4, 0.25])
def test_a_smaller_label_image_is_moved_to_no_side(scale: float):
    labels = np.zeros((600, 600), np.int32)
    starts = np.random.default_rng(0).integers(0, 10, (400, 2)) + 30 * np.stack(np.divmod(np.arange(400), 20), axis=1)
    for number, (y, x) in enumerate(starts, start=1):
        labels[y : y + 15, x : x + 15] = number
    side = round(600 * scale)
    moved = centres_of(nearest(labels, side, side), 400)[0] - ((starts + 7.5) * scale - 0.5)
    assert np.abs(moved.mean(axis=0)).max() < 0.02


def test_centres_are_means_of_the_pixels():
    labels = np.array([[1, 1, 0], [0, 0, 3]], np.int32)
    centres, numbers = centres_of(labels, 3)
    np.testing.assert_array_equal(centres, [[0, 0.5], [1, 2]])
    np.testing.assert_array_equal(numbers, [1, 3])


def test_boxes_hold_the_pixels_of_each_object():
    labels = np.array([[1, 1, 0], [0, 1, 3], [0, 0, 3]], np.int32)
    expected = [[0, 0, 2, 2], [0, 0, 0, 0], [1, 2, 3, 3]]
    np.testing.assert_array_equal(boxes_of(labels, 3), expected, "object 2 has no pixels")
    assert boxes_of(np.zeros((2, 2), np.int32), 0).shape == (0, 4)


def test_the_ground_is_the_median_outside_objects():
    labels = np.array([[0, 0, 0, 1]], np.int32)
    image = np.array([[[10], [30], [20], [200]]], np.uint8)
    assert CachedImage.of(image, labels, np.array([0])).ground.tolist() == [20]
    assert CachedImage.of(image, np.ones_like(labels), np.array([0])).ground.tolist() == [25], (
        "of all where none is left"
    )


@pytest.mark.parametrize("magnification", [0.4, 1.0])
@pytest.mark.parametrize("channels", ["grey", "rgb"])
def test_filled_crops_are_dense_and_fit_their_labels(discs: Path, magnification: float, channels: str):
    dense = DenseConfig(
        probability=1, coverage_low=0.7, coverage_high=0.7, closed_gap_px=0, contrast_spread=0, rim_px=0
    )
    scaled = {"native": 0.0, "scale_low": magnification, "scale_high": magnification, "dense": dense}
    config = SMALL.model_copy(
        update={"augmentation": PLAIN.model_copy(update=scaled), "crop_side": 96, "channels": channels}
    )
    batch = CropSampler(discs, "train", config).batch(0)
    assert equal(batch, CropSampler(discs, "train", config).batch(0))
    inside = batch.class_index > 0
    assert (inside.mean(axis=(1, 2)) > 0.55).all()
    bright = batch.images.min(axis=3) > 128
    assert np.mean(bright == inside) > 0.92, "discs are bright, the ground is dark"


def test_empty_crops_show_bare_ground_stretched_to_the_full_range(tmp_path: Path):
    for name in ("images", "labels"):
        (tmp_path / "source" / name).mkdir(parents=True)
    image = np.random.default_rng(0).integers(100, 110, (128, 128)).astype(np.uint8)
    labels = np.zeros((128, 128), np.uint8)
    image[:20, :20], labels[:20, :20] = 250, 1
    cv2.imwrite(str(tmp_path / "source" / "images" / "a.png"), image)
    cv2.imwrite(str(tmp_path / "source" / "labels" / "a.png"), labels)
    prepare(tmp_path / "source", tmp_path / "set")
    nothing = dict.fromkeys(("halo", "rim", "local_contrast", "unevenness", "texture", "debris"), 0.0)
    changes = PLAIN.model_copy(update={"phase": PhaseConfig(empty=1.0, **nothing)})
    batch = CropSampler(tmp_path / "set", "train", SMALL.model_copy(update={"augmentation": changes})).batch(0)
    assert batch.class_index.max() == 0
    assert (batch.images.min(axis=(1, 2, 3)) == 0).all()
    assert (batch.images.max(axis=(1, 2, 3)) == 255).all()


@pytest.mark.parametrize("workers", [1, 2])
def test_another_process_gives_the_same_batches_in_order_from_any_step(discs: Path, workers: int):
    here = CropSampler(discs, "train", SMALL)
    with start_worker_process(discs, "train", SMALL, start_step=5, workers=workers) as batches:
        for step in range(5, 10):
            assert batches.step == step
            assert equal(next(batches), here.batch(step))
    assert next(batches, None) is None, "closed"
    batches.close()


def test_an_error_in_the_worker_reaches_the_parent_with_its_message(disc_dataset, tmp_path: Path):
    folder = disc_dataset(tmp_path, count=3)
    for image in (folder / "images").iterdir():
        image.write_bytes(b"no image")
    with (
        start_worker_process(folder, "train", SMALL) as batches,
        pytest.raises(SamplerError, match=r"(?s)failed:.*DatasetError: images/"),
    ):
        next(batches)


def test_want_of_memory_in_the_worker_is_want_of_memory_in_the_parent(discs: Path, monkeypatch):
    def greedy(*_: object) -> None:
        raise MemoryError("Unable to allocate 40 GiB")

    monkeypatch.setattr(sampler_process, "CropSampler", greedy)
    ready: queue.Queue = queue.Queue()
    sampler_process._fill(ready, threading.Event(), sampler_process._Share(discs, "train", SMALL, 0, 1, 1))
    receiver, sender = multiprocessing.Pipe(duplex=False)
    sender.send(ready.get_nowait())
    worker = SimpleNamespace(join=lambda seconds: None, is_alive=lambda: False, close=lambda: None)
    batches = SamplerProcess([(worker, receiver)], 0)
    with pytest.raises(MemoryError, match="Unable to allocate 40 GiB") as raised:
        next(batches)
    assert batches.error is raised.value
    sender.close()


@pytest.mark.skipif(sys.platform == "win32", reason="sends a POSIX signal")
def test_a_killed_worker_is_an_error_and_no_endless_wait(discs: Path):
    with start_worker_process(discs, "train", SMALL) as batches:
        next(batches)
        os.kill(batches.pids[0], signal.SIGKILL)
        with pytest.raises(SamplerError, match="exit code -9"):
            list(batches)


def test_the_worker_imports_no_keras():
    modules = ("keras", "tensorflow", "sklearn", "matplotlib")
    code = f"import monolayer_trainer.sampler_process, sys; print([m for m in {modules} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_configuration_survives_a_file():
    assert SamplerConfig.model_validate_json(SMALL.model_dump_json()) == SMALL
