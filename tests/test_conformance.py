"""The Autobahn cases, played against the relay's own wire on uvicorn."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import kosoku
import pytest
import uvicorn
from websockets.frames import Frame, Opcode

from relay.gateway import wire
from relay.gateway.wire import EXTENSION, Wire

CASES = 301  # as many as there are but for
LEFT_OUT = ("12.*", "13.*")  # compression, which the relay does not offer
# A close in the middle of a fragmented message is a protocol error for the parser of `websockets`
# (1002), where this case wants the code given back. RFC 6455 5.4 lets control frames come between
# fragments and says nothing of this one; uvicorn answers the same over that parser.
KNOWN = {"7.1.5"}
GOOD = {"OK", "NON-STRICT", "INFORMATIONAL"}
SWEEP_S = 0.05


class EchoWire(Wire):
    """What the relay serves, but binary messages are no reason to close."""

    __slots__ = ()
    takes_binary = True

    def message(self, opcode: Opcode, data: bytes) -> None:
        if opcode is Opcode.TEXT:
            super().message(opcode, data)
        else:
            self._keep(Frame(Opcode.BINARY, data).serialize(mask=False))


class Echo:
    """A conversation that gives back what it is told."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def receive(self, text: str) -> None:
        self._wire.answer(text.encode())

    def tick(self) -> None: ...
    def paused(self) -> None: ...
    def lag(self, *, since_pause: bool) -> None: ...
    def drained(self) -> None: ...
    def closed(self) -> None: ...


class Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def echoing(**config: Any) -> AsyncIterator[str]:
    """The address of an echo server over our wire, swept as the relay sweeps."""
    wires: set[Wire] = set()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        ours: Wire = scope["extensions"][EXTENSION]
        if ours.accept(None):
            ours.converse(Echo(ours), max_bytes=1024 * 1024)
            ours.when_lost(wires.discard)
            wires.add(ours)

    async def sweep() -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SWEEP_S)
            for ours in list(wires):
                ours.tick(loop.time(), ping_every_s=20, pong_within_s=8, stall_s=30)

    listening = socket.create_server(("127.0.0.1", 0))
    server = Server(
        uvicorn.Config(
            application,
            http="httptools",
            ws=EchoWire,
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=3,
            **config,
        )
    )
    serving, sweeping = asyncio.create_task(server.serve([listening])), asyncio.create_task(sweep())
    try:
        yield "127.0.0.1:{1}".format(*listening.getsockname())
    finally:
        server.should_exit = True
        await serving
        sweeping.cancel()
    assert not wires, "connections were left behind"


async def test_the_wire_holds_the_autobahn_cases(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One case sends 4 MB in fragments of 64 bytes.
    monkeypatch.setattr(wire, "MAX_FRAGMENTS", 100_000)
    with caplog.at_level(logging.INFO):
        async with echoing() as address:
            try:
                results = await kosoku.run_fuzzingclient(address, exclude_cases=LEFT_OUT)
            except kosoku.FailureError as failure:
                results = failure.results
    verdicts = {one.case_id: (one.behavior.value, one.behavior_close.value) for one in results}
    failed = {case: verdict for case, verdict in verdicts.items() if not set(verdict) <= GOOD}
    assert failed.keys() <= KNOWN, failed
    assert len(verdicts) >= CASES
    # Nothing a peer sends is worth a line of the log, let alone a traceback.
    ours = [record for record in caplog.records if record.name != "uvicorn.error"]
    assert not ours, caplog.text
    assert not any(record.exc_info for record in caplog.records), caplog.text
    assert len(caplog.records) < 10, caplog.text
