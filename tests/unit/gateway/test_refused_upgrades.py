"""A request to open a WebSocket that is refused: the client may still have to read responses before it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from support.fake_transport import REQUEST_HEADERS, Transport
from support.relay_fixture import SOON_S
from uvicorn.config import Config
from uvicorn.server import ServerState

from relay.auth.limits import Caps
from relay.gateway.http_protocol import HttpProtocol, Limits, http_protocol
from relay.gateway.websocket.handshake import Handshake

HEAD = b"\r\n".join((b"GET /ws HTTP/1.1", *(b"%s: %s" % header for header in REQUEST_HEADERS), b"", b""))


async def application(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError("no request is for an application")


class Connected:
    """A client with an HTTP connection. Every request to open a WebSocket is refused with 404."""

    def __init__(self) -> None:
        self.caps = Caps(total=1, per_address=9, per_user=9)
        limits = Limits(request_within_s=3600, stall_s=0.001, caps=self.caps)
        config = Config(application, ws=Handshake, interface="asgi3", log_config=None)  # type: ignore[arg-type]
        self.transport = Transport(asyncio.get_running_loop())  # type: ignore[arg-type]
        protocol: Any = http_protocol(limits)(config, ServerState(), {})
        self.protocol: HttpProtocol = protocol
        self.transport.protocol = protocol
        protocol.connection_made(self.transport)

    @property
    def is_counted(self) -> bool:
        if entered := self.caps.enter(None):
            self.caps.leave(None)
        return not entered


@pytest.mark.parametrize("pieces", [1, 2])
async def test_a_client_that_reads_nothing_after_a_refusal_is_counted_until_it_is_cut_off(
    pieces: int,
) -> None:
    client = Connected()
    client.transport.taking, client.transport.buffer = False, b"of an earlier response"
    middle = len(HEAD) // pieces

    for piece in (HEAD[:middle], HEAD[middle:]):
        if piece:
            client.transport.feed(piece)

    assert b" 404 " in client.transport.sent()
    assert client.is_counted
    async with asyncio.timeout(SOON_S):
        while not client.transport.lost:
            await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert client.transport.aborted
    assert not client.is_counted


async def test_a_client_that_has_read_everything_is_let_go_at_once() -> None:
    client = Connected()

    client.transport.feed(HEAD)
    await asyncio.sleep(0)

    assert client.transport.lost
    assert not client.transport.aborted
    assert not client.is_counted
