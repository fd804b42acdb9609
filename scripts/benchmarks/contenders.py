"""Who takes part: each a process of its own on the server's core, following a database of its own."""

from __future__ import annotations

import asyncio
import ctypes
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from bson import ObjectId

from relay.auth.tokens import issue
from scripts.benchmarks import machine
from scripts.benchmarks.listeners import Script, text_frame

ROOT = Path(__file__).parent.parent.parent
PEERS = Path(__file__).parent / "peers"
SECRET = "a secret for measurements, long enough for HS256"  # noqa: S105 - it opens nothing
READY_S = 30.0
STOP_S = 5.0

# What the relay limits by itself, and one machine with thousands of connections would meet.
LIMITS = {
    "RELAY_MAX_CONNECTIONS": "1000000",
    "RELAY_MAX_CONNECTIONS_PER_USER": "1000000",
    "RELAY_MAX_CONNECTIONS_PER_ADDRESS": "1000000",
    "RELAY_DRAIN_MS": "0",
}


class Missing(Exception):
    """What a contender needs is not on this machine; says what."""


@cache
def token(sub: str, team: str | None = None) -> str:
    claims = {"sub": sub, **({"teams": [team]} if team is not None else {})}
    return issue(SECRET, "HS256", claims, ttl_s=86_400, now=time.time())


def relay_script(path: str, *steps: tuple[bytes, bytes | None], sub: str, team: str | None = None) -> Script:
    """A conversation with the relay."""
    return Script(path, steps, headers=(f"Authorization: Bearer {token(sub, team)}",))


def _relay_listens(task: ObjectId, number: int) -> Script:
    # Fifty people of one team, each with several tabs open.
    return relay_script(f"/ws/tasks/{task}", (b'"task:state"', None), sub=f"user{number % 50}", team="red")


def _relay_joins(task: ObjectId) -> bytes:
    return b'{"type":"task:join","data":{"taskId":"%s"}}' % str(task).encode()


def _plain_joins(task: ObjectId) -> bytes:
    return b'{"taskId":"%s"}' % str(task).encode()


def _plain_listens(task: ObjectId, number: int) -> Script:
    return Script("/", ((b"", _plain_joins(task)), (b'"joined"', None)))


def _socketio_joins(task: ObjectId) -> bytes:
    return b'420["join","%s"]' % str(task).encode()


def _socketio_listens(task: ObjectId, number: int) -> Script:
    return Script(
        "/socket.io/?EIO=4&transport=websocket",
        ((b"0{", b"40"), (b"40{", _socketio_joins(task)), (b"430", None)),
        ping=b"\x81\x012",
        pong=text_frame(b"3"),
    )


def _python(*arguments: str) -> Callable[[str, str], list[str]]:
    return lambda url, database: [sys.executable, *arguments, url, database]


def _node(folder: str) -> Callable[[str, str], list[str]]:
    def command(url: str, database: str) -> list[str]:
        return [_installed(folder), str(PEERS / folder / "server.js"), url, database]

    return command


@cache
def _installed(folder: str) -> str:
    """The node that runs a peer, whose packages are installed from its lock if they are not yet."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise Missing("Node.js and npm are not installed")
    place = PEERS / folder
    lock = hashlib.sha256((place / "package-lock.json").read_bytes()).hexdigest()
    stamp = place / "node_modules" / ".installed"
    if not stamp.exists() or stamp.read_text() != lock:
        done = subprocess.run(  # noqa: S603 - the npm the user installed, and the lock file that lies here
            [npm, "ci", "--no-audit", "--no-fund", "--silent"], cwd=place, stdout=sys.stderr
        )
        if done.returncode:
            raise Missing(f"npm could not install the packages of {folder}")
        stamp.write_text(lock)
    return node


def _relay(url: str, database: str) -> list[str]:
    return [sys.executable, "-c", "from relay.cli.commands import main; main()", "serve"]


def _profiled(file: Path) -> list[str]:
    """The relay with Python's own profiler, which makes it slower by half or more."""
    code = "import cProfile; cProfile.run('from relay.cli.commands import run; run()', {!r})"
    return [sys.executable, "-c", code.format(str(file)), "serve"]


@dataclass(frozen=True)
class Contender:
    """One way of doing the work."""

    name: str
    command: Callable[[str, str], list[str]]  # of the database's URL and name
    listens: Callable[[ObjectId, int], Script]  # how the nth connection comes to listen to a task
    joins: Callable[[ObjectId], bytes]  # what a connection that listens sends to listen to another one too


CONTENDERS = {
    one.name: one
    for one in (
        Contender("relay", _relay, _relay_listens, _relay_joins),
        Contender("Socket.IO", _node("socketio"), _socketio_listens, _socketio_joins),
        Contender("ws", _node("ws"), _plain_listens, _plain_joins),
        Contender("Starlette loop", _python(str(PEERS / "starlette_loop.py")), _plain_listens, _plain_joins),
        Contender("floor", _python(str(PEERS / "floor.py")), _plain_listens, _plain_joins),
    )
}
SERVERS = ("relay", "Socket.IO", "ws", "Starlette loop")
ALL = (*SERVERS, "floor")


class Server:
    """A contender that runs; it did `ready_s` seconds after it was started."""

    def __init__(self, contender: Contender, pid: int, port: int, ready_s: float) -> None:
        self.contender = contender
        self.pid = pid
        self.port = port
        self.ready_s = ready_s

    def cpu_s(self) -> float:
        return machine.cpu_s(self.pid)

    def rss_bytes(self) -> int:
        return machine.rss_bytes(self.pid)


@asynccontextmanager
async def serving(
    name: str,
    url: str,
    database: str,
    core: int,
    settings: Mapping[str, str],
    *,
    profile: Path | None = None,
) -> AsyncIterator[Server]:
    """A contender, from when it listens and follows the database. Raises Missing.

    `profile`: where a profile of it goes, if it is the relay.
    """
    contender = CONTENDERS[name]
    command = await asyncio.to_thread(contender.command, url, database)
    if profile is not None and name == "relay":
        command = _profiled(profile)
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=ROOT,
        env=_environment(url, database, settings),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        preexec_fn=lambda: _before_it_runs(core),
    )
    said: list[bytes] = []
    reading: asyncio.Task[None] | None = None
    try:
        async with asyncio.timeout(READY_S):
            port = await _port(process, said)
        ready_s = time.perf_counter() - began
        reading = asyncio.create_task(_drain(process, said))
        yield Server(contender, process.pid, port, ready_s)
        if process.returncode is not None:
            raise RuntimeError(f"{name} ended by itself: {b''.join(said).decode(errors='replace')}")
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(STOP_S):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
        if reading is not None:
            await reading


async def _port(process: asyncio.subprocess.Process, said: list[bytes]) -> int:
    assert process.stdout is not None
    while line := await process.stdout.readline():
        said.append(line)
        if found := re.search(rb"listening on (?:\S+:)?(\d+)\s*$", line):
            return int(found[1])
    raise RuntimeError(f"it did not start: {b''.join(said).decode(errors='replace')}")


async def _drain(process: asyncio.subprocess.Process, said: list[bytes]) -> None:
    assert process.stdout is not None
    async for line in process.stdout:
        said.append(line)
        del said[:-20]


def _environment(url: str, database: str, settings: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RELAY_", "FEATURE_"))}
    return {
        **kept,
        **LIMITS,
        "PYTHONUNBUFFERED": "1",
        "NODE_ENV": "production",
        "RELAY_MONGO_URL": url,
        "RELAY_MONGO_DATABASE": database,
        "RELAY_JWT_SECRET": SECRET,
        "RELAY_PORT": "0",
        **settings,
    }


def _before_it_runs(core: int) -> None:
    os.sched_setaffinity(0, {core})
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: it does not outlive the measurement


def described() -> dict[str, Any]:
    """The versions of what takes part."""
    from importlib.metadata import version

    versions: dict[str, Any] = {
        name: version(name) for name in ("pymongo", "uvicorn", "starlette", "websockets", "orjson")
    }
    node = shutil.which("node")
    if node is not None:
        said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)  # noqa: S603
        versions["node"] = said.stdout.strip()
    for folder in ("socketio", "ws"):
        package = PEERS / folder / "package.json"
        for name, number in re.findall(r'"(socket\.io|ws|mongodb)": "([^"]+)"', package.read_text()):
            versions[name] = number
    return versions
