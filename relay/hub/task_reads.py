"""Reads of tasks: those that one user asks for at once are read together, and a read is shared while it is current."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bson import Timestamp

from relay.errors import SourceError
from relay.hub.listener import Listener
from relay.hub.messages import StepFrames
from relay.hub.reads import FairReads
from relay.hub.registry import MANY_BYTES
from relay.hub.snapshot import TaskState
from relay.hub.task_subscription import TaskRequest
from relay.source.change import key_of
from relay.source.identity import among
from relay.source.outage import Outage
from relay.tasks.task_ids import candidate_ids
from relay.tasks.translate import Keys, Task, Translator

log = logging.getLogger(__name__)

BATCH = 10  # tasks read together, all in memory until they are given: a document has up to 16 MB


class TaskBatch:
    """Tasks that one user asked for at once, read together at `position`; `readings` are those not answered yet.

    `moved`: it is read at a later position than it began with, and what was published between was not buffered.
    `rights` are those of the listeners that had asked when it was read: only documents are read that one of them
    may see, because a task that is forbidden must cost no more than one that does not exist.
    """

    def __init__(self, user: str, position: Timestamp) -> None:
        self.user = user
        self.position = position
        self.moved = False
        self.readings: list[TaskReading] = []
        self.rights: set[Keys] = set()

    def add(self, reading: TaskReading) -> None:
        self.readings.append(reading)

    def remove(self, reading: TaskReading) -> None:
        self.readings.remove(reading)

    def move_to(self, position: Timestamp) -> None:
        self.position, self.moved = position, True
        for reading in self.readings:
            reading.forget_buffer()

    def requests(self) -> Iterator[TaskRequest]:
        """The requests that wait for it, without those that were withdrawn."""
        return (one for reading in self.readings for one in reading.requests if one.active)

    def is_needed(self) -> bool:
        return any(request.unasked for request in self.requests())

    def users(self) -> set[str]:
        return {request.subscription.listener.user for request in self.requests()}

    def filter(self) -> Mapping[str, Any]:
        """The filter for what the listeners that have asked by now may see; remembers their rights."""
        listeners = {one.subscription.listener.keys: one.subscription.listener for one in self.requests()}
        self.rights = set(listeners)
        filters = [listener.filter() for listener in listeners.values()]
        return {"$or": filters} if filters and all(filters) else {}  # an empty filter selects everything


class TaskReading:
    """A read of one task in flight. `since` buffers the steps that are published after its position, under every
    key that its taskId may stand for. Requests share it until the first of these."""

    __slots__ = ("batch", "keys", "requests", "since", "task_id")

    def __init__(self, task_id: str, batch: TaskBatch) -> None:
        self.task_id = task_id
        self.batch = batch
        self.keys = tuple(key_of(candidate) for candidate in candidate_ids(task_id))
        self.requests: list[TaskRequest] = []
        self.since: list[StepFrames] = []

    def add(self, request: TaskRequest) -> None:
        self.requests.append(request)

    def buffer(self, frames: StepFrames) -> None:
        self.since.append(frames)

    def forget_buffer(self) -> None:
        self.since.clear()

    def has_members(self) -> bool:
        """Does a listener wait for it that is a member of the task's room?"""
        return any(request.active and request.subscription.member for request in self.requests)


@dataclass(frozen=True, slots=True)
class TaskFound:
    """A task as it was at the position of a read, and what was published of it since."""

    key: bytes
    state: TaskState
    since: Sequence[StepFrames]


@dataclass(frozen=True, slots=True)
class TaskAnswer:
    """What a read of one task brought.

    `found` are the tasks that its taskId may stand for, in the order in which they win. `hidden`: such a task exists,
    but none of the listeners that asked may see it. `is_read`: the database answered.
    """

    reading: TaskReading
    found: Sequence[TaskFound]
    hidden: bool = False
    is_read: bool = True

    @property
    def exists(self) -> bool:
        return bool(self.found) or self.hidden

    def must_look_again(self, request: TaskRequest) -> bool:
        """May a later read show this listener a task that it did not see in this one?"""
        # A task that was just written was not there yet, and only documents were read that the rights of the
        # listeners opened that had asked by then.
        looked = request.caught_up and request.subscription.listener.keys in self.reading.batch.rights
        return not looked or self.appeared_for(request.subscription.listener)

    def appeared_for(self, listener: Listener) -> bool:
        """Did the task come into this listener's sight while it was read? Then its list shows it already."""
        after = self.reading.since[-1].step.after if self.reading.since else None
        return after is not None and listener.may_see(after.keys)


@dataclass(frozen=True, slots=True)
class _Stored:
    """By key, the documents that a batch read, and the keys of others that exist, as far as that was asked."""

    documents: Mapping[bytes, dict[str, Any]]
    hidden: set[bytes]


class TaskReads:
    """Plans and makes the reads of tasks. The caller serves each batch that `ask` returns, with `answers`."""

    def __init__(self, reads: FairReads, translator: Translator) -> None:
        self._reads = reads
        self._translator = translator
        self._outage = Outage(log, "a join could not be read")
        self._readings: dict[bytes, list[TaskReading]] = {}
        self._gathering: dict[str, TaskBatch] = {}  # by user, the batch that has not begun to be read

    def is_reading(self, key: bytes) -> bool:
        return key in self._readings

    def buffer(self, frames: StepFrames) -> None:
        """Keep a step that is published for the reads of its task."""
        for reading in self._readings.get(frames.step.key, ()):
            reading.buffer(frames)

    def restart(self, position: Timestamp) -> None:
        """Read everything in flight again at this position, because what happened until then is unknown."""
        for batch in {one.batch for readings in self._readings.values() for one in readings}:
            batch.move_to(position)

    def ask(self, request: TaskRequest) -> TaskBatch | None:
        """Let a read answer this request; return its batch if that is a new one, which has to be served."""
        task_id, user = request.subscription.task_id, request.subscription.listener.user
        first_key = key_of(candidate_ids(task_id)[0])
        for reading in self._readings.get(first_key, ()):
            # Nothing was published since its position, so it answers what is true now.
            if not reading.since:
                reading.add(request)
                self._reads.share(reading.batch, user)
                return None
        batch = self._gathering.get(user)
        is_new = batch is None or len(batch.readings) == BATCH or batch.position != self._reads.position
        if batch is None or is_new:
            batch = self._gathering[user] = TaskBatch(user, self._reads.position)
        reading = TaskReading(task_id, batch)
        reading.add(request)
        batch.add(reading)
        for key in reading.keys:
            self._readings.setdefault(key, []).append(reading)
        return batch if is_new else None

    async def answers(self, batch: TaskBatch) -> AsyncGenerator[TaskAnswer]:
        """Read a batch; yield what each of its readings brought.

        The caller has to use an answer before it awaits anything: from then on nothing is buffered for it.
        """
        if self._gathering.get(batch.user) is batch:
            del self._gathering[batch.user]
        while batch.readings:
            stored = await self._stored(batch)
            position = batch.position
            for reading in list(batch.readings):
                found = await self._found(reading, stored)  # nearly always one task, or none
                if batch.position != position:
                    break  # the stream was reopened meanwhile, and what is buffered is not complete any more
                hidden = stored is not None and not stored.hidden.isdisjoint(reading.keys)
                batch.remove(reading)
                self._close(reading)
                if found is None:
                    yield TaskAnswer(reading, (), is_read=False)
                else:
                    yield TaskAnswer(reading, found, hidden)

    def _close(self, reading: TaskReading) -> None:
        for key in reading.keys:
            readings = self._readings[key]
            readings.remove(reading)
            if not readings:
                del self._readings[key]

    async def _stored(self, batch: TaskBatch) -> _Stored | None:
        """The documents of this batch at its position; None if they cannot be read."""
        try:
            while True:
                documents = await self._visible(batch)
                self._outage.over()
                position = batch.position
                hidden = await self._hidden(batch, documents)
                if batch.position == position:
                    return _Stored(documents, hidden)
        except SourceError as failure:
            self._outage.failed(str(failure), error=str(failure))
        except Exception:
            log.exception("a task could not be read")
        return None

    async def _visible(self, batch: TaskBatch) -> dict[bytes, dict[str, Any]]:
        """By key, the documents that one of the listeners that have asked by now may see. Raises SourceError."""
        ids = [one for reading in batch.readings for one in candidate_ids(reading.task_id)]
        documents = await self._reads.read(batch, {**among(ids), **batch.filter()})
        return {key_of(document["_id"]): document for document in documents}

    async def _hidden(self, batch: TaskBatch, documents: Mapping[bytes, object]) -> set[bytes]:
        """The keys of the tasks that exist and are not among these documents. Raises SourceError.

        Only tasks with members are asked for: a member is sent whether its task was deleted or only revoked, while
        any other listener gets the same answer in both cases.
        """
        ids = [
            one
            for reading in batch.readings
            if documents.keys().isdisjoint(reading.keys) and reading.has_members()
            for one in candidate_ids(reading.task_id)
        ]
        if not ids:
            return set()
        existing = await self._reads.read(batch, among(ids), projection={"_id": 1})
        return {key_of(document["_id"]) for document in existing}

    async def _found(self, reading: TaskReading, stored: _Stored | None) -> Sequence[TaskFound] | None:
        """The tasks that this reading's taskId may stand for; None if they cannot be read."""
        if stored is None:
            return None
        states = []
        for key in reading.keys:
            if key in stored.documents:
                try:
                    states.append((key, await self._state_of(self._translator.read(stored.documents[key]))))
                except (
                    Exception
                ):  # one document that cannot be read must not keep the others from their readers
                    log.exception("a task could not be read")
                    return None
        return [
            TaskFound(key, state, [one for one in reading.since if one.step.key == key])
            for key, state in states
        ]

    async def _state_of(self, task: Task) -> TaskState:
        elements = task.timeline.elements or ()
        if sum(map(len, elements)) < MANY_BYTES:
            return TaskState(task, elements, self._translator.view)
        return await asyncio.to_thread(TaskState, task, elements, self._translator.view)
