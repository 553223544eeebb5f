import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from monolayer_service import compute
from monolayer_service.compute import (
    ComputePlan,
    NetworkRuns,
    NetworkThreads,
    apply_plan,
    available_cores,
    network_runs,
    network_thread_options,
    plan_compute,
)
from monolayer_service.reference import TABLES, render_table
from monolayer_service.segmenters.base import WHOLE_BYTES_PER_PX, WINDOWS_BYTES_PER_PX
from monolayer_service.settings import PREFIX, SHIPPED_BUNDLES, Settings, misspelt_settings


def test_settings_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("MONOLAYER_PORT", "9001")
    monkeypatch.setenv("MONOLAYER_MODELS", "/srv/models")
    monkeypatch.setenv("MONOLAYER_DEVICE", "cuda")
    settings = Settings()
    assert (settings.port, settings.models, settings.device) == (9001, Path("/srv/models"), "cuda")


def test_the_address_of_a_kubernetes_service_is_not_the_port_to_listen_on(monkeypatch):
    monkeypatch.setenv("MONOLAYER_PORT", "tcp://10.96.0.17:80")
    monkeypatch.setenv("MONOLAYER_PORT_80_TCP_ADDR", "10.96.0.17")
    assert Settings().port == 8000


def test_misspelt_settings_are_told_from_variables_of_others():
    of_others = ["MONOLAYER_URL", "MONOLAYER_SERVICE_HOST", "MONOLAYER_PORT_80_TCP_PROTO", "PATH", "monolayer_port"]
    assert misspelt_settings(of_others) == {}
    assert misspelt_settings(["MONOLAYER_BATCHSIZE", "MONOLAYER_MAX_BODY_MB", "Monolayer_Dead_Line_Seconds"]) == {
        "MONOLAYER_BATCHSIZE": "MONOLAYER_BATCH_SIZE",
        "MONOLAYER_MAX_BODY_MB": "MONOLAYER_MAX_BODY_MIB",
        "MONOLAYER_DEAD_LINE_SECONDS": "MONOLAYER_DEADLINE_SECONDS",
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [("port", 70000), ("device", "tpu"), ("deadline_seconds", 0), ("segment_model", "../x"), ("max_body_mib", 0)],
)
def test_values_that_make_no_sense_are_refused_at_start(name, value):
    with pytest.raises(ValidationError):
        Settings(**{name: value})


@pytest.mark.parametrize("name", ["running_megapixels", "waiting_megapixels"])
def test_the_queue_must_hold_one_largest_image(name):
    with pytest.raises(ValidationError, match="hold one image"):
        Settings(max_image_megapixels=100, **{name: 99})


def test_memory_for_bodies_must_hold_one_largest_body():
    with pytest.raises(ValidationError, match="hold one body"):
        Settings(held_mib=10, max_body_mib=11)


def test_a_runtime_that_is_not_installed_is_named_with_what_brings_it(monkeypatch):
    monkeypatch.setattr("monolayer_service.settings.find_spec", lambda name: None)
    with pytest.raises(ValidationError, match=r"openvino, which is not installed: pip install"):
        Settings(cpu_runtime="openvino")
    assert Settings().cpu_runtime == "onnxruntime"


def test_the_defaults_admit_20000_squared_and_refuse_30000_squared():
    assert 20_000**2 <= Settings().max_image_pixels < 30_000**2
    assert Settings().max_body_bytes == 2**30
    assert Settings().models == SHIPPED_BUNDLES


def test_the_defaults_fit_the_8_gb_they_promise():
    """Busy with small images it stays below 1.4 GB; slides are computed with their bodies, other bodies wait."""
    settings = Settings()
    slides_bytes = settings.running_megapixels * 1e6 * WINDOWS_BYTES_PER_PX
    others_bytes = settings.held_bytes - settings.max_body_bytes
    assert 1.4e9 + slides_bytes + others_bytes <= 8e9
    assert settings.max_whole_pixels * WHOLE_BYTES_PER_PX <= slides_bytes
    assert settings.max_whole_pixels >= 6000**2


def test_every_setting_is_one_sentence_in_the_table():
    table = render_table("settings")
    for name, field in Settings.model_fields.items():
        assert f"| `{PREFIX}{name.upper()}` |" in table
        assert field.description.endswith(".")


@pytest.mark.parametrize("name", TABLES)
def test_tables_are_regular_markdown(name):
    lines = render_table(name).splitlines()
    columns = len(TABLES[name][0])
    assert len(lines) > 5
    assert {line.replace("\\|", "").count("|") for line in lines} == {columns + 1}


def test_the_options_table_tells_range_method_and_calls():
    table = render_table("options")
    assert "| `threshold` | number from 0 to 1 |  | unet | segment, confluency, submission |" in table
    assert "| `clusters` | integer from 2 to 8 or `auto` | `auto` | kmeans |" in table
    assert "| `echo.*` |" in table


@pytest.mark.parametrize(("quota", "cores"), [(math.inf, 8), (2.0, 2), (1.5, 2), (0.5, 1), (99.0, 8)])
def test_cores_are_those_the_container_may_use(monkeypatch, quota, cores):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.setattr(compute, "quota_cores", lambda: quota)
    assert available_cores() == cores


def test_the_cores_are_divided_in_one_place():
    # Four runs that share a pool: each brings its own thread, so eight cores have work with five more minus one.
    plan = plan_compute(Settings(threads=8))
    assert plan == ComputePlan(NetworkThreads(alone=8, shared=5), 4, running_requests=12, opencv_threads=1)
    plan = plan_compute(Settings(threads=8, network_runs=1, running_requests=2))
    assert plan == ComputePlan(NetworkThreads(alone=8, shared=8), 1, running_requests=2, opencv_threads=4)
    plan = plan_compute(Settings(threads=2))
    assert plan == ComputePlan(NetworkThreads(alone=2, shared=1), 2, running_requests=4, opencv_threads=1)
    assert network_runs(plan, on_gpu=False) == NetworkRuns(at_once=2, guests=1, one_takes_all=True)
    assert network_runs(plan, on_gpu=True) == NetworkRuns(at_once=1, guests=1, one_takes_all=False)
    assert plan_compute(Settings(threads=1)) == ComputePlan(NetworkThreads(1, 1), 1, 3, 1)


@pytest.mark.parametrize("given", [None, "3"], ids=["nothing said", "said by the operator"])
def test_openmp_is_told_its_threads_where_the_operator_does_not(monkeypatch, given):
    monkeypatch.setenv("OMP_NUM_THREADS", given or "")
    if given is None:
        monkeypatch.delenv("OMP_NUM_THREADS")
    apply_plan(plan_compute(Settings(threads=1)))
    assert os.environ["OMP_NUM_THREADS"] == (given or str(available_cores()))


def test_clustering_colours_runs_no_other_program():
    """In a process of its own: scikit-learn asks only once."""
    code = """
import subprocess
import numpy as np
from monolayer_core.colours import cluster_colours, count_colours, partition_axis
from monolayer_service.compute import apply_plan, plan_compute
from monolayer_service.settings import Settings
def refuse(*arguments, **options):
    raise SystemExit(f"it runs {arguments}")
subprocess.run = subprocess.Popen = refuse
apply_plan(plan_compute(Settings()))
table = count_colours(np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8))
assert set(cluster_colours(table, partition_axis(table, 3), 3)) == {0, 1, 2}
"""
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=120)


@pytest.mark.parametrize(
    ("threads", "expected"),
    [
        (1, {"session.intra_op.allow_spinning": "0"}),
        (2, {"session.intra_op.allow_spinning": "0"}),
        (3, {"session.force_spinning_stop": "1"}),
        (16, {"session.force_spinning_stop": "1"}),
    ],
)
def test_two_threads_of_a_network_sleep_without_work_and_more_stop_when_a_run_ends(threads, expected):
    assert network_thread_options(threads) == expected
