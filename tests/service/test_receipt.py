"""The receipt in an answer, and what it promises: the same question gets the same bytes, whoever computes them."""

from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from starlette.testclient import TestClient

from monolayer_core.image_io import decode_image
from monolayer_core.pixel_digest import digest_pixels
from monolayer_service.app import create_app
from monolayer_service.settings import SHIPPED_BUNDLES, Settings

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
QUESTIONS = {
    "nuclei": ("fluorescence_touching.png", {"model": "nuclei", "measurements": "true"}),
    "blood": ("blood_smear.png", {"model": "blood", "rle": "coco"}),
    "cells": ("phase_contrast.png", {"model": "cells", "polygons": "true"}),
    "colours": ("blood_smear.png", {"method": "kmeans"}),
    "texture": ("phase_contrast.png", {"method": "kmeans", "foreground": "texture"}),
}
"""An image and options for every bundle, and for every way of K-means that computes with several threads."""


def ask(client, name):
    picture, options = QUESTIONS[name]
    answer = client.post(
        "/v1/segment", content=(EXAMPLES / picture).read_bytes(), headers={"Content-Type": "image/png"}, params=options
    )
    assert answer.status_code == 200
    return answer.content


def test_it_names_all_that_the_answer_depends_on(client, post_png, blobs, tmp_path):
    options = {"model": "nuclei", "min_area_px": 30, "image_id": "discs", "echo.plate": "7", "rle": "kaggle"}
    answer = post_png(client, **options).json()
    assert answer["receipt"] == {
        "pixels_sha256": digest_pixels(decode_image(cv2.imencode(".png", blobs)[1].tobytes()).rows),
        "model_sha256": answer["model"]["sha256"],
        "options": {"min_area_px": 30},
        "service_version": version("monolayer-service"),
    }


def test_the_same_pixels_in_another_file_have_the_same_receipt(client, post_png, blobs, tmp_path):
    tifffile.imwrite(tmp_path / "blobs.tif", blobs, compression="zlib")
    as_tiff = client.post(
        "/v1/segment",
        content=(tmp_path / "blobs.tif").read_bytes(),
        headers={"Content-Type": "image/tiff"},
        params={"model": "nuclei"},
    ).json()
    as_png = post_png(client, model="nuclei").json()
    assert as_tiff["receipt"] == as_png["receipt"]
    assert as_tiff["image"]["sha256"] != as_png["image"]["sha256"]


def test_who_was_asked_for_is_not_in_it_but_who_answered_is_in_the_answer(client, post_png):
    asked = post_png(client, method="unet", fallback="never").json()
    assert asked == post_png(client).json()
    assert asked["receipt"]["options"] == {}


def test_kmeans_has_no_model_in_it(client, post_png):
    receipt = post_png(client, method="kmeans").json()["receipt"]
    assert (receipt["model_sha256"], receipt["options"]) == (None, {})


@pytest.fixture(scope="module")
def expected():
    """Answers of a service that computes one thing at a time on one core."""
    settings = Settings(models=SHIPPED_BUNDLES, threads=1, network_runs=1, running_requests=1)
    with TestClient(create_app(settings)) as client:
        return {name: ask(client, name) for name in QUESTIONS}


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"threads": 1, "network_runs": 1}, id="restarted"),
        pytest.param({"threads": 4, "network_runs": 3}, id="more threads than cores, several runs"),
    ],
)
def test_threads_and_restarts_change_no_byte(make_client, expected, settings):
    client = make_client(models=SHIPPED_BUNDLES, **settings)
    for name, body in expected.items():
        assert ask(client, name) == body


def test_load_changes_no_byte(make_client, expected):
    client = make_client(models=SHIPPED_BUNDLES, threads=2, network_runs=2)
    names = 3 * list(expected)
    with ThreadPoolExecutor(8) as callers:
        assert list(callers.map(lambda name: ask(client, name), names)) == [expected[name] for name in names]


def test_an_image_of_several_tiles_is_the_same_whoever_computes_them(make_client):
    picture = np.tile(cv2.imread(str(EXAMPLES / "fluorescence_touching.png"), cv2.IMREAD_GRAYSCALE), (3, 3))
    png = cv2.imencode(".png", picture)[1].tobytes()
    bodies = {
        make_client(models=SHIPPED_BUNDLES, max_tile_side=256, threads=threads, network_runs=runs)
        .post("/v1/segment", content=png, headers={"Content-Type": "image/png"})
        .content
        for threads, runs in ((1, 1), (2, 2))
    }
    assert len(bodies) == 1
