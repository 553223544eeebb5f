"""What is read off a running program is what it did."""

import os
from pathlib import Path

import numpy as np
import pytest
from benchmarks.server import Server, forget_peak, peak_bytes

MIB = 1 << 20

pytestmark = pytest.mark.skipif(
    not os.access("/proc/self/clear_refs", os.W_OK), reason="the peak can be set back only on Linux"
)


def test_the_peak_counts_from_where_it_was_forgotten():
    np.ones(96 * MIB, dtype=np.uint8)
    forget_peak(os.getpid())
    before = peak_bytes(os.getpid())
    np.ones(64 * MIB, dtype=np.uint8)

    assert 60 * MIB < peak_bytes(os.getpid()) - before < 90 * MIB


def test_the_peak_of_a_server_is_that_of_its_process():
    server = Server(os.getpid(), port=1, ready_seconds=0.0)
    server.forget_peak()
    before = server.resident_bytes()
    np.ones(64 * MIB, dtype=np.uint8)

    assert 60 * MIB < server.peak_bytes() - before < 90 * MIB


def test_a_process_that_tells_no_peak_is_an_error(monkeypatch):
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: "Name:\tkernel thread\n")

    with pytest.raises(RuntimeError, match="peak"):
        peak_bytes(1)
