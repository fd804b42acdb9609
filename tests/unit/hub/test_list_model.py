"""Any sequence of writes, lost streams and requests for lists, with reads that wait or fail: each list that is read is
that of its position, as if it had been read whole.

Lists share the summaries of their tasks, and a summary that is too new or too old would be in a list only for a moment:
the updates that follow replace it. So each list is compared as it is read. The summaries are also read in pages of one
or two tasks, and after each task everything else may run, so that anything may happen in the middle of a list.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from simulation.clock import VirtualLoop
from support.hub_in_memory import AUDIENCE, HubFixture
from support.mongo_model import WRITES

from relay.errors import PositionLost, Unavailable
from relay.hub import fragment_reads, fragments
from relay.hub.list_reads import ListReading
from relay.hub.listener import Listener
from relay.hub.snapshot import Pages
from relay.tasks.visibility import Principal

TASKS = ("t0", "t1", "t2")
LIMITS = (1, 2, 3, 100)
USERS = ("alice", "bob", "root")
REST_S = 5.0  # of virtual time: longer than every pause of the hub

users = st.sampled_from(USERS)
limits = st.sampled_from(LIMITS)
writes = st.lists(WRITES, min_size=1, max_size=3)


class ListModel(RuleBasedStateMachine):
    """The hub over a database in memory, on a clock that does not wait."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(fragment_reads, "SLICE_S", -1.0)
        self.loop = VirtualLoop()
        self.fixture = self.run(HubFixture)
        self.lists = self.fixture.hub._driver.list_reads
        self.pages_of, self.lists.pages = self.lists.pages, self.pages
        self.read = 0
        self.differing: list[Any] = []  # lists that are not those of their position
        self.listeners = {name: self.connected(name) for name in USERS}
        self.gates: list[asyncio.Event] = []

    def connected(self, name: str) -> Listener:
        return self.fixture.listener(name, roles=["admin"] if name == "root" else [])

    async def pages(self, reading: ListReading) -> Pages | None:
        pages: Pages | None = await self.pages_of(reading)
        if pages is not None:
            self.read += 1
            shown = [task for page in pages for task in orjson.loads(page.body)["data"]["tasks"]]
            stored = self.fixture.whole_list(reading.position, reading.group.filter, reading.limit)
            if shown != stored or any(one.limit != reading.limit for one in reading.requests):
                self.differing.append((reading.position, shown, stored))
        return pages

    def run(self, call: Callable[[], Any], seconds: float = 0.001) -> Any:
        async def called() -> Any:
            result = call()
            await asyncio.sleep(seconds)
            return result

        return self.loop.run_until_complete(called())

    @initialize(
        asked=st.sets(users),
        max_bytes=st.sampled_from([0, 800, 10**6, 10**6]),
        is_routed=st.sampled_from([False, False, False, True]),
        page=st.sampled_from([1, 2, 200, 200]),
    )
    def begin(self, asked: set[str], max_bytes: int, is_routed: bool, page: int) -> None:
        """Three tasks of alice, and lists that were read. The summaries that lists share have so many bytes at most; in
        a sharded cluster lists share none."""
        self.patch.setattr(fragments, "PAGE", page)
        self.patch.setattr(fragment_reads, "PAGE", page)
        self.lists.fragments.max_bytes = max_bytes
        self.fixture.is_routed = is_routed
        self.run(lambda: self.fixture.write([("insert", task, [], "new") for task in TASKS]))
        for name in sorted(asked):
            self.ask(name, 100)

    @rule(group=writes)
    def write(self, group: Any) -> None:
        self.run(lambda: self.fixture.write(group))

    @rule(task=st.sampled_from(TASKS), creator=st.sampled_from(["alice", "bob"]))
    def give_to(self, task: str, creator: str) -> None:
        self.run(lambda: self.fixture.write([("fields", task, "new", creator)]))

    @rule(group=writes)
    def lose_position(self, group: Any) -> None:
        self.run(lambda: self.fixture.lose_stream(group))

    @rule(name=users, limit=limits)
    def ask(self, name: str, limit: int) -> None:
        self.run(lambda: self.join(name, limit))

    @rule(name=users, limit=limits, group=writes)
    def ask_before_and_after_a_write(self, name: str, limit: int, group: Any) -> None:
        """The first read has begun, but nothing was sent to the database when the tasks change."""

        def both() -> None:
            self.join(name, limit)
            self.fixture.write(group)
            self.join(name, 100)

        self.run(both)

    def join(self, name: str, limit: int) -> None:
        self.fixture.hub.join_list(self.listeners[name], limit, None, caught_up=True)

    @rule(name=users)
    def reconnect(self, name: str) -> None:
        self.run(lambda: self.fixture.hub.leave(self.listeners[name]))
        self.listeners[name] = self.connected(name)

    @rule(name=users)
    def leave(self, name: str) -> None:
        self.run(lambda: self.fixture.hub.leave_list(self.listeners[name]))

    @rule(name=users, roles=st.sampled_from([["admin"], []]))
    def change_rights(self, name: str, roles: list[str]) -> None:
        principal = Principal(name, {"sub": name, "roles": roles}, 0)
        keys = AUDIENCE.keys_for(principal)
        self.run(
            lambda: self.fixture.hub.change_rights(
                self.listeners[name], keys, lambda: AUDIENCE.filter_for(principal)
            )
        )

    @rule(counts=st.sampled_from([(0,), (1,), (0, 1)]))
    def delay_reads(self, counts: tuple[int, ...]) -> None:
        """Let the next read wait, or the one after it: that is the read of the tasks of a list."""
        for count in counts:
            gate = asyncio.Event()
            if count:
                self.fixture.gates.append(opened := asyncio.Event())
                opened.set()
            self.gates.append(gate)
            self.fixture.gates.append(gate)

    @rule(last=st.booleans())
    def end_delay(self, last: bool) -> None:
        if self.gates:
            self.run(self.gates.pop(-1 if last else 0).set)

    @rule(failure=st.sampled_from([Unavailable, PositionLost]))
    def fail_next_read(self, failure: type[Exception]) -> None:
        self.fixture.failures.append(failure("injected"))

    def teardown(self) -> None:
        try:
            for gate in self.gates:
                gate.set()
            self.fixture.gates.clear()
            self.run(lambda: None, REST_S)
            assert not self.differing
            for listener in self.listeners.values():
                self.run(lambda listener=listener: self.fixture.hub.leave(listener))
            self.run(lambda: None, REST_S)
            assert not self.lists._readings
            self.loop.run_until_complete(self.fixture.hub.__aexit__())
        finally:
            self.loop.close()
            self.patch.undo()


TestLists = ListModel.TestCase
TestLists.settings = settings(
    max_examples=400, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
