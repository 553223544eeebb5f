import re
from inspect import isasyncgenfunction, iscoroutinefunction

import pytest
from starlette.testclient import TestClient
from structlog.testing import capture_logs

from monolayer_service import app as applications
from monolayer_service.app import create_app, stop_being_ready
from monolayer_service.registry import load_registry
from monolayer_service.routes import confluency, health, models, preview, segment, submission
from monolayer_service.settings import Settings


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


def test_a_service_that_is_told_to_stop_while_it_loads_is_never_ready(toy_bundles, monkeypatch):
    app = create_app(Settings(models=toy_bundles))

    def load_and_be_told(*arguments):
        stop_being_ready(app)
        return load_registry(*arguments)

    monkeypatch.setattr(applications, "load_registry", load_and_be_told)
    with TestClient(app) as client:
        answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["error"]["message"]) == (503, "the service is stopping")
    assert answer.headers["Connection"] == "close"


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


PATHS_OF_GET = (
    "/", "/page/page.css", "/docs", "/docs/start.js", "/openapi.json", "/livez", "/readyz", "/version", "/metrics",
    "/v1/models", "/v1/models/nuclei",
)  # fmt: skip


@pytest.mark.parametrize("path", PATHS_OF_GET)
def test_head_is_answered_wherever_get_is(client, path):
    got, asked = client.get(path), client.head(path)
    assert (got.status_code, asked.status_code, asked.content) == (200, 200, b"")
    own = {"x-request-id"} | ({"content-length"} if path == "/metrics" else set())  # which grow meanwhile
    assert {name: value for name, value in asked.headers.items() if name not in own} == {
        name: value for name, value in got.headers.items() if name not in own
    }
    assert re.fullmatch(r"[0-9a-f]{32}", asked.headers["x-request-id"])


def test_every_path_of_get_is_asked_with_head(client):
    described = {path for path, calls in client.get("/openapi.json").json()["paths"].items() if "get" in calls}
    assert {path.replace("{name}", "nuclei") for path in described} <= set(PATHS_OF_GET)


@pytest.mark.parametrize(
    ("method", "path", "status", "allowed"),
    [
        ("HEAD", "/v1/segment", 405, "POST"),
        ("GET", "/v1/segment", 405, "POST"),
        ("POST", "/livez", 405, "GET, HEAD"),
        ("POST", "/openapi.json", 405, "GET, HEAD"),
        ("DELETE", "/v1/models/nuclei", 405, "GET, HEAD"),
        ("HEAD", "/v1/nix", 404, None),
        ("HEAD", "/v1/models/nix", 404, None),
        ("HEAD", "/docs/LICENSE", 404, None),
    ],
)
def test_what_head_and_other_methods_cannot_have_is_refused(client, method, path, status, allowed):
    answer = client.request(method, path)
    assert (answer.status_code, answer.headers.get("allow")) == (status, allowed)


def test_head_tells_that_the_service_is_not_ready(make_client):
    client = make_client()
    stop_being_ready(client.app)
    answer = client.head("/readyz")
    assert (answer.status_code, answer.headers["Connection"], answer.content) == (503, "close", b"")


def test_head_is_counted_by_its_route_and_logged_as_head(make_client):
    client = make_client()
    with capture_logs() as logged:
        client.head("/version")
        client.head("/v1/nix")
    lines = [(line["method"], line["path"], line["status"]) for line in logged if line["event"] == "request"]
    assert lines == [("HEAD", "/version", 200), ("HEAD", "/v1/nix", 404)]
    text = client.get("/metrics").text
    assert 'monolayer_request_duration_seconds_count{route="/version",status="200"} 1.0' in text
    assert 'monolayer_request_duration_seconds_count{route="unknown",status="404"} 1.0' in text


def test_head_is_not_described_beside_get(client):
    paths = client.get("/openapi.json").json()["paths"]
    assert {method for calls in paths.values() for method in calls} == {"get", "post"}


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
