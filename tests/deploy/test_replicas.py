"""Replicas are alike: the same question has the same answer, whichever process is asked."""

import contextlib
import http.client
import json

import pytest
from benchmarks.places import ROOT
from benchmarks.server import running_service

from monolayer_core.model_card import read_card
from monolayer_service.settings import SHIPPED_BUNDLES

pytestmark = [pytest.mark.enable_socket, pytest.mark.allow_hosts(["127.0.0.1"]), pytest.mark.slow]

EXAMPLES = ROOT / "examples"
QUESTIONS = {
    "nuclei": ("fluorescence_touching.png", "/v1/segment?model=nuclei&measurements=true"),
    "blood": ("blood_smear.png", "/v1/segment?model=blood&rle=coco&polygons=true"),
    "cells": ("phase_contrast.png", "/v1/confluency?model=cells&pixel_size_um=0.6"),
    "kmeans": ("blood_smear.png", "/v1/segment?method=kmeans"),
    "label image": ("fluorescence_touching.png", "/v1/segment?format=tiff&pixel_size_um=0.5"),
    "table": ("fluorescence_touching.png", "/v1/segment?format=table&measurements=true"),
    "ROIs": ("fluorescence_touching.png", "/v1/segment?format=rois"),
}
SIZES = {"one core": "1", "two cores": "2", "more threads than cores": "4"}
"""Replicas on machines of three sizes, by their number of threads."""


@pytest.fixture(scope="module")
def ports():
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(
                running_service(240, {"MONOLAYER_THREADS": threads, "MONOLAYER_NETWORK_RUNS": threads})
            ).port
            for threads in SIZES.values()
        ]


def ask(port, question):
    picture, path = QUESTIONS[question]
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=120)) as connection:
        connection.request("POST", path, (EXAMPLES / picture).read_bytes(), {"Content-Type": "image/png"})
        answer = connection.getresponse()
        body = answer.read()
    assert answer.status == 200, body[:300]
    return body, answer.getheader("X-Model")


@pytest.mark.parametrize("question", QUESTIONS)
def test_three_replicas_give_the_same_bytes(ports, question):
    answers = [ask(port, question) for port in ports]
    assert answers == 3 * answers[:1]


def test_their_receipts_name_the_file_that_has_answered(ports):
    for port in ports:
        receipt = json.loads(ask(port, "nuclei")[0])["receipt"]
        card = read_card(SHIPPED_BUNDLES / "nuclei")
        assert receipt["model_sha256"] in card.files.values()
        assert receipt["options"] == {"measurements": True}
