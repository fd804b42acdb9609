"""A text output that tests can wait for."""

from __future__ import annotations

import asyncio
import io


class RecordingOutput(io.StringIO):
    """Keeps the text written to it. `has_lines` waits until there are enough lines."""

    def __init__(self) -> None:
        super().__init__()
        self.written = asyncio.Event()

    def write(self, text: str) -> int:
        self.written.set()
        return super().write(text)

    @property
    def lines(self) -> list[str]:
        return self.getvalue().splitlines()

    async def has_lines(self, count: int) -> None:
        while len(self.lines) < count:
            self.written.clear()
            await self.written.wait()
