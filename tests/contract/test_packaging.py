"""The promises of the five distributions and of the pinned requirements."""

import re
import tomllib
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).resolve().parents[2]
MEMBERS = ("core", "service", "trainer", "export", "clients")
REQUIREMENTS = sorted((ROOT / "requirements").glob("*.txt"))

FORBIDDEN_DEPENDENCIES = {
    "core": {"fastapi", "tensorflow", "keras", "onnxruntime"},
    "service": {"tensorflow", "keras", "tf2onnx", "matplotlib"},
    "trainer": {"fastapi", "uvicorn", "onnxruntime"},
    "export": {"fastapi", "uvicorn"},
    "clients": {"opencv-python-headless", "scipy", "scikit-learn", "tensorflow", "fastapi"},
}


def project(member: str) -> dict[str, object]:
    return tomllib.loads((ROOT / member / "pyproject.toml").read_text())["project"]


def names(requirements: list[str]) -> set[str]:
    return {re.match(r"[A-Za-z0-9_.-]+", requirement)[0].lower() for requirement in requirements}


@pytest.mark.parametrize("member", MEMBERS)
def test_a_member_declares_no_dependency_of_another_role(member: str) -> None:
    assert names(project(member)["dependencies"]) & FORBIDDEN_DEPENDENCIES[member] == set()


@pytest.mark.parametrize("member", MEMBERS)
def test_members_share_one_version_and_depend_on_that_core(member: str) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

    assert project(member)["version"] == version
    if member != "core":
        core = [line for line in project(member)["dependencies"] if line.startswith("monolayer-core")]
        assert len(core) == 1
        assert core[0].endswith(f"=={version}")


@pytest.mark.parametrize("member", MEMBERS)
def test_a_member_has_no_tool_settings_of_its_own(member: str) -> None:
    assert set(tomllib.loads((ROOT / member / "pyproject.toml").read_text())["tool"]) <= {"hatch"}


@pytest.mark.parametrize("path", REQUIREMENTS, ids=lambda path: path.name)
def test_pinned_requirements_name_no_index_and_no_host(path: Path) -> None:
    text = path.read_text()

    assert "://" not in text
    assert not re.search(r"^\s*-(i|f|e|-\w+-index|-index|-find)", text, re.MULTILINE)


@pytest.mark.parametrize("path", REQUIREMENTS, ids=lambda path: path.name)
def test_every_pinned_requirement_carries_a_hash(path: Path) -> None:
    logical_lines = path.read_text().replace("\\\n", " ").splitlines()
    requirements = [line for line in logical_lines if line and not line.lstrip().startswith("#")]

    assert requirements
    assert [line for line in requirements if "==" not in line or "--hash=sha256:" not in line] == []


def test_the_service_sets_hold_exactly_one_onnxruntime() -> None:
    for runtime, wanted, unwanted in (
        ("cpu", "onnxruntime", "onnxruntime-gpu"),
        ("gpu", "onnxruntime-gpu", "onnxruntime"),
        ("openvino", "onnxruntime", "onnxruntime-gpu"),
    ):
        text = (ROOT / "requirements" / f"service-{runtime}.txt").read_text()
        assert re.search(rf"^{wanted}==", text, re.MULTILINE)
        assert not re.search(rf"^{unwanted}==", text, re.MULTILINE)


def test_openvino_is_only_in_the_set_that_is_for_it() -> None:
    with_openvino = [path.name for path in REQUIREMENTS if re.search(r"^openvino==", path.read_text(), re.MULTILINE)]
    assert with_openvino == ["dev.txt", "service-openvino.txt"]


def test_the_service_sets_hold_no_training_framework() -> None:
    for path in REQUIREMENTS:
        if path.name.startswith("service"):
            assert not re.search(r"^(tensorflow|keras|tf2onnx)==", path.read_text(), re.MULTILINE)


def test_the_wheel_of_the_service_holds_its_pages() -> None:
    folder = ROOT / "service" / "monolayer_service" / "pages"
    packed = {file.distribution_path for file in WheelBuilder(str(ROOT / "service")).recurse_included_files()}

    wanted = {path.relative_to(ROOT / "service").as_posix() for path in folder.rglob("*") if path.is_file()}
    assert len(wanted) > 10
    assert wanted <= packed
