"""Builds from the settings everything between MongoDB and the messages that a change causes: a `Pipeline`.

A pipeline reads the change stream and documents of one collection, and translates each change into a *step* (what this
change means for one task: the messages to send). `relay serve`, `relay tail --direct` and `relay check` all use it. So
what `tail` and `check` report about a database is what a relay would do with that database.
"""

from __future__ import annotations

import asyncio
import errno
import random
import time
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from bson import Timestamp

from relay.config import Settings, secrets_of
from relay.errors import StartupError, may_be_secret
from relay.feed.cache import TaskCache
from relay.feed.pump import Publisher, Pump
from relay.file_content import content_of
from relay.metrics import DatabaseError, Metrics, Role, SharedStream
from relay.source.client import client_of, names_of
from relay.source.decoder import Decoder
from relay.source.members import Members
from relay.source.opening import Opening, Watch
from relay.source.reader import MAX_TIME_MS, Reader, whole
from relay.source.shared.feed import Feed
from relay.source.shared.tail import SharedTail
from relay.source.stream import Stream
from relay.source.tail import Tail
from relay.tasks.links import Links
from relay.tasks.mapping import Mapping, parse
from relay.tasks.translate import Translator
from relay.tasks.visibility import Audience

if TYPE_CHECKING:
    from relay.source.shared.leader import Leader
    from relay.source.shared.redis_bus import RedisBus

# For closing both MongoDB clients, in seconds: a database that does not answer must not delay the end for longer.
FAREWELL_S = 1.0
MAX_MAPPING_BYTES = 1024 * 1024


def mapping_of(settings: Settings) -> Mapping:
    """Return the mapping (the description of how documents are read) from the file that the settings name, or the
    default mapping if they name none. Raises StartupError if the file cannot be read or is not a valid mapping."""
    return load_mapping(settings.relay_mapping, secrets_of(settings)) if settings.relay_mapping else Mapping()


def load_mapping(path: Path, secrets: Collection[str] = ()) -> Mapping:
    """Read a mapping from a TOML file. Raises StartupError if the file cannot be read or is not a valid mapping.

    Its message is one sentence that names the file, unless the name may be a secret in the wrong place. It shows
    nothing of `secrets`, the secrets of the settings.
    """
    try:
        raw = content_of(path, MAX_MAPPING_BYTES + 1)
        if len(raw) > MAX_MAPPING_BYTES:
            raise OSError(errno.EFBIG, f"it is larger than {MAX_MAPPING_BYTES // 1024} KiB")
        text = raw.decode().replace("\r\n", "\n").replace("\r", "\n")
    except OSError as failure:
        named = path if _names_a_file(path, secrets) else "of RELAY_MAPPING"
        raise StartupError(
            f"The mapping file {named} cannot be read: {failure.strerror or failure}."
        ) from failure
    except UnicodeDecodeError as failure:
        raise StartupError(f"The mapping file {path} is not valid TOML: {failure}.") from failure
    return parse(text, path, secrets)


def _names_a_file(path: Path, secrets: Collection[str]) -> bool:
    """Whether this is the name of a file as far as one can see, and no secret in the wrong variable."""
    if path.suffix == ".toml":  # then it may be longer than words that are shown elsewhere
        return str(path).isprintable() and set("@?#:").isdisjoint(str(path))
    return ":" not in str(path) and not may_be_secret(str(path), secrets)  # Path makes one slash of ://


def bus_of(settings: Settings) -> RedisBus | None:
    """Return the change stream in Redis that the settings name; None if they name none. Raises StartupError if the
    settings cannot be used, or the packages for Redis are not installed."""
    if not settings.relay_redis_url.get_secret_value():
        return None
    try:
        from relay.source.shared.redis_bus import RedisBus
    except ModuleNotFoundError as failure:
        raise StartupError(
            f"RELAY_REDIS_URL needs the package {failure.name}: pip install 'task-relay[redis]'."
        ) from failure
    return RedisBus(settings)


@dataclass(frozen=True, slots=True)
class DocumentReading:
    """How the documents of a collection are read by one mapping. `digest` is equal for all processes that read them in
    the same way, and others have another one."""

    mapping: Mapping
    audience: Audience
    translator: Translator
    decoder: Decoder
    reader: Reader
    digest: str


class Pipeline:
    """Reads the change stream and the documents of one collection, and translates them into messages.

    `tail` follows the change stream, `reader` reads documents, `translator` turns changes into messages, and `pump`
    connects the three to a publisher. The constructor sends nothing to the database. A pipeline is an asynchronous
    context manager, which closes its two MongoDB clients at the end.

    `pace` is awaited before the stream fetches more changes. `on_interrupted` is called each time the stream breaks.
    `read_ms` is the longest time, in milliseconds, that one read may take in the database. With a `feed`, the
    change stream is received from another process, and followed directly only while that process cannot be used. With
    a `bus`, it is shared with other relays in the same way; `open` and `lead` do what that needs. With `passes_on`, the
    batches of the stream have what another process needs of them. With `reads_whole`, changes and documents also have
    the values that the translator does not need. Raises StartupError if the settings name no database.
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
        bus: RedisBus | None = None,
        passes_on: bool = False,
        reads_whole: bool = False,
    ) -> None:
        database, collection = names_of(settings)
        self._settings = settings
        self._metrics = metrics
        # There are two clients, because the getMore with which the tail waits for changes occupies a connection of its
        # client's pool. A read of a document must not wait for that connection (tests/FAULTS.md, F15).
        self.client, self._following = client_of(settings), client_of(settings)
        self._read_ms, self._reads_whole = read_ms, reads_whole
        self._members = members = Members(self.client.read_preference)
        self.reading = self.reading_by(mapping, settings)
        where = (database, collection, self.reading.decoder)
        tail = Tail(
            self._following,
            *where,
            jitter=random.random,
            members=members,
            pace=pace,
            on_interrupted=on_interrupted,
            failed=self._note_failure,
            keeps_raws=passes_on,
        )
        self.tail: Stream = tail
        self._bus, self._bus_asked = bus, asyncio.Event()
        self._leader: Leader | None = None
        if bus is not None:
            failed = self._note_failure
            leading = Tail(self._following, *where, jitter=random.random, members=members, failed=failed)
            feed, self._leader = bus.feed, bus.leader(leading, tail)
        if feed is not None:
            waits = settings.relay_bus_fallback == "wait"
            self.tail = shared = SharedTail(tail, feed, pace=pace, waits=waits, jitter=random.random)
            metrics.show(lambda: self._figures(shared))
        self.opening = Opening(settings, self.client, self.tail, self.reader, self._note_failure)
        self.watch = Watch(settings, self.client, self.reader, self.tail, self._note_failure)

    @property
    def mapping(self) -> Mapping:
        return self.reading.mapping

    @property
    def audience(self) -> Audience:
        return self.reading.audience

    @property
    def translator(self) -> Translator:
        return self.reading.translator

    @property
    def reader(self) -> Reader:
        return self.reading.reader

    def reading_by(self, mapping: Mapping, settings: Settings) -> DocumentReading:
        """Return what reads the documents of the collection by this mapping, with the sizes in the settings."""
        database, collection = names_of(self._settings)
        audience = Audience(mapping.visibility, mapping.announced())
        translator = Translator(
            mapping,
            audience.keys_of,
            max_text=settings.relay_max_text_length,
            max_event_bytes=settings.relay_max_event_bytes,
        )
        decoder = Decoder(
            mapping.events,
            names=mapping.names(),
            noticed=self._metrics.undecodable.inc,
            kept=None if self._reads_whole else translator.keep_of,
        )
        reader = Reader(
            self.client,
            database,
            collection,
            decoder,
            members=self._members,
            max_time_ms=self._read_ms,
            left_out=self._metrics.left_out.inc,
            failed=self._note_failure,
            kept=whole if self._reads_whole else translator.keep,
        )
        described = repr(
            (replace(mapping, links=Links()), settings.relay_max_text_length, settings.relay_max_event_bytes)
        )
        digest = blake2b(described.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
        return DocumentReading(mapping, audience, translator, decoder, reader, digest)

    def use(self, reading: DocumentReading) -> None:
        """Read documents and changes in this way from now on. To be called while the stream is not asked for changes
        (`Pump.between_batches`); the pump and its publisher have to be given the reading, too."""
        self.reading = reading
        self.tail.use(reading.decoder)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_S):
                await asyncio.gather(self.client.close(), self._following.close())

    async def open(self) -> Timestamp:
        """Open the change stream, and return the position (a cluster time) at which it starts.

        Temporary failures are retried until an attempt succeeds. Raises StartupError if the database, Redis or their
        configuration cannot work.
        """
        if self._bus is not None:
            await self._bus.reach()
        self._bus_asked.set()
        return await self.opening.patiently()

    async def lead(self) -> None:
        """Compete with the other relays for following the database for all of them. Runs beside the pump, from before
        `open` until it is cancelled; without a bus, it ends at once."""
        await self._bus_asked.wait()
        if self._leader is not None:
            await self._leader.run()

    def _figures(self, shared: SharedTail) -> SharedStream:
        leader, current_at = self._leader, shared.current_at
        role: Role = "following" if shared.is_following else "alone"
        return SharedStream(
            role="leading" if leader is not None and leader.is_leading else role,
            lag_s=None if current_at is None else time.monotonic() - current_at,
            bridged=shared.bridged,
            skipped=shared.skipped,
            leads=0 if leader is None else leader.leads,
        )

    def _note_failure(self, kind: DatabaseError) -> None:
        self._metrics.database_errors.labels(kind).inc()

    def pump(
        self,
        publisher: Publisher,
        is_pinned: Callable[[bytes], bool] = lambda _: False,
        published: Callable[[float], None] = lambda _: None,
    ) -> Pump:
        """Return a pump that takes changes from the stream, translates them and passes them to this publisher.

        `is_pinned` is called with the key of a task. A task for which it returns True always stays in the cache.
        `published` is called as `Pump` says.
        """
        cache = TaskCache(self._settings.relay_known_tasks_max, is_pinned)
        return Pump(
            self.tail, self.reader, self.translator, cache, publisher, self._metrics, published=published
        )
