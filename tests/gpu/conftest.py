"""What only an NVIDIA GPU can show. Skipped, with the reason, where CUDA does not work.

    python -m pytest tests/gpu -q         with core, service, clients and the root of the checkout on the path

They need no package but pytest and httpx2 beside the service's own, and no other fixture of these tests.
`MONOLAYER_TEST_HALF` names a copy of the nuclei bundle with a half-precision file.
"""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from benchmarks.gpu.agreement import read_images
from benchmarks.gpu.device import Candidate, cuda_problem
from benchmarks.places import EXAMPLES, NUCLEI
from starlette.testclient import TestClient

from monolayer_core.model_card import read_card
from monolayer_service.app import create_app
from monolayer_service.settings import Settings

FACTS = pytest.StashKey()


def pytest_configure(config):
    config.stash[FACTS] = []


def pytest_terminal_summary(terminalreporter, config):
    """Say what was found out beside what was demanded."""
    for fact in config.stash[FACTS]:
        terminalreporter.write_line(f"found: {fact}")


@pytest.fixture
def tell(request):
    """Give a function that adds a sentence to the end of the run."""
    return request.config.stash[FACTS].append


@pytest.fixture(scope="session", autouse=True)
def needs_cuda():
    if (problem := cuda_problem(Candidate("float32", NUCLEI, "float32"))) is not None:
        pytest.skip(f"CUDA does not work here: {problem}")


@pytest.fixture(scope="session")
def half_bundle():
    folder = os.environ.get("MONOLAYER_TEST_HALF")
    if not folder:
        pytest.skip("MONOLAYER_TEST_HALF names no bundle with a half-precision file")
    return Path(folder)


@pytest.fixture(scope="session")
def card():
    return read_card(NUCLEI)


@pytest.fixture(scope="session")
def images(card):
    """The example images as the network sees them, by name."""
    return read_images(EXAMPLES, card)


@pytest.fixture(scope="session")
def on_cpu():
    return Candidate("float32", NUCLEI, "float32").open("cpu")


@pytest.fixture(scope="session")
def on_cuda():
    return Candidate("float32", NUCLEI, "float32").open("cuda")


@pytest.fixture(scope="session")
def tiles(images):
    """Eight tiles of 256 pixels of different images."""
    cut = [image[:256, :256] for image in images.values() if min(image.shape[:2]) >= 256]
    return np.stack((cut * 8)[:8])


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """A folder of bundles that holds only `nuclei`."""
    folder = tmp_path_factory.mktemp("models")
    shutil.copytree(NUCLEI, folder / "nuclei")
    return folder


@pytest.fixture(scope="session")
def cpu_client(models):
    app = create_app(Settings(models=models, device="cpu", precision="float32", fit_tiles=False))
    with TestClient(app) as client:
        yield client


@pytest.fixture(scope="module")
def cuda_client(models):
    """A service on the GPU for one module."""
    with TestClient(create_app(Settings(models=models, device="cuda"))) as client:
        yield client
