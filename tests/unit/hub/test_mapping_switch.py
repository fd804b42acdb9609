"""A switch of the mapping while reads are in flight: what they bring is not sent, and who waited is read for again."""

from __future__ import annotations

import asyncio
from typing import Any

from support.hub_in_memory import AUDIENCE, HubFixture, Receiver, running_hub, settled, until
from support.mongo_model import Group

from relay.hub.listener import Listener
from relay.hub.mapping_switch import NewMapping, Rights
from relay.tasks.mapping import Fields, Mapping
from relay.tasks.translate import Translator

NEW = Translator(Mapping(fields=Fields(title=("status",))), AUDIENCE.keys_of, max_text=100)
SHOWN = "by the new mapping"
CREATED: Group = [("insert", "t0", [], SHOWN)]  # by alice


async def switch(fixture: HubFixture, *listeners: Listener) -> None:
    new = NewMapping(fixture, NEW, shows_the_same=False)
    switching = fixture.hub.mapping_switch(new)
    await switching.read(fixture.hub.position)
    rights = {one: Rights(one.keys, one.filter, changed=False) for one in listeners}
    fixture.hub.switch_mapping(switching, new, rights)


def titles(receiver: Receiver) -> list[Any]:
    tasks = [state["task"] for state in receiver.of("task:state")]
    tasks += [task for state in receiver.of("dashboard:state") for task in state["tasks"]]
    return [task.get("title") for task in tasks]


async def test_a_read_that_began_before_is_not_sent() -> None:
    async with running_hub(CREATED) as fixture:
        fixture.write()
        receiver = Receiver()
        listener = fixture.listener(receiver=receiver)
        # Given reads of a task and of the list that have begun,
        fixture.gates += [task_gate := asyncio.Event(), list_gate := asyncio.Event()]
        fixture.hub.join_task(listener, "t0", None, None, "1", caught_up=True)
        fixture.hub.join_list(listener, 10, "2", caught_up=True)
        await settled()
        assert not fixture.gates
        # when the mapping is switched before they end, and somebody else asks for the same right after,
        await switch(fixture, listener)
        other = Receiver()
        fixture.hub.join_task(fixture.listener(receiver=other), "t0", None, None, None, caught_up=True)
        task_gate.set()
        list_gate.set()
        # then each is sent once what the new mapping makes of the documents.
        await until(lambda: len(titles(receiver)) > 1 and len(titles(other)) > 0)
        await settled()
        assert (titles(receiver), titles(other)) == ([SHOWN, SHOWN], [SHOWN])


async def test_a_listener_without_rights_by_the_new_mapping_loses_what_it_has_open() -> None:
    async with running_hub(CREATED) as fixture:
        fixture.write()
        receiver = Receiver()
        listener = fixture.listener(receiver=receiver)
        fixture.hub.join_task(listener, "t0", None, None, None, caught_up=True)
        fixture.hub.join_list(listener, 10, None, caught_up=True)
        await until(lambda: len(titles(receiver)) == 2)
        # When nothing is known of its rights,
        await switch(fixture)
        # then it is told before anything else is sent.
        assert receiver.types()[-1] == "task:revoked"
        await until(lambda: receiver.types()[-1] == "dashboard:state")
        assert receiver.of("dashboard:state")[-1]["tasks"] == []
