"""The service that the scripts ask."""

import pytest


@pytest.fixture(scope="package")
def service(toy_bundles, running_server):
    server = running_server(toy_bundles, confluency_model="nuclei")
    yield server
    assert server.stop() == 0


@pytest.fixture
def url(service):
    return f"http://127.0.0.1:{service.port}"
