"""The servers that are compared. Each runs in its own process on the server's core, with its own database."""

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
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast
from urllib.request import urlopen

from bson import ObjectId

from relay.auth.tokens import issue
from scripts.benchmarks import machine
from scripts.benchmarks.load_client import Script, text_frame

ROOT = Path(__file__).parent.parent.parent
PEERS = Path(__file__).parent / "peers"
SECRET = "a secret for measurements, long enough for HS256"  # noqa: S105 - it opens nothing
READY_S = 30.0
STOP_S = 5.0

# Limits of the relay that thousands of connections from one machine would exceed.
LIMITS = {
    "RELAY_MAX_CONNECTIONS": "1000000",
    "RELAY_MAX_CONNECTIONS_PER_USER": "1000000",
    "RELAY_MAX_CONNECTIONS_PER_ADDRESS": "1000000",
    "RELAY_MESSAGES_PER_SECOND": "1000000",
    "RELAY_DRAIN_MS": "0",
}


class Missing(Exception):
    """A contender cannot run on this machine. The text names what is missing."""


@cache
def token(sub: str, *teams: str) -> str:
    """Return a token for this user, a member of these teams."""
    claims = {"sub": sub, **({"teams": list(teams)} if teams else {})}
    return issue(SECRET, "HS256", claims, ttl_s=86_400, now=time.time())


def relay_script(path: str, *steps: tuple[bytes, bytes | None], sub: str, team: str | None = None) -> Script:
    """Return the script of a connection to the relay, authenticated as this user."""
    return Script(
        path, steps, headers=(f"Authorization: Bearer {token(sub, *([team] if team is not None else ()))}",)
    )


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
        node, _ = _installed(folder)
        return [node, str(PEERS / folder / "server.js"), url, database]

    return command


def _bun(url: str, database: str) -> list[str]:
    _, packages = _installed("bun")
    program = str(packages / ".bin" / "bun")
    # A script of the package puts the program there. If npm runs no scripts, a text is there that fails when it is run.
    if subprocess.run([program, "--version"], capture_output=True, check=False).returncode:  # noqa: S603
        raise Missing("npm could not install the program of Bun")
    return [program, str(PEERS / "bun" / "server.js"), url, database]


@cache
def _installed(folder: str) -> tuple[str, Path]:
    """Return the path of Node.js and the folder of this server's packages, after installing them from its lock file if
    needed."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise Missing("Node.js and npm are not installed")
    place = PEERS / folder
    lock = hashlib.sha256((place / "package-lock.json").read_bytes()).hexdigest()
    packages = place / "node_modules"
    stamp = packages / ".installed"
    if not stamp.exists() or stamp.read_text() != lock:
        done = subprocess.run(  # noqa: S603 - the npm of the user, the lock file of this repository
            [npm, "ci", "--no-audit", "--no-fund", "--silent"], cwd=place, stdout=sys.stderr
        )
        if done.returncode:
            raise Missing(f"npm could not install the packages of {folder}")
        stamp.write_text(lock)
    return node, packages


def _relay(url: str, database: str) -> list[str]:
    return [sys.executable, "-c", "from relay.cli.commands import main; main()", "serve"]


def _profiled(file: Path) -> list[str]:
    """Return the command of the relay under cProfile, which takes at least half as long again."""
    code = "import cProfile; cProfile.run('from relay.cli.commands import run; run()', {!r})"
    return [sys.executable, "-c", code.format(str(file)), "serve"]


def _monitored(file: Path) -> list[str]:
    """Return the command of the relay that records in `file` how long each callback holds its event loop."""
    code = "from scripts.benchmarks.loop_monitor import watch; watch({!r}); {}"
    return [
        sys.executable,
        "-c",
        code.format(str(file), "from relay.cli.commands import main; main()"),
        "serve",
    ]


@dataclass(frozen=True)
class Contender:
    """A server that sends the events of a task to its listeners."""

    name: str
    command: Callable[[str, str], list[str]]  # from the database's URL and name
    listens: Callable[[ObjectId, int], Script]  # how the nth connection starts to listen to a task
    joins: Callable[[ObjectId], bytes]  # the message that makes a connection listen to another task too


CONTENDERS = {
    one.name: one
    for one in (
        Contender("relay", _relay, _relay_listens, _relay_joins),
        Contender("Socket.IO", _node("socketio"), _socketio_listens, _socketio_joins),
        Contender("ws", _node("ws"), _plain_listens, _plain_joins),
        Contender("Bun", _bun, _plain_listens, _plain_joins),
        Contender("Starlette loop", _python(str(PEERS / "starlette_loop.py")), _plain_listens, _plain_joins),
        Contender("floor", _python(str(PEERS / "floor.py")), _plain_listens, _plain_joins),
        Contender("driver", _python(str(PEERS / "driver.py")), _plain_listens, _plain_joins),
    )
}
SERVERS = ("relay", "Socket.IO", "ws", "Bun", "Starlette loop")
ALL = (*SERVERS, "floor")


class Server:
    """A running contender. It was ready `ready_s` seconds after its start."""

    def __init__(self, contender: Contender, pid: int, port: int, ready_s: float) -> None:
        self.contender = contender
        self.pid = pid
        self.port = port
        self.ready_s = ready_s

    def cpu_s(self) -> float:
        return machine.cpu_s(self.pid)

    def rss_bytes(self) -> int:
        return machine.rss_bytes(self.pid)

    def metrics(self) -> bytes:
        """Return the metrics that the relay serves."""
        with urlopen(f"http://127.0.0.1:{self.port}/metrics") as answer:
            return cast(bytes, answer.read())


@asynccontextmanager
async def serving(
    name: str,
    url: str,
    database: str,
    cores: Iterable[int],
    settings: Mapping[str, str],
    *,
    profile: Path | None = None,
    monitor: Path | None = None,
) -> AsyncIterator[Server]:
    """Run a contender on these cores. It is entered once the contender accepts connections and follows the database.

    `profile` and `monitor`: the files for a profile, or for what `loop_monitor.py` records, if the contender is the
    relay. Raises Missing if it cannot run here.
    """
    contender = CONTENDERS[name]
    command = await asyncio.to_thread(contender.command, url, database)
    if profile is not None and name == "relay":
        command = _profiled(profile)
    elif monitor is not None and name == "relay":
        command = _monitored(monitor)
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=ROOT,
        env=_environment(url, database, settings),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        preexec_fn=lambda: _before_it_runs(cores),
    )
    output: list[bytes] = []
    reading: asyncio.Task[None] | None = None
    try:
        async with asyncio.timeout(READY_S):
            port = await _port(process, output)
        ready_s = time.perf_counter() - began
        reading = asyncio.create_task(_drain(process, output))
        yield Server(contender, process.pid, port, ready_s)
        if process.returncode is not None:
            raise RuntimeError(f"{name} exited early: {b''.join(output).decode(errors='replace')}")
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


async def _port(process: asyncio.subprocess.Process, output: list[bytes]) -> int:
    assert process.stdout is not None
    while line := await process.stdout.readline():
        output.append(line)
        if found := re.search(rb"listening on (?:\S+:)?(\d+)\s*$", line):
            return int(found[1])
    raise RuntimeError(f"it did not start: {b''.join(output).decode(errors='replace')}")


async def _drain(process: asyncio.subprocess.Process, output: list[bytes]) -> None:
    assert process.stdout is not None
    async for line in process.stdout:
        output.append(line)
        del output[:-20]


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


def _before_it_runs(cores: Iterable[int]) -> None:
    os.sched_setaffinity(0, cores)
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: the kernel kills it if the benchmark dies


def describe() -> dict[str, Any]:
    """Return the versions of the contenders' main packages."""
    from importlib.metadata import version

    versions: dict[str, Any] = {
        name: version(name) for name in ("pymongo", "uvicorn", "starlette", "websockets", "orjson")
    }
    node = shutil.which("node")
    if node is not None:
        output = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)  # noqa: S603
        versions["node"] = output.stdout.strip()
    for folder in ("socketio", "ws", "bun"):
        package = PEERS / folder / "package.json"
        for name, number in re.findall(
            r'"(socket\.io|ws|bun|mongodb|jsonwebtoken)": "([^"]+)"', package.read_text()
        ):
            versions[name] = number
    return versions
