"""The driver of the subscriptions: it carries out the effects that they ask for, and gives them the results of reads.

Rules of this file: all methods except the background jobs return at once. Nothing is awaited between the end of a read
and the last effect of its answer, so no change is published in between.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Iterable, Sequence
from contextlib import aclosing
from itertools import takewhile
from typing import Any, assert_never, cast

from bson import Timestamp

from relay.errors import Unavailable
from relay.hub.background import Background
from relay.hub.delivery import Delivery
from relay.hub.list_reads import ListReading, ListReads
from relay.hub.list_subscription import ListRequest, ListSubscription
from relay.hub.listener import serving
from relay.hub.messages import StepFrames, replay
from relay.hub.reads import FairReads, Reader
from relay.hub.refusals import Refusal, Refusals, wait_s
from relay.hub.registry import Group, Registry, Room
from relay.hub.request import Waiting
from relay.hub.subscription import (
    Effect,
    EnterRoom,
    Event,
    LeaveRoom,
    ListRead,
    Read,
    ReadForbidden,
    ReadGiven,
    ReadLater,
    ReadUnavailable,
    ReadWhenCaughtUp,
    Replay,
    Report,
    Revoke,
    Send,
    SendState,
    State,
    TaskRead,
)
from relay.hub.task_reads import TaskAnswer, TaskBatch, TaskFound, TaskReads
from relay.hub.task_subscription import TaskRequest, TaskSubscription
from relay.metrics import Joined, Metrics
from relay.protocol.frames import Batch
from relay.source.outage import RETRY_S, Outage
from relay.tasks.translate import Translator

log = logging.getLogger(__name__)

Subscribed = TaskSubscription | ListSubscription
Requested = TaskRequest | ListRequest


class Driver:
    """Gives events to subscriptions (state machines: one listener's relation to one task or to the list), carries out
    the effects that they return, and makes the reads among those effects."""

    def __init__(
        self,
        registry: Registry,
        delivery: Delivery,
        reads: FairReads,
        translator: Translator,
        metrics: Metrics,
        background: Background,
    ) -> None:
        self._registry = registry
        self._delivery = delivery
        self._reads = reads
        self._metrics = metrics
        self._background = background
        self._outage = Outage(log, "the relay cannot catch up with the database")
        # Requests that wait until the relay has caught up, by `surely` of `FairReads.catch_up`.
        self._catching_up: dict[bool, Waiting[Requested]] = {False: Waiting(), True: Waiting()}
        self.task_reads = TaskReads(reads, translator, self._refuse)
        self.list_reads = ListReads(reads, translator, self._refuse)
        self._refusals = Refusals()

    def apply(self, subscription: Subscribed, event: Event) -> None:
        """Give an event to a subscription, and carry out the effects that the subscription returns, in their order.

        A subscription that has ended after that (its state is ABSENT) is removed from its listener. If this method
        raises an exception, it is unknown which effects were carried out, so the caller has to end the connection.
        """
        try:
            for effect in subscription.handle(event):
                self._carry_out(subscription, effect)
        finally:
            if subscription.state is State.ABSENT:
                listener = subscription.listener
                # Listener and subscription refer to each other. Breaking this cycle here frees both at once, without
                # the garbage collector.
                if isinstance(subscription, TaskSubscription):
                    listener.remove_task(subscription)
                else:
                    listener.set_list(None)

    def tell(self, subscription: Subscribed, event: Event) -> None:
        """Do the same as `apply`, for an event that may concern several listeners: an error ends the connection of this
        one, and the caller continues with the others."""
        with serving(subscription.listener):
            self.apply(subscription, event)

    def pin(self, subscription: Subscribed) -> bool:
        """Protect the messages already queued for this subscription from being dropped, so that the next state (a
        snapshot of the task's timeline) can continue from the last of them.

        Return whether all live messages sent so far are certain to reach the client. Always return False, and protect
        nothing, for a list and for a subscription that is not LIVE.
        """
        if subscription.state is not State.LIVE or isinstance(subscription, ListSubscription):
            return False
        return subscription.listener.receiver.pin()

    def restart_reads(self, position: Timestamp) -> None:
        """Repeat every read in flight at this position, because the change stream was lost and the relay does not know
        what happened before the position."""
        self.task_reads.restart(position)
        self.list_reads.restart(position)
        self._refusals.note_lost()

    def reread(self, reader: Reader, translator: Translator, position: Timestamp) -> list[Requested]:
        """Read with these from now on. Return the requests that wait for reads in flight, which the caller has to pass
        to `read_again`: these reads use the reader and the translator of before, and nobody may wait for them any more.

        `position` is position S, up to which everything has been published.
        """
        tasks = dict.fromkeys(
            self.task_reads.waiting()
        )  # a taskId may stand for several `_id`s, and is found for each
        waiting: list[Requested] = [*tasks, *self.list_reads.waiting()]
        self._reads.use(reader)
        self.task_reads = TaskReads(self._reads, translator, self._refuse)
        self.list_reads = ListReads(self._reads, translator, self._refuse)
        self.list_reads.fragments.forget(position)
        self._refusals.note_lost()
        return waiting

    def read_again(self, requests: Iterable[Requested]) -> None:
        """Make new reads for these requests, except those that were answered or withdrawn meanwhile."""
        for request in requests:
            if not request.active:
                continue
            if isinstance(request, TaskRequest) and request.subscription.member and not request.unasked:
                request.forget_position()  # for the reason in `TaskSubscription._given`: nothing was buffered
            self._read_each((request,))

    def buffer(self, frames: StepFrames) -> None:
        """Keep a step that is published, for everything that is being read or decided about its task."""
        self.task_reads.buffer(frames)
        self._refusals.note(frames)

    def is_reading(self, key: bytes) -> bool:
        """Whether the task with this key (which stands for the document's `_id`) is being read, or a request for it is
        about to be refused."""
        return self.task_reads.is_reading(key) or self._refusals.is_waiting(key)

    def _carry_out(self, subscription: Subscribed, effect: Effect) -> None:
        listener = subscription.listener
        match effect:
            case EnterRoom(room):
                # What was published before goes to those that were in the room until now: no fewer, and no more.
                self._delivery.flush()
                self._registry.enter(room, listener)
                self._metrics.rooms.set(len(self._registry.rooms))
            case LeaveRoom(room):
                self._delivery.flush()
                self._registry.leave(room, listener)
                self._metrics.rooms.set(len(self._registry.rooms))
                if isinstance(room, Group):
                    self._drop_if_empty(room)
            case Read(request):
                self._read(cast(Requested, request))
            case ReadWhenCaughtUp(request):
                self._read_when_caught_up(cast(Requested, request))
            case ReadLater(request):
                self._background.spawn("read again", self._read_later(Waiting(cast(Requested, request))))
            case SendState(pages, reply_to):
                listener.answer_state(pages, reply_to)
            case Send(frame):
                listener.answer(frame)
            case Replay(frames):
                listener.send(Batch(frames))
            case Revoke(frame):
                self._delivery.revoke((listener,), frame)
            case Report(answered, answer):
                answered(answer)
            case _:
                assert_never(effect)

    # Reads.

    def _read(self, request: Requested) -> None:
        if isinstance(request, TaskRequest):
            batch = self.task_reads.ask(request)
            if batch is not None:
                self._background.spawn("read tasks", self._serve_batch(batch))
        else:
            # Look the group up only now: the registry drops a group that has neither listeners nor reads, so a group
            # that was found when the request was made may be gone.
            reading = self.list_reads.ask(request, self._registry.group_of(request.subscription.listener))
            if reading is not None:
                self._background.spawn("read a list", self._serve_list(reading))

    def _read_each(self, requests: Iterable[Requested]) -> None:
        for request in requests:
            with serving(request.subscription.listener):
                self._read(request)

    def _read_when_caught_up(self, request: Requested, *, surely: bool = False) -> None:
        self._catching_up[surely].add(request)
        if len(self._catching_up[surely]) == 1:
            self._background.spawn("catch up with the database", self._catch_up(surely))

    async def _catch_up(self, surely: bool) -> None:
        """Read for all requests that wait for the relay to catch up with the database.

        First wait until the relay has published every change that the database holds now, or until a bounded time is
        over (`FairReads.catch_up`). If the database does not answer, answer these requests that it is unavailable.
        """
        requests, self._catching_up[surely] = self._catching_up[surely], Waiting()
        await self._note_caught_up(requests, surely=surely)
        self._read_each(requests)

    async def _note_caught_up(self, requests: Waiting[Any], *, surely: bool) -> None:
        """Wait until the relay has caught up with the database, as `_catch_up` says, and note it in these requests.

        If the database does not answer, refuse them, so that none is left.
        """
        try:
            has_caught_up = await self._reads.catch_up(surely=surely)
        except Exception as failure:
            if isinstance(failure, Unavailable):
                self._outage.failed(str(failure), error=str(failure))
            else:
                log.exception("the relay could not catch up with the database")
            self._refuse(requests)
            return
        self._outage.over()
        for request in requests if has_caught_up else ():
            request.note_caught_up()

    async def _read_later(self, requests: Waiting[Requested]) -> None:
        await asyncio.sleep(RETRY_S)
        self._read_each(requests)

    def _refuse(self, requests: Iterable[Requested]) -> None:
        """Answer these requests that the database is unavailable."""
        for request in requests:
            self.tell(request.subscription, ReadUnavailable(request))

    # Answers of reads.

    async def _serve_batch(self, batch: TaskBatch) -> None:
        async with aclosing(self.task_reads.answers(batch)) as answers:
            async for answer in answers:
                self._conclude(answer)

    def _conclude(self, answer: TaskAnswer) -> None:
        """Answer every active request that waits for this read of a task.

        A task that cannot be shown is answered as unavailable, after a pause. An error that concerns only one request
        ends the connection of that one.
        """
        try:
            is_resync = any(request.unasked for request in answer.requests)
            reads = [self._task_read(found, answer, is_resync=is_resync) for found in answer.found]
        except Exception:
            log.exception("a task could not be shown")
            self._background.spawn(
                "refuse the requests for a task", self._refuse_later(answer.reading.requests)
            )
            return
        for request in answer.requests:
            if request.active:
                with serving(request.subscription.listener):
                    self._conclude_for(request, answer, reads)

    def _conclude_for(self, request: TaskRequest, answer: TaskAnswer, reads: Sequence[TaskRead]) -> None:
        """Answer one request that waited for this read of a task. `reads` are the tasks found.

        The request is given the first of them that its listener may see. If there is none, the request is answered as
        unavailable (the read failed), read again (a later read may find the task), or answered as forbidden.
        """
        subscription, listener = request.subscription, request.subscription.listener
        read = next((one for one in reads if listener.may_see(one.state.task.keys)), None)
        if read is not None:
            self.apply(subscription, ReadGiven(request, read, listener.receiver.has_room()))
            self._note_joined("task", request)
        elif not answer.is_read:
            self.apply(subscription, ReadUnavailable(request))
        elif answer.must_look_again(request) or (subscription.member and not request.caught_up):
            if not answer.reading.looks_for(listener):
                request.note_overlooked()
            if subscription.member and not request.unasked:
                request.forget_position()  # for the reason in `TaskSubscription._given`
            self._read_when_caught_up(request, surely=not request.caught_up)
        elif subscription.member:
            self.apply(subscription, ReadForbidden(request, answer.exists))
        else:
            refusal = Refusal(request, answer.reading.keys)
            self._refusals.add(refusal)
            self._background.spawn("refuse a task", self._forbid(refusal))

    async def _forbid(self, refusal: Refusal) -> None:
        """Answer a request as forbidden, once the relay has caught up with the database, and at a moment that does not
        tell whether the task exists. If the task may have become visible to the listener by then, read it again."""
        requests = refusal.requests()
        try:
            if any(not request.caught_up for request in requests):
                await self._note_caught_up(requests, surely=True)
            if not refusal.is_outdated():
                for request in requests:
                    await asyncio.sleep(wait_s(request.asked_at, asyncio.get_running_loop().time()))
        finally:
            self._refusals.remove(refusal)
        for request in requests:
            with serving(request.subscription.listener):
                if refusal.is_outdated():
                    self._read(request)
                else:
                    self.apply(request.subscription, ReadForbidden(request, exists=False))

    async def _refuse_later(self, requests: Waiting[TaskRequest]) -> None:
        await asyncio.sleep(RETRY_S)  # a subscription that needs the read asks again at once
        self._refuse(requests)

    def _task_read(self, found: TaskFound, answer: TaskAnswer, *, is_resync: bool) -> TaskRead:
        room = self._registry.rooms.get(found.key) or self._room_after(found, is_resync=is_resync)
        return TaskRead(found.state, found.since, room, answer.reading.batch.moved)

    def _room_after(self, found: TaskFound, *, is_resync: bool) -> Room:
        """Return a new room (the subscribers of one task) for a task that has no live subscribers yet.

        The position of the room is the position after the steps published since the read, up to a deletion of the task,
        so that the next live message continues from there. `is_resync`: the relay made the read by itself, to bring
        subscribers up to date.
        """
        task = found.state.task
        existing = list(takewhile(_exists, found.since))
        _, progress = replay(existing, found.state.progress())
        after = existing[-1].step.after if existing else None
        # The relay sends this state by itself, often to all subscribers of the task, which costs as much as a rewrite
        # of the timeline. Count it as a rewrite, so that the next rewrite has to wait.
        rewritten_at = asyncio.get_running_loop().time() if is_resync else -math.inf
        return Room(
            found.key, task.id, after.keys if after is not None else task.keys, progress, rewritten_at
        )

    async def _serve_list(self, reading: ListReading) -> None:
        pages = await self.list_reads.pages(reading)
        if pages is None:
            self._refuse(reading.requests)
        else:
            read = ListRead(pages, reading.since, reading.group)
            for request in reading.requests:
                with serving(request.subscription.listener):
                    has_room = request.subscription.listener.receiver.has_room()
                    self.apply(request.subscription, ReadGiven(request, read, has_room))
                    self._note_joined("list", request)
        self._read_each(reading.later)
        self._drop_if_empty(reading.group)

    def _note_joined(self, what: Joined, request: Requested) -> None:
        """Measure how long this request has waited, if a client made it and it has been answered."""
        if not request.unasked and not request.active:
            took_s = asyncio.get_running_loop().time() - request.asked_at
            self._metrics.joins.labels(what).observe(took_s)

    def _drop_if_empty(self, group: Group) -> None:
        if not group.live and not self.list_reads.is_reading(group):
            self._registry.drop(group)


def _exists(frames: StepFrames) -> bool:
    return frames.step.after is not None
