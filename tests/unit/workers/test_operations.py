"""What the parent of several workers adds to their metrics."""

from __future__ import annotations

import sys

import pytest

from relay.cli.output import StandardError
from relay.workers.child import Child
from relay.workers.operations import AllWorkers
from relay.workers.ports import Listeners
from relay.workers.slot import Slot


async def not_started(slot: Slot, descriptors: list[int]) -> Child:
    raise OSError


async def test_lines_that_the_parent_has_dropped_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", stream := StandardError(None))
    operations = AllWorkers()
    tailer = Slot("tailer", Listeners([]), not_started, drain_s=0, on_restart=operations.restarts)
    operations.answer_for([], tailer)
    for dropped in (0, 3):
        stream.dropped = dropped
        assert f"relay_log_lines_dropped_total {dropped}.0\n" in (await operations.metrics()).decode()
