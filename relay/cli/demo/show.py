"""`relay demo`: run a MongoDB, a service that writes tasks, and the relay; print how to watch them.

The writer and the relay share nothing but the database, as in production.
"""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import shlex
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from pymongo import MongoClient
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from relay import config
from relay.app import Relay
from relay.auth.tokens import issue
from relay.cli import logs
from relay.cli.demo import mongod, writer
from relay.cli.demo.users import USERS, User
from relay.cli.signals import on_signals
from relay.cli.tail import Renderer
from relay.client import Client, Message
from relay.errors import StartupError
from relay.protocol.types import Kind

TOKEN_TTL_S = 24 * 3600.0
ONCE_PACE_S = 0.25
ONCE_TIMEOUT_S = 60.0
ONE_LIFE = (Kind.CREATED, Kind.ANALYZING, Kind.DISPATCHED, Kind.PR_OPENED, Kind.PR_MERGED)


@dataclass(frozen=True, slots=True)
class _Stage:
    """A running database, and a running relay over it."""

    mongo_url: str
    database: str
    relay: Relay
    secret: str

    def token(self, user: User) -> str:
        """Return a token for one of the demo's users."""
        return _token(self.secret, user)


def _token(secret: str, user: User) -> str:
    return issue(secret, "HS256", user.claims, ttl_s=TOKEN_TTL_S, now=time.time())


def _signing_in(secret: str) -> BaseRoute:
    """Return the route `/as/NAME`, which signs in to the dashboard as one of the demo's users."""
    users = {user.name: user for user in USERS}

    async def sign_in(request: Request) -> Response:
        user = users.get(request.path_params["name"])
        if user is None:
            return PlainTextResponse(f"The users of the demo are {', '.join(users)}.\n", 404)
        location = f"../#token={_token(secret, user)}"
        return Response(status_code=302, headers={"location": location, "cache-control": "no-store"})

    return Route("/as/{name}", sign_in)


async def forever(*, port: int, data: Path | None, pace: float) -> int:
    """Write tasks until Ctrl-C, and return the exit code. No process is left behind, and without `data` no
    directory."""
    async with _stage(port=port, data=data) as (stage, ended):
        # The writer is like a legacy service: synchronous, and in a thread of its own.
        stop = threading.Event()
        playing = asyncio.create_task(
            asyncio.to_thread(writer.run, stage.mongo_url, stage.database, "tasks", stop, pace)
        )
        _introduce(stage)
        try:
            await asyncio.wait((playing, ended), return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.set()
            await playing
    return 0


async def once(*, data: Path | None) -> int:
    """Write one task from its creation to its merge, print every message about it, and return the exit code: 1 if a
    message is missing."""
    async with _stage(port=0, data=data) as (stage, ended):
        listening = asyncio.create_task(_listen(stage))
        try:
            async with asyncio.timeout(ONCE_TIMEOUT_S):
                await asyncio.wait((listening, ended), return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            typer.echo("relay demo: the life of the task did not arrive in time.", err=True)
            return 1
        finally:
            listening.cancel()
            with suppress(asyncio.CancelledError):
                await listening
    if listening.cancelled():
        return 0  # a signal ended it
    missing = [kind.value for kind in ONE_LIFE if kind not in listening.result()]
    if missing:
        typer.echo(f"relay demo: these messages never came: {', '.join(missing)}.", err=True)
    return 1 if missing else 0


async def _listen(stage: _Stage) -> set[str]:
    """Have one task written, and print messages until it is merged. Return the types of those that came."""
    owner = USERS[0]
    renderer = Renderer(color=sys.stdout.isatty())
    seen: set[str] = set()
    task_id: str | None = None
    playing: asyncio.Task[None] | None = None
    try:
        async with Client(stage.relay.url, stage.token(owner)) as client:
            client.join_dashboard()
            async for item in client:
                if not isinstance(item, Message):
                    continue
                for line in renderer.lines(item):
                    typer.echo(line)
                seen.add(item.type)
                # A task that is written before the list was read is in the list, and no message says that it is new.
                if item.type == Kind.DASHBOARD_STATE and playing is None:
                    life = asyncio.to_thread(_one_life, stage.mongo_url, stage.database)
                    playing = asyncio.create_task(life)
                if item.type == Kind.CREATED and task_id is None:
                    task_id = item.data["taskId"]
                    client.join_task(item.data["taskId"])
                # The update of the list is the last message about a change.
                if (
                    item.type == Kind.LIST_UPDATED
                    and item.data["taskId"] == task_id
                    and Kind.PR_MERGED in seen
                    and item.data.get("status") == "merged"
                ):
                    break
    finally:
        if playing is not None:
            await playing
    return seen


def _one_life(url: str, database: str) -> None:
    with MongoClient[dict[str, Any]](url) as client:
        tasks = client[database]["tasks"]
        writer.one_life(tasks, rng=random.Random(), pause=lambda steps: time.sleep(steps * ONCE_PACE_S))


@asynccontextmanager
async def _stage(*, port: int, data: Path | None) -> AsyncIterator[tuple[_Stage, asyncio.Task[None]]]:
    """Start the database and the relay, and yield them ready. The task ends with the relay, which a signal stops."""
    logs.configure("console", "WARNING")
    secret = secrets.token_urlsafe(32)  # for this run only
    asked = asyncio.Event()
    on_signals(asked.set)  # first, because a signal must not leave a database behind
    with _database(data) as (mongo_url, database):
        # Nothing from the environment: the settings of another relay, such as its RELAY_PUBLIC_URL, its mapping or its
        # RELAY_JWT_ISSUER, would turn away the demo's own users.
        settings = config.defaults(
            relay_mongo_url=mongo_url,
            relay_mongo_database=database,
            relay_tasks_collection="tasks",
            relay_jwt_secret=secret,
            relay_jwt_algorithms=("HS256",),
            relay_port=port,
        )
        relay = Relay(settings, pages=[_signing_in(secret)])
        stopping = asyncio.create_task(asked.wait())
        stopping.add_done_callback(lambda _: relay.stop())
        ready = asyncio.Event()
        running = asyncio.create_task(relay.run(ready.set))
        waiting = asyncio.create_task(ready.wait())
        try:
            await asyncio.wait((running, waiting), return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                await running  # raises the reason why it could not start
            yield _Stage(mongo_url, database, relay, secret), running
        finally:
            waiting.cancel()
            stopping.cancel()
            relay.stop()
            await running


@contextmanager
def _database(data: Path | None) -> Iterator[tuple[str, str]]:
    """Yield the URL of a MongoDB and a database to write to: in the server of RELAY_MONGO_URL, or in an embedded
    one."""
    given = os.environ.get("RELAY_MONGO_URL")
    if not given:
        typer.echo("Starting MongoDB …", err=True)
        with mongod.start(data=data) as server:
            yield server.url, "demo"
        return
    database = f"relay_demo_{secrets.token_hex(4)}"  # a new database, so that no existing one is touched
    try:
        yield given, database
    except StartupError:  # nothing was written, and dropping the database would fail as the relay did
        raise
    except BaseException:
        _drop(given, database)
        raise
    _drop(given, database)


def _drop(url: str, database: str) -> None:
    with MongoClient[dict[str, Any]](url) as client:
        client.drop_database(database)


def _introduce(stage: _Stage) -> None:
    url = stage.relay.url
    typer.echo(f"\nThe relay is listening at {url}. Open it as one of these, each in its own tab:\n")
    for user in USERS:
        typer.echo(f"  {url}/as/{user.name}: {user.sees}")
    typer.echo()
    line = f"RELAY_URL={url} RELAY_TOKEN={shlex.quote(stage.token(USERS[-1]))} {_relay()} tail"
    typer.echo(f"Or follow everything on a terminal:\n\n  {line}\n\nCtrl-C ends it all.")


def _relay() -> str:
    """Return this command so that it works in another terminal, where it may not be on PATH."""
    return shlex.quote(str(Path(sys.argv[0]).absolute()))
