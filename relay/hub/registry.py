"""Which listeners are served live: rooms by task, groups by rights. Pure: time is an argument."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from relay.hub.listener import Listener
from relay.hub.messages import Made, StepFrames
from relay.hub.snapshot import Progress
from relay.tasks.translate import Keys, StateReset

REWRITE_INTERVAL_S = 0.25  # between two states that a room is sent because of rewrites (PROTOCOL.md 6.3)
MANY_BYTES = 512 * 1024  # encoding more events than this happens in a thread: the loop would stop for 30 ms


class Room:
    """The listeners of one task that get its messages live, and the position all of them have been sent.

    A room is `stale` from a rewrite of the timeline that its listeners were not sent until a state is read for
    them: it sends nothing of the timeline meanwhile. `keys` say who may see the task now; `rewritten_at` is when
    the room was last sent a state because of a rewrite, by the clock of the event loop.
    """

    __slots__ = ("id", "key", "keys", "live", "progress", "rewritten_at", "stale")

    def __init__(self, key: bytes, id: str, keys: Keys, progress: Progress, rewritten_at: float) -> None:
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
        """Take over the rights after this step; return the listeners that may not see the task any more."""
        after = frames.step.after
        if after is None:
            return list(self.live)
        if after.keys == self.keys:
            return []
        self.keys = after.keys
        return [listener for listener in self.live if not listener.may_see(after.keys)]

    def delay_of(self, rewrite: StateReset, now: float) -> float | None:
        """Return None if the room can be sent this rewrite now, else in how many seconds a state may replace it.

        A long timeline that is rewritten again and again would cost more than the loop has: so its rewrites are
        merged, and a large one is encoded in a thread. From the first that has to wait the room is stale.
        """
        if self.stale:
            return None
        wait_s = self.rewritten_at + REWRITE_INTERVAL_S - now
        if wait_s <= 0 and sum(map(len, rewrite.elements)) <= MANY_BYTES:
            self.rewritten_at = now
            return None
        self.stale = True
        return max(0.0, wait_s)

    def made_of(self, frames: StepFrames) -> list[Made]:
        """The frames of this step for the room, in order; moves the room's position past the step."""
        if self.stale:
            return frames.beside_timeline()
        made, self.progress = frames.for_room(self.progress)
        return made


class Group:
    """The listeners with equal rights that get their list live. What is made for one is made for all."""

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
    """The rooms that have listeners, and the groups that have listeners or are being read."""

    def __init__(self) -> None:
        self.rooms: dict[bytes, Room] = {}
        self.groups: dict[Keys, Group] = {}
        self._groups_by_key: dict[str, set[Group]] = {}

    def enter(self, room: Room | Group, listener: Listener) -> None:
        """Serve this listener live from now on."""
        if isinstance(room, Room):
            self.rooms[room.key] = room
        room.enter(listener)

    def leave(self, room: Room | Group, listener: Listener) -> None:
        """Stop serving this listener live. A room that becomes empty is dropped."""
        room.leave(listener)
        if isinstance(room, Room) and not room.live and self.rooms.get(room.key) is room:
            del self.rooms[room.key]

    def group_of(self, listener: Listener) -> Group:
        """The group of the listener's rights, made if there is none."""
        group = self.groups.get(listener.keys)
        if group is None:
            group = self.groups[listener.keys] = Group(listener.keys, listener.filter())
            for key in group.keys:
                self._groups_by_key.setdefault(key, set()).add(group)
        return group

    def drop(self, group: Group) -> None:
        """Forget a group that has no listeners and no reads."""
        if self.groups.get(group.keys) is group:
            del self.groups[group.keys]
            for key in group.keys:
                others = self._groups_by_key[key]
                others.discard(group)
                if not others:
                    del self._groups_by_key[key]

    def seeing(self, keys: Iterable[str]) -> set[Group]:
        """The groups that may see a task with these keys."""
        found: set[Group] = set()
        for key in keys:
            found |= self._groups_by_key.get(key, _NO_GROUPS)
        return found

    def live_rooms(self) -> Iterator[Room]:
        """The rooms at this moment; the caller may empty them meanwhile."""
        yield from list(self.rooms.values())


_NO_GROUPS: set[Group] = set()
