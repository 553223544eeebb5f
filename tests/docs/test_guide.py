"""The guide builds without a broken link, and asks no other host."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from docs.client_pictures import DRAWINGS, PICTURES

ROOT = Path(__file__).resolve().parents[2]


def test_the_site_builds_and_asks_no_other_host(tmp_path):
    pytest.importorskip("zensical", reason="the package zensical, which makes the site, is not installed")
    for name in ("docs", "zensical.toml"):
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
    run = subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--strict"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    pages = list((tmp_path / "build" / "site").rglob("*.html"))
    assert {page.name for page in pages} >= {"index.html", "tutorial.html", "reference.html", "numbers.html"}
    for page in pages:
        fetched = re.findall(r'<(?:script|img|link)\b[^>]*(?:src|href)="(https?://[^"]+)"', page.read_text("utf-8"))
        assert fetched == [], page.name


def test_every_page_is_in_the_navigation():
    listed = set(re.findall(r'"([\w/-]+\.md)"', (ROOT / "zensical.toml").read_text(encoding="utf-8")))
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert {page for page in pages if not page.startswith("adr/")} == listed


def test_every_picture_is_there_and_shown():
    shown = set()
    for page in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")):
        links = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", page.read_text(encoding="utf-8"))
        shown |= {(page.parent / link).resolve() for link in links}
    assert shown >= set((ROOT / "docs" / "pictures").rglob("*.png"))
    assert [picture for picture in shown if not picture.is_file()] == []


def test_every_picture_of_a_client_can_be_made_anew():
    assert {f"{name}.png" for name in DRAWINGS} == {picture.name for picture in PICTURES.iterdir()}
