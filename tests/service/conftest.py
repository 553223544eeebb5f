"""Fixtures of the service's tests."""

import pytest
from starlette.testclient import TestClient

from monolayer_service.app import create_app
from monolayer_service.settings import Settings


@pytest.fixture(scope="module")
def client(toy_bundles):
    """Client of one service for a whole module: tests only ask it, none changes it."""
    app = create_app(Settings(models=toy_bundles))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def post_png(blobs_png):
    """Give a function that posts `blobs` as a raw PNG body."""

    def post(client, path="/v1/segment", **query):
        return client.post(path, params=query, content=blobs_png, headers={"Content-Type": "image/png"})

    return post
