"""What a program sees of a relay, as scenarios that run against the fake relay and against a real one.

Each scenario gets a driver: a client that is connected, and what writers and operators do. Ids are unique among all
scenarios, because the real relay keeps the tasks of all of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from relay.client import Client, ConnectionRefused, Disconnected, Item, Message, TaskList, Timeline
from relay.client.testing import until

SOON_S = 30.0  # a limit for what takes milliseconds, on a busy machine
Scenario = Callable[["Driver"], Awaitable[None]]
SCENARIOS: list[Scenario] = []


class Driver(Protocol):
    """A client, and what happens to the tasks that it sees."""

    relay: Client

    async def add(self, task: Mapping[str, Any]) -> None: ...
    async def push(self, task_id: str, event: Mapping[str, Any], **fields: Any) -> None: ...
    async def set(self, task_id: str, **fields: Any) -> None: ...
    async def remove(self, task_id: str) -> None: ...
    async def revoke(self, task_id: str) -> None: ...
    async def grant(self, task_id: str) -> None: ...
    def offline(self) -> None: ...
    def online(self) -> None: ...
    def switch_off(self) -> None: ...
    def another(self) -> Client: ...


def scenario(run: Scenario) -> Scenario:
    SCENARIOS.append(run)
    return run


async def joined(driver: Driver, **task: Any) -> tuple[TaskList, Timeline]:
    """The list and the timeline of a task that is added, joined and complete."""
    await driver.add(task)
    board, timeline = driver.relay.join_dashboard(), driver.relay.join_task(task["taskId"])
    await soon(driver.relay, lambda: (board.state, timeline.state) == ("ready", "ready"))
    return board, timeline


async def heard(driver: Driver, condition: Callable[[], object]) -> list[tuple[str, Any]]:
    """The messages until a condition holds, without the digests of positions."""
    items: list[Item] = []
    async with asyncio.timeout(SOON_S):
        while not condition():
            items.append(await anext(driver.relay))
    messages = [item for item in items if isinstance(item, Message)]
    return [
        (item.type, {name: value for name, value in item.data.items() if name != "head"}) for item in messages
    ]


async def soon(relay: Client, condition: Callable[[], object]) -> None:
    await until(relay, condition, within_s=SOON_S)


def types(task: Timeline) -> list[str | None]:
    return [event["type"] if event is not None else None for event in task.events]


@scenario
async def a_list_holds_every_visible_task_newest_first(driver: Driver) -> None:
    times = [f"2026-05-01T1{hour}:00:00.000Z" for hour in range(2)]
    await driver.add({"taskId": "list-1", "title": "Old", "status": "dispatched", "createdAt": times[0]})
    await driver.add({"taskId": "list-2", "status": "failed", "creator": "carol", "createdAt": times[1]})
    board = driver.relay.join_dashboard()
    await soon(driver.relay, lambda: board.state == "ready")
    new = {"taskId": "list-2", "eventCount": 0, "status": "failed", "stage": "failed", "creator": "carol"}
    old = {"taskId": "list-1", "eventCount": 0, "status": "dispatched", "stage": "dispatched", "title": "Old"}
    assert list(board.tasks) == [
        new | {"createdAt": times[1], "waitsFor": {"sub": ["carol"]}},
        old | {"createdAt": times[0]},
    ]


@scenario
async def a_timeline_holds_the_events_as_their_writer_wrote_them(driver: Driver) -> None:
    note = {"type": "note", "at": "2026-05-01T12:00:00.000Z", "more": {"deep": [1, True, None]}}
    _, timeline = await joined(driver, taskId="state-1", events=[note, {"type": "log"}])
    assert timeline.events == [
        {"type": "note", "at": "2026-05-01T12:00:00.000Z", "data": note},
        {"type": "log", "at": None, "data": {"type": "log"}},
    ]


@scenario
async def an_event_arrives_once_and_counts_in_the_list(driver: Driver) -> None:
    board, _ = await joined(driver, taskId="live-1", events=[{"type": "log"}])
    await driver.push("live-1", {"type": "note", "text": "Hello"})
    messages = await heard(driver, lambda: board.tasks[0]["eventCount"] == 2)
    event = {"type": "note", "at": None, "data": {"type": "note", "text": "Hello"}}
    assert messages == [
        ("task:event_added", {"taskId": "live-1", "index": 1, "event": event, "next": 2}),
        ("dashboard:task_list_updated", {"change": "upserted", "taskId": "live-1", "eventCount": 2}),
    ]


@scenario
async def a_status_sends_its_lifecycle_message_once(driver: Driver) -> None:
    board, _ = await joined(driver, taskId="status-1", status="analyzing")
    await driver.set("status-1", status="pr_opened", prNumber=8)
    await driver.push("status-1", {"type": "pr_opened"})
    messages = await heard(driver, lambda: board.tasks[0]["eventCount"] == 1)
    task = {"taskId": "status-1", "eventCount": 0, "status": "pr_opened", "stage": "pr_opened", "prNumber": 8}
    task["waitsFor"] = {}
    assert messages[:3] == [
        ("task:pr_opened", {"taskId": "status-1", "status": "pr_opened", "prNumber": 8}),
        ("task:updated", {"taskId": "status-1", "task": task}),
        ("dashboard:task_list_updated", {"change": "upserted", **task}),
    ]
    assert [kind for kind, _ in messages[3:]] == ["task:event_added", "dashboard:task_list_updated"]


@scenario
async def an_event_and_the_status_that_it_means_send_one_lifecycle_message(driver: Driver) -> None:
    board, _ = await joined(driver, taskId="both-1", status="analyzing")
    await driver.push("both-1", {"type": "failed", "data": {"error": "Out of memory"}}, status="failed")
    messages = await heard(driver, lambda: board.tasks[0].get("status") == "failed")
    assert [kind for kind, _ in messages] == [
        *("task:event_added", "task:failed", "task:updated", "dashboard:task_list_updated"),
    ]
    assert messages[1][1] == {"taskId": "both-1", "status": "failed", "error": "Out of memory"}


@scenario
async def a_new_task_is_created_and_listed(driver: Driver) -> None:
    board, _ = await joined(driver, taskId="new-1")
    await driver.add({"taskId": "new-2", "status": "analyzing", "title": "Two"})
    await driver.set("new-2", title=None)
    messages = await heard(driver, lambda: (new := board.get("new-2")) is not None and "title" not in new)
    summary = {"taskId": "new-2", "eventCount": 0, "status": "analyzing", "stage": "analyzing"}
    assert messages == [
        ("task:created", {"taskId": "new-2", "status": "analyzing", "title": "Two"}),
        ("task:analyzing", {"taskId": "new-2", "status": "analyzing"}),
        ("dashboard:task_list_updated", {"change": "upserted", **summary, "title": "Two"}),
        ("dashboard:task_list_updated", {"change": "upserted", **summary}),
    ]


@scenario
async def a_task_that_is_deleted_ends_its_timeline_and_leaves_the_list(driver: Driver) -> None:
    board, timeline = await joined(driver, taskId="delete-1")
    await driver.remove("delete-1")
    await soon(driver.relay, lambda: not board.tasks)
    assert timeline.state == "deleted"


@scenario
async def a_task_that_is_revoked_ends_and_is_listed_again_with_the_right_to_see_it(driver: Driver) -> None:
    board, timeline = await joined(driver, taskId="revoke-1")
    await driver.revoke("revoke-1")
    await soon(driver.relay, lambda: not board.tasks)
    assert timeline.state == "revoked"
    await driver.push("revoke-1", {"type": "pr_opened"})
    await driver.grant("revoke-1")
    await soon(driver.relay, lambda: board.tasks)
    timeline = driver.relay.join_task("revoke-1")
    await soon(driver.relay, lambda: timeline.state == "ready")
    assert types(timeline) == ["pr_opened"]
    await driver.set("revoke-1", status="pr_opened")  # what the event has said, though nobody was sent that
    messages = await heard(driver, lambda: board.tasks[0].get("status") == "pr_opened")
    assert "task:pr_opened" not in dict(messages)


@scenario
async def a_client_that_was_offline_gets_what_it_missed_once(driver: Driver) -> None:
    board, timeline = await joined(driver, taskId="offline-1", events=[{"type": "log"}])
    driver.offline()
    while not isinstance(item := await anext(driver.relay), Disconnected):
        pass
    assert item.code == 1006
    await driver.push("offline-1", {"type": "pr_opened"}, status="pr_opened")
    await driver.push("offline-1", {"type": "note"})
    assert types(timeline) == ["log"]
    driver.online()
    messages = await heard(driver, lambda: timeline.next == 3 and board.tasks[0]["eventCount"] == 3)
    assert types(timeline) == ["log", "pr_opened", "note"]
    assert [(data["from"], data["reset"]) for kind, data in messages if kind == "task:state"] == [(1, False)]
    assert "task:pr_opened" not in dict(messages)


@scenario
async def a_task_that_was_added_again_meanwhile_starts_over(driver: Driver) -> None:
    _, timeline = await joined(driver, taskId="again-1", events=[{"type": "old"}, {"type": "older"}])
    driver.offline()
    while not isinstance(await anext(driver.relay), Disconnected):
        pass
    await driver.remove("again-1")
    await driver.add({"taskId": "again-1", "events": [{"type": "new"}]})
    driver.online()
    await soon(driver.relay, lambda: types(timeline) == ["new"])


@scenario
async def a_task_that_does_not_exist_is_forbidden(driver: Driver) -> None:
    timeline = driver.relay.join_task("none-1")
    await soon(driver.relay, lambda: timeline.has_ended)
    assert timeline.state == "forbidden"


@scenario
async def two_clients_see_the_same_and_one_that_leaves_hears_nothing(driver: Driver) -> None:
    board, _ = await joined(driver, taskId="two-1")
    async with driver.another() as other:
        second = other.join_task("two-1")
        await soon(other, lambda: second.state == "ready")
        driver.relay.leave_task("two-1")
        async for _ in driver.relay.messages("task:left"):
            break
        await driver.push("two-1", {"type": "note"})
        await soon(other, lambda: second.next == 1)
        messages = await heard(driver, lambda: board.tasks[0]["eventCount"] == 1)
        assert [kind for kind, _ in messages] == ["dashboard:task_list_updated"]


@scenario
async def a_client_that_the_rollout_leaves_out_is_refused(driver: Driver) -> None:
    await joined(driver, taskId="rollout-1")
    driver.switch_off()
    try:
        await soon(driver.relay, lambda: False)
    except ConnectionRefused as refused:
        assert (refused.code, refused.reason) == (4502, "feature_disabled")
    else:
        raise AssertionError("not refused")
