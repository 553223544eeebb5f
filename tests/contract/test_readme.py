"""The README says what the code does: its tables are the code's. Its commands are run by tests/docs."""

import json
import re
from pathlib import Path

import pytest
from benchmarks.places import RESULTS
from docs.refresh import TABLES
from docs.speed import speed_section

from monolayer_service.reference import render_table

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def section(name: str, text: str = README) -> str:
    found = re.search(rf"<!-- {name} -->\n(.*?)<!-- /{name} -->", text, re.DOTALL)
    assert found, f"there is no section {name}"
    return found[1]


@pytest.mark.parametrize(("page", "name"), [(page, name) for page, names in TABLES.items() for name in names])
def test_the_table_lists_everything_the_code_knows(page: str, name: str) -> None:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    assert section(name, text) == render_table(name), "run `make docs`"


def test_the_answer_shown_has_the_fields_of_a_real_one() -> None:
    shown = re.sub(r"\n\s*… \d+ more", "", section("answer").strip().removeprefix("```json").removesuffix("```"))
    answer = json.loads(re.sub(r",(\s*\])", r"\1", shown))

    assert answer["method"] == "unet"
    assert answer["model"]["name"] == "nuclei"
    assert answer["count"] == answer["counts"]["nucleus"] > 10
    assert {"image_id", "image", "fallback", "confluency", "instances", "rle", "quality"} <= set(answer)


def test_the_python_example_was_run() -> None:
    printed = section("printed").split()

    assert printed[:2] == ["```text", "unet"]
    assert printed[2] == printed[-2] != "0"  # as many objects as the highest label


def test_speed_is_what_the_benchmarks_found() -> None:
    assert section("speed").strip() == speed_section(RESULTS), "run `make docs`"


def test_every_file_linked_exists() -> None:
    links = re.findall(r"\]\((?!https?://|#)([^)]+)\)", README)

    assert [link for link in links if not (ROOT / link).exists()] == []
