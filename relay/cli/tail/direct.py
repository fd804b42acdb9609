"""`relay tail --direct`: print the changes of a database, and the messages that the relay makes of them. Does I/O.

The stages are those of the relay (`relay/pipeline.py`), with a terminal in place of the hub. A user who reads the
database sees everything, so no user's rights apply here. Secrets are removed as they are for every user.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TextIO

from bson import Timestamp

from relay.cli.explain.user import of_claims
from relay.cli.printable import json_line, visible
from relay.cli.tail.changes import done_by, message_of, messages_of, to_json, to_lines
from relay.cli.tail.options import EXIT_BAD_ARGUMENTS, EXIT_DONE, EXIT_REFUSED, Selection, check
from relay.cli.tail.render import Renderer
from relay.cli.tail.terminal import discard, is_ascii_only, prepare, say, until_an_end, wants_color
from relay.config import Settings
from relay.errors import SourceError, Unavailable
from relay.feed.pump import Pump
from relay.hub.snapshot import TaskState
from relay.metrics import Metrics
from relay.pipeline import Pipeline, mapping_of
from relay.source.change import key_of
from relay.source.client import hosts_of, names_of, warning_of
from relay.source.identity import among
from relay.source.reach import AGAIN_MS
from relay.source.reader import Reader
from relay.tasks.step import Step
from relay.tasks.task import Task
from relay.tasks.task_ids import candidate_ids
from relay.tasks.translate import Translator


async def run(
    settings: Settings,
    wanted: Selection,
    claims: Mapping[str, Any] | None = None,
    *,
    out: TextIO,
    err: TextIO,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    now: Callable[[], datetime] = lambda: datetime.now().astimezone(),
) -> int:
    """Follow the database until the count, the duration or Ctrl-C ends it, or the reader of `out` leaves. With `claims`
    only what their user is sent is printed.

    Return the exit code: 0 after a normal end, 1 after one before a message of the type of `until`, 2 for wrong
    arguments, 3 if MongoDB does not answer. Raises StartupError
    for a database that cannot be followed, or settings or a mapping that cannot be used.
    """
    try:
        check(wanted)
    except ValueError as error:
        say(err, f"relay tail: {error}")
        return EXIT_BAD_ARGUMENTS
    prepare(out)
    where = names_of(settings)
    warning = warning_of(settings)
    if warning is not None:
        say(err, f"relay tail: {warning}")
    interrupted = asyncio.Event()
    async with Pipeline(
        settings, mapping_of(settings), Metrics(), on_interrupted=interrupted.set, reads_whole=True
    ) as pipeline:
        keys = None
        if claims is not None and (user := of_claims(claims, pipeline.audience.claims).principal) is not None:
            keys = pipeline.audience.keys_for(user)
        journal = Journal(pipeline.translator, interrupted, wanted, keys, out, err, now)
        try:
            position = await pipeline.opening.once(again_ms=AGAIN_MS)
        except Unavailable as failure:
            say(err, f"relay tail: could not follow MongoDB at {hosts_of(settings)}: {failure}")
            return EXIT_REFUSED
        whose = "no user's rights are asked here" if keys is None else "only what the user is sent"
        say(err, f"following {visible('.'.join(where))} at {hosts_of(settings)}; {whose}")
        await journal.begin(pipeline.reader, position)
        return await until_an_end(_follow(pipeline.pump(journal), journal), wanted, out, sleep)


async def _follow(pump: Pump, journal: Journal) -> int:
    async with asyncio.TaskGroup() as group:
        pumping = group.create_task(pump.run())
        await journal.over.wait()
        pumping.cancel()
    return journal.code


class Journal:
    """Prints the steps that the pump publishes.

    `interrupted` is set by the stream each time it breaks, which the log reports; the next batch prints that the
    stream goes on. `over` is set when nothing more is to be printed.
    """

    def __init__(
        self,
        translator: Translator,
        interrupted: asyncio.Event,
        wanted: Selection,
        keys: Collection[str] | None,
        out: TextIO,
        err: TextIO,
        now: Callable[[], datetime],
    ) -> None:
        self._translator = translator
        self._interrupted = interrupted
        self._wanted = wanted
        self._keys = keys  # the audience keys of the user; None: everything is shown
        self._out = out
        self._err = err
        self._now = now
        self._color = wants_color(out, wanted.color)
        self._lists = wanted.dashboard or not wanted.tasks
        self._everything = not wanted.dashboard and not wanted.tasks
        self._shown = 0
        self.code = wanted.ended_early
        self.over = asyncio.Event()

    async def begin(self, reader: Reader, position: Timestamp) -> None:
        """Print the wanted tasks as they are at the start: in one line each, or event by event."""
        renderer = Renderer(
            json=self._wanted.json,
            since=self._wanted.since,
            color=self._color,
            ascii_only=is_ascii_only(self._out),
            now=self._now,
        )
        for task_id in self._wanted.tasks:
            task = await self._stored(reader, position, task_id)
            if task is not None and not self._may_see(task):
                say(self._err, f"the user may not see {visible(task_id)}")
            elif task is not None:
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

    def prepare(self, step: Step) -> None:
        """Do nothing: no messages have to be made early, because this process has nobody else to serve meanwhile."""

    def publish(self, steps: Sequence[Step], position: Timestamp) -> None:
        """Print the steps of the selected tasks."""
        if self._interrupted.is_set():
            self._interrupted.clear()
            say(self._err, "resumed")
        for step in steps:
            room = self._everything or step.id in self._wanted.tasks
            # A correction is no change of a writer; the log says that one was necessary.
            if (room or self._lists) and not step.corrects and not self.over.is_set():
                self._show(step, room)

    def resync(self, position: Timestamp) -> None:
        """Say that changes were lost. There is no state to bring up to date: each line stands for itself."""
        self._interrupted.clear()
        say(self._err, "the place in the stream was lost: what happened meanwhile is not shown; going on")

    def _may_see(self, task: Task | None) -> bool:
        return task is not None and (self._keys is None or not task.keys.isdisjoint(self._keys))

    def _show(self, step: Step, room: bool) -> None:
        saw, sees = self._may_see(step.before), self._may_see(step.after)
        if not saw and not sees and self._keys is not None:
            return
        done = done_by(step.change, self._translator.view.redactor)
        messages = messages_of(
            step, self._translator.view, room=room, dashboard=self._lists, saw=saw, sees=sees
        )
        if self._wanted.types and not any(map(self._wanted.prints, messages)):
            return
        if self._wanted.json:
            line = to_json(done, step, messages)
            self._write([json_line(line, ascii_only=is_ascii_only(self._out))])
        else:
            self._write(to_lines(done, step, messages, self._now(), color=self._color))
        self._shown += 1
        if any(map(self._wanted.ends_with, messages)):
            self.code = EXIT_DONE
            self.over.set()
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
