"""Lists of a sharded cluster, in which a read may see a transaction before the cluster time of its changes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from bson import Timestamp
from support.hub_in_memory import HubFixture, Receiver, settled, until
from support.mongo_model import Group

CREATED: Group = [("insert", task, [], "new") for task in ("t0", "t1")]  # by alice


class EarlyReads(HubFixture):
    """A hub whose database lets every read see what was written last, although it has a later cluster time."""

    is_routed = True

    def _matching(self, position: Timestamp, *query: Any) -> list[dict[str, Any]]:
        return super()._matching(self.model.batches[-1].position, *query)


def shown(receiver: Receiver) -> dict[str, Any]:
    """Return the status of each task of the one list that this client was sent."""
    (state,) = receiver.of("dashboard:state")
    return {task["taskId"]: task["status"] for task in state["tasks"]}


@pytest.mark.parametrize("known", [False, True])
async def test_who_loses_a_task_between_the_two_reads_of_a_list_is_not_shown_it(known: bool) -> None:
    fixture = EarlyReads()
    async with fixture.hub:
        fixture.write(CREATED)
        if known:  # Given that somebody else's list has shown the task,
            fixture.hub.join_list(fixture.listener("root", roles=["admin"]), 100, None, caught_up=True)
            await settled()
        receiver = Receiver()
        fixture.gates += [opened := asyncio.Event(), gate := asyncio.Event()]
        opened.set()
        fixture.hub.join_list(fixture.listener("alice", receiver), 100, None, caught_up=True)
        await settled()  # and that the keys of a list were read, but not the documents,
        # when a transaction that is not published yet gives the task and its new content to bob,
        steps = fixture.steps_of([("fields", "t0", "secret", "bob")])
        gate.set()
        await until(lambda: bool(receiver.messages))
        # then alice is shown neither, and once it is published, is told that the task is gone.
        assert shown(receiver) == {"t1": "new"}
        fixture.hub.publish(steps, fixture.model.batches[-1].position)
        assert receiver.of("dashboard:task_list_updated")[-1]["change"] == "revoked"


async def test_who_gains_a_task_is_not_shown_its_content_of_before() -> None:
    fixture = EarlyReads()
    async with fixture.hub:
        # Given a list of alice with a secret task,
        fixture.write([*CREATED, ("fields", "t0", "secret", "alice")])
        fixture.hub.join_list(fixture.listener("alice"), 100, None, caught_up=True)
        await settled()
        # when a transaction that is not published yet removes the secret, and gives the task to bob,
        steps = fixture.steps_of([("fields", "t0", "public", "bob")])
        receiver = Receiver()
        fixture.hub.join_list(fixture.listener("bob", receiver), 100, None, caught_up=True)
        await until(lambda: bool(receiver.messages))
        # then bob's list has what the task has become, and never had the secret.
        assert shown(receiver) == {"t0": "public"}
        fixture.hub.publish(steps, fixture.model.batches[-1].position)
