"""States as frames: a task's timeline in pages, a dashboard's list in pages. Pure.

Rules of this file: every page covers exactly what has been sent up to its own end; no page passes
PAGE_BYTES unless a single element does; a page is encoded when somebody takes it, because a state may have
a hundred megabytes and a socket takes one page at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import orjson

from relay.protocol.frames import Frame, encode
from relay.protocol.types import PAGE_BYTES, Kind
from relay.source.raw_bson import Element
from relay.tasks.summary import Summary
from relay.tasks.timeline import START, EventView, element_json, extend, head
from relay.tasks.translate import Task


class Progress(NamedTuple):
    """A position in a task's timeline: how many events were sent (`next`), and their digest (`head` of it)."""

    next: int
    digest: bytes


class Pages:
    """The frames of one state, in order, each encoded when it is reached. `size` is their approximate size
    in bytes. A state of one page, as nearly all are, is encoded once for all who are given it."""

    __slots__ = ("_chunks", "_encode", "_only", "size")

    def __init__(
        self, items: Sequence[bytes], start: int, encode: Callable[[int, int, bool, bool], Frame]
    ) -> None:
        """`encode(begin, end, first, more)` makes the page of `items[begin:end]`."""
        self._chunks = list(_chunks(items, start))
        self._encode = encode
        self._only: Frame | None = None
        self.size = sum(map(len, items[start:] if start else items))

    @property
    def fit_one(self) -> bool:
        """Is it a single page, and none that one huge event makes larger than a page should be?"""
        return len(self._chunks) == 1 and self.size <= PAGE_BYTES

    def __iter__(self) -> Iterator[Frame]:
        if len(self._chunks) > 1:
            last = len(self._chunks) - 1
            for index, (begin, end) in enumerate(self._chunks):
                yield self._encode(begin, end, index == 0, index < last)
            return
        if self._only is None:
            self._only = self._encode(*self._chunks[0], True, False)
        yield self._only


class TaskState:
    """One task at one moment, its events ready to be sent: encoded, and with the digest of every
    prefix, so that any `(since, head)` can be checked. `at`: the change it is the message of."""

    def __init__(
        self, task: Task, elements: Sequence[Element], fields: EventView, *, at: str | None = None
    ) -> None:
        self.task = task
        self._at = at
        self.events = [element_json(element, fields) for element in elements]
        self.digests = [START]
        for event in self.events:
            self.digests.append(extend(self.digests[-1], event))
        self._pages: dict[tuple[int, bool], Pages] = {}

    def progress(self) -> Progress:
        """Where a listener stands who was given all of it."""
        return Progress(len(self.events), self.digests[-1])

    def resumes(self, since: int | None, position: str | None) -> bool:
        """Do the first `since` events have the digest `position`? (PROTOCOL.md 6.2)"""
        return (
            since is not None
            and position is not None
            and 0 <= since <= len(self.events)
            and head(self.digests[since]) == position
        )

    def pages(self, since: int | None = None, position: str | None = None) -> Pages:
        """`task:state` frames from the position given, or from 0 when it is not one of this timeline."""
        resumed = self.resumes(since, position)
        start = since if resumed and since is not None else 0
        made = self._pages.get((start, resumed))
        if made is None:  # many who join at once come from the same place
            # (No method of this object: with its pages it would wait for Python to look for garbage.)
            page = partial(_page, self.task, self.events, self.digests, self._at, not resumed)
            made = self._pages[start, resumed] = Pages(self.events, start, page)
        return made


def _page(
    task: Task,
    events: Sequence[bytes],
    digests: Sequence[bytes],
    at: str | None,
    resets: bool,
    begin: int,
    end: int,
    first: bool,
    more: bool,
) -> Frame:
    data = {
        "taskId": task.id,
        "task": task.summary,
        "events": _joined(events[begin:end]),
        "from": begin,
        "next": end,
        "head": head(digests[end]),
        "reset": resets and first,
        "more": more,
    }
    return encode(Kind.TASK_STATE, data, at=at)


def dashboard_pages(summaries: Iterable[Summary]) -> Pages:
    """`dashboard:state` frames for a list that is already in its order."""
    encoded = [orjson.dumps(summary) for summary in summaries]

    def page(begin: int, end: int, first: bool, more: bool) -> Frame:
        tasks = _joined(encoded[begin:end])
        return encode(Kind.DASHBOARD_STATE, {"tasks": tasks, "reset": first, "more": more})

    return Pages(encoded, 0, page)


def _joined(items: Sequence[bytes]) -> bytes:
    return b"[" + b",".join(items) + b"]"


def _chunks(items: Sequence[bytes], start: int) -> Iterator[tuple[int, int]]:
    """Ranges of at most a page's bytes each; one empty range where there is nothing."""
    begin, size = start, 0
    for index in range(start, len(items)):
        length = len(items[index]) + 1
        if size and size + length > PAGE_BYTES:
            yield begin, index
            begin, size = index, 0
        size += length
    yield begin, len(items)
