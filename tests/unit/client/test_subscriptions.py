"""Subscriptions and views of a client with delays in any order, against a relay in memory and a naive reader."""

from __future__ import annotations

import os
import random
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
from support.fake_relay import position, summary

from relay.client import Client, Message, TaskList, Timeline
from relay.client.events import decode
from relay.client.subscriptions import Retry, Subscriptions

SEEDS = int(os.environ.get("RELAY_TEST_ROOMS_SEEDS") or 1000)
TASKS = ("t1", "t1", "t1", "t2", "t2", "t3", "bad")  # the relay refuses the last as an invalid task id
CAP = 2  # most tasks that one connection may join
PAGE = 2


@dataclass
class Relay:
    """A relay in memory. The field `of` of each frame is the id of the join that the frame belongs to."""

    tasks: dict[str, list[Any] | None] = field(default_factory=lambda: {"t1": [0], "t2": [0, 1], "t3": []})
    hidden: set[str] = field(default_factory=set)
    joined: dict[str | None, str] = field(default_factory=dict)
    sent: deque[str] = field(default_factory=deque)
    written: int = 100

    def send(
        self, kind: str, data: dict[str, Any], reply_to: str | None = None, of: str | None = None
    ) -> None:
        frame = {"type": kind, "data": {**data, "of": of}}
        self.sent.append(orjson.dumps(frame | ({"replyTo": reply_to} if reply_to else {})).decode())

    def visible(self, task_id: str) -> list[Any] | None:
        return None if task_id in self.hidden else self.tasks.get(task_id)

    def answer(self, frame: str, trouble: bool) -> None:
        request = orjson.loads(frame)
        reply_to, data = request["id"], request["data"]
        if trouble:
            return self.refuse(reply_to, "rate_limited", temporary=True, retryAfterMs=50)
        match request["type"]:
            case "task:join":
                self.join(reply_to, data["tasks"])
            case "task:leave":
                self.joined.pop(data["taskId"], None)
                self.send("task:left", data, reply_to)
            case "dashboard:join":
                self.joined[None] = reply_to
                self.list(reply_to)
            case "dashboard:leave":
                self.joined.pop(None, None)
                self.send("dashboard:left", {}, reply_to)

    def refuse(self, reply_to: str, code: str, *, temporary: bool = False, **more: Any) -> None:
        self.send("error", {"code": code, "message": ".", "temporary": temporary, **more}, reply_to)

    def join(self, reply_to: str, entries: list[dict[str, Any]]) -> None:
        ids = {entry["taskId"] for entry in entries}
        if "bad" in ids:
            return self.refuse(reply_to, "bad_request")
        if len(ids | (self.joined.keys() - {None})) > CAP:
            return self.refuse(reply_to, "too_many_tasks")
        for entry in entries:
            task_id, since = entry["taskId"], entry.get("since", 0)
            if (events := self.visible(task_id)) is None:
                self.joined.pop(task_id, None)
                self.refuse(reply_to, "forbidden", taskId=task_id)
                continue
            held = since <= len(events) and position(events[:since])["head"] == entry.get("head")
            self.joined[task_id] = reply_to
            self.state(task_id, since if held else 0, reply_to)

    def state(self, task_id: str, start: int, reply_to: str | None) -> None:
        events, of = self.tasks[task_id] or [], self.joined[task_id]
        while True:
            page = events[start : start + PAGE]
            end, reset = start + len(page), start == 0
            data = {"taskId": task_id, "task": summary(task_id, events), "events": page, "from": start}
            data |= {"reset": reset, "more": end < len(events), **position(events[:end])}
            self.send("task:state", data, reply_to, of)
            if end == len(events):
                return
            start = end

    def list(self, reply_to: str | None) -> None:
        tasks = [
            summary(task_id, events)
            for task_id in self.tasks
            if (events := self.visible(task_id)) is not None
        ]
        of = self.joined[None]
        self.send("dashboard:state", {"tasks": tasks[:1], "reset": True, "more": True}, reply_to, of)
        self.send("dashboard:state", {"tasks": tasks[1:], "reset": False, "more": False}, reply_to, of)

    def append(self, task_id: str) -> None:
        if (events := self.visible(task_id)) is not None:
            self.written += 1
            events.append(self.written)
            data = {"taskId": task_id, "index": len(events) - 1, "event": self.written, **position(events)}
            if task_id in self.joined:
                self.send("task:event_added", data, of=self.joined[task_id])
            self.upsert(task_id)

    def rewrite(self, task_id: str) -> None:
        if self.visible(task_id) is not None:
            self.written += 1
            self.tasks[task_id] = [self.written] * (self.written % 4)
            if task_id in self.joined:
                self.state(task_id, 0, None)
            self.upsert(task_id)

    def upsert(self, task_id: str) -> None:
        if None in self.joined:
            data = {"change": "upserted", **summary(task_id, self.tasks[task_id] or [])}
            self.send("dashboard:task_list_updated", data, of=self.joined[None])

    def hide(self, task_id: str) -> None:
        if self.visible(task_id) is not None:
            self.hidden.add(task_id)
            if (of := self.joined.pop(task_id, None)) is not None:
                self.send("task:revoked", {"taskId": task_id}, of=of)
            if None in self.joined:
                data = {"change": "revoked", "taskId": task_id}
                self.send("dashboard:task_list_updated", data, of=self.joined[None])

    def show(self, task_id: str) -> None:
        if task_id in self.hidden:
            self.hidden.remove(task_id)
            self.upsert(task_id)


class Reader:
    """A naive timeline that applies only the messages of one join."""

    def __init__(self, since: int) -> None:
        self.start, self.events, self.begun, self.over = since, list[Any](), False, False

    def read(self, message: Message) -> None:
        match message.type:
            case "task:state" | "task:event_added":
                self.begun = True
                first = message.data.get("from", message.data.get("index"))
                if first < self.start:
                    self.start, self.events = first, []
                assert first <= self.start + len(self.events), "a gap"
                del self.events[first - self.start :]
                self.events += message.data.get("events", [message.data.get("event")])
            case "task:revoked":
                self.over = True


class World:
    """A client, its relay, the frames in flight between them, and the messages not yet iterated over."""

    def __init__(self) -> None:
        self.client, self.relay = Client("http://relay", "t0ken"), Relay()
        self.subscriptions = Subscriptions(self.client._wanted)
        self.asked: deque[str] = deque()
        self.received: deque[tuple[Message, Any]] = deque()
        self.readers: dict[str, Reader] = {}
        self.joins: dict[Any, str] = {}  # want → its latest join request
        self.latest: dict[Any, str] = {}  # view → its latest join request
        self.views: list[Timeline | TaskList] = []
        self.connections = self.requests = 0

    def do(self, step: str, task_id: str) -> None:
        client = self.client
        match step:
            case "join":
                self.views.append(client.join_task(task_id))
            case "join from here":
                view = self.client._views.get(task_id)
                held = view.position if isinstance(view, Timeline) else None
                self.views.append(client.join_task(task_id, *((held.next, held.head) if held else ())))
            case "join from elsewhere":
                events = (self.relay.visible(task_id) or [])[:1]
                held = position(events)
                self.views.append(client.join_task(task_id, held["next"], held["head"]))
            case "leave":
                client.leave_task(task_id)
            case "join list":
                self.views.append(client.join_dashboard())
            case "leave list":
                client.leave_dashboard()
            case "ask":
                self.ask()
            case "answer" | "refuse":
                if self.asked:
                    self.relay.answer(self.asked.popleft(), trouble=step == "refuse")
            case "deliver":
                self.deliver()
            case "iterate":
                self.iterate()
            case "retry":
                self.subscriptions.retry()
            case "lose":
                self.connections += 1
                self.subscriptions = Subscriptions(client._wanted)
                self.asked.clear()
                self.relay.joined, self.relay.sent = {}, deque()
            case _:
                getattr(self.relay, step)(task_id)

    def ask(self) -> bool:
        if (request := self.subscriptions.next_request()) is None:
            return False
        self.requests += 1
        frame = orjson.loads(request.frame)
        for entry in frame["data"].get("tasks", ()):
            join = self.key(frame["id"], entry["taskId"])
            want = self.client._wanted.tasks[entry["taskId"]]
            self.joins[want] = self.latest[want.view] = join
            self.readers[join] = Reader(entry.get("since", 0))
        self.asked.append(request.frame)
        return True

    def key(self, request: str, task_id: str) -> str:
        """An id for one join of one task. It includes the connection, because request ids restart with each."""
        return f"{self.connections} {request} {task_id}"

    def deliver(self) -> bool:
        if not self.relay.sent:
            return False
        message = decode(self.relay.sent.popleft())
        task_id, of = message.data.get("taskId"), message.data.get("of")
        if task_id and of:
            message.data["of"] = self.key(of, task_id)
        outcome = self.subscriptions.receive(message)
        self.received.append((message, outcome))
        if outcome.effect == "end" and message.data["code"] == "too_many_tasks":
            assert len(self.client._wanted.tasks.keys() - {"bad"}) >= CAP
        if outcome.effect == "end" and message.data["code"] == "bad_request":
            assert outcome.view.task_id == "bad", "ended because another task of its request was invalid"
        return True

    def iterate(self) -> bool:
        if not self.received:
            return False
        message, outcome = self.received.popleft()
        ended = [view for view in self.views if view.has_ended]
        states = [view.state for view in ended]
        self.client._show(message, outcome)
        assert [view.state for view in ended] == states, "an ended view changed its state"
        if message.type == "task:revoked":
            over = [view for view in self.views if view.has_ended and view not in ended]
            assert all(self.latest[view] == message.data["of"] for view in over), (
                "ended by an older subscriptions"
            )
        if (reader := self.readers.get(str(message.data.get("of")))) is not None:
            reader.read(message)
        self.compare()
        if message.type == "task:revoked":
            want = self.client._wanted.tasks.get(message.data["taskId"])
            if want is not None and not self.reader_of(want).begun:
                assert (want.view.task, want.view.events) == (None, [])
        return True

    def reader_of(self, want: Any) -> Reader:
        return self.readers.get(self.joins.get(want, ""), Reader(0))

    def compare(self) -> None:
        """Check that each view shows exactly the messages iterated over that belong to its latest join."""
        for want in self.client._wanted.tasks.values():
            reader, view = self.reader_of(want), want.view
            if not reader.begun or reader.over or view.has_ended:
                continue
            assert view.next == reader.start + len(reader.events)
            assert view.events[reader.start - view.start :] == reader.events
        for view in self.views:
            assert not view.has_ended or not (view.events if isinstance(view, Timeline) else view.tasks)

    def settle(self) -> None:
        """Deliver and answer everything in flight, without further faults."""
        before = self.requests
        while True:
            while self.ask() or self.asked or self.relay.sent or self.received:
                self.do("answer", "")
                self.deliver()
                self.iterate()
                assert self.requests - before < 100, "too many requests"
            self.subscriptions.retry()
            if not self.ask():
                return


STEPS = {
    "join": 4, "join from here": 3, "join from elsewhere": 1, "leave": 3, "join list": 1, "leave list": 1,
    "ask": 9, "answer": 8, "refuse": 1, "retry": 2, "deliver": 12, "iterate": 10, "lose": 0.3,
    "append": 6, "rewrite": 2, "hide": 1, "show": 2,
}  # fmt: skip


def test_every_view_shows_exactly_the_messages_of_its_latest_join() -> None:
    """Faults 16, 19 and 21: joins, leaves, refusals and lost connections happen in any order."""
    for seed in range(SEEDS):
        play(seed)


def play(seed: int) -> None:
    chance, world = random.Random(seed), World()
    for step in chance.choices(list(STEPS), list(STEPS.values()), k=chance.randrange(150)):
        world.do(step, chance.choice(TASKS))
    world.settle()
    wanted, relay = world.client._wanted, world.relay
    assert relay.joined.keys() == wanted.tasks.keys() | ({None} if wanted.dashboard else set())
    for task_id, want in wanted.tasks.items():
        assert want.view.state == "ready"
        assert want.view.events == (relay.visible(task_id) or [])[want.view.start :]
    if wanted.dashboard is not None:
        listed = {task["taskId"]: task["eventCount"] for task in wanted.dashboard.view.tasks}
        shown = {task_id: relay.visible(task_id) for task_id in relay.tasks}
        assert listed == {task_id: len(events) for task_id, events in shown.items() if events is not None}


def outcome_of(
    subscriptions: Subscriptions, kind: str, data: dict[str, Any], reply_to: str | None = None
) -> Any:
    return subscriptions.receive(Message(kind, data, reply_to=reply_to))


@pytest.mark.parametrize(
    "sight",
    [
        ("dashboard:task_list_updated", {"change": "upserted", "taskId": "t1"}),
        ("dashboard:state", {"tasks": [{"taskId": "t1"}], "reset": True, "more": False}),
    ],
)
def test_a_refused_task_that_the_list_has_shown_since_is_joined_again(sight: Any) -> None:
    """Fault 18: the relay decided on the refusal before it showed the task in the list."""
    client = Client("http://relay", "t0ken")
    task, subscriptions = client.join_task("t1"), Subscriptions(client._wanted)
    client.join_dashboard()
    for _ in range(2):
        subscriptions.next_request()  # one request for the list and one for the task
    outcome_of(subscriptions, *sight)
    outcome = outcome_of(subscriptions, "error", {"code": "forbidden", "taskId": "t1"}, "r2")
    again = subscriptions.next_request()
    assert (outcome.ask, outcome.view, task.state) == (True, None, "loading")
    assert again is not None
    assert "task:join" in again.frame
    assert outcome_of(subscriptions, "error", {"code": "forbidden", "taskId": "t1"}, "r3").effect == "end"


def test_a_message_iterated_over_late_changes_no_view_of_a_later_join() -> None:
    """Fault 21, smallest form: leave, join again from a position, and only then iterate."""
    world = World()
    for step in ("join", "ask", "answer", "deliver", "iterate", "append", "deliver", "leave", "ask"):
        world.do(step, "t2")
    world.do("join from elsewhere", "t2")
    for step in ("ask", "iterate"):
        world.do(step, "t2")
    old, new = world.views
    assert (old.state, new.state, new.events) == ("left", "loading", [])  # type: ignore[union-attr]


def state_of(*events: int) -> dict[str, Any]:
    data = {"taskId": "t1", "task": summary("t1", list(events)), "events": list(events), "from": 0}
    return data | {"reset": True, "more": False, **position(list(events))}


def left_and_joined_again() -> tuple[Subscriptions, Timeline]:
    """A task whose join, leave and second join were sent. The leave was refused, the joins have no answer."""
    client = Client("http://relay", "t0ken")
    client.join_task("t1")
    subscriptions = Subscriptions(client._wanted)
    assert subscriptions.next_request() is not None
    client.leave_task("t1")
    assert subscriptions.next_request() is not None
    task = client.join_task("t1")
    assert subscriptions.next_request() is not None
    outcome_of(subscriptions, "error", {"code": "rate_limited", "temporary": True}, "r2")
    return subscriptions, task


def test_the_state_of_a_join_from_before_a_refused_leave_is_shown_if_it_follows_that_of_the_newer_join() -> (
    None
):
    subscriptions, task = left_and_joined_again()

    newer = outcome_of(subscriptions, "task:state", state_of(1), "r3")
    older = outcome_of(subscriptions, "task:state", state_of(1, 2), "r1")

    assert (newer.view, newer.effect) == (task, "begin")
    assert (older.view, older.effect) == (task, "show")  # the live messages continue from here


def test_the_state_of_a_join_from_before_a_refused_leave_is_not_shown_before_that_of_the_newer_join() -> None:
    subscriptions, task = left_and_joined_again()

    older = outcome_of(subscriptions, "task:state", state_of(1), "r1")
    newer = outcome_of(subscriptions, "task:state", state_of(1, 2), "r3")

    assert older.view is None
    assert (newer.view, newer.effect) == (task, "begin")


def test_a_leave_that_was_refused_is_sent_again_at_its_time_although_the_join_before_it_is_answered() -> None:
    client = Client("http://relay", "t0ken")
    client.join_task("t1")
    subscriptions = Subscriptions(client._wanted)
    subscriptions.next_request()
    client.leave_task("t1")
    subscriptions.next_request()
    outcome_of(subscriptions, "error", {"code": "rate_limited", "temporary": True}, "r2")

    assert outcome_of(subscriptions, "task:state", state_of(1), "r1").view is None
    assert subscriptions.next_request() is None
    subscriptions.retry()
    again = subscriptions.next_request()

    assert again is not None
    assert "task:leave" in again.frame
    assert subscriptions.next_request() is None


def test_requests_that_came_too_fast_are_repeated_after_the_time_that_the_relay_names() -> None:
    """Another client of the user may be as fast as it can: whoever waits longer each time would never succeed."""
    client = Client("http://relay", "t0ken")
    client.join_task("t1")
    subscriptions = Subscriptions(client._wanted)
    data = {"code": "rate_limited", "temporary": True, "retryAfterMs": 50}
    for number in range(1, 20):
        assert subscriptions.next_request() is not None

        outcome = outcome_of(subscriptions, "error", data, f"r{number}")

        assert outcome.retry == Retry(0.05, None)
        subscriptions.retry()
