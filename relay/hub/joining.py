"""States at S for joins, shared between simultaneous joins, without a seam to the live messages.

A join reads at the position S of the moment it starts; what is published meanwhile is held with the
read; then the state, what was held, and from there on live. Because a read at S answers exactly what
was true at S, nothing is missed and nothing comes twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Self

from bson import Timestamp

from relay.hub.background import Background
from relay.hub.dashboards import Dashboards
from relay.hub.hub import Hub
from relay.hub.members import Answer, Joiner, Listener, Room
from relay.hub.reads import Reads, Snapshots
from relay.hub.rooms import Rooms, keys_of
from relay.hub.snapshot import Progress
from relay.metrics import Metrics
from relay.protocol.frames import encode
from relay.protocol.types import Kind
from relay.tasks.translate import Keys, Step, Translator


class Joining:
    """Answers joins, resyncs and catch-ups. Its methods return at once; use it as a context manager,
    which ends what is still being read."""

    def __init__(
        self,
        hub: Hub,
        reads: Reads,
        translator: Translator,
        metrics: Metrics,
        background: Background | None = None,
    ) -> None:
        self._hub = hub
        self._metrics = metrics
        self._snapshots = Snapshots(hub, reads, metrics)
        self._background = background or Background()
        parts = (hub, self._snapshots, translator, self._background)
        self._rooms, self._dashboards = Rooms(*parts), Dashboards(*parts)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._snapshots.close()
        await self._background.close()

    # What a conversation asks for.

    def join_task(
        self,
        listener: Listener,
        task_id: str,
        since: int | None,
        position: str | None,
        reply_to: str | None,
        *,
        caught_up: bool = False,
    ) -> None:
        """A `task:state`, then live messages; or an `error` naming the task. `caught_up`: the relay has come
        at least as far as what the client holds."""
        joiner = Joiner(listener, task_id, since, position, reply_to, joins=True)
        self._rooms.ask(joiner, caught_up=caught_up)

    def show_task(
        self,
        listener: Listener,
        task_id: str,
        since: int | None,
        position: str | None,
        answered: Callable[[Answer], None],
        reply_to: str | None,
    ) -> None:
        """A `task:state` that joins nothing; for a joined task it takes its place in the live order."""
        self._rooms.ask(Joiner(listener, task_id, since, position, reply_to, joins=False, answered=answered))

    def leave_task(self, listener: Listener, task_id: str) -> None:
        self._hub.forget_joins(listener, task_id)
        listener.behind.pop(task_id, None)
        for key in keys_of(task_id):
            self._hub.leave_room(listener, key)

    def is_joined(self, listener: Listener, task_id: str) -> bool:
        return self._hub.is_joining(listener, task_id) or any(
            key in listener.rooms for key in keys_of(task_id)
        )

    def join_dashboard(
        self,
        listener: Listener,
        limit: int,
        reply_to: str | None,
        *,
        caught_up: bool = False,
    ) -> None:
        """A `dashboard:state`, then live messages. `caught_up`: the relay has come at least as far as what the
        client holds."""
        self._dashboards.join(listener, limit, reply_to, caught_up=caught_up)

    async def catch_up_with_database(self) -> None:
        """Return when all has been published that the database holds now, or after a bounded time."""
        await self._snapshots.catch_up()

    def change_rights(self, listener: Listener, keys: Keys, filter: Callable[[], dict[str, Any]]) -> None:
        """What the listener may see is now this: revoke what it may not, show what it newly may."""
        if keys == listener.keys:
            return
        dashboard = listener.dashboard is not None
        unanswered = self._hub.leave_dashboard(listener)
        listener.keys, listener.filter = keys, filter
        for key in list(listener.rooms):
            room = self._hub.rooms[key]
            if not listener.may_see(room.keys):
                listener.answer(encode(Kind.REVOKED, {"taskId": room.id}))
                self._hub.leave_room(listener, key)
        for joiner in unanswered:
            self._dashboards.join(listener, joiner.limit, joiner.reply_to)
        if dashboard and not unanswered:
            self._dashboards.join(listener, listener.limit, None, healing=True)

    # What a socket says.

    def note_delivered(self, listener: Listener) -> None:
        """The socket takes no more: everything until here will have been told."""
        rooms = ((key, self._hub.rooms[key]) for key in listener.rooms)
        listener.delivered = {
            key: Progress(room.progress.next, room.progress.digest) for key, room in rooms if not room.stale
        }

    def lag(self, listener: Listener, *, since_pause: bool) -> None:
        """Live messages to this listener were dropped: serve it none, and remember what it will miss."""
        listener.lagging = True
        self._metrics.lagging.inc()
        for key in list(listener.rooms):
            progress = listener.delivered.get(key) if since_pause else None
            listener.behind[self._hub.rooms[key].id] = progress
            self._hub.leave_room(listener, key)
        listener.delivered = {}
        # (A list that is still being read for it is later than all that was dropped.)
        if listener.dashboard is not None and listener in listener.dashboard.live:
            listener.dashboard.live.discard(listener)
            listener.dashboard_behind = True

    def catch_up(self, listener: Listener) -> None:
        """The states that replace what was dropped, then live again; and those that had no room."""
        listener.lagging = False
        behind, listener.behind = listener.behind, {}
        for task_id, progress in behind.items():
            self._rooms.heal(listener, task_id, progress)
        postponed, listener.postponed = listener.postponed, []
        for joiner in postponed:
            if isinstance(joiner, Joiner):
                self._rooms.read_again(joiner)
            else:
                self._dashboards.read_for(joiner)
        if listener.dashboard_behind:
            listener.dashboard_behind = False
            self._dashboards.join(listener, listener.limit, None, healing=True)

    # What the pump says (feed.pump.Publisher).

    def publish(self, steps: Sequence[Step], position: Timestamp) -> None:
        self._hub.publish(steps, position)
        for room, moment in self._hub.stale:
            self._background.spawn(self._refresh(room, moment))
        self._hub.stale.clear()

    def heal(self, position: Timestamp) -> None:
        """The stream's place was lost: bring every listener up to date from the documents."""
        hub = self._hub
        hub.lose_place(position)
        for batch in {one.batch for readings in hub.readings.values() for one in readings}:
            batch.move(position)
        for group in list(hub.groups.values()):
            for dashboard in group.readings:
                dashboard.move(position)
            for listener in list(group.live):
                self._dashboards.join(listener, listener.limit, None, healing=True)
        for room in list(hub.rooms.values()):
            self._heal_all(room)

    def _heal_all(self, room: Room) -> None:
        # Of a timeline that was rewritten no position holds: a state has come between for some of them.
        progress = None if room.stale else room.progress
        for listener in list(room.live):
            self._rooms.heal(listener, room.id, progress)

    async def _refresh(self, room: Room, moment: float) -> None:
        """Show the members of a room, when the moment has come, what became of a rewritten timeline."""
        await asyncio.sleep(moment - asyncio.get_running_loop().time())
        if self._hub.rooms.get(room.key) is room:
            self._heal_all(room)
