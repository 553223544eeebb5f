"""What the card knows of its own limits reaches the answer."""

import pytest
from starlette.testclient import TestClient

from monolayer_core.card_blocks import ConfluencyUncertainty, ImageKind, ObjectScore, TrainingLikeness
from monolayer_core.model_card import read_card, write_card
from monolayer_service.app import create_app
from monolayer_service.settings import Settings

LIKENESS = {
    name: TrainingLikeness(
        features=("grey_50",), kinds=(ImageKind(centre=(grey,), whitening=((10.0,),)),), max_distance=1.0
    )
    for name, grey in (("dark", 0.0), ("bright", 1.0))
}


LEARNT = {
    "score": ObjectScore(intercept=0.0, weights={}),
    "confluency_uncertainty": ConfluencyUncertainty(floor_points=1.25, slope=0.0),
}


@pytest.fixture(scope="module")
def informed(toy_bundle, tmp_path_factory):
    """A service with two bundles, one trained on dark images and one on bright ones."""
    folder = tmp_path_factory.mktemp("informed")
    for name, likeness in LIKENESS.items():
        bundle = toy_bundle(folder, name)
        write_card(read_card(bundle).model_copy(update={"likeness": likeness} | LEARNT), bundle)
    with TestClient(create_app(Settings(models=folder))) as client:
        yield client


@pytest.mark.parametrize("path", ["/v1/segment", "/v1/confluency"])
def test_an_image_unlike_the_training_images_is_flagged_by_the_network_that_answered(informed, post_png, path):
    flags = {name: post_png(informed, path, model=name).json()["quality"]["flags"] for name in LIKENESS}
    assert "unlike_training_data" not in flags["dark"]
    assert flags["bright"] == [*flags["dark"], "unlike_training_data"]


def test_clustering_was_trained_on_nothing(informed, post_png):
    assert "unlike_training_data" not in post_png(informed, method="kmeans").json()["quality"]["flags"]


@pytest.mark.parametrize("path", ["/v1/segment", "/v1/confluency"])
def test_confluency_comes_with_its_uncertainty(informed, post_png, path):
    assert post_png(informed, path, model="dark").json()["confluency"]["uncertainty_points"] == 1.25
    assert post_png(informed, path, method="kmeans").json()["confluency"]["uncertainty_points"] is None


def test_the_score_is_the_one_of_the_card(informed, client, post_png):
    predicted = post_png(informed, model="dark").json()["instances"]
    assert [instance["score"] for instance in predicted] == [0.5] * 3
    assert min(instance["score"] for instance in post_png(client).json()["instances"]) > 0.95
