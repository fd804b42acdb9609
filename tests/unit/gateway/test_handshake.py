"""The handshake of a WebSocket: accepted, rejected, or given up; and the parts of uvicorn that it relies on."""

from __future__ import annotations

import asyncio
import gc
import inspect
import weakref
from http import HTTPStatus
from typing import Any

import pytest
from support.fake_transport import REQUEST_HEADERS, Harness, Loop, Transport, frame, unframed
from uvicorn.config import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import Server, ServerState

from relay.gateway.websocket.connection import Connection
from relay.gateway.websocket.handshake import Handshake
from relay.gateway.websocket.owner import End

TEXT = 0x1


def failing(*_: Any) -> None:
    raise RuntimeError("a bug")


def test_the_answer_and_what_is_sent_at_once_leave_in_one_write() -> None:
    harness = Harness(settle=False)
    harness.connection.answer(frame(b"welcome"))
    harness.loop.turn()

    (write,) = harness.transport.writes
    head, _, rest = write.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ")
    assert unframed(rest) == [(TEXT, b"welcome")]


def test_an_open_connection_keeps_nothing_of_its_handshake() -> None:
    harness = Harness()
    assert harness.transport.protocol is harness.connection
    assert harness.server_state.connections == {harness.connection}

    handshake = weakref.ref(harness.handshake)
    gc.disable()
    try:
        del harness.handshake
        assert handshake() is None, "a cycle keeps it"
    finally:
        gc.enable()


def test_an_idle_connection_has_few_attributes() -> None:
    assert not hasattr(Harness().connection, "__dict__")
    assert len(Connection.__slots__) <= 24


@pytest.mark.parametrize(
    ("endpoint", "status"),
    [
        (lambda handshake: handshake.reject(HTTPStatus.FORBIDDEN), 403),
        (lambda handshake: None, 500),
        (failing, 500),
    ],
)
def test_a_request_that_is_not_accepted_is_answered_and_closed(endpoint: Any, status: int) -> None:
    harness = Harness(endpoint=endpoint)
    assert harness.answer.startswith(b"HTTP/1.1 %d " % status)
    assert harness.transport.closing
    assert harness.server_state.connections == set()
    assert harness.handshake.accept(None, harness) is None


def test_a_connection_that_is_accepted_and_not_served_is_cut_off() -> None:
    harness = Harness(endpoint=lambda handshake: handshake.accept(None, OWNER))
    assert harness.transport.aborted
    assert harness.server_state.connections == set()


class Owner:
    def lost(self, _: Connection) -> None: ...
    def wake(self, _: Connection) -> None: ...
    def admitted(self, _: Connection) -> None: ...
    def ending(self, _: Connection, __: End) -> None: ...


OWNER = Owner()


def test_a_client_that_is_gone_before_the_answer_is_not_accepted() -> None:
    accepted = []

    def endpoint(handshake: Handshake) -> None:
        assert handshake._transport is not None
        handshake._transport.close()
        accepted.append(handshake.accept(None, OWNER))

    harness = Harness(endpoint=endpoint)
    assert accepted == [None]
    assert harness.answer == b""
    assert harness.server_state.connections == set()


def test_a_protocol_without_an_endpoint_has_no_path_for_a_websocket() -> None:
    transport = Transport(Loop())
    transport.protocol = asyncio.Protocol()
    Handshake(Config("x:y"), ServerState()).begin(
        transport,  # type: ignore[arg-type]
        "GET",
        b"/ws",
        "1.1",
        REQUEST_HEADERS,
        None,
    )
    assert transport.sent().startswith(b"HTTP/1.1 404 Not Found\r\n")
    assert transport.closing


def test_uvicorn_still_has_the_private_parts_that_the_handshake_relies_on() -> None:
    moved = "a private part of uvicorn has moved; see the docstring of relay/gateway/websocket/handshake.py: "
    theirs = list(inspect.signature(WebSocketsSansIOProtocol.__init__).parameters)
    ours = list(inspect.signature(Handshake.__init__).parameters)
    assert theirs[: len(ours)] == ours, moved + f"a WebSocket class is made with {theirs}"
    config = Config("x:y", ws=Handshake, ws_max_size=5)
    assert getattr(config, "ws_max_size", None) == 5, moved + "Config.ws_max_size"
    config.app = application
    config.load()
    assert config.ws_protocol_class is Handshake, moved + "Config.ws_protocol_class"
    assert isinstance(getattr(ServerState(), "connections", None), set), moved + "ServerState.connections"
    assert "connection.shutdown()" in inspect.getsource(Server.shutdown), moved + "Protocol.shutdown"


async def application(scope: Any, receive: Any, send: Any) -> None: ...
