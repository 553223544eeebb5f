"""A service in this process whose bundles are replaced while it runs."""

import shutil

import httpx2
import pytest
import structlog.testing

from monolayer_service.app import create_app, reload_bundles
from monolayer_service.settings import Settings

PNG = {"Content-Type": "image/png"}


@pytest.fixture(autouse=True)
def logged():
    """What is logged, instead of tracebacks on the screen."""
    with structlog.testing.capture_logs() as events:
        yield events


@pytest.fixture
def models(toy_bundles, tmp_path):
    """A folder of bundles of the test's own: `blood`, and `nuclei` 1.2.0."""
    return shutil.copytree(toy_bundles, tmp_path / "models")


@pytest.fixture
def replace(toy_bundle, models, tmp_path_factory):
    """Give a function that puts another version of `nuclei` in the place of the one in the folder."""

    def put(version, **changes):
        made = toy_bundle(tmp_path_factory.mktemp("made"), "nuclei", version=version, **changes)
        shutil.rmtree(models / "nuclei", ignore_errors=True)
        return made.rename(models / "nuclei")

    return put


class Service:
    """The application in this process, and calls of it."""

    def __init__(self, app, client):
        self.app = app
        self.client = client

    def post(self, png, path="/v1/segment", **query):
        return self.client.post(path, params=query, content=png, headers=PNG)

    async def get(self, path):
        return (await self.client.get(path)).json()

    async def reload(self):
        reload_bundles(self.app)
        await self.app.state.reloader.finished()

    async def state(self, name="nuclei"):
        info = await self.get(f"/v1/models/{name}")
        return info["state"], info["card"] and info["card"]["version"], info["problem"]

    async def metric(self, line):
        return line in (await self.client.get("/metrics")).text

    @property
    def networks(self):
        bundles = self.app.state.services.registry.bundles
        return {name: bundle.segmenter.network for name, bundle in bundles.items() if bundle.segmenter}


@pytest.fixture
async def service(models):
    app = create_app(Settings(models=models, running_requests=2))
    async with app.router.lifespan_context(app):
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://service") as client:
            yield Service(app, client)
