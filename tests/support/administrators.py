"""A relay as processes, with a port for administrators, and requests to its admin API."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from relay.cli.demo import mongod as embedded
from support.relay_fixture import SOON_S, token
from support.worker_processes import Workers, workers

ADMIN = {"sub": "root", "roles": ["viewer", "admin"]}  # what a token of an administrator has


@dataclass(frozen=True)
class Answered:
    """The answer to a request of the admin API. `body` is None if it is not JSON."""

    status: int
    headers: dict[str, str]
    body: Any


@dataclass(frozen=True)
class Administered:
    """A running relay with a port for administrators at `admin_url`."""

    relay: Workers
    admin_url: str

    async def ask(self, path: str, method: str = "GET", **headers: str) -> Answered:
        """Send a request with exactly these headers to the admin port."""
        return await asyncio.to_thread(request, self.admin_url + path, method, headers)

    async def answer(self, path: str, method: str = "GET") -> Any:
        """Send a request as an administrator, and return the body of the answer, which is no refusal."""
        answered = await self.ask(path, method, Authorization=f"Bearer {token(**ADMIN)}")
        assert answered.status == 200, answered
        return answered.body

    async def users(self) -> list[str | None]:
        """The users of all connections and waiting polls, sorted."""
        listed = (await self.answer("/admin/connections?limit=1000"))["connections"]
        return sorted(str(one["user"]) for one in listed)

    async def counts(self, number: int) -> list[str | None]:
        """Wait until there are this many connections and waiting polls, and return their users, sorted."""
        async with asyncio.timeout(SOON_S):
            while len(users := await self.users()) != number:
                await asyncio.sleep(0.02)
        return users


def request(url: str, method: str, headers: dict[str, str]) -> Answered:
    """Send a request, and return its answer whatever its status is."""
    sent = urllib.request.Request(url, method=method, headers=headers)
    try:
        with urllib.request.urlopen(sent, timeout=SOON_S) as answer:
            return _read(answer)
    except urllib.error.HTTPError as refused:
        with refused:
            return _read(refused)


def _read(answer: Any) -> Answered:
    body, headers = answer.read(), {name.lower(): value for name, value in answer.headers.items()}
    as_json = headers.get("content-type", "").startswith("application/json")
    return Answered(answer.status, headers, json.loads(body) if as_json and body else None)


@asynccontextmanager
async def administered(
    tmp_path: Path, *arguments: str, answers_within_s: float = SOON_S, **given: str
) -> AsyncIterator[Administered]:
    """Run a relay with a port for administrators, as processes. A worker has this time for an answer."""
    port = embedded.free_port()
    patches = {  # in this order, because the second module takes over the constant of the first
        "relay.workers.operations.ANSWER_WITHIN_S": answers_within_s,
        "relay.workers.administration.DISCONNECTED_WITHIN_S": answers_within_s,
    }
    given["RELAY_ADMIN_PORT"] = str(port)
    async with workers(tmp_path, *arguments, patches=patches, **given) as relay:
        yield Administered(relay, f"http://127.0.0.1:{port}")
