"""HEAD, which probes and ``wget --spider`` send, is answered wherever GET is (RFC 9110, 9.1).

FastAPI's routes take the methods they name, and a route that named both would be described twice.
"""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadRequests:
    """ASGI middleware: hands HEAD on as GET; the server leaves the answer's body out, and what is logged is HEAD.

    Of a path that takes GET, ``Allow`` names both.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_and_allow(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 405:
                headers = MutableHeaders(scope=message)
                allowed = {method.strip() for method in headers.get("Allow", "").split(",")}
                if "GET" in allowed:
                    headers["Allow"] = ", ".join(sorted(allowed | {"HEAD"}))
            await send(message)

        if scope["method"] != "HEAD":
            await self.app(scope, receive, send_and_allow)
            return
        as_get = {**scope, "method": "GET"}
        try:
            await self.app(as_get, receive, send_and_allow)
        finally:
            scope["route"] = as_get.get("route")  # what is said of the request is said by route
