"""The client under test: a program, or in tests of the kit anything else that yields lines. Does I/O.

What a client prints is documented in docs/guides/other-languages.md: one JSON object a line, with `events` and `tasks`.
Lines that are no JSON object are ignored, so a client may log.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

LINE_BYTES = 2**20
END_WITHIN_S = 2.0  # after SIGTERM; then the program is killed
LOG_SHOWN_BYTES = 4000  # of standard error


@dataclass(frozen=True, slots=True)
class Address:
    """What a client is told: the relay's address, where to get a token, and the task to join beside the list."""

    url: str  # http
    token_url: str
    task: str
    scenario: str

    @property
    def websocket_url(self) -> str:
        return f"ws{self.url.removeprefix('http')}/ws"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "RELAY_URL": self.url,
            "RELAY_WS_URL": self.websocket_url,
            "RELAY_TOKEN_URL": self.token_url,
            "RELAY_TASK": self.task,
            "RELAY_SCENARIO": self.scenario,
        }


class Client(Protocol):
    """A running client."""

    def lines(self) -> AsyncIterator[str]:
        """Yield what it prints, until it ends."""

    async def stop(self) -> None:
        """End it."""

    def log(self) -> str:
        """Return the end of what it printed for people."""


Launch = Callable[[Address], Awaitable[Client]]


def program(command: Sequence[str]) -> Launch:
    """Return a launcher of this command, in which `{url}`, `{ws_url}`, `{token_url}` and `{task}` are replaced."""

    async def launch(address: Address) -> Client:
        words = [
            word.replace("{url}", address.url)
            .replace("{ws_url}", address.websocket_url)
            .replace("{token_url}", address.token_url)
            .replace("{task}", address.task)
            for word in command
        ]
        log = tempfile.TemporaryFile()  # noqa: SIM115 - `_Program.stop` closes it
        try:
            process = await asyncio.create_subprocess_exec(
                *words,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=os.environ | address.environment,
                limit=LINE_BYTES,
                start_new_session=True,  # so that what it starts ends with it
            )
        except OSError:
            log.close()
            raise
        return _Program(process, log)

    return launch


class _Program:
    def __init__(self, process: asyncio.subprocess.Process, log: Any) -> None:
        self._process, self._log, self._said = process, log, ""

    async def lines(self) -> AsyncIterator[str]:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            yield line.decode("utf-8", "replace")

    async def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._signal(signal.SIGTERM)
        with suppress(TimeoutError):
            async with asyncio.timeout(END_WITHIN_S):
                await self._process.wait()
        self._signal(signal.SIGKILL)
        await self._process.wait()
        size = self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, size - LOG_SHOWN_BYTES))
        self._said = self._log.read().decode("utf-8", "replace")
        self._log.close()

    def log(self) -> str:
        return self._said

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)


def shown(line: str) -> dict[str, Any]:
    """Return what a line says that the client shows; nothing for a line that is no JSON object."""
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
