"""The HTTP side: health, metrics, and the pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from relay.gateway.websocket import Connections
from relay.metrics import CONTENT_TYPE, Metrics

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


def application(
    connections: Connections,
    metrics: Metrics,
    readiness: Callable[[], dict[str, Any]],
    origins: Sequence[str],
) -> Starlette:
    """Every endpoint of the relay. `readiness()["ready"]` decides between 200 and 503; pages of
    `origins` may import the client."""

    async def healthz(_: Request) -> Response:
        return JSONResponse({"alive": True})

    async def readyz(_: Request) -> Response:
        state = readiness()
        return JSONResponse(state, 200 if state["ready"] else 503)

    async def show_metrics(_: Request) -> Response:
        return Response(metrics.text(), headers={"content-type": CONTENT_TYPE})

    async def page(_: Request) -> Response:
        return FileResponse(WEB / "dashboard" / "index.html")

    routes: list[BaseRoute] = [
        WebSocketRoute("/ws", connections.any),
        WebSocketRoute("/ws/dashboard", connections.dashboard),
        WebSocketRoute("/ws/tasks/{task_id:path}", connections.task),
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        Route("/metrics", show_metrics),
        Route("/", page),
        Mount("/client", StaticFiles(directory=WEB / "client")),
        Mount("/dashboard", StaticFiles(directory=WEB / "dashboard")),
    ]
    cors = Middleware(CORSMiddleware, allow_origins=origins, allow_methods=["GET"])
    return Starlette(routes=routes, middleware=[Middleware(SecurityHeaders), cors])


class SecurityHeaders:
    """Adds the same headers to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *HEADERS]
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)
