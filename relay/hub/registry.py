"""Keeps track of the listeners that receive live messages. Pure: time is an argument.

A room has the subscribers of one task. A group has the subscribers of the list that have equal rights.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from relay.hub.listener import Listener
from relay.hub.messages import Made, StepFrames
from relay.hub.snapshot import MANY_BYTES, Progress
from relay.tasks.packed_keys import PackedKeys, TaskKeys, matching
from relay.tasks.step import StateReset
from relay.tasks.task import Keys

REWRITE_INTERVAL_S = 0.25  # at least, between two states sent to a room because of rewrites (PROTOCOL.md 6.3)


class Allowance:
    """How many bytes of rewritten timelines may still be encoded while the steps of one call are published."""

    def __init__(self) -> None:
        self.left = MANY_BYTES

    def take(self, size: int) -> bool:
        """Whether `size` bytes are allowed; if so, they count from now on."""
        if size > self.left:
            return False
        self.left -= size
        return True


class Room:
    """The listeners that are sent the live messages of one task, and the position up to which all of them have been
    sent the timeline (`progress`).

    `keys` are the audience keys that allow a listener to see the task now. `stale`: the timeline was rewritten (earlier
    events changed) and the listeners have not been sent the rewrite. A stale room sends no timeline messages until its
    listeners are sent a newly read state (a snapshot of the timeline). `rewritten_at` is when the room was last sent a
    state because of a rewrite, in seconds of the event loop's clock.
    """

    __slots__ = ("id", "key", "keys", "live", "progress", "rewritten_at", "stale")

    def __init__(self, key: bytes, id: str, keys: TaskKeys, progress: Progress, rewritten_at: float) -> None:
        self.key = key
        self.id = id
        self.keys = keys
        self.progress = progress
        self.rewritten_at = rewritten_at
        self.live: set[Listener] = set()
        self.stale = False

    def enter(self, listener: Listener) -> None:
        self.live.add(listener)

    def leave(self, listener: Listener) -> None:
        self.live.discard(listener)

    def losing(self, frames: StepFrames) -> list[Listener]:
        """Adopt the audience keys that the task has after this step, and return the listeners that may no longer see
        the task.

        If the step deletes the task, return all listeners of the room.
        """
        after = frames.step.after
        if after is None:
            return list(self.live)
        if after.keys == self.keys:
            return []
        self.keys = after.keys
        held = frozenset().union(*(listener.keys for listener in self.live))
        allowing = matching(after.keys, held)
        return [listener for listener in self.live if listener.keys.isdisjoint(allowing)]

    def delay_of(self, rewrite: StateReset, now: float, allowance: Allowance) -> float | None:
        """Decide when the listeners of this room are sent a rewrite of the timeline (a change of earlier events).

        Return None if nothing is to be scheduled: the rewrite can be sent now, or the room is stale already and a state
        (a snapshot of the timeline) will replace this rewrite too. Otherwise mark the room as stale, and return in how
        many seconds a state is to be read and sent instead. `now` is in seconds of the event loop's clock.

        A long timeline that is rewritten often would take more time than the event loop has. So rewrites that follow
        each other within REWRITE_INTERVAL_S are merged into one state, and what is more than the `allowance` is always
        replaced by a state, which is encoded in a thread if it is large.
        """
        if self.stale:
            return None
        wait_s = self.rewritten_at + REWRITE_INTERVAL_S - now
        if wait_s <= 0 and allowance.take(sum(map(len, rewrite.elements))):
            self.rewritten_at = now
            return None
        self.stale = True
        return max(0.0, wait_s)

    def made_of(self, frames: StepFrames) -> list[Made]:
        """Return the frames of this step that the room is sent, in order, and move the room's position past the step.

        A stale room is not sent the frames of the timeline, and its position does not move.
        """
        if self.stale:
            return frames.beside_timeline()
        made, self.progress = frames.for_room(self.progress)
        return made


class Group:
    """The listeners that have equal rights and are sent live messages of the list. All share the same reads and
    frames."""

    __slots__ = ("filter", "keys", "live")

    def __init__(self, keys: Keys, filter: dict[str, Any]) -> None:
        self.keys = keys
        self.filter = filter
        self.live: set[Listener] = set()

    def enter(self, listener: Listener) -> None:
        self.live.add(listener)

    def leave(self, listener: Listener) -> None:
        self.live.discard(listener)


class Registry:
    """All rooms (the live subscribers of one task each) that have listeners, and all groups (live subscribers of the
    list with equal rights) that have listeners or whose list is being read."""

    def __init__(self) -> None:
        self.rooms: dict[bytes, Room] = {}
        self.groups: dict[Keys, Group] = {}
        self.allowance = Allowance()
        self._groups_by_key: dict[str, set[Group]] = {}
        # The groups in the order in which they were made, also dropped ones, until these are most of them. Then another
        # era begins, and everything that was kept with PackedKeys is outdated.
        self._made: list[Group] = []
        self._dropped = 0
        self._era = object()

    def begin_publishing(self) -> None:
        """Note that the steps of one more call are published."""
        self.allowance = Allowance()

    def enter(self, room: Room | Group, listener: Listener) -> None:
        """Add a listener to a room or group, so that it is sent live messages from now on."""
        if isinstance(room, Room):
            self.rooms[room.key] = room
        room.enter(listener)

    def leave(self, room: Room | Group, listener: Listener) -> None:
        """Remove a listener from a room or group, so that it is sent no more live messages from there. A room that
        becomes empty is dropped."""
        room.leave(listener)
        if isinstance(room, Room) and not room.live and self.rooms.get(room.key) is room:
            del self.rooms[room.key]

    def group_of(self, listener: Listener) -> Group:
        """Return the group of the listeners that have the same rights as this one; create the group if it does not
        exist."""
        group = self.groups.get(listener.keys)
        if group is None:
            group = self.groups[listener.keys] = Group(listener.keys, listener.filter())
            for key in group.keys:
                self._groups_by_key.setdefault(key, set()).add(group)
            self._made.append(group)
        return group

    def drop(self, group: Group) -> None:
        """Forget a group. The caller makes sure that it has no listeners and that its list is not being read."""
        if self.groups.get(group.keys) is group:
            del self.groups[group.keys]
            self._dropped += 1
            if len(self._made) > 2 * len(self.groups) + 100:
                self._made, self._dropped, self._era = [*self.groups.values()], 0, object()
            for key in group.keys:
                others = self._groups_by_key[key]
                others.discard(group)
                if not others:
                    del self._groups_by_key[key]

    def seeing(self, keys: TaskKeys) -> set[Group]:
        """Return the groups whose listeners may see a task with these audience keys. The caller does not change it."""
        if isinstance(keys, PackedKeys):
            return self._seeing_packed(keys)
        found: set[Group] = set()
        for key in keys:
            found |= self._groups_by_key.get(key, _NO_GROUPS)
        return found

    def _seeing_packed(self, keys: PackedKeys) -> set[Group]:
        """Do what `seeing` does, for keys that are too many to look up. The answer is kept with the keys, so only
        groups that are new since the last call are looked for in them."""
        era, count, dropped, found = keys.seen or (self._era, 0, 0, _NO_GROUPS)
        if era is not self._era:
            count, dropped, found = 0, 0, _NO_GROUPS
        if dropped != self._dropped:
            found = {group for group in found if self.groups.get(group.keys) is group}
        if new := self._made[count:]:
            alive = [group for group in new if self.groups.get(group.keys) is group]
            allowing = keys.matching({key for group in alive for key in group.keys})
            found = found | {group for group in alive if not group.keys.isdisjoint(allowing)}
        keys.seen = self._era, len(self._made), self._dropped, found
        return found

    def live_rooms(self) -> Iterator[Room]:
        """Yield the rooms that exist when the iteration begins. The caller may remove listeners and rooms while it
        iterates."""
        yield from list(self.rooms.values())


_NO_GROUPS: set[Group] = set()
