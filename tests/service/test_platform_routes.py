import re
from inspect import isasyncgenfunction, iscoroutinefunction

import pytest

from monolayer_service.app import stop_being_ready
from monolayer_service.routes import confluency, health, models, preview, segment, submission


def test_probes_answer(client):
    assert client.get("/livez").json() == {"status": "alive", "models": []}
    assert client.get("/readyz").json() == {"status": "ready", "models": ["blood", "nuclei"]}


def test_readiness_falls_when_the_service_stops_and_requests_are_still_answered(make_client, post_png):
    client = make_client()
    stop_being_ready(client.app)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "not_ready"
    assert client.get("/livez").status_code == 200
    assert post_png(client).status_code == 200


def test_every_answer_is_the_last_of_its_connection_once_the_service_stops(make_client, post_png):
    client = make_client()
    assert "Connection" not in post_png(client).headers
    stop_being_ready(client.app)
    answers = [client.get("/livez"), client.get("/readyz"), client.get("/missing"), post_png(client)]
    assert [(answer.status_code, answer.headers["Connection"]) for answer in answers] == [
        (200, "close"),
        (503, "close"),
        (404, "close"),
        (200, "close"),
    ]
    refused_before_it_was_read = post_png(client, nonsense=1)
    assert refused_before_it_was_read.status_code == 422
    assert "Connection" not in refused_before_it_was_read.headers


def test_versions_are_told(client):
    versions = client.get("/version").json()
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", versions["service"])
    assert {"onnxruntime", "numpy", "fastapi"} <= set(versions["libraries"])


def test_bundles_are_listed_with_their_cards_and_the_provider_in_use(client):
    models = {model["name"]: model for model in client.get("/v1/models").json()["models"]}
    assert set(models) == {"blood", "nuclei"}
    nuclei = models["nuclei"]
    assert nuclei["state"] == "ready"
    assert nuclei["problem"] is None
    assert nuclei["provider"] == "CPUExecutionProvider"
    assert nuclei["default_of"] == ["/v1/segment"]
    assert nuclei["tile_sides"] == [64, 128]
    assert nuclei["card"]["training_data"]["licence"] == "CC0-1.0"
    assert models["blood"]["default_of"] == []
    assert client.get("/v1/models/blood").json() == models["blood"]


def test_metrics_tell_of_what_was_done(make_client, post_png):
    client = make_client()
    post_png(client)
    post_png(client, method="kmeans")
    client.get("/livez")
    client.get("/v1/nix")
    text = client.get("/metrics").text
    for line in (
        'monolayer_request_duration_seconds_count{route="/v1/segment",status="200"} 2.0',
        'monolayer_request_duration_seconds_count{route="/livez",status="200"} 1.0',
        'monolayer_request_duration_seconds_count{route="unknown",status="404"} 1.0',
        'monolayer_stage_duration_seconds_count{stage="inference"} 2.0',
        'monolayer_image_size_megapixels_count{method="unet"} 1.0',
        'monolayer_objects_total{method="kmeans"} 3.0',
        "process_resident_memory_bytes",
    ):
        assert line in text


UNITS = ("_seconds", "_bytes", "_megapixels", "_requests", "_tiles", "_bundles", "_ratio", "_total", "_info")


def test_every_metric_of_ours_ends_in_its_unit(client):
    names = re.findall(r"^# TYPE (monolayer_\S+) (?!gauge_created)", client.get("/metrics").text, re.MULTILINE)
    names = [name.removesuffix("_created") for name in names]
    assert names
    assert all(name.endswith(UNITS) or f"{name}_total" for name in names)
    assert [name for name in names if not name.endswith(UNITS)] == []


def test_two_services_in_one_process_count_apart(make_client, post_png):
    first, second = make_client(), make_client()
    post_png(first)
    assert 'route="/v1/segment"' in first.get("/metrics").text
    assert 'route="/v1/segment"' not in second.get("/metrics").text


def test_the_page_of_the_documentation_loads_nothing_from_elsewhere(client):
    page = client.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert "://" not in page.text
    for reference in re.findall(r'(?:src|href)="(docs/[^"]+)"', page.text):
        asset = client.get(f"/{reference}")
        assert asset.status_code == 200
        assert len(asset.content) > 50


@pytest.mark.parametrize("path", ["/redoc", "/docs/..%2f..%2fapp.py", "/docs/LICENSE"])
def test_nothing_else_is_served_as_documentation(client, path):
    assert client.get(path).status_code == 404


@pytest.mark.parametrize("module", [segment, confluency, submission, preview, models, health])
def test_no_call_waits_for_a_thread_to_see_what_it_asks_for(module):
    def callables(dependant):
        for dependency in dependant.dependencies:
            yield dependency.call
            yield from callables(dependency)

    used = {call for route in module.router.routes for call in callables(route.dependant)}
    assert used
    assert [call for call in used if not (iscoroutinefunction(call) or isasyncgenfunction(call))] == []


def test_no_website_is_let_in(client):
    """Browsers show a website an answer only where its headers say so."""
    headers = {"Origin": "https://example.org", "Access-Control-Request-Method": "POST"}
    for answer in (client.get("/version", headers=headers), client.options("/v1/segment", headers=headers)):
        assert not [name for name in answer.headers if name.startswith("access-control-")]
