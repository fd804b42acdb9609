"""Snapshots as frames: the pages of a task's timeline, and the pages of a list. Pure.

Rules of this file: a page carries the position after its own last event. No page is larger than PAGE_BYTES, unless a
single element is. A page is encoded only when a socket accepts it, because a snapshot may have a hundred megabytes and
a socket accepts one page at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from relay.protocol.frames import Frame, encode
from relay.protocol.types import PAGE_BYTES, Kind
from relay.source.raw_bson import Element
from relay.tasks.event_view import START, EventView, element_json, extend, head
from relay.tasks.task import Task

MANY_BYTES = 256 * 1024  # more bytes of events are encoded in a thread: they would block the loop for 20 ms


class Progress(NamedTuple):
    """A position in a task's timeline: `next` is the number of events sent so far, and `digest` is the digest of these
    events.

    The `head` on the wire is made from the digest.
    """

    next: int
    digest: bytes


class Pages:
    """The frames of one snapshot, in order. Iterating encodes each frame when it is reached.

    `size` is about how many bytes all frames have together. Nearly every snapshot has only one page: that page is
    encoded once, and is shared by all listeners that are sent the snapshot.
    """

    __slots__ = ("_chunks", "_encode", "_only", "size")

    def __init__(
        self, items: Sequence[bytes], start: int, encode: Callable[[int, int, bool, bool], Frame]
    ) -> None:
        """Divide `items` (encoded JSON values) from index `start` on into pages.

        `encode(begin, end, first, more)` has to return the page of `items[begin:end]`. `first`: it is the first page.
        `more`: other pages follow it.
        """
        self._chunks = list(_chunks(items, start))
        self._encode = encode
        self._only: Frame | None = None
        self.size = sum(map(len, items[start:] if start else items))

    @property
    def fit_one(self) -> bool:
        """Whether the snapshot is a single page of at most PAGE_BYTES. A single event of more bytes makes a larger
        page."""
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
    """A snapshot of one task, ready to be sent.

    `events` are encoded as JSON. `digests` has the digest of every prefix of the events (`digests[n]` of the first n),
    so that any position of a client can be checked. `at` is the time of the change that the snapshot is sent for, or
    None if it is not sent for a change.
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
        """Return the position in the timeline of a client that was sent the whole snapshot."""
        return Progress(len(self.events), self.digests[-1])

    def resumes(self, since: int | None, digest: str | None) -> bool:
        """Whether a client at this position can continue from it, because it holds the first `since` events of this
        timeline.

        `digest` is the client's `head` (PROTOCOL.md 6.2), which has to be that of these events. False if an argument is
        None.
        """
        return (
            since is not None
            and digest is not None
            and 0 <= since <= len(self.events)
            and head(self.digests[since]) == digest
        )

    def pages(self, since: int | None = None, digest: str | None = None) -> Pages:
        """Return the `task:state` frames with the events after the client's position, or with all events if the
        position does not belong to this timeline.

        `since` and `digest` are the client's position: how many events it holds, and the `head` of exactly those.
        """
        resumed = self.resumes(since, digest)
        start = since if resumed and since is not None else 0
        made = self._pages.get((start, resumed))
        if made is None:  # kept, because clients that join at once often come from the same position
            # No bound method here: it would refer to this object, which keeps the pages, and only the garbage collector
            # would free such a cycle.
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


def dashboard_pages(summaries: Sequence[bytes]) -> Pages:
    """Return the `dashboard:state` frames of a list. `summaries` has the JSON of each summary, in the order of the
    list."""

    def page(begin: int, end: int, first: bool, more: bool) -> Frame:
        tasks = _joined(summaries[begin:end])
        return encode(Kind.DASHBOARD_STATE, {"tasks": tasks, "reset": first, "more": more})

    return Pages(summaries, 0, page)


def _joined(items: Sequence[bytes]) -> bytes:
    return b"[" + b",".join(items) + b"]"


def _chunks(items: Sequence[bytes], start: int) -> Iterator[tuple[int, int]]:
    """Yield the ranges `(begin, end)` of the pages: at most PAGE_BYTES of items each, unless a single item is larger.

    If there are no items from `start` on, yield one empty range.
    """
    begin, size = start, 0
    for index in range(start, len(items)):
        length = len(items[index]) + 1
        if size and size + length > PAGE_BYTES:
            yield begin, index
            begin, size = index, 0
        size += length
    yield begin, len(items)
