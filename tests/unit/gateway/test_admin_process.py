"""The answers of one process to administrators are bounded, whatever its clients have chosen."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from relay.gateway.admin.process import ProcessAdministration
from relay.gateway.websocket.open_connection import OpenConnection
from relay.workers.channel import MAX_LINE_BYTES

LONGEST_USER = "\x01" * 12_000  # as long as a token permits, of characters that JSON writes with six bytes


def administration(users: list[str | None]) -> ProcessAdministration:
    """Return what administrators are told of a connection of each of these users, in their order."""
    opened = [_connection(user, number) for number, user in enumerate(users)]
    connections: Any = SimpleNamespace(opened=lambda: iter(opened))
    polls: Any = SimpleNamespace(waiting=tuple)
    hub: Any = SimpleNamespace(joined_tasks=lambda _: 3, state_of=lambda *_: "live")
    admission: Any = None
    return ProcessAdministration(
        connections, polls, hub, admission, readiness=lambda: {"ready": True}, known_tasks=lambda: 0
    )


def _connection(user: str | None, number: int) -> OpenConnection:
    its: Any = SimpleNamespace(id=f"{number:016x}", messages_in=1, messages_out=2, waiting_bytes=7)
    listener = SimpleNamespace(user=user, list=None, lagging=True) if user is not None else None
    session: Any = SimpleNamespace(user=user, listener=listener)
    return OpenConnection(its, "/ws", float(number), "10.0.0.1", session)


@pytest.mark.parametrize("count", [100, 1000])
async def test_an_answer_fits_into_a_line_of_the_control_channel(count: int) -> None:
    made = administration([LONGEST_USER] * count)
    for answer, rows in (
        (await made.connections(None, 1000), "connections"),
        (await made.listeners("t"), "listeners"),
    ):
        assert answer["total"] == count
        assert 80 <= len(answer[rows]) <= 100
        assert len(orjson.dumps({"id": 1, "answer": answer})) < MAX_LINE_BYTES


async def test_a_list_of_usual_names_is_whole_up_to_its_limit() -> None:
    made = administration([f"user{number}" for number in range(3000)])
    answer = await made.connections(None, 1000)
    assert [one["user"] for one in answer["connections"]] == [f"user{number}" for number in range(1000)]
    assert answer["total"] == 3000
    answer = await made.listeners("t")
    assert (len(answer["listeners"]), answer["total"]) == (1000, 3000)


async def test_a_client_that_has_sent_no_token_yet_is_listed_without_a_user() -> None:
    made = administration([None, "alice"])
    nobody, alice = (await made.connections(None, 10))["connections"]
    assert (nobody["user"], nobody["tasks"], nobody["lagging"]) == (None, 0, False)
    assert (alice["user"], alice["tasks"], alice["lagging"], alice["outboxBytes"]) == ("alice", 3, True, 7)
    assert (await made.connections("alice", 10))["total"] == 1
    assert (await made.listeners("t"))["total"] == 1
