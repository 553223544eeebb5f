"""``/v1/confluency`` leaves out what its answer has no place for, and gives the same numbers."""

import pytest

from monolayer_core import pipeline
from monolayer_service import forms


@pytest.mark.parametrize("model", ["nuclei", "blood"])
@pytest.mark.parametrize(
    "query",
    [{}, {"min_area_px": 400}, {"exclude_border": True}, {"threshold": 0.2}, {"method": "kmeans"}],
    ids=lambda query: next(iter(query), "defaults"),
)
def test_the_numbers_are_those_of_segment(client, post_png, model, query):
    query = query if "method" in query else {**query, "model": model}
    everything = post_png(client, "/v1/segment", **query).json()
    del everything["instances"], everything["rle"]
    assert post_png(client, "/v1/confluency", **query).json() == everything


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/v1/confluency", {}),
        ("/v1/segment", {"format": "csv"}),
        ("/v1/segment", {"format": "tiff"}),
        ("/v1/segment", {"format": "overlay"}),
    ],
    ids=["confluency", "csv", "tiff", "overlay"],
)
def test_objects_are_scored_only_where_the_answer_shows_it(client, post_png, monkeypatch, path, query):
    expected = post_png(client, path, model="nuclei", **query)

    def never(*_):
        raise AssertionError("objects were scored")

    monkeypatch.setattr(pipeline, "_scores", never)
    assert post_png(client, path, model="nuclei", **query).content == expected.content
    assert post_png(client, model="nuclei").status_code == 500


def test_a_submission_does_not_score_objects(client, blobs_png, monkeypatch):
    files = [("images", ("a.png", blobs_png, "image/png"))]
    expected = client.post("/v1/submission", files=files)
    monkeypatch.delattr(pipeline, "_scores")
    assert expected.status_code == 200
    assert client.post("/v1/submission", files=files).content == expected.content


def test_confluency_measures_and_encodes_no_objects(client, post_png, monkeypatch):
    for name in ("measure_runs", "find_column_runs", "encode_kaggle_runs", "trace_polygons"):
        monkeypatch.delattr(forms, name)
    assert post_png(client, "/v1/confluency", model="nuclei").json()["count"] > 0
