"""The fair semaphore: its number of slots, the turns of users, and waiters that give up."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from relay.hub.fair_semaphore import FairSemaphore, Waiter


class Queue:
    """Holders that enter, and leave when the test says so; `entered` are their names in order."""

    def __init__(self, parallel: int) -> None:
        self.semaphore = FairSemaphore(parallel)
        self.entered: list[str] = []
        self._leaving: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._futures: dict[str, Waiter] = {}

    async def request(self, name: str, *users: str) -> None:
        self._leaving[name] = asyncio.Event()
        self._futures[name] = asyncio.get_running_loop().create_future()
        self._tasks[name] = asyncio.create_task(self._hold(name, users))
        await settled()

    async def _hold(self, name: str, users: tuple[str, ...]) -> None:
        async with self.semaphore.slot(self._futures[name], users):
            self.entered.append(name)
            await self._leaving[name].wait()

    def share(self, name: str, user: str) -> None:
        self.semaphore.enqueue(self._futures[name], user)

    async def leave(self, name: str) -> None:
        self._leaving[name].set()
        await self._tasks[name]
        await settled()

    async def give_up(self, name: str) -> None:
        self._tasks[name].cancel()
        with suppress(asyncio.CancelledError):
            await self._tasks[name]
        await settled()

    @property
    def inside(self) -> list[str]:
        return [name for name in self.entered if not self._tasks[name].done()]


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_each_waiting_user_gets_a_slot_before_any_gets_a_second() -> None:
    queue = Queue(1)
    for number in range(4):
        await queue.request(f"a{number}", "a")
    await queue.request("b", "b")
    for name in ("a0", "a1", "b", "a2", "a3"):
        assert queue.inside == [name]
        await queue.leave(name)


async def test_a_read_that_two_users_wait_for_gets_the_first_slot_of_either() -> None:
    queue = Queue(1)
    for number in range(4):
        await queue.request(f"a{number}", "a")
    queue.share("a3", "b")
    await queue.leave("a0")
    assert queue.inside == ["a1"]
    await queue.leave("a1")
    assert queue.inside == ["a3"]
    await queue.leave("a3")
    await queue.leave("a2")
    assert queue.entered == ["a0", "a1", "a3", "a2"]


async def test_a_waiter_or_holder_that_is_cancelled_leaves_its_slot_to_the_next() -> None:
    queue = Queue(1)
    for name in ("a", "b", "c", "d"):
        await queue.request(name, name)
    await queue.give_up("b")  # while waiting
    await queue.give_up("a")  # while inside
    assert queue.inside == ["c"]
    await queue.leave("c")
    await queue.leave("d")
    await queue.request("e", "e")
    assert queue.inside == ["e"]


async def test_a_read_without_users_gets_a_slot_in_its_turn() -> None:
    queue = Queue(1)
    await queue.request("a", "a")
    await queue.request("nobody's")
    await queue.request("b", "b")
    await queue.leave("a")
    assert queue.inside == ["nobody's"]
    await queue.leave("nobody's")
    assert queue.inside == ["b"]


@given(
    st.integers(1, 3),
    st.lists(st.sampled_from("abc"), min_size=1, max_size=20),
    st.lists(st.booleans(), min_size=20, max_size=20),
)
def test_every_slot_is_used_and_every_waiter_gets_one(
    parallel: int, users: list[str], giving_up: list[bool]
) -> None:
    async def play() -> None:
        queue = Queue(parallel)
        gone: set[str] = set()
        names = [f"{user}{number}" for number, user in enumerate(users)]
        for name, user in zip(names, users, strict=True):
            await queue.request(name, user)
        for name, gives_up in zip(names, giving_up, strict=False):
            if gives_up and name not in queue.entered:
                await queue.give_up(name)
                gone.add(name)
        left = [name for name in names if name not in gone]
        while left:
            assert len(queue.inside) == min(parallel, len(left))
            first = queue.inside[0]
            await queue.leave(first)
            left.remove(first)
        assert sorted(queue.entered) == sorted(name for name in names if name not in gone)

    asyncio.run(play())
