"""A fake sharded cluster behind its router, `mongos`, with one change stream that is merged as the server does it.

A resume token consists of a cluster time and what comes after it: the number of a change, or nothing, which stands
before all changes of that time. A shard promises, with the token of each answer, that it will send nothing before that
token. The router gives out the first of the changes that it has as long as all promises have come that far. Its own
token is that of the last change it has given out, or the least of the promises if it has to wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import bson
from bson import Timestamp
from bson.raw_bson import RawBSONDocument
from pymongo.errors import AutoReconnect

from support.played_database import event, token

NOOP = None  # an entry of an oplog that is no change of the collection
LOST = "the connection is lost"
Entry = tuple[Timestamp, int | None]  # the cluster time, and the number of the task that is changed


def token_of(time: Timestamp, number: int | None = NOOP) -> str:
    return str(token(time)["_data"]) + ("" if number is NOOP else f"64{number:04x}")


class Shard:
    """One shard: its oplog, how far it has been read by the cursor, and what it has sent to the router."""

    def __init__(self, oplog: Sequence[Entry]) -> None:
        self._oplog = oplog
        self._read = 0
        self._start = ""
        self.promised = ""
        self.sent: list[tuple[str, Timestamp, int]] = []  # what the router has not given out

    def open(self, start: str) -> None:
        self._read, self._start, self.promised, self.sent = 0, start, start, []

    def send(self, count: int) -> None:
        """Read `count` entries of the oplog, and send what changes there are."""
        entries = self._oplog[self._read : self._read + count]
        self._read += len(entries)
        for time, number in entries:
            place = token_of(time, number)
            if number is not NOOP and place > self._start:
                self.sent.append((place, time, number))
            self.promised = max(self.promised, place)


class PlayedRouter:
    """A client, a database and a router for `shards`, the oplogs of the shards.

    For each getMore one number of `turns` says how many entries one of the shards sends, in turn, before the router
    answers; LOST ends the connection. After the last turn each shard sends all it has. A getMore for one change is no
    turn: the router answers the first without a change, because a shard has not answered yet.
    """

    def __init__(
        self,
        shards: Sequence[Sequence[Entry]],
        turns: Sequence[int | str],
        hello: dict[str, Any],
        now: Timestamp,
    ) -> None:
        self.shards = [Shard(oplog) for oplog in shards]
        changes = [(token_of(*one), *one) for oplog in shards for one in oplog if one[1] is not NOOP]
        self.changes = [(number, time) for _, time, number in sorted(changes)]  # in the order of the stream
        self._turns = [*turns]
        self._turn = self._looks = 0
        self._hello = hello
        self._now = now
        self._token = ""
        self.commands: list[str] = []

    @property
    def client(self) -> Any:
        return self

    admin = topology_description = client
    topology_type_name = "Sharded"

    def server_descriptions(self) -> dict[str, Any]:
        return {}

    @property
    def readable_servers(self) -> list[Any]:
        return []

    def apply_selector(self, *_: Any, **__: Any) -> list[Any]:
        return []  # the driver's part in choosing a server is tested elsewhere

    def __getitem__(self, name: str) -> Any:
        return self

    name = "app"

    def start_session(self, **options: Any) -> Any:
        return self

    async def end_session(self) -> None: ...

    async def aconnect(self) -> None: ...

    async def command(self, command: Any, **options: Any) -> Any:
        self.commands.append(command if isinstance(command, str) else next(iter(command)))
        if command == "hello":
            return self._hello
        if command == "ping" or "find" in command:
            return {"operationTime": self._now}
        if "killCursors" in command:
            return {}
        if "aggregate" in command:
            opening = command["pipeline"][0]["$changeStream"]
            start = opening.get("startAtOperationTime")
            self._token = opening["startAfter"]["_data"] if start is None else token_of(start)
            self._looks = 0
            for shard in self.shards:
                shard.open(self._token)
            return self._reply([])
        await asyncio.sleep(0)
        if command["batchSize"] == 1:  # the tail looks whether the last change it knows is still there
            self._looks += 1
            for shard in self.shards if self._looks > 1 else ():
                shard.send(len(self.changes) + 100)
            return self._reply(self._merged(1))
        turn = self._turns.pop(0) if self._turns else None
        if turn == LOST:
            raise AutoReconnect("gone")
        if isinstance(turn, int):
            self._turn += 1
            self.shards[self._turn % len(self.shards)].send(turn)
        else:
            for shard in self.shards:
                shard.send(len(self.changes) + 100)
        return self._reply(self._merged(command["batchSize"]))

    def _merged(self, limit: int) -> list[tuple[str, Timestamp, int]]:
        given: list[tuple[str, Timestamp, int]] = []
        promised = min(shard.promised for shard in self.shards)
        while len(given) < limit:
            first = min(
                (shard for shard in self.shards if shard.sent), key=lambda one: one.sent[0], default=None
            )
            if first is None or first.sent[0][0] > promised:
                self._token = max(self._token, promised)
                return given
            given.append(first.sent.pop(0))
            self._token = given[-1][0]
        return given

    def _reply(self, given: Sequence[tuple[str, Timestamp, int]]) -> RawBSONDocument:
        batch = [{**event(number, time), "_id": {"_data": place}} for place, time, number in given]
        cursor = {"id": 1, "nextBatch": batch, "postBatchResumeToken": {"_data": self._token}}
        return RawBSONDocument(bson.encode({"cursor": cursor, "ok": 1}))
