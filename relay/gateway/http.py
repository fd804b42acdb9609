"""The HTTP side: health, metrics, and the pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Match, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from relay.auth.admission import Admission
from relay.errors import Refused
from relay.gateway.http_errors import of_close, of_origin
from relay.gateway.polling.endpoint import Polls
from relay.gateway.websocket.endpoints import Connections
from relay.metrics import CONTENT_TYPE, Metrics
from relay.protocol.schema import json_schema
from relay.protocol.types import VERSION

WEB = Path(__file__).parent.parent / "web"

# The pages load nothing but their own modules and speak to nobody but the relay.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-cache"),
)


Readiness = Callable[[], dict[str, Any]]


class _AnyText(StringConvertor):
    """What is left of a path: `/` included, as with Starlette's own `path`, and ends of lines as well."""

    regex = "(?s:.*)"


register_url_convertor("any", _AnyText())


class _Files(Mount):
    """A folder, which leads no WebSocket anywhere: Starlette's own would fail over one."""

    def __init__(self, path: str, folder: str) -> None:
        super().__init__(path, StaticFiles(directory=WEB / folder))

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return super().matches(scope) if scope["type"] == "http" else (Match.NONE, {})


async def _upgrade_required(_: Request) -> Response:
    return PlainTextResponse(
        "This address takes WebSockets only. Where a WebSocket was meant, a proxy did not pass the upgrade on.\n",
        426,
        {"upgrade": "websocket", "connection": "upgrade"},
    )


def application(
    admission: Admission,
    connections: Connections,
    polls: Polls,
    operating: Sequence[BaseRoute],
    *,
    url: str,
) -> ASGIApp:
    """Every endpoint for clients, which find the relay at `url`, and the `operating` ones, if they are to
    be here. Pages of allowed origins may import the client and ask."""

    async def healthz(_: Request) -> Response:
        return JSONResponse({"alive": True})

    async def page(_: Request) -> Response:
        return FileResponse(WEB / "dashboard" / "index.html")

    described = orjson.dumps(json_schema())

    async def schema(_: Request) -> Response:
        return Response(described, media_type="application/schema+json")

    async def config(request: Request) -> Response:
        if not admission.allows_origin(request, "config"):
            return of_origin(readable=True)
        try:
            principal = admission.identify(request)
        except Refused as refused:
            return of_close(refused)
        return JSONResponse(
            {
                "enabled": admission.is_switched_on(principal),
                "websocketUrl": url.replace("http", "ws", 1) + "/ws",
                "pollUrl": url + "/poll",
                "protocol": VERSION,
            }
        )

    sockets = {
        "/ws": connections.any,
        "/ws/dashboard": connections.dashboard,
        "/ws/tasks/{task_id:any}": connections.task,
    }
    routes: list[BaseRoute] = [
        *(WebSocketRoute(path, endpoint) for path, endpoint in sockets.items()),
        *(Route(path, _upgrade_required) for path in sockets),
        Route("/poll", polls.poll, methods=["POST"]),
        Route("/config", config),
        Route("/schema.json", schema),
        Route("/healthz", healthz),
        *operating,
        Route("/", page),
        _Files("/client", "client"),
        _Files("/react", "react"),
        _Files("/dashboard", "dashboard"),
    ]
    cors = Middleware(
        CORSMiddleware,
        allow_origins=admission.origins.allowed,
        allow_methods=["GET", "POST"],
        allow_headers=["authorization", "content-type"],
    )
    return _hardened(Starlette(routes=routes, middleware=[cors]))


def operating_routes(metrics: Metrics, readiness: Readiness) -> list[BaseRoute]:
    """What operators ask; `readiness()["ready"]` decides between 200 and 503."""

    async def readyz(_: Request) -> Response:
        state = readiness()
        return JSONResponse(state, 200 if state["ready"] else 503)

    async def show_metrics(_: Request) -> Response:
        return Response(metrics.text(), headers={"content-type": CONTENT_TYPE})

    return [Route("/readyz", readyz), Route("/metrics", show_metrics)]


def operating_application(operating: Sequence[BaseRoute]) -> ASGIApp:
    """The operators' endpoints by themselves, for a port that clients do not reach."""
    return _hardened(Starlette(routes=list(operating)))


def _hardened(app: Starlette) -> ASGIApp:
    app.router.redirect_slashes = False  # such a redirect would lead wherever the Host header says
    return SecurityHeaders(app)  # around it all: an answer to a failure has them too


class SecurityHeaders:
    """Adds the same headers to every answer.

    Says that the server speaks ASGI 2.4, of which it keeps what matters here: to send to a peer that is gone
    does nothing. For an older one Starlette sends a file beside a task that waits for the peer to go, and to
    cancel that leaves ninety objects and the request to Python's collector.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *HEADERS]
            await bare_send(message)

        bare_send = send
        if scope["type"] == "http":
            scope["asgi"] = {**scope["asgi"], "spec_version": "2.4"}
            send = send_with_headers
        await self._app(scope, receive, send)
