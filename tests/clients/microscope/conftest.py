"""A client of a running service, and Micro-Manager's demo microscope where it can be had."""

import importlib.util
from pathlib import Path

import pytest
from benchmarks.server import running_service

from monolayer_client.client import Client


@pytest.fixture(scope="session")
def microscope_service(toy_bundles):
    """Address of the program that serves, started for these tests."""
    settings = {"MONOLAYER_MODELS": str(toy_bundles), "MONOLAYER_CONFLUENCY_MODEL": "nuclei"}
    with running_service(240, settings) as server:
        yield f"http://127.0.0.1:{server.port}"


@pytest.fixture
def real_client(microscope_service):
    with Client(microscope_service) as client:
        yield client


@pytest.fixture(scope="session")
def demo_adapters() -> Path:
    """Folder of the demo devices and of their configuration."""
    adapters = pytest.importorskip("mm_test_adapters", reason="mm-test-adapters, the demo devices, is not installed")
    return Path(adapters.device_adapter_path())


@pytest.fixture
def demo_core(demo_adapters):
    """A microscope whose camera shows beads, as numbers of 16 bits."""
    if importlib.util.find_spec("pymmcore_plus") is None:
        pytest.skip("pymmcore-plus is not installed")
    from pymmcore_plus import CMMCorePlus

    core = CMMCorePlus(adapter_paths=[str(demo_adapters)])
    core.loadSystemConfiguration(str(demo_adapters / "MMConfig_demo.cfg"))
    core.setProperty("Camera", "Mode", "Fluorescent Beads")
    core.setProperty("Camera", "PixelType", "16bit")
    yield core
    core.unloadAllDevices()


@pytest.fixture(scope="session")
def demo_pycromanager(demo_adapters):
    """Pycro-Manager with its Python engine and beads before the camera; it starts once in a process."""
    pycromanager = pytest.importorskip("pycromanager", reason="pycromanager is not installed")
    pycromanager.start_headless(
        str(demo_adapters), str(demo_adapters / "MMConfig_demo.cfg"), python_backend=True, buffer_size_mb=64
    )
    try:
        pycromanager.Core().set_property("Camera", "Mode", "Fluorescent Beads")
        yield pycromanager
    finally:
        pycromanager.stop_headless()
