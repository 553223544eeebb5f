"""A service that is full: who is refused, in what order, and how little is done for it."""

import asyncio
import threading

import httpx2
import pytest
import structlog

from monolayer_service.app import create_app
from monolayer_service.segmenters.session import Network
from monolayer_service.settings import Settings


@pytest.fixture
async def busy(toy_bundles, monkeypatch):
    """A service with one slot and one place to wait whose network stands still until told to go on."""
    go_on = threading.Event()
    entered = asyncio.Event()
    loop = asyncio.get_running_loop()
    app = create_app(Settings(models=toy_bundles, running_requests=1, waiting_requests=1))
    async with app.router.lifespan_context(app):
        run = Network.run

        def wait_and_run(self, tiles, provider=None, *, alone=True):
            loop.call_soon_threadsafe(entered.set)
            go_on.wait(30)
            return run(self, tiles, provider, alone=alone)

        monkeypatch.setattr(Network, "run", wait_and_run)
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://service") as client:
            yield client, entered, go_on
        go_on.set()


def post(client, png, path="/v1/segment"):
    return asyncio.create_task(client.post(path, content=png, headers={"Content-Type": "image/png"}))


async def test_a_full_service_says_when_to_come_back_and_probes_are_answered(busy, blobs_png):
    client, entered, go_on = busy
    running, waiting = await fill(client, entered, blobs_png)
    refused = await post(client, blobs_png)
    assert refused.status_code == 429
    assert refused.json()["error"]["code"] == "overloaded"
    assert int(refused.headers["retry-after"]) >= 1
    for probe in ("/livez", "/readyz", "/metrics", "/version", "/v1/models"):
        assert (await client.get(probe)).status_code == 200
    go_on.set()
    assert (await running).status_code == 200
    assert (await waiting).status_code == 200
    assert (await post(client, blobs_png)).status_code == 200
    assert 'monolayer_refusals_total{reason="requests"} 1.0' in (await client.get("/metrics")).text


async def fill(client, entered, png):
    """Take the only slot and the only place to wait."""
    running = post(client, png)
    await entered.wait()
    waiting = post(client, png)
    while "monolayer_waiting_requests 1.0" not in (await client.get("/metrics")).text:  # noqa: ASYNC110 - the metric is what is watched
        await asyncio.sleep(0)
    return running, waiting


async def test_wrong_options_are_refused_at_once_also_when_full(busy, blobs_png):
    client, entered, go_on = busy
    inside = await fill(client, entered, blobs_png)
    for path, status in (
        ("/v1/segment?qqq=1", 422),
        ("/v1/confluency?model=nobody", 404),
        ("/v1/segmentation", 404),
        ("/v1/segment", 429),
        ("/v1/confluency?model=nuclei", 429),
        ("/v1/submission", 429),
        ("/v1/preview", 429),
    ):
        assert (await post(client, blobs_png, path)).status_code == status, path
    unwanted = await client.post("/v1/segment", content=blobs_png, headers={"Accept": "video/mp4"})
    assert unwanted.status_code == 406
    metrics = (await client.get("/metrics")).text
    assert 'monolayer_refusals_total{reason="requests"} 4.0' in metrics
    for path in ("/v1/segment", "/v1/confluency", "/v1/submission", "/v1/preview"):
        assert f'monolayer_request_duration_seconds_count{{route="{path}",status="429"}} 1.0' in metrics
    go_on.set()
    assert [answer.status_code for answer in await asyncio.gather(*inside)] == [200, 200]


async def test_who_is_refused_by_a_full_service_is_not_read_and_has_an_id_and_one_line(busy, blobs_png):
    client, entered, go_on = busy
    inside = await fill(client, entered, blobs_png)
    taken = []

    async def body():
        taken.append(1)
        yield blobs_png

    with structlog.testing.capture_logs() as lines:
        refused = await client.post("/v1/segment", content=body(), headers={"X-Request-ID": "frame-7"})
    assert (refused.status_code, taken) == (429, [])
    assert refused.headers["x-request-id"] == refused.json()["error"]["request_id"] == "frame-7"
    assert [(line["event"], line["path"], line["status"]) for line in lines] == [("request", "/v1/segment", 429)]
    go_on.set()
    await asyncio.gather(*inside)


async def test_behind_a_prefix_a_full_service_refuses_as_it_does_without(toy_bundles, blobs_png):
    app = create_app(Settings(models=toy_bundles, running_requests=1, waiting_requests=1))
    async with app.router.lifespan_context(app):
        gate = app.state.services.gate
        transport = httpx2.ASGITransport(app, root_path="/cells")
        async with httpx2.AsyncClient(transport=transport, base_url="http://service") as client:
            async with gate.enter() as first, gate.enter() as second:
                for ticket in (first, second):
                    ticket.megapixels = 1.0
                    gate.queue(ticket)
                assert (await post(client, blobs_png, "/cells/v1/segment?qqq=1")).status_code == 422
                assert (await post(client, blobs_png, "/cells/v1/segment")).status_code == 429
            assert (await post(client, blobs_png, "/cells/v1/segment")).status_code == 200
