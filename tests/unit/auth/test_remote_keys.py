"""Keys that are fetched from a JWKS: when, and what happens when its server misbehaves."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from support.token_forgery import jwk, jwks, pem, segment, signed

from relay import config
from relay.auth import jwks as fetching
from relay.auth.jwks import COOLDOWN_S, MAX_UNANSWERED, REFRESH_S, FetchFailed, RemoteKeys
from relay.auth.keys import FixedKeys, from_pem, key_source
from relay.auth.tokens import Verifier
from relay.errors import Refused

SECRET = "0123456789abcdef0123456789abcdef"
PUBLIC = ["RS256", "ES256"]
CLAIMS = {"sub": "a", "exp": int(time.time()) + 86_400}
SOON_S = 30.0


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in config.Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "TIMEOUT_S", SOON_S)  # on a busy machine


# When keys are fetched: the test sets the time and the responses.


class Server:
    """The result of the next fetch, and the times of all fetches."""

    def __init__(self, *answers: bytes | Exception) -> None:
        self.answer: bytes | Exception = answers[0] if answers else FetchFailed("500")
        self.fetches: list[float] = []
        self.now = 1000.0
        self.remote = RemoteKeys("https://id.test/jwks", PUBLIC, fetch=self.fetch, clock=lambda: self.now)
        self.verifier = Verifier(self.remote)

    async def fetch(self, url: str) -> bytes:
        self.fetches.append(self.now)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def after(self, seconds: float) -> None:
        """Let this time pass, and run every fetch that becomes due."""
        end = self.now + seconds
        while self.remote.due_at <= end:
            self.now = max(self.now, self.remote.due_at)
            await self.remote.refresh_if_due()
        self.now = end

    def code(self, token: str) -> int:
        """0 if the token is accepted, else the close code."""
        try:
            self.verifier.verify(token)
        except Refused as refused:
            return refused.code
        return 0


OLD = jwks(jwk("RSA", "old"))
BOTH = jwks(jwk("RSA", "old"), jwk("RSA-other", "new"))
OLD_TOKEN = signed(CLAIMS, "RSA", "RS256", kid="old")
NEW_TOKEN = signed(CLAIMS, "RSA-other", "RS256", kid="new")


async def test_keys_are_fetched_at_the_start_and_every_ten_minutes() -> None:
    server = Server(OLD)
    assert server.code(OLD_TOKEN) == 1011
    await server.after(0)
    assert server.code(OLD_TOKEN) == 0
    await server.after(2 * REFRESH_S)
    assert server.fetches == [1000, 1600, 2200]


async def test_a_failed_fetch_is_retried_more_and_more_slowly() -> None:
    server = Server()
    await server.after(150)
    assert [at - 1000 for at in server.fetches] == [0, 1, 3, 7, 15, 31, 61, 91, 121]
    assert server.code(OLD_TOKEN) == 1011
    server.answer = OLD
    await server.after(COOLDOWN_S)
    assert server.code(OLD_TOKEN) == 0


@pytest.mark.parametrize("failure", [FetchFailed("500"), b"<html>", b'{"keys":[]}', jwks({"kty": "oct"})])
async def test_the_last_good_keys_stay_in_use_during_an_outage(failure: bytes | Exception) -> None:
    """S10: after an hour of failures the old keys are still used, and a new key is accepted soon after it."""
    server = Server(OLD)
    await server.after(1)
    server.answer = failure
    await server.after(3600)
    assert server.code(OLD_TOKEN) == 0
    assert server.code(NEW_TOKEN) == 1011
    assert 5 <= len(server.fetches) <= 15
    server.answer = BOTH
    await server.after(COOLDOWN_S)
    assert server.code(NEW_TOKEN) == 0
    assert server.remote.due_at == server.fetches[-1] + REFRESH_S
    server.answer, server.now = failure, server.remote.due_at
    await server.remote.refresh_if_due()
    assert server.remote.due_at == server.now + COOLDOWN_S


@pytest.mark.parametrize("age", [0.5, 29, 300])
async def test_a_new_key_is_accepted_within_30_s(age: float) -> None:
    """S10: regardless of when the last fetch was, and for the first token of that key."""
    server = Server(OLD)
    await server.after(age)
    server.answer = BOTH
    assert server.code(NEW_TOKEN) == 1011
    await server.after(max(0.0, COOLDOWN_S - age))
    assert server.code(NEW_TOKEN) == 0
    assert server.code(OLD_TOKEN) == 0


async def test_a_removed_key_verifies_no_token() -> None:
    server = Server(BOTH)
    await server.after(0)
    assert server.code(NEW_TOKEN) == 0
    server.answer = OLD
    await server.after(REFRESH_S)
    assert server.code(NEW_TOKEN) == 1011  # keys fetched after it was shown now will say
    await server.after(COOLDOWN_S)
    assert server.code(NEW_TOKEN) == 4401


async def test_a_token_of_an_unknown_key_is_refused_for_good_after_the_next_fetch() -> None:
    """S9: a token with an unknown kid is tried once more with newer keys, and then refused for good."""
    server = Server(OLD)
    await server.after(1)
    assert [server.code(NEW_TOKEN), server.code(NEW_TOKEN)] == [1011, 1011]
    await server.after(COOLDOWN_S)
    assert server.code(NEW_TOKEN) == 4401
    server.answer = BOTH
    await server.after(COOLDOWN_S)
    assert server.code(NEW_TOKEN) == 0


async def test_ten_thousand_unknown_key_names_cause_one_fetch_in_30_s() -> None:
    """S9."""
    server = Server(OLD)
    await server.after(1)
    rest = NEW_TOKEN.split(".", 1)[1]
    for n in range(10_000):
        server.now += 0.01
        assert server.code(f"{segment({'alg': 'RS256', 'kid': f'random-{n}'})}.{rest}") == 1011
        await server.after(0)
    assert len(server.fetches) <= 1 + 101 / COOLDOWN_S
    assert all(b - a >= COOLDOWN_S for a, b in zip(server.fetches, server.fetches[1:], strict=False))
    assert len(server.remote._unanswered) == MAX_UNANSWERED
    assert server.code(OLD_TOKEN) == 0


async def test_an_unchanged_document_changes_nothing() -> None:
    server = Server(OLD)
    await server.after(0)
    keys = server.remote.current()
    await server.after(REFRESH_S)
    assert len(server.fetches) == 2
    assert server.remote.current() is keys


async def test_a_request_for_newer_keys_during_a_fetch_is_not_lost() -> None:
    server, going, go_on = Server(OLD), asyncio.Event(), asyncio.Event()
    await server.after(0)

    async def slow(url: str) -> bytes:
        document = server.answer
        going.set()
        await go_on.wait()
        return await server.fetch(url) and document  # type: ignore[return-value]

    server.remote._fetch = slow
    server.now += REFRESH_S
    refreshing = asyncio.create_task(server.remote.refresh_if_due())
    await going.wait()
    server.answer = BOTH
    server.now += 1
    assert server.code(NEW_TOKEN) == 1011
    server.now += 1
    go_on.set()
    await refreshing
    assert server.code(NEW_TOKEN) == 1011
    await server.after(COOLDOWN_S)
    assert server.code(NEW_TOKEN) == 0


# The fetch itself, against a real server in a thread.

CONTEXT = ssl.create_default_context()


async def fetch(url: str) -> bytes:
    return await fetching.fetch(url, CONTEXT)


Handle = Callable[[BaseHTTPRequestHandler], None]


@contextlib.contextmanager
def serving(handle: Handle) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with contextlib.suppress(OSError):
                handle(self)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/jwks?tenant=1"
        finally:
            server.shutdown()
            thread.join()


def answering(status: int, body: bytes = b"", **headers: str) -> Handle:
    def handle(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        request.wfile.write(body)

    return handle


def endless(request: BaseHTTPRequestHandler) -> None:
    """Sends up to 100 MB."""
    answering(200)(request)
    for _ in range(1600):
        request.wfile.write(b" " * 65_536)


def endless_headers(request: BaseHTTPRequestHandler) -> None:
    request.wfile.write(b"HTTP/1.1 200 OK\r\n")
    for n in range(100_000):
        request.wfile.write(b"x-%d: %s\r\n" % (n, b"y" * 1000))


def dripping(start: bytes) -> Handle:
    def handle(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(start)
        while True:
            request.wfile.write(b" ")
            time.sleep(0.02)

    return handle


def silent(request: BaseHTTPRequestHandler) -> None:
    """Answers nothing until the client gives up."""
    request.rfile.read(1)


def chunked(request: BaseHTTPRequestHandler) -> None:
    answering(200, b"", Transfer_Encoding="chunked")(request)
    for part in (OLD[:100], OLD[100:]):
        request.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
    request.wfile.write(b"0\r\n\r\n")


def in_tiny_chunks(request: BaseHTTPRequestHandler) -> None:
    answering(200, b"", Transfer_Encoding="chunked")(request)
    request.wfile.write(b"1\r\n \r\n" * 100_000)


async def test_a_document_is_fetched_regardless_of_its_content_type() -> None:
    asked: list[str] = []

    def handle(request: BaseHTTPRequestHandler) -> None:
        asked.append(request.path)
        answering(200, OLD, Content_Type="text/plain", Content_Length=str(len(OLD)))(request)

    with serving(handle) as url:
        assert await fetch(url) == OLD
    assert asked == ["/jwks?tenant=1"]
    for other in (answering(200, OLD), chunked):
        with serving(other) as url:
            assert await fetch(url) == OLD


@pytest.mark.parametrize(
    ("handle", "says"),
    [
        *[(answering(code, OLD, Location="/other"), f"is {code}") for code in (301, 302, 303, 307, 308)],
        (answering(302, OLD, Location="file:///etc/passwd"), "is 302"),
        (answering(500, OLD), "is 500"),
        (answering(404), "is 404"),
        (answering(204), "is 204"),
        (answering(101, Connection="Upgrade", Upgrade="websocket"), "without a pending proposal"),
        (endless, "more than 256 KiB"),
        (endless_headers, "more than 256 KiB|RemoteProtocolError"),
        (answering(200, b" " * 300_000), "more than 256 KiB"),
        (in_tiny_chunks, "more than 1000 chunks"),
        (lambda request: request.wfile.write(b"garbage\r\n\r\n"), "RemoteProtocolError"),
        (lambda request: None, "without sending a response"),
    ],
)
async def test_a_misbehaving_server_costs_bounded_memory(handle: Handle, says: str) -> None:
    """S10, F52: redirects, errors, 100 MB, garbage."""
    with serving(handle) as url, pytest.raises(FetchFailed, match=says):
        await fetch(url)


@pytest.mark.parametrize(
    ("handle", "says"),
    [
        (dripping(b""), "no whole answer|RemoteProtocolError"),
        (dripping(b"HTTP/1.1 200 OK\r\nx: "), "no whole answer"),
        (dripping(b"HTTP/1.1 200 OK\r\n\r\n"), "no whole answer"),
        (silent, "no whole answer"),
    ],
)
async def test_a_fetch_from_a_server_that_never_finishes_ends_after_the_timeout(
    monkeypatch: pytest.MonkeyPatch, handle: Handle, says: str
) -> None:
    """S10, F52: a slow body, a silent server. Each of them would go on until the client ends the connection."""
    monkeypatch.setattr(fetching, "TIMEOUT_S", 0.5)
    with serving(handle) as url, pytest.raises(FetchFailed, match=says):
        await fetch(url)


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with serving(answering(200, OLD)) as url:
        assert await fetch(url) == OLD


async def test_a_compressed_body_is_not_unpacked() -> None:
    packed = gzip.compress(b" " * 50_000_000)
    with serving(answering(200, packed, Content_Encoding="gzip")) as url:
        assert await fetch(url) == packed


async def test_an_invalid_host_name_fails_the_fetch() -> None:
    with pytest.raises(FetchFailed):
        await fetch(f"http://{'x' * 70}.test/")


async def test_a_refused_connection_fails_the_fetch() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        url = f"http://127.0.0.1:{probe.getsockname()[1]}/"
    with pytest.raises(FetchFailed):
        await fetch(url)


async def test_a_server_without_tls_fails_the_fetch() -> None:
    """The URL begins with https, but the server speaks HTTP without TLS."""
    with serving(answering(200, OLD)) as url, pytest.raises(FetchFailed):
        await fetch(url.replace("http:", "https:"))


async def test_the_event_loop_runs_while_a_server_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """F52: a JWKS that hangs."""
    monkeypatch.setattr(fetching, "TIMEOUT_S", 2.0)
    with serving(silent) as url:
        failing = asyncio.create_task(fetch(url))
        turns = 0
        while not failing.done():
            await asyncio.sleep(0)
            turns += 1
        assert turns > 100
        with pytest.raises(FetchFailed):
            await failing


async def test_keys_are_fetched_from_a_real_server_and_verify_tokens(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "relay")
    with serving(answering(200, BOTH)) as url:
        source = key_source(config.load(relay_jwks_url=url))
        running = asyncio.create_task(source.run())
        await source.first(SOON_S)
        assert Verifier(source).verify(NEW_TOKEN).sub == "a"
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert "tenant" not in caplog.text
    assert NEW_TOKEN not in caplog.text


async def test_a_request_for_newer_keys_wakes_the_background_fetch() -> None:
    server = Server(OLD)
    running = asyncio.create_task(server.remote.run())
    await server.remote.first(SOON_S)
    server.answer = BOTH
    server.now += COOLDOWN_S
    assert server.code(NEW_TOKEN) == 1011
    async with asyncio.timeout(SOON_S):
        while server.code(NEW_TOKEN) != 0:
            await asyncio.sleep(0)
    assert len(server.fetches) == 2
    running.cancel()


async def test_waiting_for_the_first_keys_ends_after_the_timeout() -> None:
    await Server().remote.first(0.001)
    await FixedKeys(from_pem([pem("RSA")], PUBLIC)).first(0)
