"""Any sequence of writes, requests and faults: every client ends with what the database says, and no message too many.

The naive model is the database itself: at rest, a member of a task holds the task's events, and
a list holds the summaries of the tasks that its rights open. Until then each client notices what must never come:
a gap, an event twice, or anything of a task that it is not a member of.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import orjson
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from simulation.clock import VirtualLoop
from support.hub_in_memory import AUDIENCE, TRANSLATOR, HubFixture, task_of
from support.mongo_model import KINDS, WRITES

from relay.errors import PositionLost, Unavailable
from relay.hub.snapshot import TaskState
from relay.protocol.frames import Batch, Frame, encode
from relay.protocol.types import LIFECYCLE_FIELDS, Kind
from relay.source.change import key_of
from relay.tasks.visibility import Principal

TASKS = ("t0", "t1", "t2")
CLIENTS = ("alice", "bob", "root")
LIMIT = 100
REST_S = 5.0  # of virtual time: longer than every pause of the hub

LIFECYCLES = {Kind.CREATED, *LIFECYCLE_FIELDS}

clients = st.sampled_from(CLIENTS)
tasks = st.sampled_from(TASKS)
writes = st.lists(WRITES, min_size=1, max_size=3)
failures = st.sampled_from([Unavailable, ValueError, PositionLost])


class Timeline:
    """What a client holds of one task, and whether it is a member."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.next, self.head = 0, ""
        self.member = False
        self.joins: set[str] = set()  # requests that are not answered yet
        self.shows: set[str] = set()
        self.lifecycle_at = ""  # the time of the change that the last lifecycle message is about
        self.leaving = 0  # `task:left` messages that are still to come: what comes before belongs to the past


class Client:
    """A connection: a socket that may stop taking, and a client that applies what it is sent."""

    def __init__(self, fixture: HubFixture, name: str) -> None:
        self._hub = fixture.hub
        self._number = 0
        self.rights: list[str] = ["admin"] if name == "root" else []
        self.listener = fixture.listener(name, self, roles=self.rights)  # type: ignore[arg-type]
        self.timelines = {task: Timeline() for task in TASKS}
        self.list: dict[str, Any] | None = None
        self.lists: list[str] = []  # requests for the list that are not answered yet, in order
        self.leaving_list = 0
        self.waiting: list[tuple[Frame, bool]] = []  # each frame, and whether it may be dropped
        self.takes = self.room = True
        self.failed = False
        self.lagging = False
        self.since_pause: bool | None = None  # live messages were dropped, which the hub does not know yet

    # The socket (hub.listener.Receiver).

    def send(self, batch: Batch) -> None:
        if not self.lagging:
            self._queue(batch.frames, droppable=True)

    def answer(self, frame: Frame) -> None:
        self._queue((frame,), droppable=False)

    def answer_pages(self, pages: Iterable[Frame], size: int) -> None:
        self._queue(pages, droppable=False)

    def pin(self) -> bool:
        self.waiting = [(frame, False) for frame, _ in self.waiting]
        return self.since_pause is None

    def has_room(self) -> bool:
        return self.room

    def fail(self) -> None:
        self.failed = True

    def pause(self) -> None:
        if self.takes:
            self.takes = False
            self._hub.note_paused(self.listener)

    def overflow(self) -> None:
        """Drop the live messages that wait; `tell_lag` reports it to the hub."""
        if not self.lagging:
            self.lagging, self.since_pause = True, not self.takes
            self.waiting = [(frame, droppable) for frame, droppable in self.waiting if not droppable]

    def tell_lag(self) -> None:
        since_pause, self.since_pause = self.since_pause, None
        if since_pause is not None:
            self._hub.lag(self.listener, since_pause=since_pause)

    def drain(self) -> None:
        self.tell_lag()
        self.takes = self.room = True
        self._take()
        self.lagging = False
        self._hub.catch_up(self.listener)

    def _queue(self, frames: Iterable[Frame], *, droppable: bool) -> None:
        self.waiting += [(frame, droppable) for frame in frames]
        if self.takes:
            self._take()

    def _take(self) -> None:
        waiting, self.waiting = self.waiting, []
        for frame, _ in waiting:
            self._apply(orjson.loads(frame.body))

    # What the client asks for.

    def join(self, task: str, *, from_here: bool) -> None:
        timeline = self.timelines[task]
        held = from_here and timeline.next and not timeline.leaving
        position = (timeline.next, timeline.head) if held else (None, None)
        timeline.joins.add(request := self._request())
        self._hub.join_task(self.listener, task, *position, request)

    def show(self, task: str) -> None:
        timeline = self.timelines[task]
        timeline.shows.add(request := self._request())

        def answered(answer: str) -> None:
            # `resync:done` comes behind the states in the same queue.
            self.answer(encode(Kind.RESYNC_DONE, {"taskId": task, "request": request, "answer": answer}))

        self._hub.show_task(self.listener, task, None, None, answered, request)

    def leave(self, task: str) -> None:
        timeline = self.timelines[task]
        timeline.leaving += 1
        timeline.joins.clear()
        self._hub.leave_task(self.listener, task)
        self.answer(encode(Kind.TASK_LEFT, {"taskId": task}))

    def join_list(self) -> None:
        self.lists.append(request := self._request())
        self._hub.join_list(self.listener, LIMIT, request)

    def leave_list(self) -> None:
        self.leaving_list += 1
        self.lists.clear()
        self._hub.leave_list(self.listener)
        self.answer(encode(Kind.DASHBOARD_LEFT, {}))

    def change_rights(self) -> None:
        self.rights = [] if self.rights else ["admin"]
        principal = self.principal
        self._hub.change_rights(
            self.listener, AUDIENCE.keys_for(principal), lambda: AUDIENCE.filter_for(principal)
        )

    @property
    def principal(self) -> Principal:
        return Principal(self.listener.user, {"sub": self.listener.user, "roles": self.rights}, 0)

    def _request(self) -> str:
        self._number += 1
        return str(self._number)

    # What the client is sent.

    def _apply(self, message: dict[str, Any]) -> None:
        kind, data, reply_to = message["type"], message["data"], message.get("replyTo")
        if kind in LIFECYCLES:
            timeline = self.timelines[data["taskId"]]
            assert message["at"] >= timeline.lifecycle_at, "a lifecycle message after a later one"
            timeline.lifecycle_at = message["at"]
        match kind:
            case "dashboard:left":
                self.leaving_list -= 1
                self.list = None
            case "dashboard:state" | "dashboard:task_list_updated" | "error" if "taskId" not in data or (
                kind == "dashboard:task_list_updated"
            ):
                if not self.leaving_list:
                    self._apply_to_list(kind, data, reply_to)
            case "task:left" | "resync:done":
                self._apply_to_task(self.timelines[data["taskId"]], kind, data, reply_to)
            case (
                "task:state" | "task:event_added" | "task:updated" | "task:revoked" | "task:deleted" | "error"
            ):
                timeline = self.timelines[data["taskId"]]
                if not timeline.leaving or reply_to in timeline.shows:
                    self._apply_to_task(timeline, kind, data, reply_to)

    def _apply_to_list(self, kind: str, data: dict[str, Any], reply_to: str | None) -> None:
        match kind:
            case "dashboard:state":
                assert reply_to in self.lists or (reply_to is None and self.list is not None), "uninvited"
                if reply_to in self.lists and not data["more"]:
                    self.lists.remove(reply_to)  # type: ignore[arg-type]
                listed = {} if data["reset"] else self.list or {}
                self.list = listed | {task["taskId"]: task for task in data["tasks"]}
            case "dashboard:task_list_updated":
                assert self.list is not None, "a list that is none was updated"
                if data.pop("change") == "upserted":
                    self.list[data["taskId"]] = data
                else:
                    self.list.pop(data["taskId"], None)
            case "error":
                assert data["code"] == "unavailable"
                assert reply_to in self.lists
                self.lists.remove(reply_to)  # type: ignore[arg-type]
                if not self.lists:  # otherwise the relay still answers, and the list goes on
                    self.list = None

    def _apply_to_task(
        self, timeline: Timeline, kind: str, data: dict[str, Any], reply_to: str | None
    ) -> None:
        match kind:
            case "task:left":
                timeline.leaving -= 1
                timeline.member = False
            case "resync:done":
                timeline.shows.discard(data["request"])
            case "task:state":
                asked = reply_to in timeline.joins or reply_to in timeline.shows
                assert asked or (reply_to is None and timeline.member), "uninvited"
                assert data["from"] <= len(timeline.events), "a gap"
                timeline.events[data["from"] :] = data["events"]
                assert len(timeline.events) == data["next"]
                timeline.next, timeline.head = data["next"], data["head"]
                if reply_to in timeline.joins:
                    timeline.member = True
                    if not data["more"]:
                        timeline.joins.discard(reply_to)  # type: ignore[arg-type]
            case "task:event_added":
                assert timeline.member, "an event of a task that was not joined"
                assert data["index"] == len(timeline.events), "a gap or a repetition"
                timeline.events.append(data["event"])
                timeline.next, timeline.head = data["next"], data["head"]
            case "task:updated":
                assert timeline.member, "an update of a task that was not joined"
            case "task:revoked" | "task:deleted":
                assert timeline.member, "a revocation of a task that was not joined"
                timeline.member = False
            case "error":
                assert reply_to in timeline.joins
                timeline.joins.discard(reply_to)  # type: ignore[arg-type]

    # What it must hold when everything has come to rest.

    def check(self, stored: dict[str, Any]) -> None:
        assert not self.failed, "an exception while it was served, see the log"
        sees = {task: one for task, one in stored.items() if self.listener.may_see(one.keys)}
        for task, timeline in self.timelines.items():
            assert not timeline.joins, "a join that was never answered"
            assert not timeline.shows, "a request for a state that was never answered"
            if timeline.member:
                assert task in sees, "a member of a task that it may not see"
                assert timeline.events == events_of(sees[task])
        joined = sum(timeline.member for timeline in self.timelines.values())
        assert self._hub.joined_tasks(self.listener) == joined
        assert not self.lists, "a request for the list that was never answered"
        if self.list is not None:
            assert self.list == {task: one.summary for task, one in sees.items()}


def events_of(task: Any) -> list[Any]:
    return [
        orjson.loads(event) for event in TaskState(task, task.timeline.elements or (), TRANSLATOR.view).events
    ]


class HubModel(RuleBasedStateMachine):
    """The hub over a database in memory, on a clock that does not wait."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualLoop()
        self.fixture = self.run(lambda: HubFixture(list_interval_s=0.1))
        self.clients = {name: Client(self.fixture, name) for name in CLIENTS}
        self.gates: list[asyncio.Event] = []

    def run(self, call: Callable[[], Any], seconds: float = 0.0) -> Any:
        async def called() -> Any:
            result = call()
            if seconds:
                await asyncio.sleep(seconds)
            return result

        return self.loop.run_until_complete(called())

    @initialize(lists=st.sets(clients), joined=st.sets(st.tuples(clients, tasks)))
    def begin(self, lists: set[str], joined: set[tuple[str, str]]) -> None:
        """Three tasks of alice, and clients that have joined some of them and the list."""
        inserts = [("insert", task, [{"type": "log", "n": 0}], "new") for task in TASKS]
        self.run(lambda: self.fixture.write(inserts))
        for name in sorted(lists):
            self.run(self.clients[name].join_list)
        for name, task in sorted(joined):
            self.run(lambda name=name, task=task: self.clients[name].join(task, from_here=False))
        self.run(lambda: None, 0.01)

    # The database.

    @rule(task=tasks, kind=st.sampled_from(KINDS))
    def append(self, task: str, kind: str) -> None:
        self.run(lambda: self.fixture.write([("push", task, [{"type": kind, "n": 1}], None)]))

    @rule(task=tasks, creator=st.sampled_from(["alice", "bob"]))
    def give_to(self, task: str, creator: str) -> None:
        self.run(lambda: self.fixture.write([("fields", task, "new", creator)]))

    @rule(task=tasks)
    def delete_and_insert(self, task: str) -> None:
        self.run(lambda: self.fixture.write([("delete", task)]))
        self.run(lambda: self.fixture.write([("insert", task, [], "new")]))

    @rule(group=writes)
    def write(self, group: Any) -> None:
        self.run(lambda: self.fixture.write(group))

    @rule(group=writes)
    def lose_position(self, group: Any) -> None:
        self.run(lambda: self.fixture.lose_stream(group))

    @rule(failure=failures)
    def fail_next_read(self, failure: type[Exception]) -> None:
        self.fixture.failures.append(failure("injected"))

    @rule()
    def delay_next_read(self) -> None:
        self.gates.append(gate := asyncio.Event())
        self.fixture.gates.append(gate)

    @rule()
    def end_delays(self) -> None:
        for gate in self.gates:
            gate.set()
        self.gates.clear()

    # The clients.

    @rule(name=clients, task=tasks, from_here=st.booleans())
    def join(self, name: str, task: str, from_here: bool) -> None:
        self.run(lambda: self.clients[name].join(task, from_here=from_here))

    @rule(name=clients, task=tasks)
    def show(self, name: str, task: str) -> None:
        self.run(lambda: self.clients[name].show(task))

    @rule(name=clients, task=tasks)
    def leave(self, name: str, task: str) -> None:
        self.run(lambda: self.clients[name].leave(task))

    @rule(name=clients)
    def join_list(self, name: str) -> None:
        self.run(self.clients[name].join_list)

    @rule(name=clients)
    def leave_list(self, name: str) -> None:
        self.run(self.clients[name].leave_list)

    @rule(name=clients)
    def change_rights(self, name: str) -> None:
        self.run(self.clients[name].change_rights)

    @rule(name=clients)
    def pause(self, name: str) -> None:
        self.run(self.clients[name].pause)

    @rule(name=clients)
    def overflow(self, name: str) -> None:
        self.run(self.clients[name].overflow)

    @rule(name=clients)
    def tell_lag(self, name: str) -> None:
        self.run(self.clients[name].tell_lag)

    @rule(name=clients)
    def drain(self, name: str) -> None:
        self.run(self.clients[name].drain)

    @rule(name=clients)
    def have_no_room(self, name: str) -> None:
        self.clients[name].room = False

    # Time.

    @rule(seconds=st.sampled_from([0.001, 0.05, 0.3, 2.0]))
    def wait(self, seconds: float) -> None:
        self.run(lambda: None, seconds)

    @rule()
    def come_to_rest(self) -> None:
        self.fixture.failures.clear()
        self.end_delays()
        self.fixture.gates.clear()
        for client in self.clients.values():
            self.run(client.drain)
        self.run(lambda: None, REST_S)
        documents = self.fixture.model.documents
        stored = {task: task_of(document) for task, document in documents.items()}
        for client in self.clients.values():
            client.check(stored)

    def teardown(self) -> None:
        try:
            self.come_to_rest()
            self.run(lambda: [self.fixture.hub.leave(client.listener) for client in self.clients.values()])
            assert not any(self.fixture.hub.is_listened(key_of(task)) for task in TASKS)
            self.loop.run_until_complete(self.fixture.hub.__aexit__())
        finally:
            self.loop.close()


TestHub = HubModel.TestCase
TestHub.settings = settings(
    max_examples=100, stateful_step_count=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
