"""The Python client against a scripted relay, over real sockets and with a fake clock."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fake_relay import NO_FAULT, FakeRelay, FakeTime, close, drop, event, refuse, silence

from relay.client import (
    Client,
    Connected,
    ConnectionRefused,
    Disconnected,
    Item,
    Message,
    Timeline,
    judge,
    websocket_url,
)
from relay.client import client as client_module
from relay.client import reconnector as reconnector_module
from relay.client.close_codes import BACKOFF_CAP_S, jitter
from relay.client.events import decode
from relay.client.pace import Pace
from relay.errors import Refused


def client_of(relay: FakeRelay, time: FakeTime, token: Any = "t0ken", random: float = 0.5) -> Client:
    return Client(relay.url, token, clock=time.clock, sleep=time.sleep, random=lambda: random)


async def until(client: Client, wanted: str | type[Item]) -> Any:
    """Iterate up to the next item of this class or message of this type, and return it."""
    async for item in client:
        if wanted in (type(item), getattr(item, "type", None)):
            return item
    raise AssertionError(f"the client ended before {wanted}")


def timeline_after(items: list[Message]) -> list[Any]:
    """Return the events that these messages add up to (PROTOCOL.md 6). Fails on a gap or a repeated event."""
    events: list[Any] = []
    for item in items:
        if item.type == "task:state":
            events[item.data["from"] :] = item.data["events"]
        elif item.type == "task:event_added":
            assert item.data["index"] == len(events)
            events.append(item.data["event"])
    return events


# Joining


async def test_a_joined_dashboard_answers_with_its_state() -> None:
    async with FakeRelay({"t1": []}) as relay, client_of(relay, FakeTime()) as client:
        client.join_dashboard(limit=7)
        assert await anext(client) == Connected(1)
        assert (await until(client, "dashboard:state")).data["tasks"][0]["taskId"] == "t1"
        assert (await relay.has_received("dashboard:join"))[0]["data"] == {"limit": 7}


async def test_the_token_goes_into_the_authorization_header() -> None:
    async with FakeRelay() as relay, client_of(relay, FakeTime()) as client:
        await until(client, Connected)
        assert relay.tokens == ["Bearer t0ken"]


async def test_a_message_keeps_its_time_its_request_id_and_its_json() -> None:
    raw = '{"type":"pong", "data":{"n":1}, "at":"2026-05-01T12:00:00.000Z", "replyTo":"r1", "new":true}'
    message = decode(raw)
    assert message == Message("pong", {"n": 1}, "2026-05-01T12:00:00.000Z", "r1")
    assert message.raw == raw


async def test_a_task_joined_from_a_stored_position_receives_only_later_events() -> None:
    async with FakeRelay({"t1": [event("a"), event("b")]}) as relay, client_of(relay, FakeTime()) as client:
        client.join_task("t1")
        held = (await until(client, "task:state")).data
        client.join_task("t1", since=held["next"], head=held["head"])
        assert (await until(client, "task:state")).data["events"] == []


async def test_tasks_and_the_list_may_be_joined_and_left_while_connected() -> None:
    async with FakeRelay({"t1": []}) as relay, client_of(relay, FakeTime()) as client:
        await until(client, Connected)
        client.join_task("t1")
        client.join_dashboard()
        await until(client, "dashboard:state")
        client.leave_task("t1")
        client.leave_dashboard()
        await until(client, "dashboard:left")
        assert (await relay.has_received("task:leave"))[0]["data"] == {"taskId": "t1"}


async def test_a_task_joined_again_is_asked_for_from_the_start() -> None:
    async with FakeRelay({"t1": [event("a")]}) as relay, client_of(relay, FakeTime()) as client:
        client.join_task("t1")
        await until(client, "task:state")
        client.join_task("t1")
        assert (await until(client, "task:state")).data["reset"] is True


async def test_many_tasks_are_joined_in_frames_of_a_hundred() -> None:
    async with FakeRelay() as relay, client_of(relay, FakeTime()) as client:
        for number in range(150):
            client.join_task(f"t{number}")
        joins = await relay.has_received("task:join", 2)
        assert [len(join["data"]["tasks"]) for join in joins] == [100, 50]


async def test_no_request_is_larger_than_the_relay_allows() -> None:
    async with FakeRelay(request_bytes=1024) as relay, client_of(relay, FakeTime()) as client:
        for number in range(10):
            client.join_task(f"{number}" * 200)
        joins = await relay.has_received("task:join", 3)
        assert [len(join["data"]["tasks"]) for join in joins] == [4, 4, 2]


def test_an_incomplete_position_and_an_invalid_task_id_raise_value_error_at_once() -> None:
    client = Client("http://relay", "t0ken")
    for since in (-1, 2**70):
        with pytest.raises(ValueError, match="since must be a number of events"):
            client.join_task("t1", since, "v1:0")
    for arguments in [{"since": 3}, {"head": "v1:0"}]:
        with pytest.raises(ValueError, match="since counts only together with head"):
            client.join_task("t1", **arguments)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"."):
        client.join_task("\ud800")


# Reconnecting


async def test_after_a_drop_a_task_resumes_from_the_last_position() -> None:
    relay = FakeRelay({"t1": [event("a")]}, drop(after=3))
    async with relay, client_of(relay, FakeTime(), random=0) as client:
        client.join_task("t1")
        await until(client, "task:state")
        await relay.append("t1", event("b"))
        live = (await until(client, "task:event_added")).data
        again = (await relay.has_received("task:join", 2))[1]["data"]["tasks"]
        assert again == [{"taskId": "t1", "since": 2, "head": live["head"]}]


@pytest.mark.parametrize("after", range(1, 8))
async def test_no_event_is_lost_or_repeated_wherever_the_connection_drops(after: int) -> None:
    stored = [event(str(number)) for number in range(9)]
    relay = FakeRelay({"t1": list(stored)}, drop(after), drop(after), page=2)
    seen: list[Message] = []
    async with relay, client_of(relay, FakeTime(), random=0) as client:
        client.join_task("t1")
        while timeline_after(seen) != stored:
            item = await anext(client)
            seen += [item] if isinstance(item, Message) else []
    pages = [item.data["events"] for item in seen if item.type == "task:state"]
    assert [each for page in pages for each in page] == stored


async def test_a_message_of_an_older_subscription_does_not_move_the_position_of_a_new_join() -> None:
    async with FakeRelay({"t1": []}) as relay, client_of(relay, FakeTime(), random=0) as client:
        client.join_task("t1")
        await until(client, "task:state")
        relay.ignore_next("task:join")
        client.join_task("t1")
        await relay.has_received("task:join", 2)
        await relay.append("t1", event("a"))
        await until(client, "task:event_added")
        relay.peers[0].ws.transport.abort()
        assert (await relay.has_received("task:join", 3))[2]["data"]["tasks"] == [{"taskId": "t1"}]


async def test_an_array_rewritten_while_disconnected_is_received_whole() -> None:
    time = FakeTime()
    async with FakeRelay({"t1": [event("a")]}, drop(after=2)) as relay, client_of(relay, time) as client:
        client.join_task("t1")
        lost = await until(client, Disconnected)
        relay.tasks["t1"] = [event("other")]
        time.advance(lost.retry_in)
        state = (await until(client, "task:state")).data
        assert (state["reset"], state["events"]) == (True, [event("other")])


async def test_reconnect_delays_grow_to_their_cap_with_full_jitter() -> None:
    time = FakeTime()
    async with FakeRelay({}, *[refuse(503)] * 8) as relay, client_of(relay, time) as client:
        pauses: list[float] = []
        while len(pauses) < 8:
            lost = await until(client, Disconnected)
            pauses.append(lost.retry_in)
            time.advance(lost.retry_in)
        assert pauses == [0.25, 0.5, 1, 2, 4, 8, 10, 10]
        assert await anext(client) == Connected(9)


@pytest.mark.parametrize(("lived_s", "second_pause"), [(9.9, 0.5), (10.0, 0.25)])
async def test_a_connection_of_ten_seconds_resets_the_backoff(lived_s: float, second_pause: float) -> None:
    time = FakeTime()
    async with FakeRelay({}, refuse(503), NO_FAULT) as relay, client_of(relay, time) as client:
        time.advance((await until(client, Disconnected)).retry_in)
        await until(client, "welcome")
        await time.until_someone_sleeps(62.5)
        time.advance(lived_s)
        relay.peers[0].ws.transport.abort()
        assert (await until(client, Disconnected)).retry_in == second_pause


@pytest.mark.parametrize("code", [1001, 1011, 1012, 4408, 4430, 4499])
async def test_the_client_reconnects_after_a_temporary_close_code(code: int) -> None:
    relay = FakeRelay({}, close(code, "word"))
    async with relay, client_of(relay, FakeTime(), random=0) as client:
        assert await until(client, Disconnected) == Disconnected("word", code, 0)
        assert await anext(client) == Connected(1)


@pytest.mark.parametrize("code", [1003, 1007, 1008, 1009, 4500, 4502, 4999])
async def test_a_permanent_close_code_is_raised(code: int) -> None:
    async with FakeRelay({}, close(code, "word")) as relay, client_of(relay, FakeTime()) as client:
        with pytest.raises(ConnectionRefused) as refusal:
            await until(client, Disconnected)
        assert (refusal.value.code, refusal.value.reason) == (code, "word")


async def test_a_refusal_before_the_upgrade_is_raised() -> None:
    async with FakeRelay({}, refuse(403)) as relay, client_of(relay, FakeTime()) as client:
        with pytest.raises(ConnectionRefused) as refusal:
            await anext(client)
        assert refusal.value.code == 403
        assert isinstance(refusal.value, Refused)
        assert len(relay.tokens) == 1


async def test_a_normal_close_ends_the_iteration() -> None:
    async with FakeRelay({}, close(1000, "done")) as relay, client_of(relay, FakeTime()) as client:
        items = [item async for item in client]
        assert items[-1] == Disconnected("done", 1000, None)


async def test_the_client_waits_as_long_as_a_rate_limit_says() -> None:
    async with (
        FakeRelay({}, close(4429, "rate_limited:1500")) as relay,
        client_of(relay, FakeTime()) as client,
    ):
        assert (await until(client, Disconnected)).retry_in == 1.5


async def test_the_client_reconnects_when_a_planned_stop_says() -> None:
    async with FakeRelay() as relay, client_of(relay, FakeTime()) as client:
        await until(client, Connected)
        await relay.send("server:draining", {"reconnectAfterMs": 70})
        await relay.peers[0].ws.close(1001, "draining")
        assert await until(client, Disconnected) == Disconnected("draining", 1001, 0.07)


async def test_a_refused_tcp_connection_is_tried_again_after_a_delay() -> None:
    async with FakeRelay() as relay:
        url = relay.url
    async with Client(url, "t0ken", sleep=FakeTime().sleep, random=lambda: 0.5) as client:
        lost = await until(client, Disconnected)
        assert lost == Disconnected("connection refused", None, 0.25)


@pytest.mark.parametrize("frame", [b"\x00", "no json", "[]", '{"data":{}}'])
async def test_an_undecodable_frame_ends_the_connection(frame: str | bytes) -> None:
    async with FakeRelay() as relay, client_of(relay, FakeTime()) as client:
        await until(client, Connected)
        await relay.send_raw(frame)
        assert (await until(client, Disconnected)).reason == "unreadable frame"


# Silence


async def test_silence_for_two_and_a_half_heartbeats_ends_the_connection() -> None:
    time = FakeTime()
    async with FakeRelay({}, silence(), heartbeat_ms=1000) as relay, client_of(relay, time) as client:
        await until(client, "welcome")
        await time.until_someone_sleeps(2.5)
        time.advance(2.5)
        assert (await anext(client)) == Disconnected("silent", 1006, 0.25)


async def test_a_heartbeat_keeps_the_connection() -> None:
    time = FakeTime()
    async with FakeRelay(heartbeat_ms=1000) as relay, client_of(relay, time) as client:
        await until(client, "welcome")
        await time.until_someone_sleeps(2.5)
        time.advance(2.4)
        await relay.send("heartbeat", {})
        await until(client, "heartbeat")
        time.advance(0.1)
        await time.until_someone_sleeps(2.4)
        assert len(relay.peers) == 1


async def test_a_connection_without_a_welcome_is_aborted() -> None:
    time = FakeTime()
    async with FakeRelay({}, silence(after=0)) as relay, client_of(relay, time) as client:
        await time.until_someone_sleeps(10)
        time.advance(10)
        assert (await anext(client)) == Disconnected("silent", 1006, 0.25)


async def test_a_slow_consumer_does_not_make_the_relay_look_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "QUEUE_MAX_ITEMS", 2)
    time = FakeTime()
    async with FakeRelay(heartbeat_ms=1000) as relay, client_of(relay, time) as client:
        client.join_dashboard()
        reconnector = client._reconnector
        while len(client._queue) < 2 or reconnector.connection is None or reconnector.connection.listening:
            await asyncio.sleep(0)  # run the loop until the client waits for space in its queue
        time.advance(2.5)
        await time.until_someone_sleeps(2.5)
        assert await until(client, "dashboard:state")


# Tokens


def tokens(*values: str) -> Callable[[], str]:
    left = list(values)
    return lambda: left.pop(0) if len(left) > 1 else left[0]


async def test_a_refused_string_token_ends_the_iteration() -> None:
    async with FakeRelay({}, close(4401, "token_expired")) as relay, client_of(relay, FakeTime()) as client:
        with pytest.raises(ConnectionRefused, match="4401 token_expired"):
            await until(client, Disconnected)


async def test_a_refused_token_is_sent_again_after_growing_delays() -> None:
    """An application may get a new secret before the relay. Its token is accepted once the relay has it."""
    time = FakeTime()
    relay = FakeRelay({}, *[close(4401, "unauthenticated", after=0)] * 8)
    async with relay, client_of(relay, time, tokens("same")) as client:
        pauses: list[float] = []
        while len(pauses) < 8:
            lost = await until(client, Disconnected)
            assert (lost.code, lost.reason) == (4401, "unauthenticated")
            pauses.append(lost.retry_in)
            time.advance(lost.retry_in)
        assert pauses == [0.25, 1.5, 3, 6, 12, 22.5, 22.5, 22.5]
        assert await anext(client) == Connected(9)
        assert set(relay.tokens) == {"Bearer same"}


async def test_new_tokens_that_are_all_refused_do_not_flood_the_relay() -> None:
    serial = iter(range(1000))
    time = FakeTime()
    relay = FakeRelay({}, *[close(4401, "token_expired", after=0)] * 6)
    async with relay, client_of(relay, time, lambda: f"token{next(serial)}") as client:
        waited = 0.0
        for _ in range(6):
            lost = await until(client, Disconnected)
            waited += lost.retry_in
            time.advance(lost.retry_in)
        assert waited > 30


@pytest.mark.parametrize("status", [401])
async def test_a_token_refused_before_the_upgrade_is_sent_again(status: int) -> None:
    async with FakeRelay({}, refuse(status)) as relay, client_of(relay, FakeTime(), tokens("same")) as client:
        assert (await until(client, Disconnected)).code == status
    async with FakeRelay({}, refuse(status)) as relay, client_of(relay, FakeTime()) as client:
        with pytest.raises(ConnectionRefused, match=str(status)):
            await anext(client)


async def test_the_callable_is_called_for_a_new_token_after_a_refusal() -> None:
    async def fresh() -> str:
        return next(values)

    values = iter(["old", "new"])
    async with FakeRelay({}, close(4401)) as relay, client_of(relay, FakeTime(), fresh, random=0) as client:
        await until(client, Disconnected)
        await until(client, Connected)
        assert relay.tokens == ["Bearer old", "Bearer new"]


async def test_a_token_about_to_expire_is_replaced_on_the_open_connection() -> None:
    async with FakeRelay() as relay, client_of(relay, FakeTime(), tokens("old", "new")) as client:
        await until(client, "welcome")
        await relay.send("auth:expiring", {"expiresAt": "2026-05-01T12:00:00.000Z"})
        await until(client, "auth:ok")
        assert (await relay.has_received("auth"))[0]["data"] == {"token": "new"}


async def test_a_token_refresh_with_a_temporary_error_is_repeated() -> None:
    time = FakeTime()
    async with FakeRelay() as relay, client_of(relay, time, tokens("old", "new")) as client:
        await until(client, "welcome")
        relay.answer_next("auth", "rate_limited", temporary=True, retryAfterMs=900)
        await relay.send("auth:expiring", {"expiresAt": "2026-05-01T12:00:00.000Z"})
        await time.until_someone_sleeps(0.9)
        time.advance(0.9)
        await until(client, "auth:ok")
        assert [auth["data"]["token"] for auth in await relay.has_received("auth", 2)] == ["new", "new"]


async def test_a_new_token_that_could_not_be_applied_is_used_for_the_next_connection() -> None:
    async with (
        FakeRelay() as relay,
        client_of(relay, FakeTime(), tokens("old", "new"), random=0) as client,
    ):
        await until(client, "welcome")
        relay.answer_next("auth", "internal")
        await relay.send("auth:expiring", {"expiresAt": "2026-05-01T12:00:00.000Z"})
        await until(client, "error")
        await relay.peers[0].ws.close(4401, "token_expired")
        await until(client, Connected)
        assert relay.tokens == ["Bearer old", "Bearer new"]


async def test_the_callable_is_called_again_after_the_relay_refused_its_new_token() -> None:
    time, current = FakeTime(), "old"
    async with FakeRelay() as relay, client_of(relay, time, lambda: current) as client:
        await until(client, "welcome")
        relay.answer_next("auth", "forbidden")
        current = "of-somebody-else"
        await relay.send("auth:expiring", {"expiresAt": "2026-05-01T12:00:00.000Z"})
        await until(client, "error")
        await time.until_someone_sleeps(5)
        time.advance(5)  # the callable returns the same token, which is not sent twice
        await time.until_someone_sleeps(5)
        current = "new"
        time.advance(5)
        await until(client, "auth:ok")
        offered = [auth["data"]["token"] for auth in await relay.has_received("auth", 2)]
        assert offered == ["of-somebody-else", "new"]


async def test_an_expired_token_is_not_sent_again() -> None:
    time, current = FakeTime(), "old"
    async with (
        FakeRelay({}, close(4401, "token_expired")) as relay,
        client_of(relay, time, lambda: current) as client,
    ):
        lost = await until(client, Disconnected)
        for _ in range(3):
            time.advance(lost.retry_in)
            lost = await until(client, Disconnected)
            assert lost.reason == "no token (the same token, which has expired)"
        current = "new"
        time.advance(lost.retry_in)
        await until(client, Connected)
        assert relay.tokens == ["Bearer old", "Bearer new"]


async def test_a_disconnected_string_token_ends_the_iteration() -> None:
    async with FakeRelay({}, close(4403, "disconnected")) as relay, client_of(relay, FakeTime()) as client:
        with pytest.raises(ConnectionRefused, match="4403 disconnected"):
            await until(client, Disconnected)


async def test_a_disconnected_user_comes_back_only_with_another_token() -> None:
    """The token to compare with is the one that the connection had at its end, not the one that opened it."""
    time, current = FakeTime(), "opened"
    async with FakeRelay() as relay, client_of(relay, time, lambda: current) as client:
        # Given a connection that was opened with one token and goes on with another,
        await until(client, "welcome")
        current = "renewed"
        await relay.send("auth:expiring", {"expiresAt": "2026-05-01T12:00:00.000Z"})
        await until(client, "auth:ok")
        # when an operator disconnects its user,
        await relay.peers[0].ws.close(4403, "disconnected")
        lost = await until(client, Disconnected)
        assert (lost.code, lost.reason, lost.retry_in) == (4403, "disconnected", 0.75)
        # then the callable is asked, and its token is not sent while it is the same,
        for _ in range(3):
            time.advance(lost.retry_in)
            lost = await until(client, Disconnected)
            assert lost.reason == "no token (the same token, whose user was disconnected)"
        assert relay.tokens == ["Bearer opened"]
        # and another one is.
        current = "another"
        time.advance(lost.retry_in)
        await until(client, Connected)
        assert relay.tokens == ["Bearer opened", "Bearer another"]


class Hung:
    """A callable whose coroutine never ends. `given_up` is set when it is cancelled."""

    def __init__(self) -> None:
        self.given_up = asyncio.Event()

    async def __call__(self) -> str:
        try:
            await asyncio.Event().wait()
            raise AssertionError
        finally:
            self.given_up.set()


def raising(error: BaseException) -> Callable[[], str]:
    def ask() -> str:
        raise error

    return ask


async def rejects() -> str:
    raise KeyError("s3cret")


class RaisingObject:
    """An object that raises when it is compared or used as a condition."""

    def __bool__(self) -> bool:
        raise ValueError("s3cret")

    def __eq__(self, other: object) -> bool:
        raise ValueError("s3cret")

    __hash__ = None  # type: ignore[assignment]


async def awaits_a_task_that_is_cancelled() -> Any:
    task = asyncio.create_task(asyncio.sleep(1))
    task.cancel()
    return await task


def cancelled_future() -> Any:
    future = asyncio.get_running_loop().create_future()
    future.cancel()
    return future


async def raises_later(error: BaseException) -> Any:
    raise error


MISBEHAVING: list[tuple[Callable[[], Any], str]] = [
    (raising(ConnectionError("s3cret")), "no token (ConnectionError)"),
    (raising(RuntimeError("s3cret")), "no token (RuntimeError)"),
    (rejects, "no token (KeyError)"),
    (lambda: None, "no token (none was given)"),
    (lambda: "", "no token (none was given)"),
    (lambda: 7, "no token (expected a string, got int)"),
    (lambda: b"s3cret", "no token (expected a string, got bytes)"),
    (lambda: {"token": "s3cret"}, "no token (expected a string, got dict)"),
    (lambda: "s3cret\ntoken", "no token (invalid characters)"),
    (lambda: "s3crét", "no token (invalid characters)"),
    (lambda: " ", "no token (invalid characters)"),
    (RaisingObject, "no token (expected a string, got RaisingObject)"),
    (raising(asyncio.CancelledError()), "no token (CancelledError)"),
    (raising(GeneratorExit()), "no token (GeneratorExit)"),
    (raising(StopIteration()), "no token (StopIteration)"),
    (awaits_a_task_that_is_cancelled, "no token (CancelledError)"),
    (cancelled_future, "no token (CancelledError)"),
    (lambda: raises_later(asyncio.CancelledError()), "no token (CancelledError)"),
    (lambda: raises_later(GeneratorExit()), "no token (GeneratorExit)"),
]


@pytest.mark.parametrize(("misbehave", "reason"), MISBEHAVING)
async def test_a_callable_that_returns_no_token_is_called_again(
    misbehave: Callable[[], Any], reason: str
) -> None:
    time, ready = FakeTime(), False
    async with (
        FakeRelay() as relay,
        client_of(relay, time, lambda: "t0ken" if ready else misbehave()) as client,
    ):
        for pause_s in (0.25, 0.5, 1):
            lost = await anext(client)
            assert lost == Disconnected(reason, None, pause_s)
            if pause_s == 1:
                ready = True
            await time.until_someone_sleeps(pause_s)
            time.advance(pause_s)
        assert await anext(client) == Connected(4)
        assert relay.tokens == ["Bearer t0ken"]


async def test_a_callable_that_times_out_is_cancelled_and_called_again() -> None:
    time, hung, asked = FakeTime(), Hung(), 0

    def ask() -> Any:
        nonlocal asked
        asked += 1
        return hung() if asked == 1 else "t0ken"

    async with FakeRelay() as relay, client_of(relay, time, ask, random=0) as client:
        await time.until_someone_sleeps(15)
        time.advance(15)
        assert await anext(client) == Disconnected("no token (no answer in time)", None, 0)
        assert await anext(client) == Connected(2)
        await hung.given_up.wait()


async def test_a_future_returned_by_the_callable_is_not_cancelled() -> None:
    time = FakeTime()
    shared: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    async with FakeRelay() as relay, client_of(relay, time, lambda: shared, random=0) as client:
        await time.until_someone_sleeps(15)
        time.advance(15)
        assert (await anext(client)).reason == "no token (no answer in time)"  # type: ignore[union-attr]
        assert not shared.done()
        shared.set_result("t0ken")
        assert await anext(client) == Connected(2)


async def test_leaving_the_context_cancels_a_callable_that_hangs() -> None:
    hung = Hung()
    async with FakeRelay() as relay:
        async with client_of(relay, FakeTime(), hung):
            await asyncio.sleep(0)
        await hung.given_up.wait()


@pytest.mark.parametrize("misbehave", [lambda: "old", lambda: None, rejects, raising(OSError()), Hung()])
async def test_the_callable_is_called_for_a_new_token_until_it_returns_one(misbehave: Any) -> None:
    time, answers = FakeTime(), [lambda: "old"]
    async with FakeRelay() as relay, client_of(relay, time, lambda: answers[0]()) as client:
        await until(client, "welcome")
        answers[0] = misbehave
        await relay.send("auth:expiring", {"expiresAt": "2026-05-01T12:00:00.000Z"})
        await until(client, "auth:expiring")
        if isinstance(misbehave, Hung):
            await time.until_someone_sleeps(15)
            time.advance(15)
        await time.until_someone_sleeps(5)
        answers[0] = lambda: "new"
        time.advance(5)
        await until(client, "auth:ok")
        assert (await relay.has_received("auth"))[0]["data"] == {"token": "new"}
        assert len(relay.peers) == 1


@pytest.mark.parametrize("token", [None, b"t0ken", 7, "", " ", "two words", "tökén"])
def test_an_invalid_token_source_raises_value_error_at_once(token: Any) -> None:
    with pytest.raises(ValueError, match="token") as refused:
        Client("http://relay", token)
    assert "words" not in str(refused.value)


async def test_whitespace_around_a_token_is_removed() -> None:
    for token in ("t0ken\n", lambda: " t0ken\r\n"):
        async with FakeRelay() as relay, client_of(relay, FakeTime(), token) as client:
            await until(client, Connected)
            assert relay.tokens == ["Bearer t0ken"]


async def test_the_client_logs_no_token_and_no_frame(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("websockets.server").setLevel(logging.CRITICAL)
        async with FakeRelay() as relay, client_of(relay, FakeTime()) as client:
            await until(client, "welcome")
    assert "t0ken" not in caplog.text
    assert "heartbeatMs" not in caplog.text


# Requests that the relay refused


async def test_a_join_with_a_temporary_error_is_repeated() -> None:
    time = FakeTime()
    async with FakeRelay({"t1": []}) as relay, client_of(relay, time) as client:
        relay.answer_next("task:join", "rate_limited", temporary=True, retryAfterMs=900)
        client.join_task("t1")
        await until(client, "error")
        await time.until_someone_sleeps(0.9)
        time.advance(0.9)
        assert (await until(client, "task:state")).data["taskId"] == "t1"


async def test_a_leave_with_a_temporary_error_is_repeated() -> None:
    time = FakeTime()
    async with FakeRelay({"t1": []}) as relay, client_of(relay, time) as client:
        relay.answer_next("task:leave", "rate_limited", temporary=True, retryAfterMs=900)
        client.join_task("t1")
        await until(client, "task:state")
        client.leave_task("t1")
        await time.until_someone_sleeps(0.9)
        time.advance(0.9)
        await until(client, "task:left")


async def test_a_refused_task_does_not_keep_the_others_of_its_request_from_being_joined() -> None:
    async with FakeRelay({"t1": [], "t2": []}) as relay, client_of(relay, FakeTime()) as client:
        relay.answer_next("task:join", "bad_request")
        relay.answer_next("task:join", "bad_request")
        client.join_task("bad")
        client.join_task("t1")
        client.join_task("t2")
        await until(client, "task:state")
        await until(client, "task:state")
        assert list(client._wanted.tasks) == ["t1", "t2"]


async def ready(*tasks: Timeline, client: Client) -> None:
    while not all(task.state == "ready" for task in tasks):
        await anext(client)


@pytest.mark.parametrize("place", [0, 1, 49, 50, 99])
async def test_a_refused_request_is_halved_until_the_invalid_task_is_alone(place: int) -> None:
    """Fault 16: one invalid task makes the relay refuse the whole request."""
    ids = [f"t{number}" for number in range(100)]
    relay = FakeRelay({task_id: [] for task_id in ids}, bad=frozenset({ids[place]}), rate=1000)
    async with relay, client_of(relay, FakeTime()) as client:
        tasks = [client.join_task(task_id) for task_id in ids]
        bad = tasks.pop(place)
        await ready(*tasks, client=client)
        while bad.state == "loading":
            await anext(client)
        assert bad.state == "bad_request"
        assert len(await relay.has_received("task:join")) <= 1 + 2 * 7


async def test_a_task_beyond_the_limit_ends_after_a_reconnect_and_the_older_tasks_continue() -> None:
    """Fault 19: five tasks are joined, five are the limit, and a sixth is joined after a reconnect."""
    relay = FakeRelay({f"t{number}": [] for number in range(6)}, max_tasks=5)
    async with relay, client_of(relay, FakeTime(), random=0) as client:
        tasks = [client.join_task(f"t{number}") for number in range(5)]
        await ready(*tasks, client=client)
        relay.peers[0].ws.transport.abort()
        sixth = client.join_task("t5")
        while sixth.state == "loading":
            await anext(client)
        await relay.append("t4", event("a"))
        await until(client, "task:event_added")
        assert sixth.state == "too_many_tasks"
        assert {task.state for task in tasks} == {"ready"}


async def test_a_join_at_the_limit_waits_for_a_pending_leave() -> None:
    """Fault 19: the leave was rate limited, so the relay still counts the task that the client left."""
    time = FakeTime()
    async with FakeRelay({"t1": [], "t2": []}, max_tasks=1) as relay, client_of(relay, time) as client:
        await ready(client.join_task("t1"), client=client)
        relay.answer_next("task:leave", "rate_limited", temporary=True, retryAfterMs=900)
        client.leave_task("t1")
        second = client.join_task("t2")
        await until(client, "error")
        await until(client, "error")
        assert second.state == "loading"
        await time.until_someone_sleeps(0.9)
        time.advance(0.9)
        await ready(second, client=client)


async def test_joins_with_temporary_errors_are_repeated_in_one_request() -> None:
    time, ids = FakeTime(), [f"t{number}" for number in range(50)]
    async with FakeRelay({task_id: [] for task_id in ids}) as relay, client_of(relay, time) as client:
        relay.ignore_next("task:join")
        for task_id in ids:
            client.join_task(task_id)
        await relay.has_received("task:join")
        for task_id in ids:
            data = {"code": "unavailable", "message": ".", "temporary": True, "taskId": task_id}
            await relay.send_raw(json.dumps({"type": "error", "data": data, "replyTo": "r1"}))
        for _ in ids:  # advance the clock only after all errors have been received
            await until(client, "error")
        await time.until_someone_sleeps(0.25)
        time.advance(0.25)
        assert len((await relay.has_received("task:join", 2))[1]["data"]["tasks"]) == 50


async def test_a_join_is_not_repeated_after_its_task_was_left() -> None:
    time = FakeTime()
    async with FakeRelay({"t1": [], "t2": []}) as relay, client_of(relay, time) as client:
        relay.answer_next("task:join", "rate_limited", temporary=True, retryAfterMs=900)
        client.join_task("t1")
        await until(client, "error")
        client.leave_task("t1")
        await until(client, "task:left")
        await time.until_someone_sleeps(0.9)
        time.advance(0.9)
        await ready(client.join_task("t2"), client=client)
        joins = await relay.has_received("task:join", 2)
        assert [join["data"]["tasks"][0]["taskId"] for join in joins] == ["t1", "t2"]


async def test_a_revocation_before_the_answer_to_a_second_join_does_not_end_the_timeline() -> None:
    """Fault 21, second form: the revocation belongs to the older subscription, and the second join is still open."""
    async with FakeRelay({"t1": [event("a")]}) as relay, client_of(relay, FakeTime()) as client:
        task = client.join_task("t1")
        await ready(task, client=client)
        relay.ignore_next("task:join")
        assert client.join_task("t1") is task
        await relay.has_received("task:join", 2)
        await relay.send("task:revoked", {"taskId": "t1"})
        await until(client, "task:revoked")
        assert (task.state, task.events) == ("loading", [])
        state = {"taskId": "t1", "task": {}, "events": [], "from": 0, "head": "h", "next": 0, "more": False}
        await relay.send_raw(json.dumps({"type": "task:state", "data": state, "replyTo": "r2"}))
        await ready(task, client=client)


async def test_a_refused_second_join_leaves_the_task() -> None:
    """Otherwise the relay would keep the subscription of the first join, whose messages no view shows."""
    async with FakeRelay({"t1": []}) as relay, client_of(relay, FakeTime()) as client:
        await ready(client.join_task("t1"), client=client)
        relay.answer_next("task:join", "bad_request")
        task = client.join_task("t1", since=1, head="no head of this relay")
        await until(client, "task:left")
        assert (task.state, relay.peers[0].rooms) == ("bad_request", set())


async def lose_by_refusal(relay: FakeRelay, client: Client) -> None:
    client.join_task("nobody's")
    await until(client, "error")


async def lose_by_revocation(relay: FakeRelay, client: Client) -> None:
    client.join_task("t1")
    await until(client, "task:state")
    await relay.send("task:revoked", {"taskId": "t1"})
    await until(client, "task:revoked")


async def lose_by_leaving(relay: FakeRelay, client: Client) -> None:
    client.join_task("t1")
    await until(client, "task:state")
    client.leave_task("t1")
    await until(client, "task:left")


@pytest.mark.parametrize("lose", [lose_by_refusal, lose_by_revocation, lose_by_leaving])
async def test_a_task_that_was_refused_revoked_or_left_is_not_joined_again(
    lose: Callable[[FakeRelay, Client], Awaitable[None]],
) -> None:
    async with FakeRelay({"t1": []}) as relay, client_of(relay, FakeTime(), random=0) as client:
        client.join_dashboard()
        await lose(relay, client)
        relay.peers[0].ws.transport.abort()
        await relay.has_received("dashboard:join", 2)
        await until(client, Disconnected)
        await until(client, "dashboard:state")
        assert len(await relay.has_received("task:join")) == 1


# Leaving


async def test_leaving_the_context_leaves_no_task_and_no_connection() -> None:
    async with FakeRelay() as relay:
        before = asyncio.all_tasks()
        async with client_of(relay, FakeTime()) as client:
            await until(client, "welcome")
            (peer,) = relay.peers
        left = {task for task in asyncio.all_tasks() - before if "websockets" not in repr(task)}
        assert not left
        await peer.ws.wait_closed()
        assert peer.ws.close_code == 1000


async def test_unread_messages_do_not_delay_the_closing_handshake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "QUEUE_MAX_ITEMS", 2)
    monkeypatch.setattr(reconnector_module, "CLOSE_TIMEOUT_S", 30.0)
    async with FakeRelay() as relay:
        async with client_of(relay, FakeTime()) as client:
            await until(client, Connected)
            for _ in range(100):
                await relay.send("pong", {})
            assert client._reconnector.connection is not None
            ws = client._reconnector.connection.ws
        assert ws.close_code == 1000  # 1006 if the client had not waited for the relay's close frame


async def test_a_socks_proxy_without_its_package_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_the_package(*_: object, **__: object) -> None:
        raise ImportError

    monkeypatch.setattr(reconnector_module, "connect", without_the_package)
    async with Client("http://relay", "t0ken", sleep=FakeTime().sleep) as client:
        assert "python-socks" in (await until(client, Disconnected)).reason


async def test_leaving_the_context_ends_an_iteration_in_another_task() -> None:
    async with FakeRelay() as relay:
        async with client_of(relay, FakeTime()) as client:
            await until(client, "welcome")
            waiting = asyncio.create_task(client.__anext__())
            await asyncio.sleep(0)
        with pytest.raises(StopAsyncIteration):
            await waiting


async def test_a_cancelled_iteration_loses_no_item() -> None:
    async with FakeRelay() as relay, client_of(relay, FakeTime()) as client:
        await until(client, "welcome")
        waiting = asyncio.ensure_future(client.__anext__())
        await asyncio.sleep(0)
        waiting.cancel()
        await relay.send("pong", {})
        assert (await until(client, "pong")).type == "pong"


async def test_cancelling_the_task_of_the_iteration_raises_cancelled_error() -> None:
    async def listen() -> None:
        async with client_of(relay, FakeTime()) as client:
            async for item in client:
                if isinstance(item, Message):
                    welcomed.set()

    welcomed = asyncio.Event()
    async with FakeRelay() as relay:
        listening = asyncio.create_task(listen())
        await welcomed.wait()
        listening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await listening


async def test_a_client_can_only_be_iterated_inside_its_context_and_entered_once() -> None:
    client = Client("http://127.0.0.1:1", "t0ken", sleep=FakeTime().sleep)
    with pytest.raises(RuntimeError, match="inside"):
        await anext(client)
    async with client:
        pass
    with pytest.raises(RuntimeError, match="once"):
        await client.__aenter__()


# Functions without I/O


@pytest.mark.parametrize(
    ("url", "websocket"),
    [
        ("http://relay:8080", "ws://relay:8080/ws"),
        ("https://relay/", "wss://relay/ws"),
        ("wss://relay/live/ws", "wss://relay/live/ws"),
        ("ws://[::1]:8080/live", "ws://[::1]:8080/live/ws"),
    ],
)
def test_the_websocket_url_is_derived_from_every_form_of_the_address(url: str, websocket: str) -> None:
    assert websocket_url(url) == websocket


@pytest.mark.parametrize(
    "url", ["", "relay:8080", "ftp://relay", "http://", "http://relay:x", "http://relay/#token=secret",
            "http://relay/?token=secret", "http://secret@relay"],
)  # fmt: skip
def test_an_invalid_address_raises_an_error_that_does_not_repeat_it(url: str) -> None:
    with pytest.raises(ValueError, match=r".") as refusal:
        Client(url, "t0ken")
    assert "secret" not in str(refusal.value)


@given(st.floats(1, 1000), st.lists(st.tuples(st.floats(0, 1), st.floats(1, 12)), max_size=200))
def test_pace_never_exceeds_the_rate_limit_of_the_relay(
    rate: float, asked: list[tuple[float, float]]
) -> None:
    pace, now, spent = Pace(rate, 0.0), 0.0, 0.0
    for idle_s, cost in asked:
        now += idle_s
        assert spent <= rate * (now + 1) + 1e-6
        spent += cost
        now += pace.spend(cost, now)


async def test_requests_beyond_the_rate_limit_wait() -> None:
    time = FakeTime()
    async with FakeRelay() as relay, client_of(relay, time) as client:
        await until(client, "welcome")
        for number in range(25):
            client.join_dashboard(limit=number + 1)
            await relay.has_received("dashboard:join", min(number + 1, 20))
            if number >= 19:
                await time.until_someone_sleeps(0.05)
        assert len(await relay.has_received("dashboard:join")) == 20
        time.advance(0.05)
        assert (await relay.has_received("dashboard:join", 21))[-1]["data"] == {"limit": 25}


@given(st.integers(4000, 4999))
def test_the_range_of_an_unknown_close_code_decides_whether_to_reconnect(code: int) -> None:
    assert (judge(code) == "refused") == (code >= 4500)


@given(st.floats(0, 1, exclude_max=True), st.integers(0, 10_000))
def test_jitter_is_never_longer_than_the_cap(random: float, failures: int) -> None:
    assert 0 <= jitter(failures, lambda: random) < BACKOFF_CAP_S
