"""The network between readers and instances: byte streams that take their time, stall, break and refuse.

Simulated here: TCP. Everything above it is real: an instance's end of a stream is the relay's own `HttpProtocol` and
`Connection`, the Python client's end is that of `websockets`. Bytes leave in order; they arrive after a latency
that differs from write to write. Who does not read leaves the bytes with the sender, whose transport then
pauses its protocol, as asyncio's do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any, Protocol, cast

LATENCIES_S = (0.0, 0.0, 0.0005, 0.001, 0.004, 0.03)
CHUNK_S = 0.002  # between two reads of somebody who has a backlog to read


class Listening(Protocol):
    """An instance, as the network sees it."""

    def accept(self) -> asyncio.Protocol:
        """The protocol of one more connection."""

    async def app(self, scope: Any, receive: Any, send: Any) -> None: ...


class End(asyncio.Transport):
    """One end of a stream, as the transport of the protocol at that end."""

    def __init__(self, loop: asyncio.AbstractEventLoop, chance: Random, high_water: int) -> None:
        super().__init__()
        self._loop = loop
        self._chance = chance
        self._high, self._low = high_water, high_water // 4
        self.protocol: asyncio.Protocol
        self.peer: End
        self._unsent = bytearray()  # the peer's socket does not take it yet
        self._unread = bytearray()  # it has arrived, and nobody reads it
        self._reading = True  # whether the protocol wants to read
        self._stalled = False  # whether this machine takes anything
        self._paused = False  # whether our protocol is
        self._arrives_at = 0.0  # when the last thing that is under way does
        self._draining = False
        self._closing = self._lost = self._ended = False
        self._sent: Callable[[bytes], None] = _nobody
        self._received: Callable[[bytes], None] = _nobody

    def watch(self, *, sent: Callable[[bytes], None], received: Callable[[bytes], None]) -> None:
        """Watch all bytes that leave this end, and those that reach it."""
        self._sent, self._received = sent, received

    # As a transport.

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._lost or self._closing or not data:
            return
        self._sent(bytes(data))
        waits = bool(self._unsent)  # then the peer fetches it when it takes something, and this after it
        self._unsent += data
        if not waits and self.peer.takes():
            self._leave(len(self._unsent))
        elif len(self._unsent) > self._high and not self._paused:
            self._paused = True
            self.protocol.pause_writing()

    def writelines(self, list_of_data: Any) -> None:
        self.write(b"".join(list_of_data))

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        self._reading = True
        self._wake()

    def is_reading(self) -> bool:
        return self._reading

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._end_when_empty()

    def write_eof(self) -> None:
        if not self._ended:
            self._ended = True
            self._arrive(lambda: self.peer._on_end())

    def can_write_eof(self) -> bool:
        return True

    def abort(self) -> None:
        self._closing = True
        self._unsent.clear()
        self._lose(None)
        self._arrive(lambda: self.peer._lose(ConnectionResetError()))

    def get_write_buffer_size(self) -> int:
        return len(self._unsent)

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._low, self._high

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 1) if name in ("peername", "sockname") else default

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = cast(asyncio.Protocol, protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self.protocol

    # As a machine in the network.

    def takes(self) -> bool:
        """Whether bytes that are sent here leave their sender."""
        return self._reading and not self._stalled and not self._unread

    def stall(self) -> None:
        """Take nothing until `go_on`."""
        self._stalled = True

    def go_on(self) -> None:
        self._stalled = False
        self._wake()

    def cut(self) -> bool:
        """The connection breaks; what is under way is lost. False if it was over already."""
        if self._closing or self.peer._closing:
            return False
        for end in (self, self.peer):
            end._closing = True
            end._unsent.clear()
            end._lose(ConnectionResetError())
        return True

    @property
    def is_lost(self) -> bool:
        return self._lost

    # How bytes travel.

    def _leave(self, count: int) -> None:
        data, self._unsent[:count] = bytes(self._unsent[:count]), b""
        self._arrive(lambda: self.peer._take(data))

    def _arrive(self, call: Callable[[], None]) -> None:
        """Call it on the other side, after everything that went before."""
        moment = self._loop.time() + self._chance.choice(LATENCIES_S)
        self._arrives_at = max(moment, self._arrives_at + 1e-6)
        self._loop.call_at(self._arrives_at, call)

    def _take(self, data: bytes) -> None:
        if self._lost:
            return
        if self.takes():
            self._give(data)
        else:
            self._unread += data

    def _give(self, data: bytes) -> None:
        self._received(data)
        self.protocol.data_received(data)

    def _wake(self) -> None:
        if not self._draining and not self._lost:
            self._draining = True
            self._loop.call_soon(self._drain)

    def _drain(self) -> None:
        """Read what has arrived, then what the sender still has, piece by piece."""
        self._draining = False
        if self._lost or not self._reading or self._stalled:
            return
        if self._unread:
            data, self._unread = bytes(self._unread), bytearray()
            self._give(data)
        sender = self.peer
        if sender._unsent and self.takes():
            sender._leave(self._chance.randint(1, len(sender._unsent)))
            sender._have_sent()
            if sender._unsent:
                self._draining = True
                self._loop.call_later(CHUNK_S, self._drain)

    def _have_sent(self) -> None:
        if self._paused and len(self._unsent) <= self._low:
            self._paused = False
            self.protocol.resume_writing()
        if self._closing:
            self._end_when_empty()

    def _end_when_empty(self) -> None:
        if not self._unsent and not self._lost:
            self.write_eof()
            self._lose(None)

    def _on_end(self) -> None:
        if not self._lost and not self.protocol.eof_received():
            self.close()

    def _lose(self, failure: Exception | None) -> None:
        if not self._lost:
            self._lost = True
            self._loop.call_soon(self.protocol.connection_lost, failure)


class Network:
    """Leads to the instances by their port, or by that of a `route`, which is asked again for each connection
    and sent it. `high_water`: bytes that wait in a transport before it pauses."""

    def __init__(self, loop: asyncio.AbstractEventLoop, chance: Random, *, high_water: int) -> None:
        self._loop = loop
        self._chance = chance
        self._high_water = high_water
        self.instances: dict[int, Listening] = {}
        self.routes: dict[int, Callable[[End], int]] = {}

    async def connect(
        self, make: Callable[[], asyncio.Protocol], host: str, port: int
    ) -> tuple[End, asyncio.Protocol]:
        """A stream to the instance of this port. Raises OSError where nobody listens."""
        await asyncio.sleep(self._chance.choice(LATENCIES_S))
        here, there = (End(self._loop, self._chance, self._high_water) for _ in range(2))
        if port in self.routes:
            port = self.routes[port](here)
        instance = self.instances.get(port)
        if instance is None:
            raise ConnectionRefusedError(111, "Connection refused")
        here.peer, there.peer = there, here
        here.protocol, there.protocol = make(), instance.accept()
        here.protocol.connection_made(here)
        there.protocol.connection_made(there)
        return here, here.protocol

    async def call(
        self, port: int, method: str, path: str, token: str, body: bytes = b""
    ) -> tuple[int, bytes]:
        """Send one HTTP request; return its status and body. Cancelling the call closes the connection."""
        await asyncio.sleep(self._chance.choice(LATENCIES_S))
        gone = asyncio.Event()
        parts = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Any:
            if parts:
                return parts.pop()
            await gone.wait()
            return {"type": "http.disconnect"}

        answer: list[Any] = []

        async def send(message: Any) -> None:
            answer.append(message)

        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": b"",
            "headers": [(b"authorization", f"Bearer {token}".encode())] if token else [],
            "client": ("127.0.0.1", 1),
        }
        serving = asyncio.ensure_future(self.instances[port].app(scope, receive, send))
        try:
            await asyncio.shield(serving)
        except asyncio.CancelledError:
            gone.set()
            raise
        await asyncio.sleep(self._chance.choice(LATENCIES_S))
        content = b"".join(message.get("body", b"") for message in answer[1:])
        return answer[0]["status"], content


def _nobody(_: bytes) -> None: ...
