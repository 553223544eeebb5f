"""The command line in front of the real application, without a port."""

import asyncio

import httpx2
from typer.testing import CliRunner

from monolayer_client.async_client import AsyncClient
from monolayer_client.cli import service as cli_service
from monolayer_client.cli.app import app as command_line


class ThroughPortal(httpx2.AsyncBaseTransport):
    """Carry requests to an application that runs in the event loop of a `TestClient`."""

    def __init__(self, transport):
        self._transport = transport

    async def handle_async_request(self, request):
        await request.aread()
        request = httpx2.Request(request.method, request.url, headers=request.headers, content=request.content)
        response = await asyncio.to_thread(self._transport.handle_request, request)
        return httpx2.Response(response.status_code, headers=response.headers, content=response.read())


def command_line_of(transport, monkeypatch):
    """Give a function that runs the command line with words, and asks the application behind the transport."""
    monkeypatch.setattr(
        cli_service,
        "make_client",
        lambda url, patience_s: AsyncClient(url, transport=ThroughPortal(transport), patience_s=patience_s),
    )
    runner = CliRunner(env={"COLUMNS": "200", "TERM": "dumb"})
    return lambda *arguments: runner.invoke(command_line, [str(argument) for argument in arguments])
