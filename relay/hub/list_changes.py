"""The latest changes of all lists, for clients that poll: they are sent what changed, and no list is read. Pure.

A client that polls says up to which position it holds its list. If every change after that position is still kept here,
the answer is made from these changes. Otherwise the list is read from the database, as for a client that has no list.

Rules of this file: changes are kept only while somebody asks for them, and at most MAX_CHANGES with MAX_BYTES; the
oldest go first. The times are in seconds of the event loop's clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from typing import NamedTuple

from bson import Timestamp

from relay.hub.messages import StepFrames
from relay.protocol.frames import Frame
from relay.tasks.packed_keys import PackedKeys, TaskKeys
from relay.tasks.task import Keys

MAX_CHANGES, MAX_BYTES = 5_000, 8 * 1024 * 1024
AHEAD_S = 60  # a client may come from an instance that is ahead of this one; not by more
IDLE_S = 60.0  # after this time without a poll, nothing is kept; a poll waits 25 s at most

Notify = Callable[[], None]


class ListChange(NamedTuple):
    """One change of what lists show of a task. `saw` and `sees` are the audience keys with which the task could be seen
    before and after it. `listed`: it changed what those see who saw the task before. `upserted` is the list update for
    those who see the task after the change, None if it was deleted. `gone` is the one for those who no longer do, None
    if there are none."""

    position: Timestamp
    key: bytes
    saw: TaskKeys
    sees: TaskKeys
    listed: bool
    upserted: Frame | None
    gone: Frame | None


class ListChanges:
    """Keeps the changes of lists that were published last, and wakes those who wait for one."""

    def __init__(self) -> None:
        self._changes: deque[ListChange] = deque()  # in the order of publishing
        self._bytes = 0
        self._since: Timestamp | None = None  # every change after it is kept; None: nothing is kept
        self._used_at = 0.0
        self._waiting: dict[str, set[Notify]] = {}  # by audience key

    @property
    def are_kept(self) -> bool:
        """Whether steps have to be passed to `record`."""
        return self._since is not None

    def keep(self, position: Timestamp, now: float) -> None:
        """Keep every change after `position`, which is position S, if none are kept yet. To be called for each poll:
        after IDLE_S seconds without a call nothing is kept any more."""
        self._used_at = now
        if self._since is None and position.time:  # 0: the stream is not open yet
            self._since = position

    def record(self, frames: StepFrames, position: Timestamp, now: float) -> None:
        """Keep what this step changes in lists, if changes are kept, and wake those who wait for it. `position` is the
        position S after the step."""
        if self._since is None:
            return
        if now - self._used_at > IDLE_S:
            self.forget()
            return
        before, after = frames.step.before, frames.step.after
        saw: TaskKeys = before.keys if before is not None else _NO_KEYS
        sees: TaskKeys = after.keys if after is not None else _NO_KEYS
        listed = frames.is_listed
        if not listed and saw == sees:
            return
        upserted = frames.upserted() if after is not None else None
        gone = frames.list_revocation() if _may_lose(saw, sees) else None
        change = ListChange(position, frames.step.key, saw, sees, listed, upserted, gone)
        self._changes.append(change)
        self._bytes += _size(change)
        while len(self._changes) > MAX_CHANGES or self._bytes > MAX_BYTES:
            oldest = self._changes.popleft()
            self._bytes -= _size(oldest)
            self._since = oldest.position
        concerned = {*self._waiting_for(saw), *self._waiting_for(sees)}
        for notify in {one for key in concerned for one in self._waiting[key]}:
            notify()

    def _waiting_for(self, keys: TaskKeys) -> Collection[str]:
        """Return the audience keys of these that somebody holds who waits."""
        if isinstance(keys, PackedKeys):
            return keys.matching(self._waiting.keys())
        return [key for key in keys if key in self._waiting]

    def forget(self) -> None:
        """Forget all changes, and wake everybody who waits for one: the relay does not know what happened lately, or
        keeps nothing any more."""
        self._since = None
        self._changes.clear()
        self._bytes = 0
        for notify in {one for waiting in self._waiting.values() for one in waiting}:
            notify()

    def after(self, position: Timestamp, keys: Keys, *, now: Timestamp) -> list[Frame] | None:
        """Return the list updates that bring a list of this position up to date, for a client that holds these audience
        keys: one for each task that has changed. Return None if changes after this position were forgotten, or if it is
        so far ahead of `now`, which is position S, that no other instance can have sent it."""
        if self._since is None or position < self._since or position.time > now.time + AHEAD_S:
            return None
        newest: dict[bytes, Frame] = {}
        for change in reversed(self._changes):
            if change.position <= position:
                break
            saw, sees = not change.saw.isdisjoint(keys), not change.sees.isdisjoint(keys)
            update = change.upserted if sees else change.gone
            if update is not None and (saw != sees or (sees and change.listed)):
                newest.setdefault(change.key, update)
        return list(reversed(newest.values()))

    def wait(self, keys: Keys, notify: Notify) -> None:
        """Call `notify` for each change that may concern a client that holds one of these audience keys, before
        position S moves past it, and each time that changes were forgotten, until `leave` is called with the same
        arguments. `notify` must not wait or raise."""
        for key in keys:
            self._waiting.setdefault(key, set()).add(notify)

    def leave(self, keys: Keys, notify: Notify) -> None:
        """Do not call `notify` for these audience keys any more."""
        for key in keys:
            if (others := self._waiting.get(key)) is not None:
                others.discard(notify)
                if not others:
                    del self._waiting[key]


def _size(change: ListChange) -> int:
    size = sum(len(frame.body) for frame in (change.upserted, change.gone) if frame is not None)
    # The keys of most changes are those of the task, which is in memory anyway.
    return size + (
        change.saw.size if isinstance(change.saw, PackedKeys) and change.sees is not change.saw else 0
    )


def _may_lose(saw: TaskKeys, sees: TaskKeys) -> bool:
    """Whether somebody who holds a key of `saw` may hold none of `sees`; true also if that takes long to find out."""
    if isinstance(saw, PackedKeys) or isinstance(sees, PackedKeys):
        return saw is not sees
    return bool(saw - sees)


_NO_KEYS: Keys = frozenset()
