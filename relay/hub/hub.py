"""Who listens to what; publishing costs what its recipients cost, and never waits.

Rules of this file: `publish` is synchronous; a listener that may not see a task is never touched for
it; whoever loses a task is told so before anything else of that change is sent; a connection that is
in a task's room and on a dashboard gets each message once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from bson import Timestamp

from relay.hub.members import (
    DashboardJoiner,
    Group,
    Joiner,
    Listener,
    Pending,
    Room,
    TaskReading,
)
from relay.hub.messages import StepFrames
from relay.hub.throttle import ListThrottle
from relay.metrics import Metrics
from relay.protocol.frames import Batch, Frame, encode
from relay.protocol.types import Kind, StreamState
from relay.tasks.timeline import EventView
from relay.tasks.translate import Keys, Step

REWRITE_INTERVAL_S = 0.25  # a room is sent at most one state in so long (PROTOCOL.md 6.3)
MANY_BYTES = 512 * 1024  # encoding more than these happens in a thread: the loop stops for 30 ms at most


class Hub:
    """The membership of rooms and dashboards, and the position S of everything published.

    What has to be read for a join is the business of `Joining`, which fills in rooms and groups.
    """

    def __init__(self, fields: EventView, metrics: Metrics, *, list_interval_s: float) -> None:
        self._fields = fields
        self._metrics = metrics
        self._listing = ListThrottle(
            list_interval_s, seeing=self._seeing_after, tell=self._show, done=self._deliver
        )
        self.position = Timestamp(0, 0)
        self.rooms: dict[bytes, Room] = {}
        self.readings: dict[bytes, list[TaskReading]] = {}
        self.groups: dict[Keys, Group] = {}
        self._groups_by_key: dict[str, set[Group]] = {}
        self._waiting: list[tuple[Timestamp, asyncio.Future[None]]] = []
        self._listeners: set[Listener] = set()
        self._receivers = _NOBODY  # of what is published and not yet handed over
        self._undelivered: list[Frame] = []
        self.stale: list[tuple[Room, float]] = []  # rooms that need a state, and when they may have it
        self.status: StreamState = "live"

    # What the pump says.

    def publish(self, steps: Sequence[Step], position: Timestamp) -> None:
        for step in steps:
            if self.groups or self.is_listened(step.key) or self._listing.waits_for(step.key):
                self._publish(StepFrames(step, self._fields))
        self._deliver()
        self.move_to(position)

    def lose_place(self, position: Timestamp) -> None:
        """What happened up to `position` is unknown."""
        self._listing.clear()
        self.move_to(position)

    def move_to(self, position: Timestamp) -> None:
        """Everything up to `position` has been published; wake who waits for that."""
        self.position = position
        if self._waiting:
            for moment, reached in self._waiting:
                if moment <= position and not reached.done():
                    reached.set_result(None)
            self._waiting = [(moment, reached) for moment, reached in self._waiting if not reached.done()]

    async def reached(self, moment: Timestamp) -> None:
        """Return once everything up to `moment` has been published."""
        if self.position < moment:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append((moment, future))
            await future

    def is_listened(self, key: bytes) -> bool:
        return key in self.rooms or key in self.readings

    def _publish(self, frames: StepFrames) -> None:
        step = frames.step
        for reading in self.readings.get(step.key, ()):
            reading.since.append(frames)
        room = self.rooms.get(step.key)
        if room is not None:
            self._to_room(room, frames)
        self._to_dashboards(frames)

    def _to_room(self, room: Room, frames: StepFrames) -> None:
        step = frames.step
        if step.after is None:
            for listener in list(room.live):
                self._dismiss(listener, frames)
            return
        if step.after.keys != room.keys:
            room.keys = step.after.keys
            for listener in [one for one in room.live if not one.may_see(room.keys)]:
                self._dismiss(listener, frames)
        if room.live:
            self._note_rewrite(room, frames)
            made = frames.beside_timeline() if room.stale else frames.for_room(room.progress)
            for frame, _ in made:
                self._send_all(room.live, frame)
            if any(lifecycle for _, lifecycle in made):
                frames.told |= room.live

    def _dismiss(self, listener: Listener, frames: StepFrames) -> None:
        self._deliver()
        listener.answer(frames.gone_from_room())
        self.leave_room(listener, frames.step.key)

    def _note_rewrite(self, room: Room, frames: StepFrames) -> None:
        """A state for each rewrite of a long timeline would leave no time for anything else."""
        rewrite = frames.rewrite
        if rewrite is None or room.stale:
            return
        now = asyncio.get_running_loop().time()
        soonest = room.rewritten_at + REWRITE_INTERVAL_S
        if now < soonest or sum(map(len, rewrite.elements)) > MANY_BYTES:
            room.stale = True
            self.stale.append((room, max(now, soonest)))
        else:
            room.rewritten_at = now

    def _to_dashboards(self, frames: StepFrames) -> None:
        step = frames.step
        saw = self._seeing(step.before.keys) if step.before is not None else set()
        sees = self._seeing_after(frames)
        if frames.is_listed or saw != sees:
            for group in saw | sees:
                for reading in group.readings:
                    reading.outdated = True  # also where the update itself waits for its time
        for group in saw - sees:
            self._dismiss_group(group, frames)
        # Becoming visible is `upserted` and nothing else; being created is not becoming visible.
        shown = sees - saw if step.before is not None else set()
        self._show(shown, frames)
        if lifecycles := frames.lifecycles():
            for group in sees - shown:
                self._to_group(group, frames, lifecycles)
        self._listing.offer(frames, sees, shown)

    def _show(self, groups: set[Group], frames: StepFrames) -> None:
        for group in groups:
            self._to_group(group, frames, [(frames.upserted(), False)])

    def _dismiss_group(self, group: Group, frames: StepFrames) -> None:
        self._deliver()
        frame = frames.gone_from_list()
        for reading in group.readings:
            reading.since.append((frame, None))
        for listener in group.live:
            listener.answer(frame)

    def _to_group(self, group: Group, step: StepFrames, made: Sequence[tuple[Frame, bool]]) -> None:
        for reading in group.readings:
            reading.since += [(frame, step if lifecycle else None) for frame, lifecycle in made]
        # Who is in the room as well got the lifecycle there, in its place among the events.
        untold = group.live - step.told if step.told else group.live
        for frame, lifecycle in made:
            self._send_all(untold if lifecycle else group.live, frame)
        if any(lifecycle for _, lifecycle in made):
            step.told |= group.live

    def _seeing_after(self, frames: StepFrames) -> set[Group]:
        after = frames.step.after
        return self._seeing(after.keys) if after is not None else set()

    def _seeing(self, keys: Keys) -> set[Group]:
        found: set[Group] = set()
        for key in keys:
            found |= self._groups_by_key.get(key, _NO_GROUPS)
        return found

    def _send_all(self, listeners: set[Listener], frame: Frame) -> None:
        """Send it, or let it wait for what comes next for the same: one call each for all of them."""
        if listeners is not self._receivers:
            self._deliver()
            self._receivers = listeners
        self._undelivered.append(frame)

    def _deliver(self) -> None:
        """Send what waits; before anything else is sent, and before anybody comes or goes."""
        if self._undelivered:
            batch, self._undelivered = Batch(self._undelivered), []
            for listener in self._receivers:
                listener.send(batch)
            self._metrics.frames.inc(len(batch.frames) * len(self._receivers))
        self._receivers = _NOBODY

    # Who is there.

    def enter(self, listener: Listener) -> None:
        self._listeners.add(listener)

    def leave(self, listener: Listener) -> None:
        """The connection is gone, with everything it listened to."""
        self._listeners.discard(listener)
        for key in list(listener.rooms):
            self.leave_room(listener, key)
        self.leave_dashboard(listener)
        for pending in listener.pending.values():
            for joiner in pending.joiners:
                joiner.active = False
        listener.pending.clear()
        listener.postponed.clear()

    def announce(self, status: StreamState, lag_ms: int) -> None:
        """Tell everyone whether the relay is current, when that changed."""
        if status != self.status:
            self.status = status
            frame = self.status_frame(lag_ms)
            for listener in self._listeners:
                listener.answer(frame)

    def status_frame(self, lag_ms: int = 0) -> Frame:
        return encode(Kind.STREAM_STATUS, {"state": self.status, "lagMs": lag_ms})

    def forget_joins(self, listener: Listener, task_id: str) -> None:
        """Joins of this task not yet answered are answered no more; a resync answers all it was asked for."""
        pending = listener.pending.get(task_id)
        if pending is None:
            return
        pending.inside, pending.was_at = False, None
        for joiner in pending.joiners:
            joiner.joins, joiner.active = False, joiner.answered is not None
        self._drop_inactive(listener, task_id, pending)

    def forget_healing(self, listener: Listener, task_id: str) -> None:
        """It is no member any more: states that nobody asked for do not come."""
        pending = listener.pending.get(task_id)
        if pending is None:
            return
        pending.inside, pending.was_at = False, None
        for joiner in pending.joiners:
            joiner.active = not joiner.healing
        self._drop_inactive(listener, task_id, pending)

    def _drop_inactive(self, listener: Listener, task_id: str, pending: Pending) -> None:
        pending.joiners = [joiner for joiner in pending.joiners if joiner.active]
        if not pending.joiners:
            del listener.pending[task_id]

    def settle(self, joiner: Joiner) -> tuple[Pending, bool]:
        """This request is about to be answered; True if no other of this task is waiting."""
        pending = joiner.listener.pending[joiner.task_id]
        pending.joiners.remove(joiner)
        if pending.joiners:
            return pending, False
        del joiner.listener.pending[joiner.task_id]
        return pending, True

    def wanted_rooms(self, listener: Listener) -> int:
        """How many tasks it has joined or is joining."""
        joining = sum(map(_is_joining, listener.pending.values()))
        return len(listener.rooms) + len(listener.behind) + joining

    def is_joining(self, listener: Listener, task_id: str) -> bool:
        """Has it joined the task, though it is not served live at the moment?"""
        pending = listener.pending.get(task_id)
        return task_id in listener.behind or (pending is not None and _is_joining(pending))

    def close_reading(self, reading: TaskReading) -> None:
        """What is published from here on is not held for it any more."""
        for key in reading.keys:
            readings = self.readings[key]
            readings.remove(reading)
            if not readings:
                del self.readings[key]

    def join_room(self, listener: Listener, key: bytes, room: Room) -> None:
        self.rooms[key] = room
        room.live.add(listener)
        listener.rooms.add(key)
        self._metrics.rooms.set(len(self.rooms))

    def leave_room(self, listener: Listener, key: bytes) -> None:
        listener.rooms.discard(key)
        room = self.rooms.get(key)
        if room is not None:
            room.live.discard(listener)
            if not room.live:
                del self.rooms[key]
                self._metrics.rooms.set(len(self.rooms))

    def group_of(self, listener: Listener) -> Group:
        """The group of the listener's rights, made if it is the first one."""
        group = self.groups.get(listener.keys)
        if group is None:
            group = self.groups[listener.keys] = Group(listener.keys, listener.filter())
            for key in group.keys:
                self._groups_by_key.setdefault(key, set()).add(group)
        return group

    def hold_dashboard(self, listener: Listener) -> None:
        """Stop the live delivery of its list; states already asked for still come, and are only that."""
        if listener.dashboard is not None:
            listener.dashboard.live.discard(listener)
            for joiner in listener.dashboard_joins:
                joiner.stay = False

    def leave_dashboard(self, listener: Listener) -> list[DashboardJoiner]:
        """No dashboard from here on; returns the client's requests that were not answered yet."""
        group, listener.dashboard = listener.dashboard, None
        listener.dashboard_behind = False
        joins, listener.dashboard_joins = listener.dashboard_joins, []
        for joiner in joins:
            joiner.active = False
        if group is not None:
            group.live.discard(listener)
            for reading in group.readings:
                reading.joiners = [one for one in reading.joiners if one.active]
            self.drop_if_empty(group)
        return [joiner for joiner in joins if not joiner.healing]

    def drop_if_empty(self, group: Group) -> None:
        if not group.live and not group.readings and self.groups.get(group.keys) is group:
            del self.groups[group.keys]
            for key in group.keys:
                others = self._groups_by_key[key]
                others.discard(group)
                if not others:
                    del self._groups_by_key[key]


def _is_joining(pending: Pending) -> bool:
    return pending.inside or any(joiner.joins for joiner in pending.joiners)


_NOBODY: set[Listener] = set()
_NO_GROUPS: set[Group] = set()
