"""The views of a client, the list and the timelines, after each message."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fake_relay import FakeRelay, drop, event

from relay.client import Client, Disconnected, Message, Position, TaskList, Timeline, connect
from relay.client.views import ErrorState
from relay.protocol.types import ErrorCode


def quick(relay: FakeRelay) -> Client:
    return Client(relay.url, "t0ken", random=lambda: 0.0)


async def until(client: Client, wanted: str) -> Message:
    async for item in client:
        if isinstance(item, Message) and item.type == wanted:
            return item
    raise AssertionError(f"the client ended before {wanted}")


def state(start: int, events: list[Any], *, reset: bool = False, more: bool = False) -> Message:
    data = {"taskId": "t1", "task": {"taskId": "t1", "status": f"after {start}"}, "events": events}
    data |= {"from": start, "next": start + len(events), "head": f"h{start + len(events)}"}
    return Message("task:state", data | {"reset": reset, "more": more})


def added(index: int, event: Any) -> Message:
    return Message("task:event_added", {"taskId": "t1", "index": index, "event": event, "head": f"h{index}+"})


def listed(*ids: str, reset: bool = True, more: bool = False) -> Message:
    tasks = [{"taskId": task_id} for task_id in ids]
    return Message("dashboard:state", {"tasks": tasks, "reset": reset, "more": more})


def update(change: str, task_id: str, **task: Any) -> Message:
    return Message("dashboard:task_list_updated", {"change": change, "taskId": task_id, **task})


def shown(view: Any, *messages: Message) -> Any:
    for message in messages:
        view.show(message)
    return view


# Views of a connected client


async def test_views_show_the_messages_iterated_over() -> None:
    async with FakeRelay({"t1": [event("a")]}) as relay, connect(relay.url, "t0ken") as client:
        board, task = client.join_dashboard(), client.join_task("t1")
        assert (board.state, task.state) == ("loading", "loading")
        await until(client, "dashboard:state")
        await until(client, "task:state")
        assert [each["taskId"] for each in board.tasks] == ["t1"]
        await relay.append("t1", event("b"))
        assert task.events == [event("a")]
        await until(client, "task:event_added")
        assert task.events == [event("a"), event("b")]


@pytest.mark.parametrize("after", range(1, 9))
async def test_a_timeline_is_complete_wherever_the_connection_drops(after: int) -> None:
    stored: list[Any] = [event(str(number)) for number in range(9)]
    relay = FakeRelay({"t1": list(stored)}, drop(after), drop(after), page=2)
    async with relay, quick(relay) as client:
        task = client.join_task("t1")
        while task.state != "ready":
            await anext(client)
        assert task.events == stored


async def test_a_timeline_joined_from_a_stored_position_holds_only_later_events() -> None:
    async with FakeRelay({"t1": [event("a"), event("b")]}) as relay:
        async with quick(relay) as client:
            task = client.join_task("t1")
            await until(client, "task:state")
            kept = task.position
        assert kept is not None
        relay.tasks["t1"].append(event("c"))
        async with quick(relay) as client:
            task = client.join_task("t1", kept.next, kept.head)
            await until(client, "task:state")
            assert (task.start, task.events, task.next) == (2, [event("c")], 3)


async def test_a_refused_task_join_ends_its_view_with_the_error_code() -> None:
    async with FakeRelay({"t1": []}) as relay, quick(relay) as client:
        nobodys, mine = client.join_task("nobody's"), client.join_task("t1")
        await until(client, "error")
        await until(client, "task:state")
        assert (nobodys.state, mine.state) == ("forbidden", "ready")


async def test_a_refused_list_join_ends_its_view_with_the_error_code() -> None:
    async with FakeRelay() as relay, quick(relay) as client:
        relay.answer_next("dashboard:join", "feature_disabled")
        board = client.join_dashboard()
        await until(client, "error")
        assert board.state == "feature_disabled"
        assert client.join_dashboard() is not board


async def test_a_temporary_error_ends_no_view() -> None:
    async with FakeRelay({"t1": [event("a")]}) as relay, quick(relay) as client:
        relay.answer_next("task:join", "unavailable", temporary=True)
        task = client.join_task("t1")
        await until(client, "error")
        assert task.state == "loading"
        await until(client, "task:state")
        assert task.state == "ready"


async def test_joining_a_deleted_task_again_returns_another_view() -> None:
    async with FakeRelay({"t1": [event("a")]}) as relay, quick(relay) as client:
        old = client.join_task("t1")
        await until(client, "task:state")
        await relay.send("task:deleted", {"taskId": "t1"})
        await until(client, "task:deleted")
        new = client.join_task("t1")
        await until(client, "task:state")
        assert (old.state, old.events, old.position) == ("deleted", [], None)
        assert new.events == [event("a")]


async def test_a_view_that_was_left_is_not_updated() -> None:
    async with FakeRelay({"t1": []}) as relay, quick(relay) as client:
        board, task = client.join_dashboard(), client.join_task("t1")
        await until(client, "task:state")
        client.leave_task("t1")
        client.leave_dashboard()
        await until(client, "dashboard:left")
        await relay.send("dashboard:task_list_updated", {"change": "upserted", "taskId": "t2"})
        await until(client, "dashboard:task_list_updated")
        assert (board.state, list(board.tasks), task.state) == ("left", [], "left")


async def test_a_lost_connection_leaves_the_views_readable() -> None:
    async with FakeRelay({"t1": [event("a")]}, drop(2)) as relay, quick(relay) as client:
        task = client.join_task("t1")
        async for item in client:
            if isinstance(item, Disconnected):
                break
        assert task.events == [event("a")]


# Views without a client


def test_a_state_replaces_all_events_from_its_first_one_on() -> None:
    task = shown(Timeline("t1"), state(0, [1, 2, 3]), added(3, 4), state(1, [9], reset=True))
    assert (task.events, task.position) == ([1, 9], Position(2, "h2"))


def test_a_timeline_is_ready_with_its_last_page() -> None:
    task = shown(Timeline("t1"), state(0, [1], reset=True, more=True))
    assert task.state == "loading"
    assert shown(task, state(1, [2])).state == "ready"


def test_a_rewritten_array_replaces_also_the_events_before_a_stored_position() -> None:
    task = shown(Timeline("t1"), state(5, [6]), state(0, [1, None], reset=True))
    assert (task.start, task.events) == (0, [1, None])


def test_an_update_replaces_the_summary() -> None:
    task = Timeline("t1")
    shown(
        task, state(0, []), Message("task:updated", {"taskId": "t1", "task": {"taskId": "t1", "title": "T"}})
    )
    assert task.task == {"taskId": "t1", "title": "T"}


def test_a_later_refusal_does_not_replace_the_state_deleted() -> None:
    task = shown(Timeline("t1"), state(0, []), Message("task:deleted", {"taskId": "t1"}))
    task.end("forbidden")
    assert task.state == "deleted"


def test_a_list_is_sorted_newest_first_by_its_ids() -> None:
    old, new = "65f0c0ff" + "f" * 16, "65f0c100" + "0" * 16
    board = shown(TaskList(), listed(old, new), update("upserted", "a", createdAt="2030-01-01T00:00:00.000Z"))
    shown(board, update("upserted", "b", createdAt="no time"))
    assert [task["taskId"] for task in board.tasks] == ["a", new, old, "b"]


def test_a_list_stays_readable_until_the_last_page_of_its_new_state() -> None:
    board = shown(TaskList(), listed("a"), listed("b", more=True))
    assert [task["taskId"] for task in board.tasks] == ["a"]
    shown(board, listed("c", reset=False))
    assert {task["taskId"] for task in board.tasks} == {"b", "c"}


def test_a_list_applies_its_updates() -> None:
    board = shown(TaskList(), listed("a", "b"), update("revoked", "a"), update("upserted", "b", status="s"))
    assert list(board.tasks) == [{"taskId": "b", "status": "s"}]
    assert board.get("b") == {"taskId": "b", "status": "s"}
    assert board.tasks is board.tasks


_json = st.recursive(st.none() | st.integers(-9, 9) | st.text(), lambda inner: st.lists(inner), max_leaves=3)


@given(
    st.sampled_from(["task:state", "task:event_added", "task:updated", "dashboard:state",
                     "dashboard:task_list_updated"]),
    st.dictionaries(st.sampled_from(["taskId", "task", "tasks", "event", "events", "from", "index", "head",
                                     "more", "reset", "change", "createdAt"]), _json),
)  # fmt: skip
def test_a_message_of_unknown_shape_breaks_no_view(type_: str, data: dict[str, Any]) -> None:
    shown(Timeline("t1"), Message(type_, data))
    assert shown(TaskList(), Message(type_, data)).tasks is not None


def test_a_timeline_joined_again_from_its_own_position_keeps_its_earlier_events() -> None:
    view = shown(Timeline("t1"), state(0, ["a", "b"]))
    view.ask(view.position)
    shown(
        view, state(2, ["c"])
    )  # belongs to the older join and is iterated over before the answer to the newer one
    view.begin(Position(2, "h2"))
    assert (shown(view, state(2, ["c", "d"])).start, view.events) == (0, ["a", "b", "c", "d"])


def test_a_timeline_rewritten_before_its_second_join_drops_its_earlier_events() -> None:
    view = shown(Timeline("t1"), state(0, ["a", "b"]))
    view.ask(view.position)
    shown(view, state(0, ["x"], reset=True))
    view.begin(Position(2, "h2"))
    assert (shown(view, state(2, ["c"])).start, view.events) == (2, ["c"])


def test_the_states_of_the_views_name_every_code_of_an_error() -> None:
    assert set(get_args(ErrorState)) == set(ErrorCode)
