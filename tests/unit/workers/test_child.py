"""The start of a child of the parent."""

from __future__ import annotations

import asyncio
import subprocess
from typing import Any

import pytest

from relay.workers import child
from relay.workers.channel import Channel
from relay.workers.child import Child


async def test_a_start_that_is_cancelled_leaves_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a child whose process runs, but whose channel is not there yet,
    process = subprocess.Popen(["sleep", "600"])
    connecting = asyncio.Event()

    async def never(*_: Any, **__: Any) -> None:
        connecting.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(child, "_spawn", lambda *_: process)
    monkeypatch.setattr(Channel, "over", never)
    starting = asyncio.create_task(Child.start("relay.workers.worker", (), {}))
    await connecting.wait()
    # when the start is cancelled,
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    # then the process has ended, and has been waited for.
    try:
        assert process.returncode is not None
    finally:
        process.kill()
        process.wait()
