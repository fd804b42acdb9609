"""Reads of tasks: tasks that one user asks for at once are read together, and requests for the same task share a read
until the task changes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bson import Timestamp

from relay.errors import SourceError, Unwanted
from relay.hub.listener import Listener
from relay.hub.messages import StepFrames
from relay.hub.reads import FairReads
from relay.hub.request import Waiting
from relay.hub.snapshot import MANY_BYTES, TaskState
from relay.hub.task_filters import Asked, Query, queries
from relay.hub.task_subscription import TaskRequest
from relay.source.change import key_of
from relay.source.identity import among
from relay.source.outage import RETRY_S, Outage
from relay.source.raw_bson import Document
from relay.tasks.packed_keys import TaskKeys
from relay.tasks.task import Keys, Task
from relay.tasks.task_ids import candidate_ids
from relay.tasks.translate import Translator
from relay.tasks.visibility import ALL

log = logging.getLogger(__name__)

Refuse = Callable[[Sequence[TaskRequest]], None]

BATCH = 10  # tasks read together: all are in memory until they are answered, and a document has up to 16 MB


class TaskBatch:
    """Tasks that one user asked for at once. They are read together at `position`; `readings` are those not answered
    yet.

    `moved`: the read was repeated at a later position than it began with, and the messages published between the two
    positions were not buffered.
    """

    def __init__(self, user: str, position: Timestamp, refuse: Refuse) -> None:
        self.user = user
        self.position = position
        self.moved = False
        self.readings: list[TaskReading] = []
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

    def is_wanted(self) -> bool:
        return any(len(reading.requests) for reading in self.readings)

    def is_needed(self) -> bool:
        return any(request.unasked for request in self.requests())

    def note_failed(self) -> None:
        self._refuse([request for request in self.requests() if not request.unasked])

    def users(self) -> set[str]:
        return {request.subscription.listener.user for request in self.requests()}

    def queries(self) -> Sequence[Query]:
        """Return the queries of the database for these tasks, and note in each reading for whom they look."""
        return queries([reading.asked() for reading in self.readings])


class TaskReading:
    """A read in flight of one task.

    `since` buffers the steps (what one change each means for one task) that are published after the read's position. A
    taskId may stand for several documents; `keys` are the keys of all of them, and their steps are all buffered.
    Requests share the read as long as nothing is buffered.

    `rights` are the rights of the listeners that had asked when the read began; None before that. The read finds only
    documents that one of these listeners may see, because a forbidden task must not cost more than one that does not
    exist. `shown` are the audience keys of each task that the read found for them; None before that.
    """

    __slots__ = ("batch", "ids", "keys", "requests", "rights", "shown", "since", "task_id")

    def __init__(self, task_id: str, batch: TaskBatch) -> None:
        self.task_id = task_id
        self.batch = batch
        self.ids = {key_of(candidate): candidate for candidate in candidate_ids(task_id)}
        self.keys = tuple(self.ids)
        self.requests: Waiting[TaskRequest] = Waiting()
        self.since: list[StepFrames] = []
        self.rights: frozenset[Keys] | None = None
        self.shown: Sequence[TaskKeys] | None = None

    def add(self, request: TaskRequest) -> None:
        self.requests.add(request)

    def asked(self) -> Asked:
        """Return what to look for: the documents that one of the listeners that have asked so far may see. Store the
        rights of these listeners in `rights`."""
        listeners = {one.subscription.listener.keys: one.subscription.listener for one in self.requests}
        self.rights, self.shown = frozenset(listeners), None
        return Asked(self.ids, listeners)

    def looks_for(self, listener: Listener) -> bool:
        """Whether this read finds the documents that the listener may see. Until the read begins, every listener that
        asks is taken into account. If one of them may see all documents, all are found."""
        rights = self.rights
        return rights is None or listener.keys in rights or any(ALL in keys for keys in rights)

    def may_answer(self, request: TaskRequest) -> bool:
        """Whether this request may share the read."""
        if self.since:
            return False  # the task has changed since the position of the read, so its result is not current
        listener = request.subscription.listener
        if self.shows_nothing_to(listener):
            return False  # the read may take long to encode the task for others
        if self.looks_for(listener):
            return True
        # A subscriber who was overlooked would have to be sent the whole timeline, whatever position it brought. So it
        # shares only a read that looks for a subscriber: such a read finds the task.
        if request.subscription.member and not self.has_members():
            return False
        # A request that was overlooked once is not made to wait for others again: somebody who asks for the task all
        # the time, and may not see it, would keep it from those who may.
        return not request.overlooked

    def shows_nothing_to(self, listener: Listener) -> bool:
        """Whether the read has found its tasks already, and the listener may see none of them."""
        return self.shown is not None and not any(map(listener.may_see, self.shown))

    def note_shown(self, tasks: Iterable[Task]) -> None:
        self.shown = [task.keys for task in tasks]

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

    `requests` are those that it answers. `found` are the tasks for which the taskId may stand; a listener is sent the
    first of them that it may see. `exists`: there is such a task, even if none of the listeners may see it (it is
    certain only if one of them is subscribed to the task). `is_read`: the read succeeded; otherwise nothing is known
    about the task.
    """

    reading: TaskReading
    requests: Sequence[TaskRequest]
    found: Sequence[TaskFound] = ()
    exists: bool = False
    is_read: bool = True

    def must_look_again(self, request: TaskRequest) -> bool:
        """Whether another read now may show the listener of this request a task that this read did not show it: it has
        asked after the read began, so the read did not look for documents that only its rights allow; or the task has
        appeared meanwhile."""
        listener = request.subscription.listener
        return not self.reading.looks_for(listener) or self.appeared_for(listener)

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

    def waiting(self) -> list[TaskRequest]:
        """Return all requests that wait for a read in flight. A read for which nobody waits any more is ended."""
        return [
            one for readings in self._readings.values() for reading in readings for one in reading.requests
        ]

    def ask(self, request: TaskRequest) -> TaskBatch | None:
        """Let a read in flight answer this request, or a new one if none is current.

        Return the batch of the new read if the batch is new too, because the caller has to read it with `answers`;
        otherwise return None.
        """
        task_id, user = request.subscription.task_id, request.subscription.listener.user
        first_key = key_of(candidate_ids(task_id)[0])
        for reading in self._readings.get(first_key, ()):
            if reading.may_answer(request):
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
                tasks = await self._tasks(reading, stored)  # nearly always one task, or none
                if batch.position != position:
                    break  # the stream was reopened meanwhile, so the buffered messages are not complete: read again
                exists = bool(tasks) or (stored is not None and not stored.hidden.isdisjoint(reading.keys))
                shown = _shown(tasks or (), reading.requests)
                reading.note_shown(task for _, task in shown)
                others = [
                    one for one in reading.requests if reading.shows_nothing_to(one.subscription.listener)
                ]
                if shown and others:
                    # They must not wait until the task is encoded for those who may see it.
                    yield TaskAnswer(reading, others, exists=exists)
                found = await self._found(reading, shown) if tasks is not None else None
                if batch.position != position:
                    break
                batch.remove(reading)
                self._close(reading)
                requests = list(reading.requests)
                if found is None:
                    yield TaskAnswer(reading, requests, is_read=False)
                else:
                    yield TaskAnswer(reading, requests, found, exists)

    def _close(self, reading: TaskReading) -> None:
        for key in reading.keys:
            readings = self._readings[key]
            readings.remove(reading)
            if not readings:
                del self._readings[key]

    async def _stored(self, batch: TaskBatch) -> _Stored | None:
        """Return the documents of this batch at its position; None if they cannot be read, or if no request waits for
        them any more."""
        try:
            while True:
                position, documents = await self._visible(batch)
                self._outage.over()
                hidden = await self._hidden(batch, documents)
                if batch.position == position:
                    return _Stored(documents, hidden)
        except Unwanted:
            pass
        except SourceError as failure:
            self._outage.failed(str(failure), error=str(failure))
        except Exception:
            log.exception("a task could not be read")
            await asyncio.sleep(RETRY_S)  # a subscription that needs this read asks again at once
        return None

    async def _visible(self, batch: TaskBatch) -> tuple[Timestamp, dict[bytes, dict[str, Any]]]:
        """Return the documents of this batch that one of the listeners that have asked for them so far may see, by key.

        Also return the position of the first read. If it is not the position of the batch any more, the documents were
        read at different positions. Raises SourceError if they cannot be read.
        """
        documents: dict[bytes, dict[str, Any]] = {}
        position: Timestamp | None = None
        for query in batch.queries():  # nearly always one
            if (filter := query.filter(documents)) is not None:
                found = await self._reads.read(batch, filter)
                documents |= {key_of(document["_id"]): document for document in found}
                position = batch.position if position is None else position
        return batch.position if position is None else position, documents

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

    async def _tasks(self, reading: TaskReading, stored: _Stored | None) -> list[tuple[bytes, Task]] | None:
        """Return the tasks for which the taskId of this reading may stand, with their keys; None if one of them cannot
        be read.

        `stored` has the documents that were read for the whole batch; None if they could not be read.
        """
        if stored is None:
            return None
        try:
            return [
                (key, await self._task_of(stored.documents[key]))
                for key in reading.keys
                if key in stored.documents
            ]
        except Exception:
            # One document that cannot be read must not keep the others of the batch from their readers.
            log.exception("a task could not be read")
            await asyncio.sleep(RETRY_S)  # a subscription that needs this read asks again at once
            return None

    async def _task_of(self, document: Document) -> Task:
        if self._translator.reads_long(document):
            return await asyncio.to_thread(self._translator.read, document)
        return self._translator.read(document)

    async def _found(
        self, reading: TaskReading, tasks: Iterable[tuple[bytes, Task]]
    ) -> Sequence[TaskFound] | None:
        """Return the states of these tasks, given with their keys, for this reading; None if one cannot be made."""
        try:
            states = [(key, await self._state_of(task)) for key, task in tasks]
        except Exception:
            # One document that cannot be read must not keep the others of the batch from their readers.
            log.exception("a task could not be read")
            await asyncio.sleep(RETRY_S)  # a subscription that needs this read asks again at once
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


def _shown(tasks: Iterable[tuple[bytes, Task]], requests: Iterable[TaskRequest]) -> list[tuple[bytes, Task]]:
    """Return those of the tasks, given with their keys, that the listener of one of the requests may see."""
    listeners = [request.subscription.listener for request in requests]
    return [(key, task) for key, task in tasks if any(one.may_see(task.keys) for one in listeners)]
