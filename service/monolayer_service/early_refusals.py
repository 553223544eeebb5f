"""Refusals of a full service, given before a request is routed.

In an overload there are several refusals for every answer, on the same cores: routing, FastAPI's dependencies and an
error on its way through them cost as much as all the rest of a refusal.
"""

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from monolayer_core.errors import MonolayerError
from monolayer_service.dependencies import CALLS, Services, query_of
from monolayer_service.errors import respond_to


class EarlyRefusals:
    """ASGI middleware: refuses an image before anything else is done for it, where there is no room for one.

    Nothing of the body is read. What is wrong with the options is said first, as it is where there is room.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        refusal = self._refuse(scope)
        await (self.app if refusal is None else refusal)(scope, receive, send)

    def _refuse(self, scope: Scope) -> Response | None:
        if scope["type"] != "http" or scope["method"] != "POST":
            return None
        app: FastAPI = scope["app"]
        services: Services | None = getattr(app.state, "services", None)
        if services is None or services.gate.has_room or (route := _route_of(app, scope)) is None:
            return None
        scope["route"] = route  # as the router does; what is said of the request is said by route
        try:
            query_of(Request(scope), services)
            services.gate.check_room()
        except MonolayerError as error:
            return respond_to(error)
        return None


def _route_of(app: FastAPI, scope: Scope) -> BaseRoute | None:
    """Give the route of a call that takes images, whatever prefix a proxy adds."""
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    if path not in CALLS:
        return None
    return next((route for route in app.routes if getattr(route, "path", None) == path), None)
