"""Polls of clients that apply list updates: they are sent what changed, and no list is read for them."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from support.polling_client import Poller, post
from support.relay_fixture import running
from support.relay_metrics import metric

from relay.app import Relay

UPDATE = "dashboard:task_list_updated"


def poller(sub: str = "alice", **asked: Any) -> Poller:
    return Poller(sub, dashboard={"updates": True, **asked})


async def reads(relay: Relay) -> float:
    return await metric(relay, "relay_state_reads_total")


async def write(call: Any, *args: Any) -> None:
    await asyncio.to_thread(call, *args)


async def test_a_client_is_sent_the_list_once_and_then_what_changes_in_it(tasks: Any, with_: Any) -> None:
    tasks.insert_many([{"_id": f"{n}", "createdBy": "alice", "status": "new"} for n in range(20)])
    async with running(with_()) as relay:
        alice = poller()
        assert (await alice.poll(relay)).types == ["dashboard:state"]
        before = await reads(relay)
        for number in range(5):
            polling = asyncio.create_task(alice.poll(relay))
            await write(tasks.update_one, {"_id": f"{number}"}, {"$set": {"status": "merged"}})
            assert (await polling).types == [UPDATE]
            assert alice.listed[f"{number}"]["status"] == "merged"
        await write(tasks.delete_one, {"_id": "0"})
        await write(tasks.insert_one, {"_id": "another", "createdBy": "alice"})
        while "another" not in alice.listed:
            assert set((await alice.poll(relay)).types) == {UPDATE}
        assert len(alice.listed) == 20
        assert await reads(relay) == before


async def test_one_answer_has_the_newest_update_of_each_task(tasks: Any, with_: Any) -> None:
    tasks.insert_many([{"_id": one, "createdBy": "alice", "events": []} for one in "ab"])
    async with running(with_()) as relay:
        alice = poller()
        await alice.poll(relay)
        for number in range(30):
            await write(tasks.update_one, {"_id": "ab"[number % 2]}, {"$push": {"events": number}})
        while sum(one["eventCount"] for one in alice.listed.values()) < 30:
            messages = (await alice.poll(relay)).body["messages"]
            told = [message["data"]["taskId"] for message in messages]
            assert len(told) == len(set(told))


async def test_a_task_that_is_no_longer_visible_is_revoked_and_nothing_more_is_said_of_it(
    tasks: Any, with_: Any
) -> None:
    tasks.insert_many([{"_id": "t", "createdBy": "alice"}, {"_id": "mine", "createdBy": "alice"}])
    async with running(with_()) as relay:
        alice = poller()
        await alice.poll(relay)
        await write(tasks.update_one, {"_id": "t"}, {"$set": {"createdBy": "bob"}})
        (revoked,) = (await alice.poll(relay)).body["messages"]
        assert revoked["data"] == {"change": "revoked", "taskId": "t"}
        await write(tasks.update_one, {"_id": "t"}, {"$set": {"title": "a secret"}})
        await write(tasks.update_one, {"_id": "mine"}, {"$set": {"title": "Mine"}})
        (update,) = (await alice.poll(relay)).body["messages"]
        assert update["data"]["taskId"] == "mine"


async def test_a_poll_without_news_renews_the_position(tasks: Any, with_: Any) -> None:
    tasks.insert_many([{"_id": "t", "createdBy": "alice"}, {"_id": "u", "createdBy": "bob"}])
    async with running(with_(relay_poll_wait_ms=100)) as relay:
        alice = poller()
        await alice.poll(relay)
        before = await reads(relay)
        for number in range(3):
            etag = alice.dashboard["etag"]  # type: ignore[index]
            await write(tasks.update_one, {"_id": "u"}, {"$set": {"n": number}})
            moment = alice.moment
            while alice.moment == moment:
                assert (await alice.poll(relay)).types == []
            assert alice.dashboard["etag"] != etag  # type: ignore[index]
        assert await reads(relay) == before


async def test_other_rights_another_length_and_another_instance_get_the_whole_list(
    tasks: Any, with_: Any
) -> None:
    tasks.insert_many([{"_id": "t", "createdBy": "alice"}, {"_id": "u", "teamId": "red"}])
    async with running(with_()) as relay:
        alice = poller()
        await alice.poll(relay)
        await write(tasks.update_one, {"_id": "t"}, {"$set": {"title": "Changed"}})
        await alice.poll(relay)
        body = alice.body()
        for changed, claims in (({}, {"teams": ["red"]}), ({"limit": 1}, {})):
            asked = body | {"dashboard": body["dashboard"] | changed}
            answer = await post(relay, asked, sub="alice", **claims)
            assert answer.types == ["dashboard:state"]
    tasks.update_one({"_id": "t"}, {"$set": {"title": "Changed again"}})
    async with running(with_()) as relay:  # it knows nothing of what was before
        assert (await alice.poll(relay)).types == ["dashboard:state"]
        assert alice.listed["t"]["title"] == "Changed again"


async def test_an_etag_of_the_whole_list_spares_the_list_if_it_is_the_same(tasks: Any, with_: Any) -> None:
    tasks.insert_one({"_id": "t", "createdBy": "alice"})
    async with running(with_(relay_poll_wait_ms=100)) as relay:
        plain = Poller("alice", dashboard={})
        await plain.poll(relay)
        alice = poller(etag=plain.dashboard["etag"])  # type: ignore[index]
        assert (await alice.poll(relay)).types == []
        await write(tasks.update_one, {"_id": "t"}, {"$set": {"title": "Changed"}})
        while not (types := (await alice.poll(relay)).types):
            pass
        assert types == [UPDATE]
    async with running(with_(relay_poll_wait_ms=100)) as relay:
        again = Poller("alice", dashboard={"updates": True})
        await again.poll(relay)
    async with running(with_(relay_poll_wait_ms=100)) as relay:
        assert (await again.poll(relay)).types == []


async def test_a_list_is_read_again_after_the_relay_lost_its_position(
    tasks: Any, with_: Any, monkeypatch: Any
) -> None:
    tasks.insert_one({"_id": "t", "createdBy": "alice"})
    async with running(with_()) as relay:
        alice = poller()
        await alice.poll(relay)
        polling = asyncio.create_task(alice.poll(relay))
        while not await metric(relay, "relay_polls"):
            pass
        await write(tasks.rename, f"{tasks.name}_away")
        await write(tasks.database[f"{tasks.name}_away"].drop)
        assert (await polling).types == ["dashboard:state"]
        assert alice.listed == {}


async def test_lists_that_are_polled_from_two_instances_end_up_as_the_documents(
    tasks: Any, with_: Any
) -> None:
    chance = random.Random(7)
    async with running(with_()) as one, running(with_()) as other:
        pollers = [poller("alice"), poller("bob"), poller("bob")]
        end = asyncio.Event()

        async def follow(client: Poller) -> None:
            while not end.is_set() or client.listed != await whole(client):
                await client.poll(chance.choice((one, other)))

        async def whole(client: Poller) -> dict[str, Any]:
            fresh = Poller(client.sub, dashboard={})
            await fresh.poll(one)
            return fresh.listed

        following = [asyncio.create_task(follow(client)) for client in pollers]
        for number in range(150):
            task, owner = f"{chance.randrange(12)}", chance.choice(("alice", "bob", "carol"))
            match chance.randrange(4):
                case 0:
                    await write(tasks.delete_one, {"_id": task})
                case _:
                    fields = {"createdBy": owner, "title": f"{number}"}
                    await asyncio.to_thread(tasks.update_one, {"_id": task}, {"$set": fields}, upsert=True)
        for client in pollers:
            await write(tasks.insert_one, {"createdBy": client.sub})  # ends a wait
        end.set()
        while not all(one.done() for one in following):
            await write(tasks.insert_one, {"createdBy": chance.choice(("alice", "bob"))})
            await asyncio.wait(following, timeout=0.5)
        await asyncio.gather(*following)
