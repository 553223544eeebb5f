"""Fixtures shared by every test: real data where it lies beside the checkout, skipped with a reason elsewhere."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("MONOLAYER_TEST_DATA", ROOT.parent / "shared" / "data"))


def real_data(name: str) -> Path:
    folder = DATA / name
    if not folder.is_dir():
        pytest.skip(f"no data set {name} in {DATA}: set MONOLAYER_TEST_DATA to the folder that holds it")
    return folder


@pytest.fixture(scope="session")
def dsb2018() -> Path:
    """stage1_train.zip and image_groups.csv of the Kaggle Data Science Bowl 2018."""
    return real_data("dsb2018")


@pytest.fixture(scope="session")
def usiigaci() -> Path:
    """Phase contrast images with label images and manifest.csv."""
    return real_data("usiigaci_phase")


@pytest.fixture(scope="session")
def blood_cells() -> Path:
    """Blood smear images with annotations.csv (boxes)."""
    return real_data("blood_cells")
