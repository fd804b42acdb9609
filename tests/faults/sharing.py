"""Several relays that share one change stream through Redis, with clients that watch: the scene for a fault."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis
from checker import JOINED, LONG_S, Watcher, Writer, watching, writing
from fleet import Fleet, Instance, Mover, moving
from proxy import Proxy
from pymongo import MongoClient
from replicaset import ReplicaSet
from restorable import Restorable
from support.certificates import Authority
from support.valkey import Valkey

from relay.source.shared.redis_reach import LEAST_RIGHTS

KEY = secrets.token_hex(32)
PASSWORD = "secret:/@"  # of the user in Redis, where there is one
STREAM, LEADER = "relay.source.shared.redis_stream", "relay.source.shared.leader"
# Shorter than in production, so that no test takes minutes. The leader copies the value when it is imported.
LEASE: Mapping[str, float] = {f"{STREAM}.LEASE_MS": 1000}


@dataclass
class Scene:
    """What a fault may touch, while a writer writes and clients watch."""

    fleet: Fleet
    valkey: Valkey
    mongo: Any  # what the row's `mongo` has made
    proxies: list[Proxy]  # between each relay and MongoDB, if the row wants them
    url: str  # of MongoDB
    writer: Writer
    staying: list[Watcher]  # each stays at a relay; the first ones at the first relay, and so on
    movers: list[Mover]
    database: str
    chance: random.Random

    @contextmanager
    def client(self) -> Iterator[Any]:
        """A client of Redis that tries everything once."""
        with redis.Redis.from_url(self.valkey.url, retry=None) as client:
            yield client

    def key(self, name: str) -> str:
        return f"relay:v1:{{{self.database}.tasks}}:{name}"

    def staying_at(self, relay: Instance) -> list[Watcher]:
        each = len(self.staying) // len(self.fleet)
        number = self.fleet.index(relay)
        return self.staying[number * each : (number + 1) * each]

    async def takes(self, role: str, *relays: Instance) -> None:
        """Wait until one of these relays has this role, while events are written."""
        async with asyncio.timeout(LONG_S):
            while not any([await one.is_(role) for one in relays]):
                await self.writer.acknowledge(1)

    async def all_alone(self) -> None:
        """Wait until each relay follows MongoDB itself, while events are written."""
        for one in self.fleet:
            await self.takes("alone", one)

    def streams(self) -> int:
        """Count the change streams on the collection that somebody reads, as the server sees them."""
        with MongoClient[dict[str, Any]](self.url) as client:
            operations = client.admin.aggregate(
                [
                    {"$currentOp": {"allUsers": True, "idleCursors": True}},
                    {
                        "$match": {
                            "ns": f"{self.database}.tasks",
                            "cursor.originatingCommand.pipeline.0.$changeStream": {"$exists": True},
                        }
                    },
                ]
            )
            return len({operation["cursor"]["cursorId"] for operation in operations})


# What a row may need


def plain(folder: Path) -> tuple[Valkey, str]:
    """Return a Valkey for everyone, and its URL."""
    valkey = Valkey()
    return valkey, valkey.url


def with_tls_and_a_user(folder: Path) -> tuple[Valkey, str]:
    """Return a Valkey that wants a certificate of each client, and the URL of a user with the least rights."""
    authority = Authority(folder)
    valkey = Valkey(
        certificate=authority.issue("valkey"),
        client_authority=authority.file,
        acl=["user default off", f"user relay on >{PASSWORD} {LEAST_RIGHTS}"],
    )
    options = f"ssl_ca_certs={authority.file}&ssl_certfile={authority.issue('relay')}"
    return valkey, f"{valkey.url_as('relay', PASSWORD)}/2?{options}"


def three_members(folder: Path) -> AbstractContextManager[ReplicaSet]:
    return ReplicaSet()


@contextmanager
def restorable(folder: Path) -> Iterator[Restorable]:
    server = Restorable(folder)
    try:
        yield server
    finally:
        server.stop()


Fault = Callable[[Scene], Awaitable[None]]


@dataclass(frozen=True)
class Row:
    """Faults that happen one after the other, and what has to be prepared for them.

    `patches` are values for constants of the relays' modules; they do not reach workers. `redis` makes the Redis and
    the URL for the relays, `mongo` a MongoDB of the row's own. With `cuttable`, there is a proxy between each relay and
    MongoDB. `stay` clients stay at each relay. After the fault `reopens`, every relay has reopened the change stream.
    """

    faults: Sequence[Fault]
    patches: Mapping[str, float] = field(default_factory=lambda: LEASE)
    settings: Mapping[str, str] = field(default_factory=dict)
    redis: Callable[[Path], tuple[Valkey, str]] = plain
    mongo: Callable[[Path], AbstractContextManager[Any]] | None = None
    arguments: tuple[str, ...] = ()
    cuttable: bool = False
    relays: int = 3
    stay: int = 1
    reopens: Fault | None = None

    @property
    def name(self) -> str:
        names = ", ".join(fault.__name__ for fault in self.faults)
        return names if self.redis is plain else f"{names}, {self.redis.__name__}"


@asynccontextmanager
async def sharing(row: Row, mongo_url: str, database: str, folder: Path, seed: int) -> AsyncIterator[Scene]:
    """Run relays that share a stream, with clients that stay at each of them and two that move between them."""
    chance = random.Random(seed)
    async with AsyncExitStack() as stack:
        mongo = stack.enter_context(row.mongo(folder)) if row.mongo is not None else None
        url = mongo_url if mongo is None else mongo.url
        valkey, redis_url = row.redis(folder)
        stack.enter_context(valkey)
        settings = {
            "RELAY_MONGO_URL": url,
            "RELAY_MONGO_DATABASE": database,
            "RELAY_REDIS_URL": redis_url,
            "RELAY_REDIS_KEY": KEY,
            **row.settings,
        }
        proxies = []
        if row.cuttable:
            with MongoClient[dict[str, Any]](url) as client:
                _, port = client.admin.command("hello")["me"].split(":")
            proxies = [await stack.enter_async_context(Proxy(int(port))) for _ in range(row.relays)]
        # A direct connection, or the driver would ask the server for its address and go around the proxy.
        own = [
            {"RELAY_MONGO_URL": f"mongodb://127.0.0.1:{one.port}/?directConnection=true"} for one in proxies
        ]
        options: dict[str, Any] = {"count": row.relays, "arguments": ("serve", *row.arguments), "own": own}
        fleet = await stack.enter_async_context(Fleet(folder, settings, row.patches, **options))
        writer = await stack.enter_async_context(writing(url, database))
        await fleet.settled()
        staying = [Watcher(JOINED, dashboard=number == 0) for number in range(row.relays * row.stay)]
        scene = Scene(fleet, valkey, mongo, proxies, url, writer, staying, [], database, chance)
        for one in fleet:
            await stack.enter_async_context(watching(lambda one=one: one.url, *scene.staying_at(one)))
        scene.movers += [Mover(JOINED, chance), Mover(JOINED[:2], chance, dashboard=True)]
        await stack.enter_async_context(moving(fleet, *scene.movers))
        yield scene
