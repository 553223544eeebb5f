"""The code that the README and the guide show for a microscope, run on the demo one."""

import contextlib
import re
from pathlib import Path

import pytest

from monolayer_client.microscope.poster import FramePoster
from monolayer_client.microscope.pymmcore_hook import PymmcoreHook

pytestmark = [pytest.mark.enable_socket, pytest.mark.allow_hosts(["127.0.0.1"])]

ROOT = Path(__file__).resolve().parents[3]


def python_of(page):
    return re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def test_the_readme_answers_every_frame(demo_core, real_client):
    import useq

    [code] = [code for code in python_of("README.md") if "FramePoster" in code]
    results = []
    given = {
        "FramePoster": FramePoster,
        "PymmcoreHook": PymmcoreHook,
        "client": real_client,
        "on_result": results.append,
    }
    exec(code, given | {"core": demo_core, "sequence": [useq.MDAEvent(channel="DAPI", exposure=5)] * 3})  # noqa: S102 - the page is ours
    assert [each.result.model.name for each in results] == ["nuclei"] * 3


def test_the_page_prints_what_was_found_in_every_frame(demo_core, real_client, monkeypatch, capsys):
    import useq

    monkeypatch.setattr("monolayer_client.client.Client", lambda _: contextlib.nullcontext(real_client))
    channels = [{"config": "DAPI", "exposure": 5}, {"config": "FITC", "exposure": 8}]
    exec(python_of("docs/microscope.md")[0], {"core": demo_core, "sequence": useq.MDASequence(channels=channels)})  # noqa: S102 - the page is ours
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("{'c'")]
    assert [line.split("} ")[1].split()[0] for line in lines] == ["DAPI", "FITC"]


# Pycro-Manager's storage forgets a file that it has opened, instead of closing it.
@pytest.mark.filterwarnings("ignore:unclosed file <_io.BufferedReader name='data:ResourceWarning")
@pytest.mark.filterwarnings("ignore:Exception ignored in. <_io.FileIO:pytest.PytestUnraisableExceptionWarning")
def test_the_page_answers_and_saves_what_pycromanager_takes(demo_pycromanager, real_client, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    results = []
    given = {"FramePoster": FramePoster, "client": real_client, "show": results.append}
    events = demo_pycromanager.multi_d_acquisition_events(num_time_points=2)
    namespace = given | {"events": events}
    exec(python_of("docs/microscope.md")[1], namespace)  # noqa: S102 - the page is ours
    namespace["acquisition"].get_dataset().close()
    assert [each.metadata.index["t"] for each in results] == [0, 1]
    assert len(list((tmp_path / "data").rglob("*.tif"))) == 1
