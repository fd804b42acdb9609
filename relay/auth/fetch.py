"""One small GET, bounded in everything, for the keys of a JWKS.

Why not urllib in a thread: its timeout is for each read, so that a server that drips holds the
thread for as long as it likes, and the end of the relay with it. Here one bound covers all of it,
nothing blocks the loop, and what is not written here cannot happen: no redirect, no other scheme,
no proxy, no cookie, no password.
"""

from __future__ import annotations

import asyncio
import ssl
from urllib.parse import urlsplit

import httptools

TIMEOUT_S = 5.0  # from the first packet to the last byte
MAX_BODY_BYTES = 256 * 1024
_MAX_RAW_BYTES = MAX_BODY_BYTES + 64 * 1024  # headers and the frames of chunks included
_CHUNK = 16 * 1024


class FetchFailed(Exception):
    """There is no such document now; the message is why, for the log."""


async def fetch(url: str, context: ssl.SSLContext | None = None) -> bytes:
    """The body of a 200 answer. Raises FetchFailed."""
    try:
        async with asyncio.timeout(TIMEOUT_S):
            return await _fetch(url, context)
    except TimeoutError:
        raise FetchFailed(f"no whole answer within {TIMEOUT_S:g} s") from None
    except (OSError, ValueError, httptools.HttpParserError, httptools.HttpParserUpgrade) as failure:
        raise FetchFailed(f"{type(failure).__name__}: {failure}") from failure


async def _fetch(url: str, context: ssl.SSLContext | None) -> bytes:
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    if secure and context is None:
        context = ssl.create_default_context()
    reader, writer = await asyncio.open_connection(
        parts.hostname, parts.port or (443 if secure else 80), ssl=context if secure else None
    )
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        writer.write(
            f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nAccept: application/json\r\n"
            "Accept-Encoding: identity\r\nUser-Agent: relay\r\nConnection: close\r\n\r\n".encode("ascii")
        )
        answer = _Answer()
        parser = httptools.HttpResponseParser(answer)
        raw = 0
        while not answer.complete and (data := await reader.read(_CHUNK)):
            parser.feed_data(data)
            if answer.started and parser.get_status_code() != 200:
                raise FetchFailed(f"the answer is {parser.get_status_code()}, not 200")
            raw += len(data)
            if len(answer.body) > MAX_BODY_BYTES or raw > _MAX_RAW_BYTES:
                raise FetchFailed(f"the answer has more than {MAX_BODY_BYTES // 1024} KiB")
        if not answer.started:
            raise FetchFailed("the connection ended without an answer")
        return bytes(answer.body)  # what a lost end cuts off leaves no JSON
    finally:
        writer.transport.abort()


class _Answer:
    """What the parser found so far."""

    def __init__(self) -> None:
        self.started = False  # the status and the headers are complete
        self.complete = False
        self.body = bytearray()

    def on_headers_complete(self) -> None:
        self.started = True

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.complete = True
