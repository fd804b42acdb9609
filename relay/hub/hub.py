"""The hub: the pump (the consumer of the change stream) publishes to it, and connections subscribe and unsubscribe
through it. `Hub` is the only public interface of this package.

Rules of this file: no method waits, unless it is a coroutine. The cost of publishing a change depends only on its
recipients, and nothing is done for a listener that may not see the task. A listener that loses a task is sent the
revocation before anything else of the same change. A connection that is subscribed to a task and to the list is sent
each message once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal, Self

from bson import Timestamp

from relay.hub.background import Background
from relay.hub.delivery import Delivery
from relay.hub.driver import Driver
from relay.hub.list_changes import ListChanges
from relay.hub.list_delivery import ListDelivery
from relay.hub.list_subscription import ListRequest, ListSubscription
from relay.hub.listener import Listener, serving
from relay.hub.mapping_switch import MappingSwitch, NewMapping, Rights
from relay.hub.messages import StepFrames
from relay.hub.position import StreamPosition
from relay.hub.reads import FairReads, Reader
from relay.hub.registry import Registry, Room
from relay.hub.subscription import (
    Answer,
    Deleted,
    Drained,
    Join,
    Lagged,
    Leave,
    Paused,
    Revoked,
    Rewritten,
    RightsChanged,
    Show,
    State,
    StreamLost,
)
from relay.hub.task_subscription import TaskRequest, TaskSubscription
from relay.metrics import Metrics
from relay.protocol.frames import Frame, encode
from relay.protocol.types import Kind, StreamState
from relay.tasks.step import Step
from relay.tasks.task import Keys
from relay.tasks.translate import Translator

log = logging.getLogger(__name__)


class Hub:
    """Sends each change to the listeners (connections) that have subscribed to its task or to the list and may see the
    task.

    Use it as an async context manager: leaving the context cancels the reads that are still in flight.
    """

    def __init__(
        self,
        reader: Reader,
        translator: Translator,
        metrics: Metrics,
        *,
        list_interval_s: float,
        background: Background | None = None,
    ) -> None:
        self._translator = translator
        self._metrics = metrics
        self._background = background or Background()
        self._position = StreamPosition()
        self._registry = Registry()
        self._delivery = Delivery(metrics)
        self._reads = FairReads(reader, self._position, metrics)
        self._driver = Driver(
            self._registry, self._delivery, self._reads, translator, metrics, self._background
        )
        self._lists = ListDelivery(
            self._registry, self._delivery, self._driver.list_reads, list_interval_s, failed=self._resync_here
        )
        self._listeners: set[Listener] = set()
        self.list_changes = ListChanges()  # for clients that poll
        self.status: StreamState = "live"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._reads.close()
        await self._background.close()

    # Called by the pump (feed.pump.Publisher).

    def prepare(self, step: Step) -> Callable[[], None] | None:
        """Return a function that makes what `publish` will need of this step, as far as that is known now; None if it
        will need nothing. Listeners that come in between may need more, which is then made by `publish`.

        The function may be called in any thread, before the step is published.
        """
        key = step.key
        if self.is_listened(key):
            step.prepared = frames = StepFrames(step, self._translator.view)
            room = self._registry.rooms.get(key)
            is_current = room is not None and not room.stale
            return partial(frames.prepare, is_current, is_read=self._driver.task_reads.is_reading(key))
        if self._lists.concerns(step) or self.list_changes.are_kept:
            return step.make_beside_timeline
        return None

    def publish(self, steps: Sequence[Step], position: Timestamp) -> None:
        """Send the messages of these steps (what one change each means for one task) to the subscribers that may see
        them.

        Then move position S, up to which everything has been published, to `position`: every read that begins later is
        made at this cluster time.
        """
        changes = self.list_changes
        try:
            self._registry.begin_publishing()
            self._driver.list_reads.fragments.note(steps, position)
            for step in steps:
                # Taken out of the step: each would keep the other alive until Python's garbage collector runs.
                prepared, step.prepared = step.prepared, None
                if (
                    self._registry.groups
                    or changes.are_kept
                    or self.is_listened(step.key)
                    or self._lists.waits_for(step.key)
                ):
                    frames = prepared or StepFrames(step, self._translator.view)
                    self._publish(frames)
                    changes.record(frames, position, asyncio.get_running_loop().time())
            self._delivery.flush()
        except Exception:
            # Nobody knows what was sent of this batch, and one change must not stop the delivery of all others.
            log.exception("a batch of changes could not be sent")
            self._metrics.resyncs.labels("not_sent").inc()
            self.resync(position)
        else:
            self._position.move_to(position)

    def resync(self, position: Timestamp) -> None:
        """Bring every listener up to date with snapshots that are read at `position`, because the relay does not know
        what happened before this position, or what it has sent of it."""
        self._lists.clear()
        self.list_changes.forget()
        self._position.move_to(position)
        self._driver.restart_reads(position)
        for group in list(self._registry.groups.values()):
            for listener in list(group.live):
                if listener.list is not None:
                    self._driver.tell(listener.list, StreamLost())
        for room in self._registry.live_rooms():
            for subscription in self._subscribed(room):
                self._driver.tell(subscription, StreamLost(self._driver.pin(subscription)))

    def mapping_switch(self, new: NewMapping) -> MappingSwitch:
        """Return what switches this hub to another mapping. The caller calls its `read`, and then `switch_mapping`
        without awaiting anything in between, at a moment at which no step is being translated or published."""
        return MappingSwitch(self._registry, self._driver, self._delivery, self._lists, new)

    def switch_mapping(
        self, switch: MappingSwitch, new: NewMapping, rights: Mapping[Listener, Rights]
    ) -> None:
        """Use another mapping from now on, and tell every listener what it changes: see `MappingSwitch.switch`."""
        self._translator = new.translator
        switch.switch(self._position.value, rights)
        self.list_changes.forget()

    def _resync_here(self) -> None:
        self._metrics.resyncs.labels("not_sent").inc()
        self.resync(self._position.value)

    def move_to(self, position: Timestamp) -> None:
        """Set position S: every change up to the cluster time `position` has been published."""
        self._position.move_to(position)

    @property
    def position(self) -> Timestamp:
        """Position S: the cluster time up to which every change has been published."""
        return self._position.value

    async def reached(self, moment: Timestamp) -> None:
        """Wait until every change up to the cluster time `moment` has been published."""
        await self._position.reached(moment)

    def is_listened(self, key: bytes) -> bool:
        """Whether the task with this key (which stands for the document's `_id`) has live subscribers or is being read
        for one, or a request for it is about to be refused."""
        return key in self._registry.rooms or self._driver.is_reading(key)

    def announce(self, status: StreamState, lag_ms: int) -> None:
        """Tell every listener whether the relay is up to date with the database, if `status` differs from the last one
        announced.

        `lag_ms`: by how many milliseconds the relay is behind the database.
        """
        if status != self.status:
            self.status = status
            frame = self.status_frame(lag_ms)
            for listener in self._listeners:
                with serving(listener):
                    listener.answer(frame)

    def status_frame(self, lag_ms: int = 0) -> Frame:
        """Return the `stream:status` message, which says whether the relay is up to date with the database.

        `lag_ms`: by how many milliseconds the relay is behind the database.
        """
        return encode(Kind.STREAM_STATUS, {"state": self.status, "lagMs": lag_ms})

    # Called for the requests of a client.

    def change_list_interval(self, list_interval_s: float) -> None:
        """Send list updates of one task at most once in this many seconds from now on."""
        self._lists.change_interval(list_interval_s)

    def enter(self, listener: Listener) -> None:
        """Add this listener, so that it is sent every change of the relay's status from now on."""
        self._listeners.add(listener)

    def leave(self, listener: Listener) -> None:
        """Remove this listener, whose connection is gone: end all its subscriptions, and keep nothing of the
        connection, even if a read for the listener is in flight."""
        self._listeners.discard(listener)
        self.leave_all(listener)
        listener.release()

    def leave_all(self, listener: Listener) -> None:
        """End all subscriptions of this listener, and answer none of its requests any more."""
        for subscription in listener.subscriptions():
            self._driver.tell(subscription, Leave(closed=True))

    def join_task(
        self,
        listener: Listener,
        task_id: str,
        since: int | None,
        head: str | None,
        reply_to: str | None,
        *,
        caught_up: bool = False,
    ) -> None:
        """Subscribe the listener to a task: send it a `task:state`, then live messages; or an `error` that names the
        task.

        `since` and `head` are the client's position in the timeline (how many events it holds, and a digest of exactly
        those), or None. `reply_to` is the id of the client's request, which the answer repeats. `caught_up`: the relay
        has already published everything up to the position that the client holds.
        """
        subscription = self._subscription(listener, task_id)
        request = TaskRequest(subscription, since, head, reply_to, asked_at=_now())
        self._driver.apply(subscription, Join(request, self._driver.pin(subscription), caught_up))

    def show_task(
        self,
        listener: Listener,
        task_id: str,
        since: int | None,
        head: str | None,
        answered: Callable[[Answer], None],
        reply_to: str | None,
    ) -> None:
        """Send the listener a `task:state` once, without a subscription, and call `answered` with how the request
        ended.

        `since` and `head` are the client's position in the timeline (how many events it holds, and a digest of exactly
        those), or None. `reply_to` is the id of the client's request, which the answer repeats. If the listener is
        subscribed to the task, the state is sent in its right place among the live messages.
        """
        subscription = self._subscription(listener, task_id)
        request = TaskRequest(subscription, since, head, reply_to, answered=answered, asked_at=_now())
        self._driver.apply(subscription, Show(request, self._driver.pin(subscription)))

    def leave_task(self, listener: Listener, task_id: str) -> None:
        """End the listener's subscription to this task. Only states that `show_task` was asked for are still sent."""
        if (subscription := listener.tasks.get(task_id)) is not None:
            self._driver.apply(subscription, Leave())

    def has_joined(self, listener: Listener, task_id: str) -> bool:
        """Whether the listener has joined this task, or has asked to join it and was not answered yet."""
        subscription = listener.tasks.get(task_id)
        return subscription is not None and subscription.is_joined

    def joined_tasks(self, listener: Listener) -> int:
        """Return the number of tasks that the listener has joined, or has asked to join."""
        return sum(subscription.is_joined for subscription in listener.tasks.values())

    def state_of(self, listener: Listener, task_id: str) -> Literal["live", "catching_up"] | None:
        """Return whether the listener is sent every message of this task as it is published (`live`), or will be after
        a snapshot that it waits for (`catching_up`). None if it has not joined the task."""
        subscription = listener.tasks.get(task_id)
        if subscription is None or not subscription.is_joined:
            return None
        return "live" if subscription.state is State.LIVE else "catching_up"

    @property
    def rooms(self) -> int:
        """The number of tasks that have live subscribers."""
        return len(self._registry.rooms)

    def join_list(
        self, listener: Listener, limit: int, reply_to: str | None, *, caught_up: bool = False
    ) -> None:
        """Subscribe the listener to the list: send it a `dashboard:state` of up to `limit` tasks, then live messages.

        `reply_to` is the id of the client's request, which the answer repeats. `caught_up`: the relay has already
        published everything that is in the list that the client holds.
        """
        if listener.list is None:
            listener.set_list(ListSubscription(listener))
        assert listener.list is not None
        request = ListRequest(listener.list, limit, reply_to, asked_at=_now())
        self._driver.apply(listener.list, Join(request, caught_up=caught_up))

    def leave_list(self, listener: Listener) -> None:
        """End the listener's subscription to the list."""
        if listener.list is not None:
            self._driver.apply(listener.list, Leave())

    def change_rights(self, listener: Listener, keys: Keys, filter: Callable[[], dict[str, Any]]) -> None:
        """Give the listener new rights: revoke the tasks that it may no longer see, and read and send its list again.

        `keys` are the audience keys that the listener holds now, and `filter` returns the MongoDB filter that selects
        the same tasks. Do nothing if the keys are the same as before.
        """
        if keys == listener.keys:
            return
        listener.change_rights(keys, filter)
        for subscription in listener.subscriptions():
            self._driver.apply(subscription, RightsChanged())

    async def catch_up_with_database(self) -> None:
        """Wait until everything has been published that the database holds now, but only for a bounded time.

        Raises Unavailable if the database does not answer.
        """
        await self._reads.catch_up()

    # Called when the socket of a connection stops or continues to accept data.

    def note_paused(self, listener: Listener) -> None:
        """Note that the socket of this listener accepts no more data for now.

        What was sent to the listener before this call is not dropped: it reaches the client unless the connection ends.
        """
        for subscription in listener.subscriptions():
            self._driver.apply(subscription, Paused())

    def lag(self, listener: Listener, *, since_pause: bool) -> None:
        """Note that live messages to this listener were dropped, and send it no more live messages until `catch_up` is
        called.

        `since_pause`: the dropped messages are those sent since `note_paused`; otherwise it is unknown which were
        dropped.
        """
        listener.set_lagging(True)
        self._metrics.lagging.inc()
        for subscription in listener.subscriptions():
            self._driver.apply(subscription, Lagged(since_pause))

    def catch_up(self, listener: Listener) -> None:
        """Send the listener snapshots in place of its dropped live messages, because its socket has accepted everything
        queued.

        Also send the snapshots for which its queue had no room before. Live messages follow.
        """
        listener.set_lagging(False)
        for subscription in listener.subscriptions():
            self._driver.apply(subscription, Drained())

    def _subscription(self, listener: Listener, task_id: str) -> TaskSubscription:
        subscription = listener.tasks.get(task_id)
        if subscription is None:
            subscription = TaskSubscription(listener, task_id)
            listener.add_task(subscription)
        return subscription

    def _subscribed(self, room: Room) -> list[TaskSubscription]:
        return [listener.tasks[room.id] for listener in room.live]

    # Publishing.

    def _publish(self, frames: StepFrames) -> None:
        self._driver.buffer(frames)
        room = self._registry.rooms.get(frames.step.key)
        if room is not None:
            self._to_room(room, frames)
        self._lists.publish(frames)

    def _to_room(self, room: Room, frames: StepFrames) -> None:
        gone = Deleted if frames.step.after is None else Revoked
        for listener in room.losing(frames):
            self._driver.tell(listener.tasks[room.id], gone(frames.revocation()))
        if not room.live:
            return
        if not room.stale and frames.rewrite is not None:
            delay_s = room.delay_of(
                frames.rewrite, asyncio.get_running_loop().time(), self._registry.allowance
            )
            if delay_s is not None:
                self._background.spawn("send a rewritten timeline", self._refresh(room, delay_s))
        made = room.made_of(frames)
        for frame, _ in made:
            self._delivery.send(room.live, frame)
        if any(lifecycle for _, lifecycle in made):
            frames.note_lifecycle_sent(room.live)

    async def _refresh(self, room: Room, delay_s: float) -> None:
        """After `delay_s` seconds, send the listeners of this room (the subscribers of one task) a snapshot of the
        timeline, in place of the rewrites that they were not sent."""
        await asyncio.sleep(delay_s)
        for subscription in self._subscribed(room):
            self._driver.tell(subscription, Rewritten(self._driver.pin(subscription)))


def _now() -> float:
    return asyncio.get_running_loop().time()
