"""`relay tail --direct`: the database's changes, and what the relay would make of each. Does I/O.

The very stages of the relay, with a terminal in place of the hub: who has the database sees everything, so no
user's rights are asked here. Secrets are taken out as they are for everyone.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Any, TextIO

from bson import Timestamp
from pymongo import AsyncMongoClient

from relay.cli.tail.changes import done_by, message_of, messages_of, to_json, to_lines
from relay.cli.tail.options import EXIT_BAD_ARGUMENTS, EXIT_DONE, EXIT_REFUSED, Selection, check
from relay.cli.tail.render import Renderer
from relay.cli.tail.terminal import discard, is_terminal, prepare, say, until_an_end, wants_color
from relay.cli.tail.text import escaped, json_escape, visible
from relay.config import Settings
from relay.errors import SourceError, Unavailable
from relay.feed.cache import Known
from relay.feed.pump import Pump
from relay.hub.snapshot import TaskState
from relay.metrics import Metrics
from relay.source.change import Change, key_of
from relay.source.client import client_of, hosts_of, names_of, warning_of
from relay.source.identity import among
from relay.source.opening import Opening
from relay.source.raw_bson import Decoder
from relay.source.reader import Reader
from relay.source.stream import Tail
from relay.tasks.mapping import Mapping, load
from relay.tasks.paths import Document
from relay.tasks.task_ids import candidate_ids
from relay.tasks.translate import Keys, Step, Task, Translator
from relay.tasks.visibility import Audience

FAREWELL_S = 1.0


async def run(
    settings: Settings,
    wanted: Selection,
    out: TextIO,
    err: TextIO,
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    now: Callable[[], datetime] = lambda: datetime.now().astimezone(),
) -> int:
    """Tail the database until the count, the duration, Ctrl-C or the end of the reader of `out`; the exit code:
    0 after a normal end, 2 for arguments that make no sense, 3 if MongoDB does not answer.

    Raises StartupError where this database or this mapping cannot be followed.
    """
    try:
        check(wanted)
    except ValueError as error:
        say(err, f"relay tail: {error}")
        return EXIT_BAD_ARGUMENTS
    prepare(out, json=wanted.json)
    where = names_of(settings)
    warning = warning_of(settings)
    if warning is not None:
        say(err, f"relay tail: {warning}")
    async with _clients(settings) as clients:
        tail, reader, translator = _stages(settings, *clients)
        journal = Journal(translator, wanted, out, err, now)
        known = Known(settings.relay_known_tasks_max, _nobody)
        pump = Pump(tail, reader, translator, known, journal, Metrics())
        try:
            position = await Opening(settings, clients[1], tail, reader).once()
        except Unavailable as failure:
            say(err, f"relay tail: could not follow MongoDB at {hosts_of(settings)}: {failure}")
            return EXIT_REFUSED
        say(
            err,
            f"following {visible('.'.join(where))} at {hosts_of(settings)}; no user's rights are asked here",
        )
        await journal.begin(reader, position)
        return await until_an_end(_follow(pump, journal), wanted.duration, sleep)


@asynccontextmanager
async def _clients(settings: Settings) -> AsyncIterator[list[AsyncMongoClient[Any]]]:
    """One for the tail, whose waiting getMore holds a connection, and one for reads."""
    clients = [client_of(settings), client_of(settings)]
    try:
        yield clients
    finally:
        with suppress(TimeoutError):  # a database that is silent would hold us for its farewell
            async with asyncio.timeout(FAREWELL_S):
                await asyncio.gather(*(client.close() for client in clients))


def _stages(
    settings: Settings, tailing: AsyncMongoClient[Any], reading: AsyncMongoClient[Any]
) -> tuple[Tail, Reader, Witness]:
    mapping = load(settings.relay_mapping) if settings.relay_mapping else Mapping()
    decoder = Decoder(mapping.events, names=mapping.names())
    where = (settings.relay_mongo_database, settings.relay_tasks_collection, decoder)
    translator = Witness(
        mapping,
        Audience(mapping.visibility).keys_of,
        max_text=settings.relay_max_text_length,
        max_event_bytes=settings.relay_max_event_bytes,
    )
    return Tail(tailing, *where, jitter=random.random), Reader(reading, *where), translator


async def _follow(pump: Pump, journal: Journal) -> int:
    stream = logging.getLogger("relay.source.stream")
    stream.addHandler(journal.interruption)
    try:
        async with asyncio.TaskGroup() as group:
            pumping = group.create_task(pump.run())
            await journal.over.wait()
            pumping.cancel()
    finally:
        stream.removeHandler(journal.interruption)
    return EXIT_DONE


def _nobody(_: bytes) -> bool:
    return False


class Witness(Translator):
    """A translator that remembers of which change each step is, until they are taken."""

    def __init__(self, mapping: Mapping, visibility: Callable[[Document], Keys], **limits: int) -> None:
        super().__init__(mapping, visibility, **limits)
        self._made: dict[int, tuple[Change, Step]] = {}

    def translate(self, before: Task | None, change: Change) -> Step | None:
        step = super().translate(before, change)
        if step is not None:
            self._made[id(change)] = change, step  # one that needed its task's array comes twice
        return step

    def taken(self) -> list[tuple[Change, Step]]:
        """In the order in which they were written."""
        made, self._made = self._made.values(), {}
        return sorted(made, key=_time)


def _time(made: tuple[Change, Step]) -> Timestamp:
    return made[0].time


class Interruption(logging.Handler):
    """Notes that the stream said it was interrupted."""

    noted = False

    def emit(self, record: logging.LogRecord) -> None:
        self.noted = True


class Journal:
    """Where steps go instead of the hub: onto the output. `over` is set when nothing more is to be written."""

    def __init__(
        self,
        translator: Witness,
        wanted: Selection,
        out: TextIO,
        err: TextIO,
        now: Callable[[], datetime],
    ) -> None:
        self._translator = translator
        self._wanted = wanted
        self._out = out
        self._err = err
        self._now = now
        self._color = wants_color(out, wanted.color)
        self._lists = wanted.dashboard or not wanted.tasks
        self._everything = not wanted.dashboard and not wanted.tasks
        self._shown = 0
        self.over = asyncio.Event()
        self.interruption = Interruption()

    async def begin(self, reader: Reader, position: Timestamp) -> None:
        """The wanted tasks as they are at the start: in a line, or event by event."""
        renderer = Renderer(
            json=self._wanted.json,
            since=self._wanted.since,
            color=self._color,
            escape_json=is_terminal(self._out),
            now=self._now,
        )
        for task_id in self._wanted.tasks:
            task = await self._stored(reader, position, task_id)
            if task is not None:
                state = TaskState(task, task.timeline.elements or (), self._translator.view)
                self._write(line for page in state.pages() for line in renderer.lines(message_of(page)))

    async def _stored(self, reader: Reader, position: Timestamp, task_id: str) -> Task | None:
        candidates = candidate_ids(task_id)
        try:
            documents = await reader.read_at(position, among(candidates))
        except SourceError as failure:
            say(self._err, f"{visible(task_id)} could not be read: {failure}")
            return None
        stored = {key_of(document["_id"]): document for document in documents}
        document = next((stored[key] for one in candidates if (key := key_of(one)) in stored), None)
        if document is None:
            say(self._err, f"there is no task {visible(task_id)} yet")
            return None
        return self._translator.read(document)

    def publish(self, steps: Sequence[Step], position: Timestamp) -> None:
        if self.interruption.noted:
            self.interruption.noted = False
            say(self._err, "resumed")
        for change, step in self._translator.taken():
            room = self._everything or step.id in self._wanted.tasks
            if (room or self._lists) and not self.over.is_set():
                self._show(change, step, room)

    def heal(self, position: Timestamp) -> None:
        self._translator.taken()
        self.interruption.noted = False
        say(self._err, "the place in the stream was lost: what happened meanwhile is not shown; going on")

    def _show(self, change: Change, step: Step, room: bool) -> None:
        view = self._translator.view
        done = done_by(change, view.redactor)
        messages = messages_of(step, view, room=room, dashboard=self._lists)
        if self._wanted.json:
            line = to_json(change, done, step, messages)
            self._write([escaped(line, json_escape) if is_terminal(self._out) else line])
        else:
            self._write(to_lines(change, done, step, messages, self._now(), color=self._color))
        self._shown += 1
        if self._shown == self._wanted.count:
            self.over.set()

    def _write(self, lines: Iterable[str]) -> None:
        try:
            for line in lines:
                self._out.write(line + "\n")
            self._out.flush()
        except BrokenPipeError:
            discard(self._out)
            self.over.set()
