"""Builds from the settings everything between MongoDB and the messages that a change causes: a `Pipeline`.

A pipeline reads the change stream and documents of one collection, and translates each change into a *step* (what this
change means for one task: the messages to send). `relay serve`, `relay tail --direct` and `relay check` all use it. So
what `tail` and `check` report about a database is what a relay would do with that database.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from relay.config import Settings
from relay.errors import StartupError
from relay.feed.cache import TaskCache
from relay.feed.pump import Publisher, Pump
from relay.metrics import Metrics
from relay.source.client import client_of, names_of
from relay.source.members import Members
from relay.source.opening import Opening, Watch
from relay.source.raw_bson import Decoder
from relay.source.reader import MAX_TIME_MS, Reader
from relay.source.shared.feed import Feed
from relay.source.shared.tail import SharedTail
from relay.source.stream import Stream, Tail
from relay.tasks.mapping import Mapping, parse
from relay.tasks.translate import Translator
from relay.tasks.visibility import Audience

# For closing both MongoDB clients, in seconds: a database that does not answer must not delay the end for longer.
FAREWELL_S = 1.0


def mapping_of(settings: Settings) -> Mapping:
    """Return the mapping (the description of how documents are read) from the file that the settings name, or the
    default mapping if they name none. Raises StartupError if the file cannot be read or is not a valid mapping."""
    return load_mapping(settings.relay_mapping) if settings.relay_mapping else Mapping()


def load_mapping(path: Path) -> Mapping:
    """Read a mapping from a TOML file. Raises StartupError if the file cannot be read or is not a valid mapping; its
    message is one sentence that names the file."""
    try:
        text = path.read_text("utf-8")
    except OSError as failure:
        raise StartupError(
            f"The mapping file {path} cannot be read: {failure.strerror or failure}."
        ) from failure
    except UnicodeDecodeError as failure:
        raise StartupError(f"The mapping file {path} is not valid TOML: {failure}.") from failure
    return parse(text, path)


class Pipeline:
    """Reads the change stream and the documents of one collection, and translates them into messages.

    `tail` follows the change stream, `reader` reads documents, `translator` turns changes into messages, and `pump`
    connects the three to a publisher. The constructor sends nothing to the database. A pipeline is an asynchronous
    context manager, which closes its two MongoDB clients at the end.

    `pace` is awaited before the stream fetches more changes. `on_interrupted` is called each time the stream breaks.
    `read_ms` is the longest time, in milliseconds, that one read may take in the database. With a `feed`, the
    change stream is received from another process, and followed directly only while that process cannot be used.
    Raises StartupError if the settings name no database.
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
        feed: Feed | None = None,
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
        # There are two clients, because the getMore with which the tail waits for changes occupies a connection of its
        # client's pool. A read of a document must not wait for that connection (tests/FAULTS.md, F15).
        self.client, self._following = client_of(settings), client_of(settings)
        decoder = Decoder(mapping.events, names=mapping.names(), noticed=metrics.undecodable.inc)
        where, members = (database, collection, decoder), Members(self.client.read_preference)
        tail = Tail(
            self._following,
            *where,
            jitter=random.random,
            members=members,
            pace=pace,
            on_interrupted=on_interrupted,
        )
        self.tail: Stream = tail if feed is None else SharedTail(tail, feed, pace=pace)
        self.reader = Reader(
            self.client, *where, members=members, max_time_ms=read_ms, left_out=metrics.left_out.inc
        )
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
        """Return a pump that takes changes from the stream, translates them and passes them to this publisher.

        `is_pinned` is called with the key of a task. A task for which it returns True always stays in the cache.
        """
        cache = TaskCache(self._settings.relay_known_tasks_max, is_pinned)
        return Pump(self.tail, self.reader, self.translator, cache, publisher, self._metrics)
