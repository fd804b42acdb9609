"""The control channel between the parent and one of its children: requests, answers and notes, in both directions.

Each line is one JSON object:

- `{"ask": "figures", "id": 3, "given": null}` is a request, answered by `{"id": 3, "answer": {…}}`, or by
  `{"id": 3, "failed": true}` if it could not be handled;
- `{"tell": "ready", "given": null}` is a note, which is not answered.

The channel is a Unix socket pair without a name: no other program can connect to it, and each end notices at once when
the process at the other end has died. So settings, secrets included, may pass through it.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson

from relay.errors import AnswerFailed, Unanswered

log = logging.getLogger(__name__)

MAX_LINE_BYTES = 8 * 1024 * 1024  # far more than the metrics of a process or its settings need

Answer = Callable[[Any], Awaitable[Any]]
Notice = Callable[[Any], None]


class Channel:
    """One end of a control channel. `answers` handle requests of the other end, `notices` its notes, by their names.

    Nothing is read before `run`. A name that the other end uses and this end does not know is logged and otherwise
    ignored, because during an upgrade the two may be of different versions.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        answers: Mapping[str, Answer],
        notices: Mapping[str, Notice],
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._answers = answers
        self._notices = notices
        self._last_id = 0
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._answering: set[asyncio.Task[None]] = set()
        self._over = False

    @classmethod
    async def over(
        cls, end: socket.socket, *, answers: Mapping[str, Answer], notices: Mapping[str, Notice]
    ) -> Channel:
        """Return a channel that uses this end of a socket pair, and closes it in the end."""
        reader, writer = await asyncio.open_unix_connection(sock=end, limit=MAX_LINE_BYTES)
        return cls(reader, writer, answers=answers, notices=notices)

    async def run(self) -> None:
        """Handle what the other end sends, until it closes the channel or its process ends. Then close this end, and
        let all requests that wait for an answer raise Unanswered."""
        try:
            while line := await self._reader.readline():
                self._handle(orjson.loads(line))
        except (OSError, ValueError) as failure:  # ValueError: a line that is too long, or cut off
            log.debug("a control channel ended", extra={"error": str(failure)})
        finally:
            self._over = True
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(Unanswered("the other process is gone"))
            for answering in self._answering:
                answering.cancel()
            self._writer.close()

    async def ask(self, what: str, given: Any = None, *, within_s: float) -> Any:
        """Send a request and return its answer. Raises AnswerFailed if the other process could not answer, and
        Unanswered if there is no answer within `within_s` seconds."""
        if self._over:
            raise Unanswered("the other process is gone")
        self._last_id = number = self._last_id + 1
        waiting = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            self._send({"ask": what, "id": number, "given": given})
            async with asyncio.timeout(within_s):
                return await waiting
        except TimeoutError:
            raise Unanswered("the other process does not answer") from None
        finally:
            del self._waiting[number]

    def tell(self, what: str, given: Any = None) -> None:
        """Send a note. It is lost if the other process is gone."""
        self._send({"tell": what, "given": given})

    async def flush(self) -> None:
        """Wait until the other process has been handed everything that was sent to it, or is gone."""
        try:
            # `drain` waits only until little is left; without this limit, a last note could be lost with the process.
            self._writer.transport.set_write_buffer_limits(0)
            await self._writer.drain()
        except OSError:
            pass

    def _send(self, message: dict[str, Any]) -> None:
        if not self._over:
            self._writer.write(orjson.dumps(message) + b"\n")

    def _handle(self, message: Any) -> None:
        match message:
            case {"ask": name, "id": number, "given": given}:
                answering = asyncio.create_task(self._answer(name, number, given))
                self._answering.add(answering)  # the event loop itself keeps only a weak reference to a task
                answering.add_done_callback(self._answering.discard)
            case {"tell": name, "given": given} if name in self._notices:
                self._notices[name](given)
            case {"id": number}:
                waiting = self._waiting.get(number)
                if waiting is None or waiting.done():
                    return  # the answer comes too late
                if "answer" in message:
                    waiting.set_result(message["answer"])
                else:
                    waiting.set_exception(AnswerFailed("the other process could not answer"))
            case _:
                log.warning("an unknown message came over a control channel")

    async def _answer(self, name: str, number: int, given: Any) -> None:
        try:
            self._send({"id": number, "answer": await self._answers[name](given)})
        except Exception as failure:
            if not isinstance(failure, Unanswered):
                log.exception("a request over a control channel failed", extra={"request": name})
            self._send({"id": number, "failed": True})
