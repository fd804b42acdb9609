"""Joins of tasks: the state at S, then what was published since, then live.

Tasks that one user asks for at once are read together; who asks for one that is being read shares it.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from typing import Any

from relay.errors import SourceError, Unavailable
from relay.hub.background import Background
from relay.hub.hub import MANY_BYTES, Hub
from relay.hub.members import Answer, Joiner, Listener, Pending, Room, TaskBatch, TaskReading
from relay.hub.messages import StepFrames, replay
from relay.hub.reads import RETRY_S, Snapshots, unavailable
from relay.hub.snapshot import Progress, TaskState
from relay.protocol.frames import Batch, Frame, encode, error
from relay.protocol.types import ErrorCode, Kind
from relay.source.change import key_of
from relay.source.identity import among
from relay.source.outage import Outage
from relay.tasks.task_ids import candidate_ids
from relay.tasks.timeline import head
from relay.tasks.translate import Task, Translator

log = logging.getLogger(__name__)

BATCH = 10  # tasks read together, all in memory until they are given: a document has up to 16 MB


class Rooms:
    """Answers whoever asks for a task, and seats them in its room. Its methods return at once."""

    def __init__(
        self, hub: Hub, snapshots: Snapshots, translator: Translator, background: Background
    ) -> None:
        self._hub = hub
        self._snapshots = snapshots
        self._translator = translator
        self._background = background
        self._outage = Outage(log, "a join could not be read")
        self._gathering: dict[str, TaskBatch] = {}  # by user, what has not begun to be read
        self._catching_up: list[Joiner] = []

    def ask(self, joiner: Joiner, *, caught_up: bool = False) -> None:
        """Hold the listener from here on; the last of its requests to be answered releases it."""
        listener = joiner.listener
        pending = listener.pending.setdefault(joiner.task_id, Pending())
        has_position = joiner.since is not None and joiner.head is not None
        if joiner.joins and joiner.task_id in listener.behind:
            del listener.behind[joiner.task_id]
            pending.inside = True
        for key in keys_of(joiner.task_id):
            if key in listener.rooms:
                room = self._hub.rooms[key]
                pending.inside = True
                if room.stale:
                    joiner.since = joiner.head = None
                elif listener.receiver.pin():
                    # A state may continue from there, so what brings the listener there has to reach it.
                    pending.was_at = Progress(room.progress.next, room.progress.digest)
                else:
                    # Part of what would have brought it there is dropped, and nobody knows which.
                    pending.was_at = None
                    if joiner.healing:
                        joiner.since = joiner.head = None
                self._hub.leave_room(listener, key)
        pending.joiners.append(joiner)
        if len(pending.joiners) > 1:
            # What the other answers leave the client with is not what its positions were given for.
            for one in pending.joiners:
                one.since = one.head = None
        if has_position and not (caught_up or pending.inside):
            # It may come from an instance that is ahead of this one. Read before we have come as far, its
            # position would match nothing, and the reset would send it back in time.
            self._read_when_caught_up(joiner)
        else:
            self._read_for(joiner)

    def heal(self, listener: Listener, task_id: str, progress: Progress | None) -> None:
        """Bring a member of a room up to date from where it was told to."""
        since = progress.next if progress is not None else None
        at = head(progress.digest) if progress is not None else None
        pending = listener.pending.setdefault(task_id, Pending())
        pending.inside, pending.was_at = True, progress
        self.ask(Joiner(listener, task_id, since, at, None, joins=True, healing=True))

    def read_again(self, joiner: Joiner) -> None:
        """Read for a request whose state found no room, unless it is not wanted any more."""
        if joiner.active:
            self._read_for(joiner)

    def _read_for(self, joiner: Joiner) -> None:
        keys = keys_of(joiner.task_id)
        for reading in self._hub.readings.get(keys[0], ()):
            # Nothing was published since it began, so it answers what is true now.
            if not reading.since:
                reading.joiners.append(joiner)
                self._snapshots.share(reading.batch, joiner.listener.user)
                return
        batch = self._open_batch(joiner.listener.user)
        reading = TaskReading(joiner.task_id, keys, batch, joiners=[joiner])
        batch.readings.append(reading)
        for key in keys:
            self._hub.readings.setdefault(key, []).append(reading)

    def _open_batch(self, user: str) -> TaskBatch:
        """The batch of this user that has not begun to be read, or a new one."""
        batch = self._gathering.get(user)
        if batch is None or len(batch.readings) == BATCH or batch.position != self._hub.position:
            batch = self._gathering[user] = TaskBatch(user, self._hub.position)
            self._background.spawn(self._serve_batch(batch))
        return batch

    async def _serve_batch(self, batch: TaskBatch) -> None:
        if self._gathering.get(batch.user) is batch:
            del self._gathering[batch.user]
        unseen: list[Joiner] = []
        while batch.readings:
            stored = await self._stored(batch)
            position = batch.position
            for reading in list(batch.readings):
                found, answer = await self._found(reading, stored)  # nearly always one task, or none
                if batch.position != position:
                    break  # the stream was reopened meanwhile, and what was held is not complete any more
                hidden = stored is not None and not stored.hidden.isdisjoint(reading.keys)
                unseen += self._conclude(reading, found, answer, hidden=hidden)
        for joiner in unseen:
            self._read_when_caught_up(joiner)

    async def _stored(self, batch: TaskBatch) -> _Stored | None:
        """The documents of this batch at its position, or None where it cannot be read."""
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
            log.exception("a join failed")
            await asyncio.sleep(RETRY_S)  # a member that has to be healed will try again
        return None

    async def _visible(self, batch: TaskBatch) -> dict[bytes, dict[str, Any]]:
        """By key, the documents that somebody may see who has asked by now. Raises SourceError."""
        listeners = {one.listener.keys: one.listener for one in batch.joiners if one.active}
        batch.rights = set(listeners)
        filters = [listener.filter() for listener in listeners.values()]
        visible = {"$or": filters} if filters and all(filters) else {}  # an empty one selects everything
        ids = [one for reading in batch.readings for one in candidate_ids(reading.task_id)]
        patient = partial(_is_needed, batch)
        documents = await self._snapshots.read(batch, {**among(ids), **visible}, patient=patient)
        return {key_of(document["_id"]): document for document in documents}

    async def _hidden(self, batch: TaskBatch, documents: Mapping[bytes, object]) -> set[bytes]:
        """The keys of the tasks that are there and not among these documents. Only members are sent the
        difference: that their task was deleted, or that they may not see it any more. Raises SourceError."""
        ids = [
            one
            for reading in batch.readings
            if documents.keys().isdisjoint(reading.keys) and any(map(_is_inside, reading.joiners))
            for one in candidate_ids(reading.task_id)
        ]
        if not ids:
            return set()
        patient = partial(_is_needed, batch)
        there = await self._snapshots.read(batch, among(ids), patient=patient, projection={"_id": 1})
        return {key_of(document["_id"]) for document in there}

    async def _found(self, reading: TaskReading, stored: _Stored | None) -> tuple[Sequence[_Found], Answer]:
        """The tasks that this reading's id may stand for, the one that wins first, and the answer to those who may
        see none of them."""
        if stored is None:
            return (), "unavailable"
        states = []
        for key in reading.keys:
            if key in stored.documents:
                try:
                    states.append((key, await self._state_of(self._translator.read(stored.documents[key]))))
                except Exception:
                    log.exception("a join failed")
                    await asyncio.sleep(RETRY_S)
                    return (), "unavailable"
        moved = reading.batch.moved
        found = [
            _Found(key, state, [one for one in reading.since if one.step.key == key], moved)
            for key, state in states
        ]
        return found, "forbidden"

    def _conclude(
        self, reading: TaskReading, found: Sequence[_Found], answer: Answer, *, hidden: bool
    ) -> list[Joiner]:
        """Answer the requests that wait for this reading; return those for which it has to be read again.
        `hidden`: the task is there, though none of the readers may see it."""
        reading.batch.readings.remove(reading)
        self._hub.close_reading(reading)
        # From here on nothing waits, so nothing is published in between.
        healed = any(joiner.healing for joiner in reading.joiners)
        rooms = [(one, room) for one in found if (room := self._room_after(one, healed=healed)) is not None]
        unseen = []
        for joiner in reading.joiners:
            if not joiner.active:
                continue
            may_see = joiner.listener.may_see
            shown = next(((one, room) for one, room in rooms if may_see(one.state.task.keys)), None)
            if shown is None:
                unseen.append(joiner)
            elif joiner.listener.receiver.has_room():
                self._give(joiner, *shown)
            else:
                joiner.listener.postponed.append(joiner)
        again = []
        for joiner in unseen:
            if not joiner.active:  # it went with the refusal of another one
                continue
            # What nobody could see who had asked by then was not read: it may be there for the others.
            looked = joiner.caught_up and joiner.listener.keys in reading.batch.rights
            # And it may have come into view since, which its dashboard has been sent.
            appeared = bool(reading.since) and _may_see(joiner.listener, reading.since[-1])
            if answer == "forbidden" and (appeared or not looked):
                again.append(joiner)
            else:
                self._refuse(joiner, answer, exists=bool(found) or hidden)
        return again

    async def _state_of(self, task: Task) -> TaskState:
        elements = task.timeline.elements or ()
        fields = self._translator.view
        if sum(map(len, elements)) < MANY_BYTES:
            return TaskState(task, elements, fields)
        return await asyncio.to_thread(TaskState, task, elements, fields)

    def _read_when_caught_up(self, joiner: Joiner) -> None:
        """Read when the relay has published everything written until now."""
        self._catching_up.append(joiner)
        if len(self._catching_up) == 1:
            self._background.spawn(self._catch_up())

    async def _catch_up(self) -> None:
        joiners, self._catching_up = self._catching_up, []
        try:
            await self._snapshots.catch_up()
        except Unavailable as failure:
            self._outage.failed(str(failure), error=str(failure))
            for joiner in joiners:
                if joiner.active and joiner.healing:
                    self._background.spawn(self._try_again(joiner))
                elif joiner.active:
                    self._refuse(joiner, "unavailable", exists=True)
            return
        for joiner in joiners:
            joiner.caught_up = True
            if joiner.active:
                self._read_for(joiner)

    async def _try_again(self, joiner: Joiner) -> None:
        """Nobody asked for this state, so nobody would ask again."""
        await asyncio.sleep(RETRY_S)
        if joiner.active:
            self._read_when_caught_up(joiner)

    def _room_after(self, found: _Found, *, healed: bool) -> Room | None:
        """The room of this task as it is now; None when the task went away meanwhile."""
        room = self._hub.rooms.get(found.key)
        if room is not None:
            return room
        progress, keys = found.state.progress(), found.state.task.keys
        there = list(takewhile(_is_there, found.since))
        replay(there, progress)
        if there and there[-1].step.after is not None:
            keys = there[-1].step.after.keys
        rewritten_at = asyncio.get_running_loop().time() if healed else -math.inf
        return Room(found.key, found.state.task.id, keys, progress, rewritten_at)

    def _give(self, joiner: Joiner, found: _Found, room: Room) -> None:
        """The state; and if nothing else is being read for it, what was held since, and its seat."""
        listener = joiner.listener
        pending, last = self._hub.settle(joiner)
        if found.moved and pending.was_at is not None and not joiner.healing:
            # It had been told more than its position says, and not what came between.
            joiner.since = joiner.head = None
        listener.answer_state(found.state.pages(joiner.since, joiner.head), joiner.reply_to)
        # Positions from before are not what it has now.
        listener.delivered.pop(found.key, None)
        if joiner.task_id in listener.behind:
            listener.behind[joiner.task_id] = None
        pending.inside, pending.was_at = pending.inside or joiner.joins, None
        if last and pending.inside:
            self._seat(listener, found, room)
        if joiner.answered is not None:
            joiner.answered("given")

    def _seat(self, listener: Listener, found: _Found, room: Room) -> None:
        if listener.lagging:
            listener.behind[found.state.task.id] = None
            return
        seen = list(takewhile(partial(_may_see, listener), found.since))
        # It may have had lifecycle messages on its dashboard: those are not sent twice, and earlier ones not
        # after them.
        had = max(
            (number for number, frames in enumerate(found.since) if listener in frames.told), default=-1
        )
        for number, (frames, made) in enumerate(replay(seen, found.state.progress())):
            for frame, lifecycle in made:
                if not lifecycle or number > had:
                    listener.send(Batch((frame,)))
            if any(lifecycle for _, lifecycle in made):
                frames.told.add(listener)
        if len(seen) < len(found.since):
            listener.answer(found.since[len(seen)].gone_from_room())
        else:
            self._hub.join_room(listener, found.key, room)

    def _refuse(self, joiner: Joiner, answer: Answer, *, exists: bool) -> None:
        listener = joiner.listener
        pending, last = self._hub.settle(joiner)
        if joiner.answered is not None:
            joiner.answered(answer)
        elif not joiner.healing:
            listener.answer(_refusal(joiner, answer))
        if not pending.inside:
            return
        if answer == "forbidden":
            # Other states that it asked for still come; those that nobody asked for would be a surprise.
            self._hub.forget_healing(listener, joiner.task_id)
            kind = Kind.REVOKED if exists else Kind.DELETED
            listener.answer(encode(kind, {"taskId": joiner.task_id}))
        elif last:  # it is a member of the room, whatever it asked
            self.heal(listener, joiner.task_id, pending.was_at)


def keys_of(task_id: str) -> tuple[bytes, ...]:
    """Of the tasks that a `taskId` may stand for, the one that wins first."""
    return tuple(key_of(candidate) for candidate in candidate_ids(task_id))


@dataclass(frozen=True, slots=True)
class _Stored:
    """What a batch read: by key, the documents that its readers may see, and which others are there as far as
    that was asked."""

    documents: Mapping[bytes, dict[str, Any]]
    hidden: set[bytes]


@dataclass(frozen=True, slots=True)
class _Found:
    """A task as it was at a reading's position, and what was published of it since."""

    key: bytes
    state: TaskState
    since: Sequence[StepFrames]
    moved: bool


def _is_needed(batch: TaskBatch) -> bool:
    """Does a listener depend on it that has not asked, and so would not ask again?"""
    return any(joiner.healing and joiner.active for joiner in batch.joiners)


def _is_inside(joiner: Joiner) -> bool:
    return joiner.active and joiner.listener.pending[joiner.task_id].inside


def _is_there(frames: StepFrames) -> bool:
    return frames.step.after is not None


def _may_see(listener: Listener, frames: StepFrames) -> bool:
    after = frames.step.after
    return after is not None and listener.may_see(after.keys)


def _refusal(joiner: Joiner, answer: Answer) -> Frame:
    if answer == "unavailable":
        return unavailable(joiner.reply_to, joiner.task_id)
    message = "There is no such task, or you may not see it."
    return error(ErrorCode.FORBIDDEN, message, task_id=joiner.task_id, reply_to=joiner.reply_to)
