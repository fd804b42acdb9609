"""The summaries of tasks as JSON ("fragments"), which the lists of all audiences share. Does no I/O.

Rules of this file: a fragment is what the summary was at one position, and it is the summary of every later position
until a step of its task is published. So a list that is read at position P may take a fragment whose position is at or
before P, and never one that is newer: the task may have changed into what the reader of the list may not see, and the
revocation is sent only after the list. Fragments that a list has taken are its own: what is published later does not
change them.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import orjson
from bson import Timestamp

from relay.tasks.step import Step

# The most bytes of fragments that are kept, with their keys; the oldest go first, and are read again for the next list.
# A summary mostly has 200 to 600 bytes, so these are about 100,000 tasks: twenty lists of 5,000 (the longest) that
# share nothing.
MAX_BYTES = 64 * 1024 * 1024
OVERHEAD = 300  # bytes of memory that a fragment takes beside its JSON and its key
# Tasks whose last change is remembered (2 MB). A list for which more have changed is not shared.
MAX_CHANGED = 10_000
PAGE = 200  # tasks that are read at once: to decode them and to encode their summaries takes about 4 ms


class Fragment(NamedTuple):
    """The summary of a task: `json` is its JSON since the position `since` (a number, `number_of`). It is empty if no
    summary can be made of the document: the task is left out of lists."""

    since: int
    json: bytes


class Load:
    """A read in flight of the documents with these `keys`, at the position `at` (a number, `number_of`).

    After `ended` is set, `made` has the JSON of their summaries by key; it is None if the read has failed.
    """

    __slots__ = ("at", "ended", "keys", "made")

    def __init__(self, keys: Collection[bytes], at: int) -> None:
        self.keys = keys
        self.at = at
        self.made: Mapping[bytes, bytes] | None = None
        self.ended = asyncio.Event()


class Fragments:
    """Keeps the fragments that were read or published last, and knows which ones are being read."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self.max_bytes = max_bytes
        self._held: OrderedDict[bytes, Fragment] = OrderedDict()  # the longest known first
        self._bytes = 0
        # The tasks that are being read, and have not changed since the position of that read.
        self._loads: dict[bytes, Load] = {}
        # The tasks that have changed after the position `_remembers`, with the position of the last change of each.
        # They are known by the hashes of their keys, because an `_id`, and so a key, may have megabytes. If two hashes
        # are equal, a task counts as changed that has not: its summary is read again, and nothing wrong is shown.
        self._changed: OrderedDict[int, int] = OrderedDict()
        self._remembers = 0

    def valid(self, keys: Iterable[bytes], at: int) -> list[bytes | None]:
        """Return for each key the JSON of the summary as it was at the position `at`, None where it is not known. `at`
        must be a position up to which everything has been published."""
        held = map(self._held.get, keys)
        return [one.json if one is not None and one.since <= at else None for one in held]

    def begin(
        self, keys: Sequence[bytes], at: int, *, share: bool = True
    ) -> tuple[Sequence[Load], Mapping[bytes, Load]]:
        """Divide the tasks with these keys, whose fragments are to be read at the position `at`, into reads.

        Return the reads that the caller has to make, each of at most PAGE tasks, and to pass to `finish` and `end`; and
        for each remaining task the read of another caller that brings it. Other tasks of that read may have changed
        before `at`, so no more may be taken from it. If `share` is False, the caller makes all reads.
        """
        # A read at a later position might bring what came after `at`. A task that has changed since the position of its
        # read is not in `_loads`. So what a read in `_loads` brings is the state at `at` as well.
        loads = self._loads if share else {}
        shared = {key: load for key in keys if (load := loads.get(key)) is not None and load.at <= at}
        missing = [key for key in keys if key not in shared]
        own = [Load(missing[first : first + PAGE], at) for first in range(0, len(missing), PAGE)]
        if at >= self._remembers:
            for load in own:
                for key in load.keys:
                    if self._changed.get(hash(key), 0) <= at:
                        self._loads.setdefault(key, load)
        return own, shared

    def finish(self, load: Load, made: Mapping[bytes, bytes]) -> None:
        """Keep what a read has brought: the JSON of the summaries by key, for all keys of the read, as they were at its
        position."""
        load.made = made
        for key, json in made.items():
            if self._loads.get(key) is load:  # the task has not changed since
                self._keep(key, Fragment(load.at, json))
        self.end(load)

    def end(self, load: Load) -> None:
        """Note that a read has ended, or that its result would not be that of its position any more. May be called more
        than once."""
        if not load.ended.is_set():
            for key in load.keys:
                if self._loads.get(key) is load:
                    del self._loads[key]
            load.ended.set()

    def note(self, steps: Iterable[Step], position: Timestamp) -> None:
        """Bring the fragments of the tasks up to date that these steps have changed. `position` is position S after the
        steps: until then, no list is read."""
        since = number_of(position)
        # Changes are remembered also while no fragments are kept: the first list that is read needs to know them, and
        # otherwise nothing of it could be kept if changes come faster than its keys are read.
        for key, step in {step.key: step for step in steps}.items():  # the last one of each task
            self._note_changed(key, since)
            self._loads.pop(key, None)
            if key in self._held:
                if step.after is None:
                    self._drop(key)
                else:
                    self._keep(key, Fragment(since, orjson.dumps(step.after.summary)))

    def forget(self, position: Timestamp) -> None:
        """Forget all fragments: the relay does not know what happened before this position."""
        self._held.clear()
        self._loads.clear()
        self._changed.clear()
        self._remembers = number_of(position)
        self._bytes = 0

    def _note_changed(self, key: bytes, at: int) -> None:
        known = hash(key)
        self._changed[known] = at
        self._changed.move_to_end(known)
        if len(self._changed) > MAX_CHANGED:
            _, self._remembers = self._changed.popitem(last=False)

    def _keep(self, key: bytes, fragment: Fragment) -> None:
        if key in self._held:
            self._drop(key)
        self._held[key] = fragment
        self._bytes += _size(key, fragment)
        while self._bytes > self.max_bytes:
            self._drop(next(iter(self._held)))

    def _drop(self, key: bytes) -> None:
        self._bytes -= _size(key, self._held.pop(key))


def _size(key: bytes, fragment: Fragment) -> int:
    return len(key) + len(fragment.json) + OVERHEAD


def number_of(position: Timestamp) -> int:
    """Return a cluster time as one number, because thousands are compared for each list."""
    return position.time << 32 | position.inc
