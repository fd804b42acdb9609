"""A user who is disconnected leaves no reference cycle, which only Python's garbage collector could free."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest
from support.polling_client import Answer, post
from support.relay_fixture import SOON_S, connected, running
from websockets.exceptions import ConnectionClosed

from relay.gateway.polling.poll import Poll
from relay.gateway.polling.waiting import WaitingPoll
from relay.gateway.session import Session
from relay.gateway.websocket.connection import Connection

KINDS = (Poll, WaitingPoll, Session, Connection)


def alive() -> set[str]:
    """The types of KINDS that have objects."""
    return {type(one).__name__ for one in gc.get_objects() if isinstance(one, KINDS)}


async def waiting(url: str) -> asyncio.Task[Answer]:
    first = await post(url, {"dashboard": {"limit": 5}})
    held = {"limit": 5, "etag": first.body["dashboard"]["etag"]}
    return asyncio.create_task(post(url, {"moment": first.body["moment"], "dashboard": held}))


async def test_nothing_is_left_of_a_user_who_was_disconnected(with_: Any) -> None:
    async with running(with_()) as relay:
        administration = relay.administration
        assert administration is not None
        gc.collect()
        gc.disable()
        try:
            async with connected(relay, "/ws/dashboard") as client:
                polls = [await waiting(relay.url) for _ in range(5)]
                async with asyncio.timeout(SOON_S):
                    while (await administration.connections("alice", 10))["total"] < 6:
                        await asyncio.sleep(0.01)
                assert await administration.disconnect("alice") == {"disconnected": 6}
                assert {(await poll).status for poll in polls} == {403}
                with pytest.raises(ConnectionClosed):
                    await client.until("never")
            async with asyncio.timeout(SOON_S):
                while alive():
                    await asyncio.sleep(0.01)
        finally:
            gc.enable()
