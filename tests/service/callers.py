"""A caller below HTTP, as the application sees it."""

import asyncio
import json


class Caller:
    """One raw request whose connection the test closes when it likes, and reads when it likes.

    Parameters
    ----------
    is_read
        Whether a part of the answer's body is taken off the connection, told before it is sent; without it all are.
    """

    def __init__(self, png, headers=(), query=b"", is_read=None):
        self._is_read = is_read
        self.is_stuck = asyncio.Event()
        self.read_on = asyncio.Event()
        self.statuses = []
        self.body = b""
        self.hang_up = asyncio.Event()
        self.unread = [{"type": "http.request", "body": png}]
        self._scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/segment",
            "raw_path": b"/v1/segment",
            "query_string": query,
            "headers": [(b"content-type", b"image/png"), *headers],
            "http_version": "1.1",
            "scheme": "http",
            "server": ("service", 80),
        }

    async def _receive(self):
        if self.unread:
            return self.unread.pop()
        await self.hang_up.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message):
        if message["type"] == "http.response.start":
            self.statuses.append(message["status"])
        elif self._is_read is not None and not self._is_read(message.get("body", b"")):
            self.is_stuck.set()
            await self.read_on.wait()
        self.body += message.get("body", b"")

    @property
    def lines(self):
        return [json.loads(line) for line in self.body.splitlines()]

    async def call(self, app):
        await app(self._scope, self._receive, self._send)
