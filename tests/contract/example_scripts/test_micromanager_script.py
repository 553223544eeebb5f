"""Micro-Manager's script in BeanShell, with a stand-in for the program."""

import json
import os

import numpy as np
import pytest
import tifffile
from tests.contract.example_scripts.programs import ROOT, jar, needs_java, run, script

pytestmark = [pytest.mark.enable_socket, pytest.mark.allow_hosts(["127.0.0.1"]), pytest.mark.slow]
STAND_IN = ROOT / "docs" / "micromanager_stand_in.bsh"


@needs_java
@pytest.mark.parametrize(
    ("group", "echo"),
    [("Channel", {"channel": "Channel DAPI & FITC"}), ("", None)],
    ids=["a channel group", "no channel group"],
)
def test_the_micro_manager_script_prints_the_confluency(url, blobs, tmp_path, group, echo):
    tifffile.imwrite(tmp_path / "frame.tif", blobs.astype(np.uint16) * 16)
    text = script("micromanager_script.bsh")
    assert 'service = "http://127.0.0.1:8000";' in text
    (tmp_path / "script.bsh").write_text(text.replace("http://127.0.0.1:8000", url))
    run_and_tell = f'channelGroup = "{group}"; source("{STAND_IN}"); System.out.println(answer);'
    (tmp_path / "run.bsh").write_text(run_and_tell)
    path = os.pathsep.join(map(str, (jar("bsh.jar"), jar("ij.jar"))))
    java = ["java", "-Djava.awt.headless=true", "-cp", path, "bsh.Interpreter"]
    done = run(*java, "run.bsh", "frame.tif", "script.bsh", cwd=tmp_path)
    printed, answer = done.stdout.splitlines()[-2:]
    told = json.loads(answer)
    assert told["count"] == 3
    assert told["image"]["pixel_size_um"] == 0.5
    assert told["image"]["dtype"] == "uint16"
    assert told.get("echo") == echo
    assert printed == f"confluency {told['confluency']['percent']} %, 3 objects"
