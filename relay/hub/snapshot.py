"""Snapshots as frames: the pages of a task's timeline, and those of a list. Pure.

Rules of this file: the position of a page is that after its own last event; no page is larger than PAGE_BYTES,
unless a single element is; a page is encoded when a socket takes it, because a state may have a hundred megabytes
and a socket takes one page at a time.
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
    """The frames of one state, in order; iterating encodes each when it is reached.

    `size` is about how many bytes they have together. Nearly every state has one page: that is encoded once, and
    all listeners that are sent the state share it.
    """

    __slots__ = ("_chunks", "_encode", "_only", "size")

    def __init__(
        self, items: Sequence[bytes], start: int, encode: Callable[[int, int, bool, bool], Frame]
    ) -> None:
        """`encode(begin, end, first, more)` encodes the page of `items[begin:end]`."""
        self._chunks = list(_chunks(items, start))
        self._encode = encode
        self._only: Frame | None = None
        self.size = sum(map(len, items[start:] if start else items))

    @property
    def fit_one(self) -> bool:
        """Is it a single page of at most PAGE_BYTES? One huge event makes a larger one."""
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
    """One task at one position, ready to be sent.

    `events` are encoded. `digests` has the digest of every prefix of them, so that any position of a client can be
    checked. `at` is the time of the change that the state is sent for, if there is one.
    """

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
        """The position of a client that was sent all of it."""
        return Progress(len(self.events), self.digests[-1])

    def resumes(self, since: int | None, digest: str | None) -> bool:
        """Is this a position of the timeline? It is if the first `since` events have this digest (PROTOCOL.md 6.2)."""
        return (
            since is not None
            and digest is not None
            and 0 <= since <= len(self.events)
            and head(self.digests[since]) == digest
        )

    def pages(self, since: int | None = None, digest: str | None = None) -> Pages:
        """The `task:state` frames from this position on, or from 0 if it is not a position of the timeline."""
        resumed = self.resumes(since, digest)
        start = since if resumed and since is not None else 0
        made = self._pages.get((start, resumed))
        if made is None:  # clients that join at once often come from the same position
            # A method of this object would make a cycle with the pages, which only the garbage collector frees.
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
    """The `dashboard:state` frames of a list whose summaries are in their order already."""
    encoded = [orjson.dumps(summary) for summary in summaries]

    def page(begin: int, end: int, first: bool, more: bool) -> Frame:
        tasks = _joined(encoded[begin:end])
        return encode(Kind.DASHBOARD_STATE, {"tasks": tasks, "reset": first, "more": more})

    return Pages(encoded, 0, page)


def _joined(items: Sequence[bytes]) -> bytes:
    return b"[" + b",".join(items) + b"]"


def _chunks(items: Sequence[bytes], start: int) -> Iterator[tuple[int, int]]:
    """Ranges of items with at most PAGE_BYTES each; one empty range if there are no items."""
    begin, size = start, 0
    for index in range(start, len(items)):
        length = len(items[index]) + 1
        if size and size + length > PAGE_BYTES:
            yield begin, index
            begin, size = index, 0
        size += length
    yield begin, len(items)
