"""`relay demo --once` on a machine that is slow where it matters."""

from __future__ import annotations

import subprocess
import sys

from support.relay_fixture import environment

# The demo, whose listener connects after a second: the writer of its task takes a quarter of that.
LATE = """
import asyncio
from relay.__main__ import main
from relay.client import Client

async def late(self, enter=Client.__aenter__):
    await asyncio.sleep(1)
    return await enter(self)

Client.__aenter__ = late
main()
"""


def test_the_demo_shows_the_whole_life_of_its_task_however_late_it_listens(temporary: dict[str, str]) -> None:
    """When the task was in the list that its listener was sent first, the demo waited for a minute and failed."""
    demo = [sys.executable, "-c", LATE, "demo", "--once"]

    ended = subprocess.run(demo, env=environment(**temporary), capture_output=True, text=True)

    assert ended.returncode == 0, ended.stderr
    for kind in ("created", "analyzing", "dispatched", "pr_opened", "pr_merged"):
        assert f"  task:{kind} " in ended.stdout
