"""A fake database with one change stream, which ends its replies where a test says."""

from __future__ import annotations

import asyncio
from typing import Any

import bson
from bson import Timestamp
from bson.raw_bson import RawBSONDocument
from pymongo.errors import AutoReconnect

START = Timestamp(9, 1)


def token(time: Timestamp) -> dict[str, Any]:
    return {"_data": "82" + time.time.to_bytes(4).hex() + time.inc.to_bytes(4).hex()}


def event(number: int, time: Timestamp) -> dict[str, Any]:
    """Return the change event of a task that is deleted at this cluster time. `number` is the task's `_id`."""
    return {
        "_id": token(time),
        "operationType": "delete",
        "clusterTime": time,
        "documentKey": {"_id": number},
    }


class PlayedDatabase:
    """A server whose replies contain these numbers of changes. A cut of None is a lost connection."""

    def __init__(self, groups: list[int], cuts: list[int | None], hello: dict[str, Any], past: bool) -> None:
        times = [Timestamp(10 + number, 1) for number, size in enumerate(groups) for _ in range(size)]
        self.changes = [*enumerate(times)]
        self._cuts = cuts * len(times)
        self._hello = {"maxWireVersion": 17, **hello}
        self._past = past  # whether the token points past the changes once their cluster time is over
        self.now = START  # the time of its latest operation, as `ping` says it
        self.replies = 0  # replies to getMore that were asked for
        self._told = 0

    @property
    def client(self) -> Any:
        return self

    admin = topology_description = client

    name = "app"

    @property
    def topology_type_name(self) -> str:
        return "Sharded" if self._hello.get("msg") == "isdbgrid" else "ReplicaSetWithPrimary"

    async def aconnect(self) -> None: ...

    def server_descriptions(self) -> dict[str, Any]:
        return {}

    @property
    def readable_servers(self) -> list[Any]:
        return []

    def apply_selector(self, *_: Any, **__: Any) -> list[Any]:
        return []  # the driver's part in choosing a server is tested elsewhere

    def __getitem__(self, name: str) -> Any:
        return self

    def start_session(self, **options: Any) -> Any:
        return self

    async def end_session(self) -> None: ...

    async def __aenter__(self) -> Any:
        return self

    async def __aexit__(self, *_: object) -> None: ...

    async def command(self, command: Any, **options: Any) -> Any:
        if command == "ping":
            return {"operationTime": self.now}
        if command == "hello":
            return self._hello
        if "find" in command:
            return {"operationTime": self.now}
        if "killCursors" in command:
            return {}
        if "aggregate" in command:
            opening = command["pipeline"][0]["$changeStream"]
            after, start = opening.get("startAfter"), opening.get("startAtOperationTime")
            if start is None:
                # Repeat the changes at the token, as a server may.
                self._told = sum(token(time)["_data"] < after["_data"] for _, time in self.changes)
            else:
                self._told = sum(time < start for _, time in self.changes)
            return self._reply([], start, after)
        await asyncio.sleep(0)
        if (
            command["batchSize"] == 1
        ):  # the tail checks whether the last change it knows is still in the oplog
            return self._reply(self.changes[self._told : self._told + 1], None)
        self.replies += 1
        cut = self._cuts[self.replies - 1] if self.replies <= len(self._cuts) else len(self.changes)
        if cut is None:
            raise AutoReconnect("gone")
        taken = self.changes[self._told : self._told + cut]
        self._told += len(taken)
        left = self.changes[self._told :]
        time = taken[-1][1] if taken else self.changes[self._told - 1][1] if self._told else START
        if not taken or (self._past and (not left or left[0][1] > time)):
            time = Timestamp(time.time, 9)
        return self._reply(taken, time)

    def _reply(self, taken: Any, time: Timestamp | None, after: Any = None) -> RawBSONDocument:
        batch = [event(number, time) for number, time in taken]
        cursor = {"id": 1, "nextBatch": batch, "postBatchResumeToken": after or token(time or START)}
        return RawBSONDocument(bson.encode({"cursor": cursor, "ok": 1}))
