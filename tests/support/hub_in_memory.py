"""A hub over a database in memory, for tests that decide when reads fail, wait or return late."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import bson
import orjson
from bson import Timestamp
from mongomock.filtering import filter_applies

from relay.errors import Unwanted
from relay.hub.hub import Hub
from relay.hub.listener import Listener
from relay.metrics import Metrics
from relay.protocol.frames import Batch, Frame
from relay.source.change import key_of
from relay.tasks.mapping import Mapping as TaskMapping
from relay.tasks.projections import LENGTH_FIELD
from relay.tasks.step import Step
from relay.tasks.task import Task
from relay.tasks.translate import Translator
from relay.tasks.visibility import Audience, Principal
from support.mongo_model import DECODER, Group, Model
from support.relay_fixture import SOON_S

MAPPING = TaskMapping()
AUDIENCE = Audience(MAPPING.visibility)
TRANSLATOR = Translator(MAPPING, AUDIENCE.keys_of, max_text=100)


class Receiver:
    """A socket that takes everything, unless `takes` is False, and a client that keeps the messages."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.waiting: list[tuple[Frame, bool]] = []  # each frame, and whether it may be dropped
        self.takes = self.room = True
        self.has_dropped = False  # live messages, which the hub does not know yet
        self.failed = False

    def send(self, batch: Batch) -> None:
        self.waiting += [(frame, True) for frame in batch.frames]
        self._take()

    def answer(self, frame: Frame) -> None:
        self.waiting.append((frame, False))
        self._take()

    def answer_pages(self, pages: Iterable[Frame], size: int) -> None:
        for page in pages:
            self.answer(page)

    def pin(self) -> bool:
        self.waiting = [(frame, False) for frame, _ in self.waiting]
        return not self.has_dropped

    def has_room(self) -> bool:
        return self.room

    def fail(self) -> None:
        self.failed = True

    def drop_live(self) -> None:
        self.waiting = [(frame, droppable) for frame, droppable in self.waiting if not droppable]

    def take(self) -> None:
        self.takes = True
        self._take()

    def _take(self) -> None:
        if self.takes:
            self.messages += [orjson.loads(frame.body) for frame, _ in self.waiting]
            self.waiting = []

    def types(self) -> list[str]:
        return [message["type"] for message in self.messages]

    def of(self, *kinds: str) -> list[dict[str, Any]]:
        return [message["data"] for message in self.messages if message["type"] in kinds]


def task_of(document: dict[str, Any]) -> Task:
    """The task that a stored document shows."""
    return TRANSLATOR.read(DECODER.document(bson.encode(document)))


class HubFixture:
    """A hub over a database in memory: `write` makes and publishes its groups of writes one by one."""

    is_routed = False

    def __init__(self, *groups: list[tuple[Any, ...]], list_interval_s: float = 0) -> None:
        self.model = Model()
        self._next_groups = list(groups)
        self._tasks: dict[bytes, Task | None] = {}
        self.read: list[dict[str, Any]] = []  # every document that a read brought
        self.lists_read = 0
        self.failures: list[Exception] = []  # the next reads raise these
        self.gates: list[asyncio.Event] = []  # the next reads wait for these
        self.database_at = Timestamp(0, 0)  # the database's time, if the relay has not published that far
        self.hub = Hub(self, TRANSLATOR, Metrics(), list_interval_s=list_interval_s)
        self.hub.move_to(Timestamp(1, 0))

    def write(self, group: Group | None = None) -> None:
        """Make the next group of writes, and publish it."""
        steps = self.steps_of(group if group is not None else self._next_groups.pop(0))
        for step in steps:
            if (prepare := self.hub.prepare(step)) is not None:
                prepare()
        self.hub.publish(steps, self.model.batches[-1].position)

    def steps_of(self, group: Group) -> list[Step]:
        """Make these writes, and return the steps of their changes."""
        steps = []
        for change in self.model.write(group).changes:
            step = TRANSLATOR.translate(self._tasks.get(change.key), change)
            assert step is not None
            self._tasks[change.key] = step.after
            steps.append(step)
        return steps

    def lose_stream(self, group: Group | None = None) -> None:
        """Make the next group of writes; instead of the changes the relay gets a resync."""
        position = self.model.write(group if group is not None else self._next_groups.pop(0)).position
        self._tasks = {key_of(one["_id"]): task_of(one) for one in self.model.at(position).values()}
        self.hub.resync(position)

    def listener(self, sub: str = "alice", receiver: Receiver | None = None, **claims: Any) -> Listener:
        principal = Principal(sub, {"sub": sub, **claims}, 0)
        listener = Listener(
            AUDIENCE.keys_for(principal),
            lambda: AUDIENCE.filter_for(principal),
            user=sub,
            receiver=receiver or Receiver(),
        )
        self.hub.enter(listener)
        return listener

    async def read_at(
        self,
        position: Timestamp,
        filter: Mapping[str, Any],
        *,
        projection: Mapping[str, Any] | None = None,
        sort: Mapping[str, int] | None = None,
        limit: int = 0,
        wanted: Callable[[], bool] = lambda: True,
    ) -> list[dict[str, Any]]:
        failure = self.failures.pop(0) if self.failures else None
        if self.gates:
            await self.gates.pop(0).wait()
        if failure is not None:
            raise failure
        if not wanted():
            raise Unwanted
        found = self._matching(position, filter, sort or {}, limit)
        if projection is not None and LENGTH_FIELD in projection:
            found = _with_lengths(found)
        elif projection is None:
            self.read += found
        return [DECODER.document(bson.encode(one)) for one in found]

    async def keys_at(
        self, position: Timestamp, filter: Mapping[str, Any], *, sort: Mapping[str, int], **options: Any
    ) -> list[bytes]:
        documents = await self.read_at(position, filter, projection={"_id": 1}, sort=sort, **options)
        self.lists_read += 1
        return [key_of(one["_id"]) for one in documents]

    def whole_list(
        self, position: Timestamp, filter: Mapping[str, Any], limit: int = 0
    ) -> list[dict[str, Any]]:
        """Return the summaries of the first tasks that match, made from the documents as they were at this position."""
        documents = _with_lengths(self._matching(position, filter, {"_id": -1}, limit))
        return [TRANSLATOR.summarise(DECODER.document(bson.encode(one))) for one in documents]

    def _matching(
        self, position: Timestamp, filter: Mapping[str, Any], sort: Mapping[str, int], limit: int
    ) -> list[dict[str, Any]]:
        """Return the first `limit` matching documents in the order of `sort`; all of them if `limit` is 0. The values
        of the fields in `sort` are strings."""
        plain = bson.decode(bson.encode(filter))
        found = [one for one in self.model.at(position).values() if filter_applies(plain, one)]
        for name, direction in reversed(sort.items()):
            found.sort(key=lambda one: one[name], reverse=direction < 0)
        return copy.deepcopy(found[: limit or None])

    async def now(self) -> Timestamp:
        return max(self.database_at, self.hub.position)


def _with_lengths(documents: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return documents with what `Translator.list_projection` lets the database compute."""
    arrays = ((one, one.get("events")) for one in documents)
    return [{**one, LENGTH_FIELD: len(array) if isinstance(array, list) else None} for one, array in arrays]


@asynccontextmanager
async def running_hub(*groups: list[tuple[Any, ...]], **options: Any) -> AsyncIterator[HubFixture]:
    fixture = HubFixture(*groups, **options)
    async with fixture.hub:
        yield fixture


async def until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(SOON_S):
        while not reached():
            await asyncio.sleep(0)


async def settled() -> None:
    """Let everything go on that does not wait for a gate."""
    for _ in range(50):
        await asyncio.sleep(0)
