"""An output that can be waited for."""

from __future__ import annotations

import asyncio
import io


class Tape(io.StringIO):
    """Keeps what is written; `has_lines` returns when there is so much."""

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
