"""`relay tail` in the background of a test."""

from __future__ import annotations

import asyncio
import functools
from datetime import UTC, datetime
from typing import Any

from relay.cli.tail import TYPE_WIDTH, Selection, run
from relay.client import Client
from support.fake_relay import FakeTime
from support.recording_output import RecordingOutput

NOON = datetime(2026, 5, 1, 12, 0, 0, 250_000, tzinfo=UTC)


class Tail:
    """A tail that runs in the background, with its two outputs and a clock of its own."""

    def __init__(self, url: str, **options: Any) -> None:
        self.out, self.err, self.time = RecordingOutput(), RecordingOutput(), FakeTime()
        connect = functools.partial(Client, clock=self.time.clock, sleep=self.time.sleep, random=lambda: 0.0)
        self.ending = asyncio.ensure_future(
            run(
                url,
                options.pop("token", "t0ken"),
                Selection(**options),
                out=self.out,
                err=self.err,
                connect=connect,
                sleep=self.time.sleep,
                now=lambda: NOON,
            )
        )

    def columns(self) -> list[tuple[str, str]]:
        """Return the type and the text of each line."""
        return [(line[24 : 24 + TYPE_WIDTH].strip(), line[52 + TYPE_WIDTH :]) for line in self.out.lines]
