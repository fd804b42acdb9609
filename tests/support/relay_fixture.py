"""A relay that runs for a test: in the event loop of the test, or in a thread beside a synchronous test."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
from websockets.asyncio.client import ClientConnection, connect

from relay.app import Place, Relay
from relay.auth.tokens import issue
from relay.config import Settings, load

SECRET = "a secret for tests, long enough for HS256"
COMMAND = [sys.executable, "-c", "from relay.__main__ import main; main()"]

SOON_S = 30.0  # a limit for what takes milliseconds, on a busy machine


def command(patches: Mapping[str, float]) -> list[str]:
    """Return a COMMAND with these values for constants of modules (`relay.workers.slot.ASK_EVERY_S`): a test cannot
    wait for a minute."""
    lines = ["import importlib"]
    for name, value in patches.items():
        module, _, constant = name.rpartition(".")
        lines.append(f"importlib.import_module({module!r}).{constant} = {value}")
    return [*COMMAND[:2], "\n".join([*lines, COMMAND[2]])]


def token(sub: Any, *, ttl_s: float = 600, secret: str = SECRET, **claims: Any) -> str:
    return issue(secret, "HS256", {"sub": sub, **claims}, ttl_s=ttl_s, now=time.time())


def settings_for(mongo_url: str, database: str, **overrides: object) -> Settings:
    given: dict[str, object] = {
        "relay_mongo_url": mongo_url,
        "relay_mongo_database": database,
        "relay_jwt_secret": SECRET,
        "relay_port": 0,
        "relay_messages_per_second": 1000,
        "relay_max_connections": 3000,  # as many as the limit on open files of most machines permits
        "relay_max_connections_per_user": 1000,
        "relay_list_update_min_interval_ms": 0,  # send each change at once, so that tests can count messages
        "relay_drain_ms": 0,
        # Time limits that a client of a test reaches only if the machine is so busy that nothing moves for a minute.
        "relay_handshake_timeout_ms": 60_000,
        "relay_auth_timeout_ms": 60_000,
        "relay_ping_timeout_ms": 60_000,
        "relay_stall_timeout_ms": 60_000,
        "relay_heartbeat_ms": 120_000,  # so that none is among the messages that a test compares
    }
    return load(**given | overrides)


def settings_to_serve(mongo_url: str, database: str) -> dict[str, str]:
    """Return the settings with which `relay serve` starts, as an environment."""
    return {
        "RELAY_MONGO_URL": mongo_url,
        "RELAY_MONGO_DATABASE": database,
        "RELAY_JWT_SECRET": SECRET,
        "RELAY_PORT": "0",
        # A client of a test reaches these only if nothing moves for a minute. No heartbeat is among its messages.
        "RELAY_HANDSHAKE_TIMEOUT_MS": "60000",
        "RELAY_AUTH_TIMEOUT_MS": "60000",
        "RELAY_PING_TIMEOUT_MS": "60000",
        "RELAY_STALL_TIMEOUT_MS": "60000",
        "RELAY_HEARTBEAT_MS": "120000",
    }


WORKER_LIMITS = {
    "RELAY_DRAIN_MS": "500",
    "RELAY_MAX_CONNECTIONS_PER_USER": "3000",
    "RELAY_MAX_CONNECTIONS_PER_ADDRESS": "3000",
    "RELAY_MESSAGES_PER_SECOND": "1000",
}


def environment(**given: str) -> dict[str, str]:
    """The environment for a command of the relay: this process's own, with these settings and no others."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RELAY_", "FEATURE_"))}
    return kept | {"PYTHONUNBUFFERED": "1"} | given


@asynccontextmanager
async def running(
    settings: Settings, place: Place | None = None, *, read: Callable[[], Settings] | None = None
) -> AsyncIterator[Relay]:
    """Run a relay until the context ends. Gives it once it listens and follows the change stream. `place` is its place
    among other relays, `read` returns what it reads when it reloads."""
    relay, ready = Relay(settings, place, read=read), asyncio.Event()
    serving = asyncio.create_task(relay.run(ready.set))
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait((serving, waiting), return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if serving.done():
        await serving
    try:
        yield relay
    finally:
        relay.stop()
        await serving


@contextmanager
def running_in_thread(settings: Settings) -> Iterator[str]:
    """Run a relay in a thread until the context ends. Gives its address."""
    with relay_in_thread(settings) as relay:
        yield relay.url


@contextmanager
def relay_in_thread(settings: Settings) -> Iterator[Relay]:
    """Run a relay in a thread until the context ends. Only its addresses may be read from other threads."""
    started = threading.Event()
    stop: list[Any] = []
    running_here: list[Relay] = []

    async def serve() -> None:
        async with running(settings) as relay:
            over = asyncio.Event()
            stop.append((asyncio.get_running_loop(), over))
            running_here.append(relay)
            started.set()
            await over.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert started.wait(SOON_S), "the relay did not start"
    try:
        yield running_here[0]
    finally:
        loop, over = stop[0]
        loop.call_soon_threadsafe(over.set)
        thread.join(SOON_S)


@dataclass
class SocketClient:
    """A WebSocket client that keeps all messages it receives, in order."""

    socket: ClientConnection
    frames: list[dict[str, Any]] = field(default_factory=list)

    async def send(self, kind: str, data: dict[str, Any] | None = None, *, id: str | None = None) -> None:
        frame = {"type": kind, "data": data or {}, **({"id": id} if id else {})}
        await self.socket.send(orjson.dumps(frame).decode())

    async def next(self) -> dict[str, Any]:
        async with asyncio.timeout(SOON_S):
            frame: dict[str, Any] = orjson.loads(await self.socket.recv())
        self.frames.append(frame)
        return frame

    async def until(self, kind: str, **data: Any) -> dict[str, Any]:
        """Receive messages up to one of this type whose data contains these fields, and return it."""
        while True:
            frame = await self.next()
            if frame["type"] == kind and data.items() <= frame["data"].items():
                return frame

    async def quiet(self) -> list[dict[str, Any]]:
        """Receive all messages that were sent until now: those that arrive before the answer to a ping."""
        await self.send("ping", id="quiet?")
        before: list[dict[str, Any]] = []
        while (frame := await self.next()).get("replyTo") != "quiet?":
            before.append(frame)
        return before


@asynccontextmanager
async def connected(
    relay: Relay | str, path: str = "/ws", *, sub: Any = "alice", **claims: Any
) -> AsyncIterator[SocketClient]:
    """Connect as this user. The welcome has been read already."""
    address = (relay if isinstance(relay, str) else relay.url).replace("http", "ws", 1) + path
    headers = {"Authorization": f"Bearer {token(sub, **claims)}"}
    # A client may be with a worker that is only starting, which takes ten seconds on a busy machine.
    async with connect(
        address, additional_headers=headers, proxy=None, open_timeout=SOON_S, ping_timeout=SOON_S
    ) as socket:
        client = SocketClient(socket)
        assert (await client.next())["type"] == "welcome"
        yield client
