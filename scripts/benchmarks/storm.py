"""Users who ask for as much as they can, and what another user notices of it.

Bystanders listen to a task that gets 20 events a second. Beside them one of these storms goes on:

- `12 connections` of one user: half of them ask for a list of 500 all the time, and half of them open `/ws/dashboard`
  again as soon as they have its list. Where the relay refuses one, it comes back when the relay says.
- `refreshes`: one connection with a list of 2,000 tasks brings a token with other rights ten times a second.
- `30 pollers`: 30 users poll a list of 500, in which every event is a change, twice a second as the browser client.
- `30 pollers, old`: the same pollers as clients that take no list updates, so each answer has the whole list.

`p50`, `p99`: from the call of a write until the bystander has its frame. `CPU`: processor time of the relay.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable, Coroutine
from itertools import count
from typing import Any

from bson import ObjectId

from scripts.benchmarks.bench import (
    NOISE,
    Benchmark,
    Environment,
    Figure,
    Measured,
    Meter,
    check_received,
    event,
    paced,
    percentile,
)
from scripts.benchmarks.contenders import relay_script, token
from scripts.benchmarks.load_client import LoadClient

RATE = 20  # events a second
REQUESTS_PER_S = 20  # the default of RELAY_MESSAGES_PER_SECOND
SECONDS = 12
LISTED, LONG, POLLERS, CONNECTIONS = 500, 2000, 30, 12
REFRESHES_PER_S, POLLS_PER_S, LISTS_PER_S = 10, 2, 20
P50 = Figure("p50", "ms", 1)
P99 = Figure("p99", "ms", 1)
CPU = Figure("CPU", "s", 2)

_STATE = (b'"dashboard:state"', None)
_LAST_PAGE = (b'"more":false', None)
_RETRY_MS = re.compile(rb"rate_limited:(\d+)")


class Storms:
    """The endless tasks of a storm, which are cancelled at the end. One that fails fails the measurement."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, endless: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.create_task(endless))

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        for ended in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(ended, Exception):
                raise ended


Storm = Callable[[LoadClient, int, Storms], Awaitable[None]]


async def _quiet(load: LoadClient, port: int, storms: Storms) -> None:
    """Nothing else goes on."""


async def _connections(load: LoadClient, port: int, storms: Storms) -> None:
    for number in range(CONNECTIONS):
        storms.start(_reconnects(load) if number % 2 else _asks(load))


async def _asks(load: LoadClient) -> None:
    """Ask for the list as often as a connection may."""
    (connection,) = await load.join([relay_script("/ws", (b'"welcome"', None), sub="mallory", team="red")])
    pause_s = 1 / LISTS_PER_S
    while True:
        began = time.perf_counter()
        await connection.say(b'{"type":"dashboard:join","data":{"limit":%d}}' % LISTED)
        await asyncio.sleep(began + pause_s - time.perf_counter())


async def _reconnects(load: LoadClient) -> None:
    """Open `/ws/dashboard` again and again."""
    script = relay_script(f"/ws/dashboard?limit={LISTED}", _STATE, _LAST_PAGE, sub="mallory", team="red")
    while True:
        try:
            (connection,) = await load.join([script])
        except ConnectionError as refused:
            wait = _RETRY_MS.search(str(refused).encode())
            await asyncio.sleep(int(wait[1]) / 1000 if wait else 0.05)
        else:
            connection.abort()


async def _refreshes(load: LoadClient, port: int, storms: Storms) -> None:
    script = relay_script(f"/ws/dashboard?limit={LONG}", _STATE, _LAST_PAGE, sub="mallory", team="red")
    (connection,) = await load.join([script])

    async def refresh() -> None:
        tokens = [
            json.dumps({"type": "auth", "data": {"token": token("mallory", "red", f"other {n}")}}).encode()
            for n in range(50)
        ]
        for n in count():
            connection.write(tokens[n % len(tokens)])
            await asyncio.sleep(1 / REFRESHES_PER_S)

    storms.start(refresh())


def _pollers(*, updates: bool) -> Storm:
    async def storm(load: LoadClient, port: int, storms: Storms) -> None:
        for number in range(POLLERS):
            storms.start(_polls(port, f"poller {number}", updates=updates))

    return storm


async def _polls(port: int, sub: str, *, updates: bool) -> None:
    """Poll the list at the pace of the browser client."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**24)
    asked: dict[str, Any] = {"limit": LISTED, "updates": updates}
    body: dict[str, Any] = {"dashboard": asked}
    try:
        while True:
            began = time.perf_counter()
            content = json.dumps(body).encode()
            head = (
                f"POST /poll HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token(sub, 'red')}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
            )
            writer.write(head.encode() + content)
            answer = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", answer, re.IGNORECASE)
            if length is None or b" 200 " not in answer.partition(b"\r\n")[0]:
                raise RuntimeError(f"a poll was refused: {answer!r}")
            # Only the end is parsed: the messages would keep the load client busy.
            end = (await reader.readexactly(int(length[1])))[-400:]
            if etag := re.search(rb'"dashboard":\{"etag":"([^"]+)"', end):
                asked["etag"] = etag[1].decode()
            if moment := re.search(rb'"moment":"([^"]+)"', end):
                body["moment"] = moment[1].decode()
            await asyncio.sleep(began + 1 / POLLS_PER_S - time.perf_counter())
    finally:
        writer.close()


STORMS: dict[str, Storm] = {
    "relay": _quiet,
    f"relay, {CONNECTIONS} connections": _connections,
    "relay, refreshes": _refreshes,
    f"relay, {POLLERS} pollers": _pollers(updates=True),
    f"relay, {POLLERS} pollers, old": _pollers(updates=False),
}


async def measure(environment: Environment, case: str) -> Measured:
    written = environment.sized(RATE * SECONDS, 10)

    async def fill(collection: Any) -> None:
        await collection.insert_many(
            [
                {"title": f"Task {n}", "status": "open", "teamId": "red", "events": [event(-1)]}
                for n in range(environment.sized(LONG, 50))
            ]
        )

    async with (
        environment.serving("relay", fill, RELAY_MESSAGES_PER_SECOND=str(REQUESTS_PER_S)) as (server, tasks),
        environment.load_client(server) as bystander,
        environment.load_client(server) as load,
    ):
        task: ObjectId = (await tasks.add())[0]
        script = relay_script(f"/ws/tasks/{task}", (b'"task:state"', None), sub="bystander", team="red")
        await bystander.join([script])
        storms = Storms()
        try:
            await STORMS[case](load, server.port, storms)
            await asyncio.sleep(environment.sized(2, 0))  # the first lists are read
            bystander.expect(written)
            meter = Meter(environment, server)
            called = await paced(written, RATE, lambda n: tasks.append(task, n))
            await bystander.wait_until_received()
            usage = meter.stop()
        finally:
            await storms.end()
        took = [1000 * (at - call) for at, call in zip(bystander.last_at, called, strict=False) if at]
        return Measured(
            {
                P50.name: percentile(took, 0.5) if took else float("nan"),
                P99.name: percentile(took, 0.99) if took else float("nan"),
                CPU.name: usage.cpu_s,
                **usage.noise(),
            },
            check_received(bystander, range(written)),
        )


BENCHMARK = Benchmark(
    "storm",
    f"Users who ask for as much as they can: latency of another user, at {RATE} events a second",
    list(STORMS),
    (P99, P50, CPU, *NOISE),
    measure,
    reference="relay",
)
