"""The bare network runs the very file that the service says it answers with."""

import io
import json
import os
import urllib.request

import numpy as np
import pytest
from benchmarks.bare import BareNetwork
from benchmarks.pictures import encode_png
from benchmarks.server import Server

from monolayer_service.settings import SHIPPED_BUNDLES

NUCLEI = SHIPPED_BUNDLES / "nuclei"


@pytest.mark.parametrize(
    ("precision", "file", "answer"),
    [("int8", "model.int8.onnx", "test_output.int8.npy"), ("float32", "model.onnx", "test_output.npy")],
)
def test_it_gives_the_stored_answer_of_the_file_the_service_names(monkeypatch, precision, file, answer):
    said = json.dumps({"precision": precision}).encode()
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: io.BytesIO(said))
    bare = BareNetwork(Server(os.getpid(), port=1, ready_seconds=0.0))
    tiles = np.load(NUCLEI / "test_input.npy")

    assert bare.file == file
    assert np.abs(bare.network.run(tiles).astype(np.int16) - np.load(NUCLEI / answer)).max() <= 2
    assert len(bare.run_for(encode_png(tiles[0]), 0).durations_ms) == 1
