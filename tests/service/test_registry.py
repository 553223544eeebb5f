import dataclasses
import errno
import os
import shutil

import pytest
import structlog.testing

from monolayer_core.errors import BundleError, PredictionError
from monolayer_service import registry as registries
from monolayer_service.compute import ComputePlan, NetworkThreads
from monolayer_service.errors import NotReadyError, UnknownModelError
from monolayer_service.registry import load_registry
from monolayer_service.scheduler.scheduler import TileScheduler
from monolayer_service.segmenters.onnx import OnnxSegmenter
from monolayer_service.segmenters.runtime import CPU, CUDA, TileSize
from monolayer_service.segmenters.session import Network
from monolayer_service.settings import Settings
from monolayer_service.telemetry.metrics import Metrics


def idle_scheduler():
    return TileScheduler(Metrics(), patience_seconds=0.0)


def load(folder, **settings):
    return load_registry(
        Settings(models=folder, **settings), ComputePlan(NetworkThreads(1, 1), 1, 2, 1), idle_scheduler(), Metrics()
    )


def warm_sides(registry):
    return {
        name: [size.width for size in bundle.segmenter.network.warm_sizes if size.width == size.height]
        for name, bundle in registry.bundles.items()
    }


def test_every_folder_is_a_bundle_but_for_those_no_bundle_can_be_called_like(toy_bundles, tmp_path):
    folder = shutil.copytree(toy_bundles, tmp_path / "models")
    others = ["..data", ".cache", "Nuclei", "__pycache__", "lost+found", "nuclei.new", "nuclei.old"]
    for name in others:
        (folder / name).mkdir()
    (folder / "readme.txt").write_text("text")
    with structlog.testing.capture_logs() as events:
        registry = load(folder)
    assert list(registry.bundles) == ["blood", "nuclei"]
    registry.check_ready()
    (event,) = [event for event in events if event["event"] == "folders passed over"]
    assert (event["names"], event["log_level"]) == (others, "warning")


@pytest.mark.parametrize("name", ["nuclei-old", "nuclei_2", "0"])
def test_a_folder_with_a_name_that_a_bundle_can_have_has_to_be_one(toy_bundles, tmp_path, name):
    folder = shutil.copytree(toy_bundles, tmp_path / "models")
    shutil.copytree(folder / "nuclei", folder / name)
    with pytest.raises(NotReadyError, match=f"bundle {name}: the card is that of 'nuclei'"):
        load(folder).check_ready()


def test_a_broken_bundle_makes_the_service_not_ready_and_is_named(toy_bundles, tmp_path):
    folder = shutil.copytree(toy_bundles, tmp_path / "models")
    (folder / "blood" / "model.onnx").write_bytes(b"x")
    (folder / "cells").mkdir()
    registry = load(folder)
    with pytest.raises(NotReadyError, match=r"bundle blood: .*damaged.*; bundle cells: .*missing"):
        registry.check_ready()
    assert registry.require("nuclei").segmenter is not None
    assert registry.require("blood").segmenter is None


def test_a_folder_that_is_not_there_makes_the_service_not_ready(tmp_path):
    with pytest.raises(NotReadyError, match="'nowhere' does not exist"):
        load(tmp_path / "nowhere").check_ready()


def refuse_to_list(folder):
    """What `os.scandir` does for a user who may not read the folder; tests that run as root may read any."""
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))


@pytest.mark.fault("the folder of bundles may not be read", "/readyz 503 says so, and so does the log")
def test_a_folder_that_may_not_be_read_makes_the_service_not_ready_and_is_logged(toy_bundles, monkeypatch):
    monkeypatch.setattr(registries.os, "scandir", refuse_to_list)
    with structlog.testing.capture_logs() as events:
        registry = load(toy_bundles)
    with pytest.raises(NotReadyError, match="the folder of bundles cannot be read: Permission denied"):
        registry.check_ready()
    (event,) = [event for event in events if event["event"] == "folder of bundles refused"]
    assert event["reason"] == "the folder of bundles cannot be read: Permission denied"


def test_a_folder_without_a_bundle_is_a_k_means_service_and_the_log_says_so(tmp_path):
    with structlog.testing.capture_logs() as events:
        load(tmp_path).check_ready()
    assert events == [
        {"event": "no bundle found", "folder": str(tmp_path), "answers": "kmeans", "log_level": "warning"}
    ]


def missing_defaults(events):
    return [event for event in events if event["event"] == "default model missing"]


def test_a_default_that_is_not_there_and_was_not_set_is_told(toy_bundles, monkeypatch):
    monkeypatch.delenv("MONOLAYER_CONFLUENCY_MODEL", raising=False)
    with structlog.testing.capture_logs() as events:
        load(toy_bundles, segment_model="nuclei").check_ready()
    assert missing_defaults(events) == [
        {
            "event": "default model missing",
            "setting": "MONOLAYER_CONFLUENCY_MODEL",
            "model": "cells",
            "answers": "kmeans",
            "log_level": "warning",
        }
    ]


def test_a_default_that_was_set_and_is_not_there_makes_the_service_not_ready(toy_bundles, monkeypatch):
    monkeypatch.setenv("MONOLAYER_CONFLUENCY_MODEL", "cell")
    with structlog.testing.capture_logs() as events:
        registry = load(toy_bundles, segment_model="nucleus")
    with pytest.raises(NotReadyError) as refusal:
        registry.check_ready()
    assert str(refusal.value) == (
        "MONOLAYER_SEGMENT_MODEL is 'nucleus', which is not in the folder of bundles; there are: blood, nuclei; "
        "MONOLAYER_CONFLUENCY_MODEL is 'cell', which is not in the folder of bundles; there are: blood, nuclei"
    )
    assert [event["model"] for event in missing_defaults(events)] == ["nucleus", "cell"]


def test_defaults_that_are_there_are_not_told(toy_bundles):
    with structlog.testing.capture_logs() as events:
        load(toy_bundles, segment_model="nuclei", confluency_model="blood").check_ready()
    assert missing_defaults(events) == []


def test_without_bundles_no_default_is_missed(tmp_path):
    with structlog.testing.capture_logs() as events:
        load(tmp_path, confluency_model="cell").check_ready()
    assert missing_defaults(events) == []


def test_an_unknown_name_is_refused_with_the_known_ones(toy_bundles):
    with pytest.raises(UnknownModelError, match="there are: blood, nuclei"):
        load(toy_bundles).require("cells")


def test_cuda_that_was_asked_for_and_is_not_there_makes_the_service_not_ready(toy_bundles):
    registry = load(toy_bundles, device="cuda")
    with pytest.raises(NotReadyError, match="cuda was asked for, but the network runs on CPUExecutionProvider"):
        registry.check_ready()
    assert registry.require("nuclei").segmenter is not None


@pytest.fixture
def a_session_for_each_size(monkeypatch):
    """As on a GPU, and with OpenVINO."""
    monkeypatch.setattr(Network, "_size_of_session", lambda self, size, provider: size)


def test_on_a_cpu_one_session_is_ready_for_all_sides_however_little_memory_is_left(toy_bundles):
    segmenter = load(toy_bundles, idle_memory_mib=1).require("nuclei").segmenter
    assert all(segmenter.network.is_warm(TileSize(side, side)) for side in (64, 128))
    assert {key.size for key in segmenter.network._sessions} == {None}


@pytest.mark.usefixtures("a_session_for_each_size")
def test_all_sides_are_warmed_where_memory_allows(toy_bundles):
    assert warm_sides(load(toy_bundles, idle_memory_mib=100_000)) == {"blood": [64, 128], "nuclei": [64, 128]}


@pytest.mark.usefixtures("a_session_for_each_size")
def test_only_the_smallest_sides_are_warmed_where_memory_is_spent(toy_bundles):
    assert warm_sides(load(toy_bundles, idle_memory_mib=1)) == {"blood": [64], "nuclei": [64]}


@pytest.mark.usefixtures("a_session_for_each_size")
def test_only_the_smallest_sides_are_warmed_where_the_system_does_not_tell(toy_bundles, monkeypatch):
    monkeypatch.setattr(registries, "resident_bytes", lambda: None)
    assert warm_sides(load(toy_bundles)) == {"blood": [64], "nuclei": [64]}


@pytest.mark.parametrize(("largest", "sides"), [(128, (64, 128)), (100, (64,)), (32, (64, 128))])
def test_the_largest_side_is_bounded_but_one_always_remains(toy_bundles, largest, sides):
    assert load(toy_bundles, max_tile_side=largest).require("nuclei").segmenter.tile_sides == sides


def test_a_side_that_finds_no_gpu_later_makes_the_service_not_ready(toy_bundles, monkeypatch):
    bundle = load(toy_bundles).require("nuclei")
    bundle = dataclasses.replace(bundle, needs_cuda=True)
    registry = registries.Registry({"nuclei": bundle})
    monkeypatch.setattr(bundle.segmenter.network, "provider", CUDA)
    registry.check_ready()
    monkeypatch.setattr(bundle.segmenter.network, "provider", CPU)
    with pytest.raises(NotReadyError, match="the network runs on CPUExecutionProvider"):
        registry.check_ready()


@pytest.mark.usefixtures("a_session_for_each_size")
@pytest.mark.parametrize("error", [BundleError("no session"), PredictionError("no run")])
def test_a_side_that_cannot_be_warmed_stays_cold_and_the_service_starts(toy_bundles, monkeypatch, error):
    warm = OnnxSegmenter.warm

    def fail_at_128(self, side):
        if side == 128:
            raise error
        warm(self, side)

    monkeypatch.setattr(OnnxSegmenter, "warm", fail_at_128)
    registry = load(toy_bundles, idle_memory_mib=100_000)
    registry.check_ready()
    assert warm_sides(registry) == {"blood": [64], "nuclei": [64]}


def test_a_side_whose_first_run_fails_is_let_go(toy_bundles, monkeypatch):
    segmenter = load(toy_bundles, max_tile_side=100).require("nuclei").segmenter

    def fail(self, tiles, provider=None, *, alone=True):
        raise PredictionError("out of memory")

    monkeypatch.setattr(Network, "provider_of", lambda self, size: self.open(size) and CUDA)
    monkeypatch.setattr(Network, "run", fail)
    with pytest.raises(PredictionError):
        segmenter.warm(128)
    assert 128 not in [size.width for size in segmenter.network.warm_sizes]


def test_memory_that_cannot_be_given_back_does_not_stop_the_start(toy_bundles, monkeypatch):
    def fail(self):
        raise PredictionError("no run")

    monkeypatch.setattr(Network, "trim", fail)
    load(toy_bundles).check_ready()
