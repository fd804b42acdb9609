"""What `Client.debug` says of a connection, and what it never says."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from support.fake_relay import FakeRelay, FakeTime, close, event, refuse

from relay.client import Client, Connected, ConnectionRefused, Disconnected

CLAIMS = base64.urlsafe_b64encode(b'{"sub":"alice","iat":1000,"exp":2000}').decode().rstrip("=")
TOKEN = f"x.{CLAIMS}.x"
SECRET = "what nobody else may read"


def client_of(relay: FakeRelay, time: FakeTime, token: Any = TOKEN) -> Client:
    return Client(
        relay.url, token, clock=time.clock, sleep=time.sleep, random=lambda: 0.0, wall=lambda: time.now
    )


async def iterate(client: Client, wanted: str | type) -> Any:
    async for item in client:
        if wanted in (type(item), getattr(item, "type", None)):
            return item
    raise AssertionError(f"the client ended before {wanted}")


async def test_it_says_how_the_connection_is_and_what_is_joined_and_nothing_that_is_secret() -> None:
    async with FakeRelay({"t1": [event(SECRET)]}) as relay, client_of(relay, time := FakeTime()) as client:
        assert (client.debug()["state"], client.debug()["token"]) == ("connecting", None)
        board, task = client.join_dashboard(), client.join_task("t1")
        while not board.state == task.state == "ready":
            await anext(client)
        report = client.debug()
        assert (report["state"], report["why"], report["transport"]) == ("live", None, "websocket")
        assert report["token"] == {"length": len(TOKEN), "issued_at": 1000, "expires_at": 2000}
        assert task.position is not None
        position = {"since": 1, "head": task.position.head}
        assert report["rooms"] == [
            {"room": None, "state": "ready", "held": 1},
            {"room": "t1", "state": "ready", "held": 1} | position,
        ]
        rooms = {message["type"]: message.get("room", "none") for message in report["messages"]}
        assert rooms == {"welcome": "none", "dashboard:state": None, "task:state": "t1"}
        assert all(message["size"] > 10 and message["at"] == time.now for message in report["messages"])
        text = json.dumps(report)
        assert not [secret for secret in (TOKEN, CLAIMS, SECRET) if secret in text]
        # Payloads are there from the first call on that asks for them.
        assert SECRET not in json.dumps(client.debug(payloads=True))
        client.join_task("t1")
        await iterate(client, "task:state")
        assert SECRET in json.dumps(client.debug(payloads=True))
        assert SECRET not in json.dumps(client.debug())


async def test_it_says_why_connections_ended_and_keeps_the_last_fifty() -> None:
    faults = [close(4430, "at_capacity") for _ in range(60)]
    async with FakeRelay({}, *faults, refuse(404)) as relay, client_of(relay, FakeTime()) as client:
        await iterate(client, Disconnected)
        report = client.debug()
        assert {"state": "offline", "reason": "at_capacity", "code": 4430}.items() <= report["statuses"][
            2
        ].items()
        with pytest.raises(ConnectionRefused):
            await iterate(client, "nothing")
        report = client.debug()
        assert (report["state"], report["why"], report["code"]) == ("refused", "not_found", 404)
        assert (len(report["statuses"]), len(report["messages"]), report["received"]) == (50, 50, 60)
        assert report["reconnects"] == 59


async def test_a_token_that_cannot_be_read_has_a_length_only() -> None:
    for token in ("opaque", "a.b.c", "a.bnVsbA.c"):
        async with FakeRelay() as relay, client_of(relay, FakeTime(), token) as client:
            await iterate(client, Connected)
            assert client.debug()["token"] == {"length": len(token)}
