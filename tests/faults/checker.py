"""Writers and watchers of tasks, and the check that the watchers received exactly what was written.

A `Writer` keeps the events that were acknowledged to it, and a `Watcher` every frame that it received.
`check_received` compares both with each other and with the stored documents.
"""

from __future__ import annotations

import asyncio
import logging
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import orjson
from pymongo import AsyncMongoClient, WriteConcern
from pymongo.errors import PyMongoError
from support.reference_client import FENCE, ReferenceClient
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage

from relay.app import Relay

POLL_S = 0.02
# A limit for what takes a second, such as the start of a process or an election, and much longer on a busy machine.
LONG_S = 120.0
TASKS = [f"t{number}" for number in range(6)]
JOINED = TASKS[:4]  # the tasks that the watchers have joined
OWNER = "alice"
SECRET = "not for alice's eyes"


class Writer:
    """Appends numbered events to tasks, one after another, each acknowledged by a majority."""

    def __init__(self, url: str, database: str, tasks: Sequence[str], *, pace_s: float = 0.005) -> None:
        self._client = AsyncMongoClient[dict[str, Any]](
            url, serverSelectionTimeoutMS=5000, connectTimeoutMS=1000, socketTimeoutMS=5000
        )
        self._collection = self._client[database].get_collection(
            "tasks", write_concern=WriteConcern("majority", wtimeout=5000)
        )
        self._pace_s = pace_s
        self._number = 0
        self.tasks = tasks
        self.acknowledged: dict[str, list[int]] = {task: [] for task in tasks}
        self.unknown = 0  # number of writes that failed without saying whether they were applied
        self.taken: set[str] = set()

    async def create(self) -> None:
        documents = [
            {"_id": task, "createdBy": OWNER, "teamId": "everyone" if task == FENCE else None, "events": []}
            for task in {*self.tasks, FENCE}
        ]
        await self._collection.insert_many(documents)

    async def begin_again(self) -> None:
        """Create the tasks again after all of them were deleted."""
        self.acknowledged = {task: [] for task in self.tasks}
        await self.create()

    async def write(self, count: int = 1, *, task: str | None = None) -> None:
        """Append `count` events. A database error counts as an unknown write and is not raised."""
        for _ in range(count):
            number, self._number = self._number, self._number + 1
            chosen = task or self.tasks[number % len(self.tasks)]
            event = {"type": "log", "n": number}
            if chosen in self.taken:
                event["text"] = SECRET
            try:
                await self._collection.update_one({"_id": chosen}, {"$push": {"events": event}})
            except PyMongoError:
                self.unknown += 1
                await asyncio.sleep(POLL_S)
            else:
                self.acknowledged[chosen].append(number)

    async def acknowledge(self, count: int) -> None:
        """Write until `count` more events are acknowledged, which shows that the database takes writes."""
        target = self.total + count
        async with asyncio.timeout(LONG_S):
            while self.total < target:
                await self.write()

    @property
    def total(self) -> int:
        return sum(map(len, self.acknowledged.values()))

    async def take(self, task: str) -> None:
        """Give a task to another user, and write a secret for that user in the same update."""
        number, self._number = self._number, self._number + 1
        update = {
            "$push": {"events": {"type": "log", "n": number, "text": SECRET}},
            "$set": {"createdBy": "nobody", "title": SECRET},
        }
        async with asyncio.timeout(LONG_S):
            while True:
                with suppress(PyMongoError):
                    await self._collection.update_one({"_id": task, "createdBy": OWNER}, update)
                    # Only now: others write at the same time, and a secret that they write earlier would be visible.
                    self.taken.add(task)
                    self.acknowledged[task].append(number)
                    return

    async def documents(self) -> dict[str, dict[str, Any]]:
        return {document["_id"]: document async for document in self._collection.find({})}

    @asynccontextmanager
    async def busy(self) -> AsyncIterator[None]:
        """Write in the background until the context ends."""

        over = False  # a flag, because on Python 3.11 the driver sometimes swallows a cancellation

        async def work() -> None:
            while not over:
                await self.write()
                await asyncio.sleep(self._pace_s)

        working = asyncio.create_task(work())
        try:
            yield
        finally:
            over = True
            await working

    async def close(self) -> None:
        await self._client.close()


class Watcher(ReferenceClient):
    """A client that reconnects whenever it is disconnected, and keeps every frame with the number of its connection."""

    def __init__(self, wanted: Iterable[str], *, dashboard: bool = False, sub: str = OWNER) -> None:
        super().__init__(sub)
        self.wanted = set(wanted)
        self.dashboard = {} if dashboard else None
        self.frames: list[tuple[int, dict[str, Any]]] = []
        self.connection = 0
        self._again: set[asyncio.Task[None]] = set()

    async def stay(self, url: Callable[[], str]) -> None:
        """Connect again and again until cancelled, also while the relay cannot be reached."""
        while True:
            self.connection += 1
            with suppress(OSError, ConnectionClosed, InvalidHandshake, InvalidMessage, TimeoutError):
                await self.live(url(), asyncio.Event())
            await asyncio.sleep(POLL_S)

    def apply(self, frame: dict[str, Any]) -> None:
        self.frames.append((self.connection, {**frame, "data": dict(frame["data"])}))
        data = frame["data"]
        if frame["type"] == "error" and data["code"] == "unavailable":
            self.unanswered.discard(frame.get("replyTo", ""))
            task = asyncio.create_task(self._ask_again(data.get("taskId"), data["retryAfterMs"] / 1000))
            self._again.add(task)
            task.add_done_callback(self._again.discard)
        else:
            super().apply(frame)

    async def _ask_again(self, task_id: str | None, wait_s: float) -> None:
        connection = self.connection
        await asyncio.sleep(wait_s)
        with suppress(ConnectionClosed):
            if self.connection == connection:  # a new connection joins everything by itself
                await (self.join_dashboard() if task_id is None else self.join(task_id))

    def received(self, kind: str, **data: Any) -> list[dict[str, Any]]:
        """Return the received frames of this type whose data contains these fields."""
        frames = [frame for _, frame in self.frames if frame["type"] == kind]
        return [frame for frame in frames if data.items() <= frame["data"].items()]

    def numbers(self, task_id: str) -> list[int]:
        return [event["data"]["n"] for event in self.timelines.get(task_id, [])]


@asynccontextmanager
async def watching(relay: Relay | Callable[[], str], *watchers: Watcher) -> AsyncIterator[None]:
    """Keep watchers connected and joined. At the end the first failure of a watcher is raised."""

    def url() -> str:
        return relay.url if isinstance(relay, Relay) else relay()

    async with joined(watchers, [asyncio.create_task(watcher.stay(url)) for watcher in watchers]):
        yield


@asynccontextmanager
async def joined(watchers: Iterable[Watcher], tasks: Sequence[asyncio.Task[None]]) -> AsyncIterator[None]:
    """Wait until these watchers, which `tasks` keep connected, have joined what they want. In the end, cancel the tasks
    and raise the first failure of one."""
    try:
        for watcher in watchers:
            await until(lambda watcher=watcher: watcher.wanted <= set(watcher.timelines), "the joins", tasks)
        yield
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        for failure in ended:
            if isinstance(failure, Exception):
                raise failure


@asynccontextmanager
async def writing(url: str, database: str) -> AsyncIterator[Writer]:
    """Create the tasks, and give a writer for them."""
    writer = Writer(url, database, TASKS)
    try:
        await writer.create()
        yield writer
    finally:
        await writer.close()


def watchers() -> tuple[Watcher, Watcher]:
    """Return a watcher of tasks, and one that has also joined the list."""
    return Watcher(JOINED), Watcher(JOINED[:2], dashboard=True)


async def until(
    holds: Callable[[], Any],
    what: str,
    beside: Iterable[asyncio.Task[Any]] = (),
    *,
    within_s: float = LONG_S,
) -> None:
    """Wait until the condition holds. Fails if one of the tasks `beside` ends before."""
    deadline = asyncio.get_running_loop().time() + within_s
    while not holds():
        for task in beside:
            if task.done():
                await task
        assert asyncio.get_running_loop().time() < deadline, f"timed out: {what}"
        await asyncio.sleep(POLL_S)


async def caught_up(writer: Writer, *watchers: Watcher) -> None:
    """Wait until the watchers have received all events acknowledged so far."""
    newest = {task: numbers[-1] for task, numbers in writer.acknowledged.items() if numbers}
    for watcher in watchers:
        for task in watcher.wanted & set(newest) - writer.taken:
            await until(
                lambda task=task, watcher=watcher: newest[task] in watcher.numbers(task),
                f"{task} up to {newest[task]}",
            )


async def check_received(writer: Writer, *watchers: Watcher) -> None:
    """Check, after the last fault and the last write, that every watcher has received exactly what was written.

    No acknowledged event is missing in the documents. Each timeline equals its document and had no gap and no repeated
    event on the way. No message of a task arrived after its revocation.
    """
    documents: dict[str, dict[str, Any]] = {}

    async def read() -> None:
        async with asyncio.timeout(LONG_S):
            while not documents:
                with suppress(PyMongoError):
                    documents.update(await writer.documents())

    await read()
    stored = {task: [event["n"] for event in documents[task]["events"]] for task in writer.tasks}
    for task, numbers in writer.acknowledged.items():
        assert len(set(stored[task])) == len(stored[task]), "an event was stored twice"
        assert set(numbers) <= set(stored[task]), "an acknowledged event is missing in the document"
    for watcher in watchers:
        for task in watcher.wanted - writer.taken - {FENCE}:
            await until(
                lambda task=task, watcher=watcher: watcher.numbers(task) == stored[task],
                f"{task} complete for {watcher.sub}",
            )
        for task in writer.taken:
            await until(lambda task=task, watcher=watcher: task not in watcher.wanted, f"{task} revoked")
        if watcher.dashboard is not None:
            await until(
                lambda watcher=watcher: _listed(watcher) == _expected(stored, writer.taken),
                "the dashboard",
            )
        check(watcher.frames)
        assert SECRET not in orjson.dumps(watcher.frames).decode()


def _listed(watcher: Watcher) -> dict[str, int]:
    assert watcher.dashboard is not None
    return {task: summary["eventCount"] for task, summary in watcher.dashboard.items() if task != FENCE}


def _expected(stored: dict[str, list[int]], taken: set[str]) -> dict[str, int]:
    return {task: len(numbers) for task, numbers in stored.items() if task not in taken}


def check(frames: Sequence[tuple[int, dict[str, Any]]]) -> None:
    """Check all frames of a client against PROTOCOL.md 6.1 and 6.2.

    Within a connection the first event after a state has the index `next` of that state, and every other event follows
    the one before. A state starts at or before the end of what the client holds. After a revocation or deletion it
    gets no message until it has been joined again.
    """
    nexts: dict[str, int] = {}  # the next index of each task, over all connections
    live: set[tuple[int, str]] = set()  # tasks with a state, by connection
    for connection, frame in frames:
        kind, data = frame["type"], frame["data"]
        task = data.get("taskId", "")
        joined = connection, task
        match kind:
            case "task:state":
                assert data["from"] == (0 if data["reset"] else nexts[task]), f"a gap or a repeat: {data}"
                assert data["next"] == data["from"] + len(data["events"])
                nexts[task] = data["next"]
                live.add(joined)
            case "task:event_added":
                assert joined in live, f"an event without a state: {data}"
                assert data["index"] == nexts[task], f"a gap or a repeat: {data} after {nexts[task]}"
                nexts[task] = data["next"]
            case "task:updated":
                assert joined in live, f"an update after the end: {data}"
            case "task:revoked" | "task:deleted":
                live.discard(joined)
                nexts.pop(task, None)


# What operators see


def lines(caplog: Any, *phrases: str) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.getMessage() in phrases]


def lines_of(caplog: Any, logger: str) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.name == logger]


def no_traceback(caplog: Any) -> None:
    """Check that no traceback and no asyncio error was logged: faults of the database are logged in single lines."""
    loud = [record for record in caplog.records if record.exc_info]
    # Errors of tasks that were not awaited, and errors raised in callbacks.
    loud += [record for record in lines_of(caplog, "asyncio") if record.levelno >= logging.ERROR]
    assert not loud, [record.getMessage() for record in loud]


async def fetch(relay: Relay | str, path: str) -> tuple[int, str]:
    url = (relay if isinstance(relay, str) else relay.url) + path

    def get() -> tuple[int, str]:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(url, timeout=LONG_S) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, refused.read().decode()
        except OSError:
            return 0, ""  # the relay cannot be reached

    return await asyncio.to_thread(get)


async def figure(relay: Relay | str, name: str) -> float:
    """Return the value of a metric."""
    _, text = await fetch(relay, "/metrics")
    return float(next(line.split()[1] for line in text.splitlines() if line.startswith(f"{name} ")))


async def ready(relay: Relay | str, status: int, *, within_s: float = LONG_S) -> None:
    """Wait until /readyz answers with this status."""
    deadline = asyncio.get_running_loop().time() + within_s
    while (await fetch(relay, "/readyz"))[0] != status:
        assert asyncio.get_running_loop().time() < deadline, f"/readyz did not become {status}"
        await asyncio.sleep(POLL_S)
