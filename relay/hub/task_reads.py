"""Reads of tasks: tasks that one user asks for at once are read together, and requests for the same task share a read
until the task changes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bson import Timestamp

from relay.errors import SourceError
from relay.hub.listener import Listener
from relay.hub.messages import StepFrames
from relay.hub.reads import FairReads
from relay.hub.registry import MANY_BYTES
from relay.hub.request import Waiting
from relay.hub.snapshot import TaskState
from relay.hub.task_subscription import TaskRequest
from relay.source.change import key_of
from relay.source.identity import among
from relay.source.outage import RETRY_S, Outage
from relay.tasks.task import Keys, Task
from relay.tasks.task_ids import candidate_ids
from relay.tasks.translate import Translator

log = logging.getLogger(__name__)

Refuse = Callable[[Sequence[TaskRequest]], None]

# The audience keys of all listeners that one read may look for. A filter for more could exceed the 16 MB that MongoDB
# accepts, and the read would fail for all of them; so it is made without their filters.
MAX_KEYS = 10_000
BATCH = 10  # tasks read together: all are in memory until they are answered, and a document has up to 16 MB


class TaskBatch:
    """Tasks that one user asked for at once. They are read together at `position`; `readings` are those not answered
    yet.

    `moved`: the read was repeated at a later position than it began with, and the messages published between the two
    positions were not buffered. `rights` are the rights of the listeners that had asked when the read began; None
    before that. A read finds only documents that one of these listeners may see, because a forbidden task must not cost
    more than one that does not exist. `looks_for_all`: the read finds all documents, because one of these listeners may
    see all of them, or because their rights are too many for a filter.
    """

    def __init__(self, user: str, position: Timestamp, refuse: Refuse) -> None:
        self.user = user
        self.position = position
        self.moved = False
        self.readings: list[TaskReading] = []
        self.rights: set[Keys] | None = None
        self.looks_for_all = False
        self._refuse = refuse

    def add(self, reading: TaskReading) -> None:
        self.readings.append(reading)

    def remove(self, reading: TaskReading) -> None:
        self.readings.remove(reading)

    def move_to(self, position: Timestamp) -> None:
        self.position, self.moved = position, True
        for reading in self.readings:
            reading.forget_buffer()

    def requests(self) -> Iterator[TaskRequest]:
        """Return the requests that wait for this batch and were not withdrawn."""
        return (one for reading in self.readings for one in reading.requests)

    def looks_for(self, listener: Listener) -> bool:
        """Whether this read finds the documents that the listener may see. Until the read begins, every listener that
        asks is taken into account."""
        return self.rights is None or self.looks_for_all or listener.keys in self.rights

    def is_needed(self) -> bool:
        return any(request.unasked for request in self.requests())

    def note_failed(self) -> None:
        self._refuse([request for request in self.requests() if not request.unasked])

    def users(self) -> set[str]:
        return {request.subscription.listener.user for request in self.requests()}

    def filter(self) -> Mapping[str, Any]:
        """Return the MongoDB filter for the documents that at least one of the listeners that have asked so far may
        see; an empty filter, which selects everything, if they have more than MAX_KEYS audience keys together.

        Also store the rights of these listeners in `rights`.
        """
        listeners = {one.subscription.listener.keys: one.subscription.listener for one in self.requests()}
        self.rights = set(listeners)
        has_too_many = len(listeners) > 1 and sum(map(len, listeners)) > MAX_KEYS
        filters = [] if has_too_many else [listener.filter() for listener in listeners.values()]
        self.looks_for_all = not (filters and all(filters))  # an empty filter selects everything
        return {} if self.looks_for_all else {"$or": filters}


class TaskReading:
    """A read in flight of one task.

    `since` buffers the steps (what one change each means for one task) that are published after the read's position. A
    taskId may stand for several documents; `keys` are the keys of all of them, and their steps are all buffered.
    Requests share the read as long as nothing is buffered.
    """

    __slots__ = ("batch", "keys", "requests", "since", "task_id")

    def __init__(self, task_id: str, batch: TaskBatch) -> None:
        self.task_id = task_id
        self.batch = batch
        self.keys = tuple(key_of(candidate) for candidate in candidate_ids(task_id))
        self.requests: Waiting[TaskRequest] = Waiting()
        self.since: list[StepFrames] = []

    def add(self, request: TaskRequest) -> None:
        self.requests.add(request)

    def buffer(self, frames: StepFrames) -> None:
        self.since.append(frames)

    def forget_buffer(self) -> None:
        self.since.clear()

    def has_members(self) -> bool:
        """Whether a listener that waits for this read is already subscribed to the task."""
        return any(request.subscription.member for request in self.requests)


@dataclass(frozen=True, slots=True)
class TaskFound:
    """A task as it was at the position of a read (`state`), and the steps that were published for it after that
    (`since`).

    `key` stands for the `_id` of its document.
    """

    key: bytes
    state: TaskState
    since: Sequence[StepFrames]


@dataclass(frozen=True, slots=True)
class TaskAnswer:
    """The result of a read of one taskId.

    `found` are the tasks for which the taskId may stand; a listener is sent the first of them that it may see.
    `hidden`: such a task exists, but none of the listeners that asked may see it (checked only if one of them is
    subscribed to the task). `is_read`: the read succeeded; otherwise nothing is known about the task.
    """

    reading: TaskReading
    found: Sequence[TaskFound]
    hidden: bool = False
    is_read: bool = True

    @property
    def exists(self) -> bool:
        return bool(self.found) or self.hidden

    def must_look_again(self, request: TaskRequest) -> bool:
        """Whether a later read may show the listener of this request a task that this read did not show it."""
        # This read cannot refuse the task for good in two cases: the relay had not caught up with the database, so a
        # task just written may be missing; or the listener asked after the read began, so the read did not look for
        # documents that only this listener's rights allow.
        looked = request.caught_up and self.reading.batch.looks_for(request.subscription.listener)
        return not looked or self.appeared_for(request.subscription.listener)

    def appeared_for(self, listener: Listener) -> bool:
        """Whether the last step published during the read made or kept the task visible to this listener. Then the
        listener's list may show the task already, and refusing the task would contradict the list."""
        after = self.reading.since[-1].step.after if self.reading.since else None
        return after is not None and listener.may_see(after.keys)


@dataclass(frozen=True, slots=True)
class _Stored:
    """The result of reading a batch: the documents by key, and in `hidden` the keys of other documents that exist.

    `hidden` has only keys about which the database was asked.
    """

    documents: Mapping[bytes, dict[str, Any]]
    hidden: set[bytes]


class TaskReads:
    """Plans and makes the reads of tasks. The caller has to iterate over `answers` for each batch that `ask` returns,
    and to answer the requests with the results."""

    def __init__(self, reads: FairReads, translator: Translator, refuse: Refuse) -> None:
        """`refuse` is called with requests of clients that share a read which fails and is retried for others."""
        self._reads = reads
        self._translator = translator
        self._refuse = refuse
        self._outage = Outage(log, "a join could not be read")
        self._readings: dict[bytes, list[TaskReading]] = {}
        self._gathering: dict[str, TaskBatch] = {}  # by user, the batch that has not begun to be read

    def is_reading(self, key: bytes) -> bool:
        return key in self._readings

    def buffer(self, frames: StepFrames) -> None:
        """Keep a step that is published, for all reads of its task that are in flight."""
        for reading in self._readings.get(frames.step.key, ()):
            reading.buffer(frames)

    def restart(self, position: Timestamp) -> None:
        """Repeat every read in flight at this position, because the change stream was lost and the relay does not know
        what happened before the position."""
        for batch in {one.batch for readings in self._readings.values() for one in readings}:
            batch.move_to(position)

    def ask(self, request: TaskRequest) -> TaskBatch | None:
        """Let a read in flight answer this request, or a new one if none is current.

        Return the batch of the new read if the batch is new too, because the caller has to read it with `answers`;
        otherwise return None.
        """
        task_id, listener = request.subscription.task_id, request.subscription.listener
        user = listener.user
        first_key = key_of(candidate_ids(task_id)[0])
        for reading in self._readings.get(first_key, ()):
            # Nothing was published for the task since the position of this read, so its result is still current. A
            # request that was overlooked once is not made to wait for others again: somebody who asks for the task all
            # the time, and may not see it, would keep it from those who may.
            if not reading.since and not (request.overlooked and not reading.batch.looks_for(listener)):
                reading.add(request)
                self._reads.share(reading.batch, user)
                return None
        batch = self._gathering.get(user)
        is_new = batch is None or len(batch.readings) == BATCH or batch.position != self._reads.position
        if batch is None or is_new:
            batch = self._gathering[user] = TaskBatch(user, self._reads.position, self._refuse)
        reading = TaskReading(task_id, batch)
        reading.add(request)
        batch.add(reading)
        for key in reading.keys:
            self._readings.setdefault(key, []).append(reading)
        return batch if is_new else None

    async def answers(self, batch: TaskBatch) -> AsyncGenerator[TaskAnswer]:
        """Read a batch of tasks, and yield the result for each task of the batch.

        The caller has to use an answer before it awaits anything: messages that are published after the answer was
        yielded are not buffered for it.
        """
        if self._gathering.get(batch.user) is batch:
            del self._gathering[batch.user]
        while batch.readings:
            stored = await self._stored(batch)
            position = batch.position
            for reading in list(batch.readings):
                found = await self._found(reading, stored)  # nearly always one task, or none
                if batch.position != position:
                    break  # the stream was reopened meanwhile, so the buffered messages are not complete: read again
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
        """Return the documents of this batch at its position; None if they cannot be read."""
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
            await asyncio.sleep(RETRY_S)  # a subscription that needs this read asks again at once
        return None

    async def _visible(self, batch: TaskBatch) -> dict[bytes, dict[str, Any]]:
        """Return by key the documents of this batch that at least one of the listeners that have asked so far may see.

        Raises SourceError if they cannot be read.
        """
        ids = [one for reading in batch.readings for one in candidate_ids(reading.task_id)]
        documents = await self._reads.read(batch, {**among(ids), **batch.filter()})
        return {key_of(document["_id"]): document for document in documents}

    async def _hidden(self, batch: TaskBatch, documents: Mapping[bytes, object]) -> set[bytes]:
        """Return the keys of the tasks of this batch that exist although they are not among these documents.

        Only tasks with a subscriber are asked for: a subscriber is told whether its task was deleted or only became
        invisible to it, while any other listener gets the same answer in both cases. Raises SourceError if the database
        cannot be read.
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
        """Return the tasks for which the taskId of this reading may stand; None if one of them cannot be read.

        `stored` has the documents that were read for the whole batch; None if they could not be read.
        """
        if stored is None:
            return None
        found = []
        try:
            for key in reading.keys:
                if key in stored.documents:
                    found.append((key, await self._state_of(self._translator.read(stored.documents[key]))))
            return [
                TaskFound(key, state, [one for one in reading.since if one.step.key == key])
                for key, state in found
            ]
        except Exception:
            # One document that cannot be read must not keep the others of the batch from their readers.
            log.exception("a task could not be read")
            await asyncio.sleep(RETRY_S)  # a subscription that needs this read asks again at once
            return None

    async def _state_of(self, task: Task) -> TaskState:
        elements = task.timeline.elements or ()
        if sum(map(len, elements)) < MANY_BYTES:
            return TaskState(task, elements, self._translator.view)
        return await asyncio.to_thread(TaskState, task, elements, self._translator.view)
