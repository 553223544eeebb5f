import pytest


def test_kmeans_answers_when_it_is_asked_for(client, post_png, blobs):
    answer = post_png(client, method="kmeans", clusters=3).json()
    assert answer["method"] == "kmeans"
    assert answer["model"] is None
    assert answer["fallback"] is None
    assert answer["counts"] == {"object": 3}
    assert answer["confluency"]["of"] == "object"
    assert answer["confluency"]["area_px"] == int((blobs > 100).sum())
    assert {(instance["class"], instance["score"]) for instance in answer["instances"]} == {("object", None)}
    assert answer["kmeans"]["k"] == 3
    assert answer["kmeans"]["foreground"] == "bright"
    assert sum(answer["kmeans"]["shares"]) == pytest.approx(1)
    assert answer["kmeans"]["centres"][0] == [10.0]


def test_the_caller_can_say_what_foreground_is(client, post_png, blobs):
    answer = post_png(client, method="kmeans", foreground="dark", clusters=2).json()
    assert answer["kmeans"]["foreground"] == "dark"
    assert answer["confluency"]["area_px"] == int((blobs < 100).sum())


def test_a_folder_without_the_default_bundle_falls_back_and_says_so(client, post_png):
    answer = post_png(client, "/v1/confluency")
    assert answer.status_code == 200
    assert answer.json()["method"] == "kmeans"
    assert answer.json()["fallback"] == {"reason": "there is no bundle cells", "ignored_options": []}
    assert answer.headers["x-fallback"] == "there is no bundle cells"


def test_options_that_kmeans_cannot_honour_are_named_in_the_fallback(client, post_png):
    answer = post_png(client, "/v1/confluency", threshold=0.7, tta=True, method="unet").json()
    assert answer["fallback"]["ignored_options"] == ["threshold", "tta"]


def test_a_refused_fallback_is_a_503_that_says_when_to_come_back(client, post_png):
    answer = post_png(client, "/v1/confluency", fallback="never")
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "network_unavailable"
    assert int(answer.headers["retry-after"]) >= 1


def test_an_empty_folder_is_a_kmeans_service_that_is_ready(make_client, post_png, tmp_path):
    client = make_client(models=tmp_path)
    assert client.get("/readyz").status_code == 200
    answer = post_png(client).json()
    assert answer["method"] == "kmeans"
    assert answer["fallback"]["reason"] == "there is no bundle nuclei"


def test_confluency_gives_the_numbers_without_the_objects(make_client, post_png, blobs):
    client = make_client(confluency_model="blood")
    answer = post_png(client, "/v1/confluency", **{"echo.well": "B2", "image_id": "x"}).json()
    assert set(answer) == {
        "image_id", "image", "method", "model", "fallback", "confluency", "count", "counts", "ratios", "quality",
        "echo", "receipt",
    }  # fmt: skip
    assert answer["method"] == "unet"
    assert answer["confluency"]["area_px"] == int((blobs > 100).sum())
    assert answer["count"] == 3
    assert answer["echo"] == {"well": "B2"}
    assert answer["image_id"] == "x"


def test_method_auto_and_unet_give_the_same_bytes(client, post_png):
    assert post_png(client).content == post_png(client, method="unet").content
