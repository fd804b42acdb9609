"""Joins of dashboards: the list at S, then what was published since, then live."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from relay.errors import SourceError
from relay.hub.background import Background
from relay.hub.frames import StepFrames
from relay.hub.hub import Hub
from relay.hub.members import DashboardJoiner, DashboardReading, Group, Listener
from relay.hub.snapshots import Snapshots, unavailable
from relay.hub.states import dashboard_pages
from relay.protocol import with_reply_to
from relay.tasks.translate import Translator
from relay.tasks.values import Document

log = logging.getLogger(__name__)

MANY_TASKS = 500  # summarising more than these happens in a thread: the loop stops for 10 ms at most


class Dashboards:
    """Answers whoever asks for the list, and keeps them in its group. Its methods return at once."""

    def __init__(
        self, hub: Hub, snapshots: Snapshots, translator: Translator, background: Background
    ) -> None:
        self._hub = hub
        self._snapshots = snapshots
        self._translator = translator
        self._background = background

    def join(
        self,
        listener: Listener,
        limit: int,
        reply_to: str | None,
        *,
        healing: bool = False,
        fresh: bool = False,
    ) -> None:
        """A `dashboard:state`, then live messages. `healing`: nobody asked for it; `fresh`: the state itself
        has to hold what was published until now."""
        self._hub.hold_dashboard(listener)
        group = listener.dashboard = self._hub.group_of(listener)
        listener.limit = limit
        shared = (one for one in group.readings if one.limit == limit and not (fresh and one.since))
        reading = next(shared, None)
        if reading is None:
            reading = DashboardReading(self._hub.position, limit)
            group.readings.append(reading)
            self._background.spawn(self._serve(group, reading))
        joiner = DashboardJoiner(listener, reply_to, healing, held=len(reading.since))
        if listener.lagging:
            joiner.stay, listener.dashboard_behind = False, True
        reading.joiners.append(joiner)
        self._snapshots.share(reading, listener.user)

    async def _serve(self, group: Group, reading: DashboardReading) -> None:
        pages: list[bytes] | None = None
        try:
            pages = await self._read(group, reading)
        except SourceError as failure:
            log.warning("a dashboard could not be read", extra={"error": str(failure)})
        except Exception:
            log.exception("a dashboard failed")
        finally:
            group.readings.remove(reading)
        for joiner in reading.joiners:
            listener = joiner.listener
            if pages is None:
                listener.dashboard = None if joiner.stay else listener.dashboard
                listener.answer(unavailable(joiner.reply_to))
                continue
            for page in pages:
                listener.answer(with_reply_to(page, joiner.reply_to))
            if not joiner.stay:
                continue
            told: set[StepFrames] = set()
            for number, (frame, step) in enumerate(reading.since):
                if step is None:
                    listener.send((frame,))
                elif number >= joiner.held and (step in told or listener not in step.told):
                    told.add(step)
                    step.told.add(listener)
                    listener.send((frame,))
            group.live.add(listener)
        self._hub.drop_if_empty(group)

    async def _read(self, group: Group, reading: DashboardReading) -> list[bytes]:
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

    def _pages(self, documents: Sequence[Document]) -> list[bytes]:
        return dashboard_pages(map(self._translator.summarise, documents))
