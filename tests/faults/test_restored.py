"""A database restored from a backup: data that the backup does not contain disappears from all clients."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from checker import LONG_S, figure, no_traceback
from restorable import Restorable
from support.reference_client import ReferenceClient
from support.relay_fixture import SocketClient, connected, running, settings_for

pytestmark = pytest.mark.timeout(3 * LONG_S)  # the steps have limits of their own


@pytest.fixture
def restorable(tmp_path: Path) -> Iterator[Restorable]:
    server = Restorable(tmp_path)
    yield server
    server.stop()


def mine(task_id: str, *events: int) -> dict[str, Any]:
    return {"_id": task_id, "title": "t", "createdBy": "alice", "events": [{"n": n} for n in events]}


async def shown(client: SocketClient, member: ReferenceClient, tasks: set[str], events: list[Any]) -> None:
    """Receive messages until the list shows these tasks and the timeline of "kept" these events."""

    def as_wanted() -> bool:
        timeline = [event["data"]["n"] for event in member.timelines.get("kept", ())]
        return member.dashboard is not None and (set(member.dashboard), timeline) == (tasks, events)

    while not as_wanted():
        member.apply(await client.next())


@pytest.mark.parametrize("written_before", [True, False], ids=["a change before", "no change before"])
async def test_data_missing_in_a_restored_backup_disappears_without_another_write(
    restorable: Restorable, written_before: bool, caplog: Any
) -> None:
    member = ReferenceClient("alice")
    member.dashboard = {}
    with restorable.tasks() as tasks:
        tasks.insert_one(mine("kept", 0))
    async with (
        running(settings_for(restorable.url, "app")) as relay,
        connected(relay, "/ws/dashboard") as client,
    ):
        await client.send("task:join", {"taskId": "kept"})
        await shown(client, member, {"kept"}, [0])
        if written_before:
            with restorable.tasks() as tasks:
                tasks.update_one({"_id": "kept"}, {"$push": {"events": {"n": 1}}})
        before = [0, 1] if written_before else [0]
        await shown(client, member, {"kept"}, before)
        await asyncio.to_thread(restorable.copy)
        with restorable.tasks() as tasks:
            tasks.update_one({"_id": "kept"}, {"$push": {"events": {"n": "phantom"}}})
            tasks.insert_one(mine("phantom"))
        await shown(client, member, {"kept", "phantom"}, [*before, "phantom"])

        await asyncio.to_thread(restorable.restore)

        await shown(client, member, {"kept"}, before)
    no_traceback(caplog)


async def test_a_restart_of_the_database_resyncs_no_client(restorable: Restorable) -> None:
    with restorable.tasks() as tasks:
        tasks.insert_one(mine("t", 0))
    async with (
        running(settings_for(restorable.url, "app")) as relay,
        connected(relay, "/ws/tasks/t") as client,
    ):
        await client.until("task:state")
        for number in range(1, 3):
            with restorable.tasks() as tasks:
                tasks.update_one({"_id": "t"}, {"$push": {"events": {"n": number}}})
            assert (await client.until("task:event_added"))["data"]["index"] == number
            await asyncio.to_thread(restorable.restart)
        assert await figure(relay, "relay_stream_reopened_total") == 0
        with restorable.tasks() as tasks:
            tasks.update_one({"_id": "t"}, {"$push": {"events": {"n": 3}}})
        await client.until("task:event_added", index=3)
    assert not [frame for frame in client.frames[2:] if frame["type"] == "task:state"]
