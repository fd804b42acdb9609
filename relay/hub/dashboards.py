"""Joins of dashboards: the list at S, then what was published since, then live."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence

from relay.errors import SourceError, Unavailable
from relay.hub.background import Background
from relay.hub.hub import Hub
from relay.hub.members import DashboardJoiner, DashboardReading, Group, Listener
from relay.hub.reads import RETRY_S, Snapshots, unavailable
from relay.hub.snapshot import Pages, dashboard_pages
from relay.protocol.frames import Batch
from relay.source.outage import Outage
from relay.tasks.paths import Document
from relay.tasks.summary import Summary
from relay.tasks.translate import Translator

log = logging.getLogger(__name__)

PARALLEL_READS = 2  # of one list, which changes while it is read: one that hangs must not keep all others
MANY_TASKS = 500  # summarising more than these happens in a thread: the loop stops for 10 ms at most


class Dashboards:
    """Answers requests for the list, and keeps their listeners in its group. Its methods return at once."""

    def __init__(
        self, hub: Hub, snapshots: Snapshots, translator: Translator, background: Background
    ) -> None:
        self._hub = hub
        self._snapshots = snapshots
        self._translator = translator
        self._background = background
        self._outage = Outage(log, "a dashboard could not be read")
        self._catching_up: list[DashboardJoiner] = []

    def join(
        self,
        listener: Listener,
        limit: int,
        reply_to: str | None,
        *,
        healing: bool = False,
        caught_up: bool = False,
    ) -> None:
        """A `dashboard:state` that holds all that was published until now, then live messages. `healing`: nobody
        asked for it; `caught_up`: as in `Joining.join_dashboard`."""
        self._hub.hold_dashboard(listener)
        listener.dashboard = self._hub.group_of(listener)
        listener.limit = limit
        joiner = DashboardJoiner(listener, limit, reply_to, healing)
        listener.dashboard_joins.append(joiner)
        if healing or caught_up:
            self.read_for(joiner)
            return
        # A client that comes from another instance may hold a later list than the one at our position.
        self._catching_up.append(joiner)
        if len(self._catching_up) == 1:
            self._background.spawn(self._catch_up())

    async def _catch_up(self) -> None:
        """Read for those who wait for it once the relay has come as far as the database is now."""
        joiners, self._catching_up = self._catching_up, []
        try:
            await self._snapshots.catch_up()
        except Unavailable as failure:
            self._outage.failed(str(failure), error=str(failure))
            for joiner in joiners:
                self._refuse(joiner)
            return
        for joiner in joiners:
            self.read_for(joiner)

    def read_for(self, joiner: DashboardJoiner) -> None:
        """Read a state for this request, unless it is not wanted any more, or share a read in flight."""
        if not joiner.active:
            return
        listener = joiner.listener
        # The group may have been dropped while nobody was in it and nothing was read for it.
        group = listener.dashboard = self._hub.group_of(listener)
        readings = [one for one in group.readings if one.limit == joiner.limit]
        if all(one.outdated for one in readings) and len(readings) < PARALLEL_READS:
            readings.append(DashboardReading(self._hub.position, joiner.limit))
            group.readings.append(readings[-1])
            self._background.spawn(self._serve(group, readings[-1]))
        reading = readings[-1]
        if reading.outdated:
            reading.next_joiners.append(joiner)
        else:
            reading.joiners.append(joiner)
            self._snapshots.share(reading, listener.user)

    async def _serve(self, group: Group, reading: DashboardReading) -> None:
        pages: Pages | None = None
        try:
            pages = await self._read(group, reading)
            self._outage.over()
        except SourceError as failure:
            self._outage.failed(str(failure), error=str(failure))
        except Exception:
            log.exception("a dashboard failed")
        finally:
            group.readings.remove(reading)
        # From here on nothing waits, so nothing is published in between.
        for joiner in reading.joiners:
            if not joiner.active:
                continue
            listener = joiner.listener
            if pages is None and joiner.healing:
                self._background.spawn(self._try_again(joiner))
            elif pages is None:
                self._refuse(joiner)
            elif not listener.receiver.has_room():
                listener.postponed.append(joiner)
            else:
                for one in _answered_with(joiner):
                    listener.answer_state(pages, one.reply_to)
                if joiner.stay and listener.lagging:
                    listener.dashboard_behind = True
                elif joiner.stay:
                    self._replay(reading, joiner)
                    group.live.add(listener)
                else:
                    _leave_if_over(listener)
        for joiner in reading.next_joiners:
            self.read_for(joiner)
        self._hub.drop_if_empty(group)

    def _refuse(self, joiner: DashboardJoiner) -> None:
        if joiner.active:
            listener = joiner.listener
            listener.dashboard_joins.remove(joiner)
            if joiner.stay:  # it has no list then, and one that it had before is not brought up to date
                listener.dashboard, listener.dashboard_behind = None, False
            _leave_if_over(listener)
            listener.answer(unavailable(joiner.reply_to))

    def _replay(self, reading: DashboardReading, joiner: DashboardJoiner) -> None:
        """Send what was published since the state."""
        listener = joiner.listener
        # It may have had lifecycle messages in the task's room: those are not sent twice, and earlier ones of
        # the same task not after them.
        had = {
            step.step.key: number
            for number, (_, step) in enumerate(reading.since)
            if step is not None and listener in step.told
        }
        for number, (frame, step) in enumerate(reading.since):
            if step is None:
                listener.send(Batch((frame,)))
            elif number > had.get(step.step.key, -1):
                step.told.add(listener)
                listener.send(Batch((frame,)))

    async def _try_again(self, joiner: DashboardJoiner) -> None:
        """Nobody asked for this state, so nobody would ask again: without it the list would stay old."""
        await asyncio.sleep(RETRY_S)
        self.read_for(joiner)

    async def _read(self, group: Group, reading: DashboardReading) -> Pages:
        """The pages of the list at the reading's position. Raises SourceError."""
        order = self._translator.mapping.list_order
        while True:
            documents = await self._snapshots.read(
                reading,
                group.filter,
                patient=lambda: any(joiner.healing for joiner in reading.joiners),
                projection=self._translator.list_projection(),
                sort={order: -1} if order == "_id" else {order: -1, "_id": -1},
                limit=reading.limit,
            )
            position = reading.position
            if len(documents) <= MANY_TASKS:
                return self._pages(documents)
            pages = await asyncio.to_thread(self._pages, documents)
            if reading.position == position:
                return pages
            # The stream was reopened meanwhile, and what was held is not complete any more.

    def _pages(self, documents: Sequence[Document]) -> Pages:
        return dashboard_pages(self._summaries(documents))

    def _summaries(self, documents: Sequence[Document]) -> Iterator[Summary]:
        for document in documents:
            try:
                yield self._translator.summarise(document)
            except Exception:  # one document must not keep the others from everybody who may see it
                log.exception("a task could not be summarised")


def _answered_with(joiner: DashboardJoiner) -> Iterator[DashboardJoiner]:
    """This request and the earlier ones of its listener, which wait no more: their own state would be an older
    one, and come after this."""
    joins = joiner.listener.dashboard_joins
    place = joins.index(joiner)
    earlier, joiner.listener.dashboard_joins = joins[:place], joins[place + 1 :]
    for one in earlier:
        one.active = False
        if not one.healing:
            yield one
    yield joiner


def _leave_if_over(listener: Listener) -> None:
    """A listener whose list is not live, and will not be by what it has asked for, has none."""
    group = listener.dashboard
    awaits = listener.dashboard_behind or listener.dashboard_joins
    if group is not None and listener not in group.live and not awaits:
        listener.dashboard = None
