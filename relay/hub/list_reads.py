"""Reads of lists: one read serves all listeners with equal rights that ask for the list before the list changes again.

A list is read as the keys of its tasks, and the summaries of these come from what the lists of all listeners share.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence

from bson import Timestamp

from relay.errors import SourceError, Unavailable, Unwanted
from relay.hub.fair_semaphore import FairSlots
from relay.hub.fragment_reads import FragmentReads
from relay.hub.list_subscription import ListRequest
from relay.hub.messages import StepFrames
from relay.hub.reads import FairReads
from relay.hub.registry import Group
from relay.hub.request import Waiting
from relay.hub.snapshot import Pages, dashboard_pages
from relay.protocol.frames import Frame
from relay.source.outage import Outage
from relay.tasks.translate import Translator

log = logging.getLogger(__name__)

Refuse = Callable[[Sequence[ListRequest]], None]

# Reads of one list in flight at once. More than one, so that a read that hangs does not keep later requests waiting.
PARALLEL_READS = 2
# Lists that are made at once. While one is put together, the database looks for the next ones. More would not be faster
# (a list of 5,000 keeps a core busy for 5 ms), and each takes half a megabyte until it is made.
PARALLEL_LISTS = 4


class ListReading:
    """A read in flight of the list: of the first `limit` tasks that a group (listeners with equal rights) may see.

    `since` buffers the frames that are published to the group after `position`; a frame that is a lifecycle message is
    paired with its step, any other frame with None. The read answers its `requests`. Once the list has changed, the
    read is `outdated`: requests that come after that wait in `later` and share the next read. So few reads of a list
    are in flight, however often the list changes and however many listeners ask for it.
    """

    __slots__ = ("_refuse", "group", "later", "limit", "outdated", "position", "requests", "since")

    def __init__(self, group: Group, limit: int, position: Timestamp, refuse: Refuse) -> None:
        self.group = group
        self.limit = limit
        self.position = position
        self.outdated = False
        self.requests: Waiting[ListRequest] = Waiting()
        self.later: Waiting[ListRequest] = Waiting()
        self.since: list[tuple[Frame, StepFrames | None]] = []
        self._refuse = refuse

    def add(self, request: ListRequest) -> None:
        """Let this read answer the request, or, if the list has changed since the read began, the read after this
        one."""
        (self.later if self.outdated else self.requests).add(request)

    def buffer(self, frame: Frame, lifecycle_of: StepFrames | None) -> None:
        self.since.append((frame, lifecycle_of))

    def note_outdated(self) -> None:
        self.outdated = True

    def move_to(self, position: Timestamp) -> None:
        """Read at this position instead. Answer also the requests that wait for the read after this one, because the
        list is read with the changes that they waited for."""
        self.position = position
        self.outdated = False
        self.since.clear()
        for request in self.later:
            self.requests.add(request)

    def may_move(self) -> bool:
        """Whether nobody lacks anything if the list is read at a later position: a list update that is buffered is in
        the later list, but a lifecycle message would not be sent."""
        return all(lifecycle_of is None for _, lifecycle_of in self.since)

    def is_wanted(self) -> bool:
        return len(self.requests) > 0

    def is_needed(self) -> bool:
        return any(request.unasked for request in self.requests)

    def note_failed(self) -> None:
        self._refuse([request for request in (*self.requests, *self.later) if not request.unasked])

    def users(self) -> set[str]:
        return {request.subscription.listener.user for request in self.requests}


class ListReads:
    """Plans and makes the reads of lists. The caller has to call `pages` for each reading that `ask` returns, and to
    answer the requests with the result."""

    def __init__(self, reads: FairReads, translator: Translator, refuse: Refuse) -> None:
        """`refuse` is called with requests of clients that share a read which fails and is retried for others."""
        self._reads = reads
        self._translator = translator
        self._refuse = refuse
        self._slots = FairSlots(PARALLEL_LISTS)
        self._summaries = FragmentReads(reads, translator)
        self.fragments = self._summaries.fragments
        self._outage = Outage(log, "a dashboard could not be read")
        self._readings: dict[Group, list[ListReading]] = {}

    def is_reading(self, group: Group) -> bool:
        return group in self._readings

    def note_outdated(self, groups: Iterable[Group]) -> None:
        """Note that the lists of these groups (listeners with equal rights) have changed, so that requests from now on
        need a new read. The list update that tells the listeners about the change may be sent later."""
        for group in groups:
            for reading in self._readings.get(group, ()):
                reading.note_outdated()

    def buffer(self, group: Group, frame: Frame, lifecycle_of: StepFrames | None = None) -> None:
        """Keep a frame that is published to a group (listeners with equal rights), for all reads of its list that are
        in flight.

        `lifecycle_of` is the step of the frame if the frame is a lifecycle message.
        """
        for reading in self._readings.get(group, ()):
            reading.buffer(frame, lifecycle_of)

    def restart(self, position: Timestamp) -> None:
        """Repeat every read in flight at this position, because the change stream was lost and the relay does not know
        what happened before the position."""
        self.fragments.forget(position)
        for readings in self._readings.values():
            for reading in readings:
                reading.move_to(position)

    def waiting(self) -> list[ListRequest]:
        """Return all requests that wait for a read in flight. A read for which nobody waits any more is ended."""
        readings = [one for readings in self._readings.values() for one in readings]
        return [request for reading in readings for request in (*reading.requests, *reading.later)]

    def ask(self, request: ListRequest, group: Group) -> ListReading | None:
        """Let a read in flight answer this request, or a new one if none is current.

        Return the reading if it is new, because the caller has to make it with `pages`; otherwise return None.
        """
        readings = [one for one in self._readings.get(group, ()) if one.limit == request.limit]
        if all(one.outdated for one in readings) and len(readings) < PARALLEL_READS:
            reading = ListReading(group, request.limit, self._reads.position, self._refuse)
            reading.add(request)
            self._readings.setdefault(group, []).append(reading)
            return reading
        # An earlier reading may be the current one, because it was moved.
        reading = next((one for one in readings if not one.outdated), readings[-1])
        reading.add(request)
        if not reading.outdated:
            for shared in (self._slots, self._reads):
                shared.share(reading, request.subscription.listener.user)
        return None

    async def pages(self, reading: ListReading) -> Pages | None:
        """Read the list at the position of this reading, and return its pages; None if it cannot be read, or if no
        request waits for it any more.

        The caller has to use the result before it awaits anything: messages that are published after this method has
        returned are not buffered for this reading.
        """
        try:
            pages = await self._pages(reading)
            self._outage.over()
            return pages
        except Unwanted:
            pass
        except SourceError as failure:
            self._outage.failed(str(failure), error=str(failure))
        except Exception:
            log.exception("a dashboard failed")
        finally:
            self._close(reading)
        return None

    def _close(self, reading: ListReading) -> None:
        readings = self._readings[reading.group]
        readings.remove(reading)
        if not readings:
            del self._readings[reading.group]

    async def _pages(self, reading: ListReading) -> Pages:
        while True:
            try:
                async with self._slots.slot(reading):
                    return await self._made(reading)
            except Unavailable:
                if not reading.is_needed():
                    raise
            # Without a slot, so that the requests of others are answered, if only that the database is unavailable.
            await self._reads.wait_to_retry(reading)

    async def _made(self, reading: ListReading) -> Pages:
        """Read the list once. Raises Unavailable also if the reading is needed (`Reading.is_needed`)."""
        order = self._translator.mapping.list_order
        sort = {order: -1} if order == "_id" else {order: -1, "_id": -1}
        # Summaries of tasks that have changed while the reading waited for its slot could not be shared.
        if reading.may_move():
            reading.move_to(self._reads.position)
        while True:
            filter, limit = reading.group.filter, reading.limit
            keys = await self._reads.keys(reading, filter, sort=sort, limit=limit, once=True)
            summaries = await self._summaries.of(keys, reading, filter)
            if summaries is not None:
                return dashboard_pages(summaries)
            # The reading was moved: the keys are those of another position.
