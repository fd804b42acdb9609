"""The control channel between two processes: requests, answers and notes, and an end that is gone or misbehaves."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from support.relay_fixture import SOON_S

from relay.errors import Unanswered
from relay.workers.channel import Answer, Channel, Notice


@asynccontextmanager
async def connected(
    answers: dict[str, Answer] | None = None, notices: dict[str, Notice] | None = None
) -> AsyncIterator[tuple[Channel, Channel]]:
    """Two ends of a channel that run. The second handles these requests and notes."""
    left, right = socket.socketpair()
    ours = await Channel.over(left, answers={}, notices={})
    theirs = await Channel.over(right, answers=answers or {}, notices=notices or {})
    running = [asyncio.create_task(end.run()) for end in (ours, theirs)]
    try:
        yield ours, theirs
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def doubled(given: Any) -> Any:
    return given * 2


async def never(_: Any) -> Any:
    await asyncio.Event().wait()


async def broken(_: Any) -> Any:
    raise RuntimeError("a bug")


async def test_requests_are_answered_whatever_order_their_answers_come_in() -> None:
    gate = asyncio.Event()

    async def slow(given: Any) -> Any:
        await gate.wait()
        return given

    async with connected({"double": doubled, "slow": slow}) as (ours, _):
        first = asyncio.create_task(ours.ask("slow", "first", within_s=SOON_S))
        assert await ours.ask("double", [1, None, "ü"], within_s=SOON_S) == [1, None, "ü", 1, None, "ü"]
        gate.set()
        assert await first == "first"


async def test_both_ends_may_ask_while_they_are_asked() -> None:
    async def through(given: Any) -> Any:
        return await theirs.ask("double", given, within_s=SOON_S)

    async with connected({"through": through}) as (ours, theirs):
        ours._answers = {"double": doubled}
        assert await ours.ask("through", 21, within_s=SOON_S) == 42


async def test_notes_arrive_in_their_order_with_what_they_carry() -> None:
    heard: list[Any] = []
    async with connected({"double": doubled}, {"note": heard.append}) as (ours, _):
        for number in range(3):
            ours.tell("note", {"n": number})
        await ours.ask("double", 1, within_s=SOON_S)
    assert heard == [{"n": 0}, {"n": 1}, {"n": 2}]


async def test_a_request_that_is_not_answered_in_time_is_given_up_and_its_late_answer_ignored() -> None:
    gate = asyncio.Event()

    async def slow(_: Any) -> Any:
        await gate.wait()
        return "late"

    async with connected({"slow": slow, "double": doubled}) as (ours, _):
        with pytest.raises(Unanswered, match="does not answer"):
            await ours.ask("slow", within_s=0.01)
        gate.set()
        assert await ours.ask("double", 1, within_s=SOON_S) == 2


async def test_a_request_that_cannot_be_handled_is_unanswered_at_once(caplog: Any) -> None:
    async with connected({"broken": broken}) as (ours, _):
        for name in ("broken", "unknown"):
            with pytest.raises(Unanswered, match="could not answer"):
                await ours.ask(name, within_s=SOON_S)
    assert [record.request for record in caplog.records] == ["broken", "unknown"]


async def test_an_end_that_is_gone_ends_the_channel_and_all_requests() -> None:
    left, right = socket.socketpair()
    ours = await Channel.over(left, answers={}, notices={})
    running = asyncio.create_task(ours.run())
    waiting = asyncio.create_task(ours.ask("anything", within_s=SOON_S))
    await asyncio.sleep(0)
    right.close()
    await running
    for asking in (waiting, ours.ask("anything", within_s=SOON_S)):
        with pytest.raises(Unanswered, match="gone"):
            await asking
    ours.tell("note")  # has no effect
    await ours.flush()


@pytest.mark.parametrize(
    "line", [b"no JSON\n", b'{"ask": "double", "id": 1', b'"x"\n', b"{}\n", b"[1]\n", b"1\n"]
)
async def test_a_line_that_is_no_message_raises_nothing(line: bytes) -> None:
    left, right = socket.socketpair()
    ours = await Channel.over(left, answers={"double": doubled}, notices={})
    right.sendall(line)
    right.close()
    await ours.run()


async def test_flush_returns_when_everything_was_handed_over() -> None:
    left, right = socket.socketpair()
    ours = await Channel.over(left, answers={}, notices={})
    text = "x" * 1_000_000  # more than the socket holds
    ours.tell("note", text)
    flushing = asyncio.create_task(ours.flush())
    read = b""
    right.setblocking(False)
    while not read.endswith(b"\n"):
        assert not flushing.done() or len(read) > 100_000
        read += await asyncio.get_running_loop().sock_recv(right, 65_536)
    await flushing
    right.close()
    await ours.run()
    assert text.encode() in read
