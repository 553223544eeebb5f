"""The guide builds without a broken link, and what its tutorial tells to type works."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.server import running_service

ROOT = Path(__file__).resolve().parents[2]
TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"<!-- run -->\n```(\w+)\n(.*?)```", TUTORIAL, re.DOTALL)


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


@pytest.mark.slow
@pytest.mark.enable_socket
@pytest.mark.allow_hosts(["127.0.0.1"])
def test_what_the_tutorial_tells_to_type_works(tmp_path):
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    assert len(BLOCKS) >= 6
    with running_service(start_seconds=120) as server:
        url = f"http://127.0.0.1:{server.port}"
        for language, code in BLOCKS:
            commands = code.strip().splitlines() if language == "sh" else [code]
            for command in commands:
                words = command.split("#")[0].split()
                program = ["-m", "monolayer_client", *words[1:]] if language == "sh" else ["-c", command]
                run = subprocess.run(
                    [sys.executable, *[word.replace("http://127.0.0.1:8000", url) for word in program]],
                    cwd=tmp_path,
                    env={**os.environ, "MONOLAYER_URL": url},
                    capture_output=True,
                    text=True,
                    check=False,
                )
                assert run.returncode == 0, f"{command}\n{run.stdout}{run.stderr}"
    for name in (
        "results/summary.csv",
        "results/fluorescence_sparse.objects.csv",
        "results/fluorescence_touching.overlay.png",
        "results/phase_contrast.overlay.png",
        "results-cells/phase_contrast.overlay.png",
        "blood.png",
        "confluency/phase_contrast.confluency.json",
    ):
        assert (tmp_path / name).stat().st_size > 100, name
    summary = (tmp_path / "results" / "summary.csv").read_text()
    assert "unlike_training_data" in next(line for line in summary.splitlines() if line.startswith("phase_contrast"))
