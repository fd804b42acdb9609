"""The stages from MongoDB to translated steps (source, tasks, feed), built from the settings in one place.

`relay serve`, `relay tail --direct` and `relay check` all follow a collection through a `Pipeline`, so that what a
check or a tail says of a database is what the relay would do with it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

from relay.config import Settings
from relay.feed.cache import TaskCache
from relay.feed.pump import Publisher, Pump
from relay.metrics import Metrics
from relay.source.client import client_of, names_of
from relay.source.opening import Opening, Watch
from relay.source.raw_bson import Decoder
from relay.source.reader import MAX_TIME_MS, Reader
from relay.source.stream import Tail
from relay.tasks.mapping import Mapping, load
from relay.tasks.translate import Translator
from relay.tasks.visibility import Audience

FAREWELL_S = 1.0  # to close both clients: a database that does not answer must not delay the end for longer


def mapping_of(settings: Settings) -> Mapping:
    """Return the mapping that the settings name, or the default one. Raises StartupError for a mapping that cannot
    be used."""
    return load(settings.relay_mapping) if settings.relay_mapping else Mapping()


class Pipeline:
    """The stages source and tasks over one collection, and the `Pump` that runs them into a publisher.

    Building it asks the database nothing. As an async context manager it closes its clients at the end.

    `pace` is awaited before the stream fetches more; `on_interrupted` is called each time the stream breaks;
    `read_ms` bounds the time of one read in the database. Raises StartupError for settings that name no database.
    """

    def __init__(
        self,
        settings: Settings,
        mapping: Mapping,
        metrics: Metrics,
        *,
        pace: Callable[[], Awaitable[None]] | None = None,
        on_interrupted: Callable[[], None] = lambda: None,
        read_ms: int = MAX_TIME_MS,
    ) -> None:
        database, collection = names_of(settings)
        self._settings = settings
        self._metrics = metrics
        self.mapping = mapping
        self.audience = Audience(mapping.visibility)
        self.translator = Translator(
            mapping,
            self.audience.keys_of,
            max_text=settings.relay_max_text_length,
            max_event_bytes=settings.relay_max_event_bytes,
        )
        # Two clients, because the tail's waiting getMore occupies a connection of its pool: a read must not wait
        # for that connection (tests/FAULTS.md, F15).
        self.client, self._following = client_of(settings), client_of(settings)
        decoder = Decoder(mapping.events, names=mapping.names(), noticed=metrics.undecodable.inc)
        where = (database, collection, decoder)
        self.tail = Tail(
            self._following, *where, jitter=random.random, pace=pace, on_interrupted=on_interrupted
        )
        self.reader = Reader(self.client, *where, max_time_ms=read_ms, left_out=metrics.left_out.inc)
        self.opening = Opening(settings, self.client, self.tail, self.reader)
        self.watch = Watch(settings, self.client, self.reader, self.tail)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_S):
                await asyncio.gather(self.client.close(), self._following.close())

    def pump(self, publisher: Publisher, is_pinned: Callable[[bytes], bool] = lambda _: False) -> Pump:
        """Return the pump from the tail into this publisher. Tasks for which `is_pinned` is true stay in memory."""
        cache = TaskCache(self._settings.relay_known_tasks_max, is_pinned)
        return Pump(self.tail, self.reader, self.translator, cache, publisher, self._metrics)
