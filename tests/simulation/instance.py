"""One instance of the relay, real from the pump to the transport.

Real: Pump, TaskCache, Translator, Hub and its parts, Session, Connections with their Timers, Connection, Handshake,
HttpProtocol and WritePacer, Polls and Poll, Audience, Caps. Simulated: where changes come from (in production
`source.tail.Tail`), where states are read (`source.reader.Reader`), how tokens are signed, uvicorn and Starlette's
routing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from random import Random
from typing import Any, Self

from bson import Timestamp
from starlette.requests import Request
from starlette.responses import JSONResponse
from support.mongo_model import joined, resume_token
from uvicorn.config import Config
from uvicorn.server import ServerState

from relay.auth.admission import Admission
from relay.auth.limits import Buckets, Caps
from relay.auth.origins import Origins
from relay.auth.rollout import Rollout
from relay.config import Settings
from relay.errors import PositionLost, Refused, Unavailable
from relay.feed.cache import TaskCache
from relay.feed.pump import Pump
from relay.gateway.http_errors import for_refused
from relay.gateway.http_protocol import Limits, http_protocol
from relay.gateway.polling.endpoint import Polls
from relay.gateway.services import Services
from relay.gateway.websocket.endpoints import Connections
from relay.gateway.websocket.handshake import websocket_protocol
from relay.gateway.websocket.pacing import WritePacer
from relay.hub.hub import Hub
from relay.metrics import Metrics
from relay.protocol.types import Close
from relay.source.change import key_of
from relay.source.stream import Batch, Reopened
from relay.tasks.visibility import Principal
from simulation.plan import Plan
from simulation.world import AUDIENCE, TRANSLATOR, World

SETTINGS = Settings(relay_mongo_url="mongodb://simulated", relay_jwt_secret="s" * 40)
METRICS = Metrics()
IDLE_S = 0.5  # how long the simulated stream waits for news before it says that there are none
LAGS_S = (0.0, 0.0, 0.05, 0.3, 0.7)  # below the second that a request may wait for an instance to catch up


class Stream:
    """The changes of the world as `feed.pump.Source`: in batches, some time after they happened."""

    def __init__(self, world: World, chance: Random) -> None:
        self._world = world
        self._chance = chance
        self._lost: str | None = None
        self._news = asyncio.Event()
        world.listen(self._news)
        self.read = 1  # how many groups have been handed over
        self.lag_s = chance.choice(LAGS_S)

    def reopen(self, reason: str) -> None:
        self._lost = reason
        self._news.set()

    async def batches(self) -> AsyncGenerator[Batch | Reopened]:
        world, chance = self._world, self._chance
        while True:
            if self._lost is not None:
                start = chance.randint(self.read, world.written)
                await asyncio.sleep(chance.choice((0, 0, 0.001, 0.02)))  # until the new cursor answers
                self.read, self._lost = start, None
                yield Reopened(world.times[start], "lost", resume_token(world.times[start]))
            elif self.read < (seen := self._seen()):
                end = min(seen, self.read + chance.choice((1, 1, 2, 5)))
                batch = joined(world.history.batches[self.read : end])
                self.read = end
                yield batch
                await asyncio.sleep(chance.choice((0, 0, 0.001, 0.05)))
            else:
                await self._wait()
                if self._lost is None and self.read == self._seen():
                    read = world.times[self.read]
                    yield Batch((), (), read, read, resume_token(read))

    def _seen(self) -> int:
        """The groups that this instance can know of by now."""
        latest = asyncio.get_running_loop().time() - self.lag_s
        seen = self._world.written
        while seen > self.read and self._world.written_at[seen] > latest:
            seen -= 1
        return seen

    async def _wait(self) -> None:
        self._news.clear()
        due = IDLE_S
        if self.read < self._world.written:
            now = asyncio.get_running_loop().time()
            due = max(1e-4, self._world.written_at[self.read + 1] + self.lag_s - now)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(due, IDLE_S)):
                await self._news.wait()


class Reads:
    """The world's documents as the hub and the pump read them: late, out of order, or not at all."""

    is_routed = False

    def __init__(self, world: World, chance: Random, plan: Plan) -> None:
        self._world = world
        self._chance = chance
        self._slow = plan.has("slow")
        self._fails = plan.has("unavailable")
        self.away_until = 0.0  # no read works before this time
        self.was_away_at = -1.0  # when a question for the time last failed

    def calm(self) -> None:
        """No more trouble from here on."""
        self._fails, self.away_until = False, 0.0

    async def read_at(
        self,
        position: Timestamp,
        filter: Mapping[str, Any],
        *,
        projection: Mapping[str, Any] | None = None,
        sort: Mapping[str, int] | None = None,
        limit: int = 0,
        wanted: Callable[[], bool] = lambda: True,
    ) -> Sequence[dict[str, Any]]:
        chance = self._chance
        for _ in range(chance.choice((0, 1, 2, 5))):
            await asyncio.sleep(0)
        if self._slow and chance.random() < 0.4:
            await asyncio.sleep(chance.choice((0.001, 0.02, 0.3)))
        if self._is_away():
            raise Unavailable("simulated")
        if self._fails:
            trouble = chance.random()
            if trouble < 0.03:
                raise Unavailable("simulated")
            if trouble < 0.05:
                raise PositionLost("simulated")
        return self._world.find(position, filter, projection=projection, sort=sort, limit=limit)

    async def keys_at(
        self, position: Timestamp, filter: Mapping[str, Any], *, sort: Mapping[str, int], **options: Any
    ) -> Sequence[bytes]:
        documents = await self.read_at(position, filter, projection={"_id": 1}, sort=sort, **options)
        return [key_of(one["_id"]) for one in documents]

    async def now(self) -> Timestamp:
        for _ in range(self._chance.randrange(3)):
            await asyncio.sleep(0)
        if self._is_away():
            self.was_away_at = asyncio.get_running_loop().time()
            raise Unavailable("simulated")
        return self._world.times[self._world.written]

    def _is_away(self) -> bool:
        return asyncio.get_running_loop().time() < self.away_until


class Verifier:
    """Tokens as readers make them: who, with which rights, until when; nothing is signed."""

    def verify(self, token: str) -> Principal:
        try:
            sub, rights, expires_at, _ = token.split(".")
        except ValueError:
            raise Refused(Close.UNAUTHENTICATED, "unauthenticated") from None
        expires_at_s = int(expires_at) / 1000
        if expires_at_s <= asyncio.get_running_loop().time():
            raise Refused(Close.UNAUTHENTICATED, "token_expired")
        claims = dict.fromkeys(AUDIENCE.claims) | {"sub": sub, "roles": [rights]}
        return Principal(sub, claims, expires_at_s)

    def still_trusts(self, principal: Principal) -> bool:
        return True


def token_of(sub: str, rights: str, expires_at_s: float, serial: int) -> str:
    """A token of this reader; another `serial` makes it another token."""
    return f"{sub}.{rights}.{int(expires_at_s * 1000)}.{serial}"


def keys_of(sub: str, rights: str) -> frozenset[str]:
    """What a reader with these rights may see, as the relay's own audience has it."""
    return AUDIENCE.keys_for(Principal(sub, {"sub": sub, "roles": [rights]}, 0.0))


class Instance:
    """One relay over the world's database, listening at a port of the simulated network."""

    def __init__(self, world: World, plan: Plan, port: int) -> None:
        chance = plan.chance("instance", port)
        loop = asyncio.get_running_loop()
        self.port = port
        self._world = world
        self.stream = Stream(world, plan.chance("stream", port))
        self.reads = Reads(world, plan.chance("reads", port), plan)
        self.max_tasks = chance.choice((1, 2, 3)) if plan.has("cap") else 200
        outbox = 60 if plan.has("overflow") else chance.choice((300, 1_000, 2_000))
        settings = SETTINGS.model_copy(
            update={
                "relay_max_tasks_per_connection": self.max_tasks,
                "relay_messages_per_second": chance.choice((2, 4)) if plan.has("rate") else 100_000,
                # Smaller than a real setting may be.
                "relay_outbox_max_bytes": outbox if plan.has("stalls") else 1_000_000,
                "relay_poll_wait_ms": 3_000,
            }
        )
        interval_s = chance.choice((0.1, 0.1, 1.0)) if plan.has("waits") else 0.0
        self.hub = Hub(self.reads, TRANSLATOR, METRICS, list_interval_s=interval_s)
        self.hub.move_to(world.times[self.stream.read])
        known = TaskCache(
            chance.choice((1, 2, 1000)), self.hub.is_listened, array_bytes=chance.choice((0, 10_000))
        )
        slices, ticks = plan.chance("slices", port), [0.0]

        def clock() -> float:
            """Time for the slices of the pump: each look at it is up to 20 ms after the one before."""
            ticks[0] += slices.choice((0.0, 0.0, 0.004, 0.02))
            return ticks[0]

        self._pump = Pump(self.stream, self.reads, TRANSLATOR, known, self.hub, METRICS, clock=clock)
        self._admission = admission = Admission(
            origins=Origins((), METRICS),
            caps=Caps(total=1000, per_address=1000, per_user=1000),
            verifier=Verifier(),  # type: ignore[arg-type]
            rollout=Rollout(),
        )
        services = Services(
            settings,
            admission,
            AUDIENCE,
            self.hub,
            Buckets.of_users(settings),
            wall=loop.time,
            monotonic=loop.time,
        )
        self._connections = Connections(services, METRICS, random=chance.random)
        self._polls = Polls(services, METRICS, random=chance.random)
        self._http_protocol = http_protocol(
            Limits(
                request_within_s=settings.relay_handshake_timeout_ms / 1000,
                stall_s=settings.relay_stall_timeout_ms / 1000,
                caps=Caps(total=1000, per_address=1000, per_user=1000),
            )
        )
        protocol = websocket_protocol(WritePacer(), self._connections.open)
        self._config = Config(self.app, ws=protocol, ws_max_size=65_536, interface="asgi3", log_config=None)
        self._config.load()
        self._server_state = ServerState()
        self._running: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        await self.hub.__aenter__()
        loop = asyncio.get_running_loop()
        self._running = [loop.create_task(self._pump.run()), loop.create_task(self._connections.run_timers())]
        return self

    async def __aexit__(self, *exception: object) -> None:
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await self.hub.__aexit__(*exception)

    def failures(self) -> list[str]:
        """What ended that should run for ever."""
        return [repr(task.exception()) for task in self._running if task.done() and not task.cancelled()]

    @property
    def moment(self) -> int:
        """How far it has published."""
        return self._world.moment_of(self.hub.position)

    # What the network asks.

    def accept(self) -> asyncio.Protocol:
        return self._http_protocol(self._config, self._server_state, {})

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        """The endpoints that readers use."""
        request = Request(scope, receive, send)
        response = await (self._polls.poll(request) if scope["path"] == "/poll" else self._config_of(request))
        await response(scope, receive, send)

    async def _config_of(self, request: Request) -> Any:
        try:
            self._admission.identify(request)
        except Refused as refused:
            return for_refused(refused)
        return JSONResponse({"enabled": True})
