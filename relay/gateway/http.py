"""The ASGI applications of the relay: all HTTP routes, and the security headers of all responses. (Requests to open a
WebSocket are answered by `relay/gateway/websocket/endpoints.py`.)"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Protocol

import orjson
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from relay.auth.admission import Admission
from relay.auth.origins import Origins
from relay.errors import Refused, Unanswered
from relay.gateway.http_errors import ORIGIN_NOT_ALLOWED
from relay.gateway.page import Page, content_security_policy
from relay.gateway.pages import served
from relay.gateway.polling.endpoint import Polls
from relay.gateway.request_log import RequestLog
from relay.gateway.websocket.endpoints import PATHS
from relay.metrics import CONTENT_TYPE, Metrics
from relay.protocol.polls import ConfigAnswer, LinkTemplates
from relay.protocol.schema import json_schema
from relay.protocol.types import VERSION

CONTENT_SECURITY_POLICY = content_security_policy().decode()
HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)
# Of a response that says nothing else.
DEFAULT_HEADERS = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"cache-control", b"no-cache"),
)


class Operations(Protocol):
    """What operators ask for. Each method raises Unanswered if another process of the relay had to be asked and did not
    answer."""

    async def readiness(self) -> dict[str, Any]:
        """Return the body of /readyz. The relay is ready for clients if its value `"ready"` is true."""

    async def metrics(self) -> bytes:
        """Return all metrics in the text format of Prometheus."""


@cache
def _described() -> bytes:
    """Return the JSON Schema of the wire. It is made for the first request, because that takes a tenth of a second,
    which every start of a relay would wait for."""
    return orjson.dumps(json_schema())


async def healthz(_: Request) -> Response:
    """Answer that this process is alive."""
    return JSONResponse({"alive": True})


async def _upgrade_required(_: Request) -> Response:
    return PlainTextResponse(
        "This address accepts only WebSockets. If you opened one, a proxy on the way did not forward the upgrade.\n",
        426,
        {"upgrade": "websocket", "connection": "upgrade"},
    )


def application(
    admission: Admission,
    polls: Polls,
    operating: Sequence[BaseRoute],
    metrics: Metrics,
    *,
    page: Page,
    url: str,
    links: Callable[[], LinkTemplates],
) -> ASGIApp:
    """Return the ASGI application for the port that clients connect to.

    `operating` contains the routes for operators if they are served on the same port, else nothing. `page` is the
    dashboard. `url` is the public URL of the relay, and `links` returns the links of the mapping that is in force:
    `/config` sends both to clients. Pages of allowed origins may import the client modules and read responses (CORS).
    """
    requests = RequestLog(admission)

    async def schema(_: Request) -> Response:
        return Response(await asyncio.to_thread(_described), media_type="application/schema+json")

    async def config(request: Request) -> Response:
        if not admission.allows_origin(request, "config"):
            metrics.note_refusal("config", ORIGIN_NOT_ALLOWED)
            return requests.foreign_origin(request, readable=True)
        try:
            principal = admission.identify(request)
        except Refused as refused:
            metrics.note_refusal("config", refused.reason)
            return requests.refusal(request, refused)
        answer = ConfigAnswer(
            enabled=admission.is_switched_on(principal),
            websocketUrl=url.replace("http", "ws", 1) + "/ws",
            pollUrl=url + "/poll",
            protocol=VERSION,
        )
        if templates := links():
            answer["links"] = templates
        return JSONResponse(answer)

    routes: list[BaseRoute] = [
        *(Route(path, _upgrade_required) for path in PATHS),
        Route("/poll", polls.poll, methods=["POST"]),
        Route("/config", config),
        Route("/schema.json", schema),
        Route("/healthz", healthz),
        *operating,
        Route("/", page.answer),
        served.DASHBOARD.route(),
        *(
            served.FILES.route(f"/{folder}", folder)
            for folder in ("client", "view", "inspector", "react", "dashboard")
        ),
    ]
    return _hardened(Starlette(routes=routes, middleware=[Middleware(_Cors, admission.origins)]))


class _Cors(CORSMiddleware):
    """Starlette's middleware for cross-origin requests, with the origins that are allowed at the moment: a reload of
    the settings changes them."""

    def __init__(self, app: ASGIApp, origins: Origins) -> None:
        super().__init__(app, allow_methods=["GET", "POST"], allow_headers=["authorization", "content-type"])
        self._origins = origins

    def is_allowed_origin(self, origin: str) -> bool:
        return self._origins.knows(origin)


def operating_routes(operations: Operations) -> list[BaseRoute]:
    """Return the routes for operators: `/readyz`, with status 200 if the relay is ready for clients and else 503, and
    `/metrics`."""

    async def readyz(_: Request) -> Response:
        try:
            state = await operations.readiness()
        except Unanswered:
            state = {"ready": False, "stale": True}
        return JSONResponse(state, 200 if state["ready"] else 503)

    async def show_metrics(_: Request) -> Response:
        try:
            text = await operations.metrics()
        except Unanswered as failure:
            return PlainTextResponse(f"{failure}\n", 503)
        return Response(text, headers={"content-type": CONTENT_TYPE})

    return [Route("/readyz", readyz), Route("/metrics", show_metrics)]


def operating_application(operating: Sequence[BaseRoute]) -> ASGIApp:
    """Return an ASGI application with these routes for operators, `/healthz` and the page of operators, for a port that
    clients cannot reach."""
    return _hardened(Starlette(routes=[Route("/healthz", healthz), *operating, *_admin_page()]))


def _admin_page() -> list[BaseRoute]:
    """Return the routes of the page of operators, `/admin/`. It refers to everything by relative addresses, so that a
    proxy may serve it under any path. Its modules lie as in the source tree, because they import one another."""

    async def page(request: Request) -> Response:
        served.FILES.look()
        content = served.FILES.get("admin/index.html")
        assert content is not None
        return content.response(request)

    async def to_page(request: Request) -> Response:
        # Relative addresses need the slash at the end. The target is relative, too: the Host header is the client's,
        # and only the proxy knows under which path this is served.
        query = f"?{request.url.query}" if request.url.query else ""
        return Response(status_code=307, headers={"location": f"admin/{query}"})

    return [
        Route("/admin", to_page),
        Route("/admin/", page),
        *(served.FILES.route(f"/admin/static/{folder}", folder) for folder in ("admin", "dashboard", "view")),
    ]


def _hardened(app: Starlette) -> ASGIApp:
    app.router.redirect_slashes = (
        False  # a redirect would go to the host in the Host header, which the client chose
    )
    return SecurityHeaders(app)  # the outermost layer, so that error responses have these headers, too


class SecurityHeaders:
    """ASGI middleware that adds the security headers to every response, and declares ASGI version 2.4 in the scope.

    uvicorn declares an older version, but follows the rule of 2.4 that matters here: sending to a client that is gone
    does nothing. With an older version, Starlette would start another task for each file, to wait for a disconnect;
    cancelling that task would leave ninety objects and the request to Python's garbage collector.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name for name, _ in message["headers"]}
                missing = [(name, value) for name, value in DEFAULT_HEADERS if name not in given]
                message["headers"] = [*message["headers"], *HEADERS, *missing]
            await bare_send(message)

        bare_send = send
        if scope["type"] == "http":
            scope["asgi"] = {**scope["asgi"], "spec_version": "2.4"}
            send = send_with_headers
        await self._app(scope, receive, send)
