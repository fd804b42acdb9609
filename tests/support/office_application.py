"""An application with a login of its own, in front of which the relay's dashboard is served: it hands out tokens."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import parse_qs, urlsplit

from support.relay_fixture import token

# `silent`: no answer; `stuck`: only the beginning of one; `late`: a token after LATE_S.
Mode = Literal[
    "text", "json", "string", "unavailable", "error", "page", "redirect", "nothing", "silent", "stuck", "late"
]
LATE_S = 1.0
ENDLESS_S = 60.0  # longer than a test waits for an answer


@dataclass
class Application:
    """What a test decides and sees. A user is signed in while the cookie `user` names one of `users`."""

    address: str = ""
    users: set[str] = field(default_factory=set)
    user: str = "alice"  # who signs in next
    ttl_s: float = 600
    mode: Mode = "text"  # how the address of tokens answers to a user who is signed in
    page: str = "An application"  # the content of every other address
    refusal: Literal[401, 403, 302] = 401  # to one who is not
    asked: list[str] = field(default_factory=list)  # the users of the requests for a token; "" for nobody
    returned_to: list[str] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def sign_out(self) -> None:
        """Sign everybody out."""
        self.users.clear()


class _Handler(BaseHTTPRequestHandler):
    application: Application
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        match parts.path:
            case "/login":
                self._sign_in(parse_qs(parts.query).get("return_to", ["/"])[0])
            case "/live-token":
                self._token()
            case _:
                self._answer(200, self.application.page)

    def _sign_in(self, address: str) -> None:
        app = self.application
        app.returned_to.append(address)
        app.users.add(app.user)
        assert urlsplit(address).netloc in ("", self.headers["Host"])
        self._answer(302, "", location=address, set_cookie=f"user={app.user}; Path=/; HttpOnly; SameSite=Lax")

    def _token(self) -> None:
        app = self.application
        cookie = SimpleCookie(self.headers.get("Cookie", "")).get("user")
        user = cookie.value if cookie is not None and cookie.value in app.users else ""
        app.asked.append(user)
        given = token(user, ttl_s=app.ttl_s) if user else ""
        if not user:
            return self._answer(app.refusal, "Sign in", location="/login")
        match app.mode:
            case "text":
                self._answer(200, f"{given}\n")
            case "json":
                self._answer(200, json.dumps({"token": given, "for": user}))
            case "string":
                self._answer(200, json.dumps(given))
            case "unavailable":
                self._answer(503, "Back soon")
            case "page":
                self._answer(200, "<!doctype html><title>We are moving</title>")
            case "redirect":
                self._answer(302, "", location="/login")
            case "nothing":
                self._answer(204, "")
            case "error":
                self._answer(500, "<!doctype html><title>Something went wrong</title>")
            case "silent":
                app.ended.wait(ENDLESS_S)
            case "stuck":
                self.send_response(200)
                self.send_header("Content-Length", "1000")
                self.end_headers()
                self.wfile.write(given[:20].encode())
                app.ended.wait(ENDLESS_S)
            case "late":
                app.ended.wait(LATE_S)
                with suppress(OSError):  # nobody waits any more
                    self._answer(200, given)

    def _answer(self, status: int, text: str, *, location: str = "", set_cookie: str = "") -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "text/html" if text.startswith("<") else "text/plain")
        if location:
            self.send_header("Location", location)
        if set_cookie:
            self.send_header("Set-Cookie", set_cookie)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the requests are in `asked`."""


@contextmanager
def running_application() -> Iterator[Application]:
    """Run the application until the context ends."""
    application = Application()
    handler = type("Handler", (_Handler,), {"application": application})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    application.address = f"127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield application
    finally:
        application.ended.set()
        server.shutdown()
        thread.join()
        server.server_close()
