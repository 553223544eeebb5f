"""The wire contract is a reviewed file, and answers are what it says."""

import difflib
import json
from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient

from monolayer_core.image_io import encode_png
from monolayer_service.app import create_app
from monolayer_service.media_types import FORM_KINDS
from monolayer_service.openapi import render_openapi
from monolayer_service.schemas import (
    BundleInfo,
    BundleList,
    ConfluencyAnswer,
    ErrorAnswer,
    Health,
    SegmentAnswer,
    ValidationAnswer,
    Version,
)
from monolayer_service.settings import Settings

SNAPSHOT = Path(__file__).resolve().parents[2] / "clients" / "openapi.json"
PNG = {"Content-Type": "image/png"}


@pytest.fixture(scope="module")
def client(toy_bundles):
    with TestClient(create_app(Settings(models=toy_bundles))) as client:
        yield client


def test_the_committed_description_is_that_of_the_application():
    committed, current = SNAPSHOT.read_text(encoding="utf-8"), render_openapi()
    difference = list(
        difflib.unified_diff(committed.splitlines(), current.splitlines(), "committed", "application", n=1)
    )
    assert committed == current, "\n".join(
        ["run `python -m monolayer_service.openapi clients/openapi.json` if this is meant:", *difference[:60]]
    )


def test_every_reference_of_the_description_leads_somewhere():
    text = SNAPSHOT.read_text(encoding="utf-8")
    schemas = json.loads(text)["components"]["schemas"]
    references = {part.split('"')[0] for part in text.split('"#/components/schemas/')[1:]}
    assert references <= set(schemas)


@pytest.mark.parametrize("path", ["/v1/segment", "/v1/confluency", "/v1/submission", "/v1/validate", "/v1/preview"])
def test_every_status_a_call_can_give_is_described(path):
    operation = json.loads(SNAPSHOT.read_text(encoding="utf-8"))["paths"][path]["post"]
    statuses = {"200", "400", "404", "406", "408", "413", "415", "422", "429", "500", "503"}
    no_model_to_name = {"404"} if path == "/v1/validate" else set()
    assert set(operation["responses"]) == statuses - no_model_to_name
    assert operation["requestBody"]["required"] is True


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"method": "kmeans"},
        {"rle": "coco", "measurements": "true", "polygons": "true", "pixel_size_um": "0.5", "echo.a": "b"},
        {"rle": "none", "model": "blood", "measurements": "true"},
    ],
    ids=["default", "kmeans", "everything", "nothing"],
)
@pytest.mark.parametrize("colours", [1, 3], ids=["grey", "rgb"])
def test_answers_are_what_the_schema_says(client, blobs, query, colours):
    image = encode_png(blobs if colours == 1 else np.repeat(blobs[..., None], 3, axis=2))
    answer = client.post("/v1/segment", params=query, content=image, headers=PNG)
    document = SegmentAnswer.model_validate_json(answer.content, strict=False)
    assert document.count == 3


def test_confluency_is_what_the_schema_says(client, blobs_png):
    ConfluencyAnswer.model_validate_json(client.post("/v1/confluency", content=blobs_png, headers=PNG).content)


def test_errors_are_what_the_schema_says(client, blobs_png):
    ErrorAnswer.model_validate_json(client.post("/v1/segment").content)
    files = [("images", ("a.png", b"x")), ("images", ("b.png", blobs_png))]
    answer = ErrorAnswer.model_validate_json(client.post("/v1/submission", files=files).content)
    assert [failure.image_id for failure in answer.error.failures] == ["a"]


@pytest.mark.parametrize(
    ("path", "schema"),
    [
        ("/livez", Health),
        ("/readyz", Health),
        ("/version", Version),
        ("/v1/models", BundleList),
        ("/v1/models/nuclei", BundleInfo),
    ],
)
def test_other_answers_are_what_the_schema_says(client, path, schema):
    schema.model_validate_json(client.get(path).content)


@pytest.mark.parametrize("table", ["ImageId,EncodedPixels\na,1 2\n", "nonsense"])
def test_findings_are_what_the_schema_says(client, table):
    answer = client.post("/v1/validate", content=table, headers={"Content-Type": "text/csv"})
    assert ValidationAnswer.model_validate_json(answer.content).valid == (table != "nonsense")


def test_every_form_of_an_answer_is_described():
    segment = json.loads(SNAPSHOT.read_text(encoding="utf-8"))["paths"]["/v1/segment"]["post"]
    assert set(segment["responses"]["200"]["content"]) == {kind.bare_type for kind in FORM_KINDS.values()}
