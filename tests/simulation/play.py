"""One history, from its plan to the verdict."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack, nullcontext
from dataclasses import dataclass
from typing import Any

from simulation.clock import VirtualLoop
from simulation.determinism import refusing, small_pages
from simulation.instance import LAGS_S, Instance
from simulation.network import Network
from simulation.plan import Plan
from simulation.readers.browser import Browser
from simulation.readers.naive import Naive
from simulation.readers.poller import Poller
from simulation.readers.python import Python
from simulation.readers.reader import BAD_ID, Reader, Scene
from simulation.referee import Referee, Violation
from simulation.world import History, World, Writing, made_up

PORTS = (1, 2)
PAUSES_S = (0.0, 0.0, 0.001, 0.01, 0.06, 0.3)  # between two things that happen
SETTLED_WITHIN_S = 120.0  # after the last trouble: backoffs of 20 s and tokens of 40 s are in it
POLLING_S = 1.2  # by then a browser whose WebSockets are blocked mostly polls
CALM_S = 1.5  # and so long nothing may change any more
USERS = ("alice", "bob")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a history went. `noted` counts what was noted: equal for equal histories."""

    plan: Plan
    violations: list[Violation]
    trace: list[str]
    noted: int
    seconds: float  # of virtual time


def play(plan: Plan, *, show: bool = False, services: Any = None) -> Outcome:
    """Play this history. `services` is what readers share over all histories, such as a Node process."""
    logging.disable(logging.CRITICAL)
    loop = VirtualLoop()
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(_History(plan, loop, show, services).run())
    finally:
        asyncio.set_event_loop(None)
        loop.close()


class _History:
    def __init__(self, plan: Plan, loop: VirtualLoop, show: bool, services: Any) -> None:
        self._plan, self._loop, self._show, self._services = plan, loop, show, services
        self._chance = plan.chance("history")

    async def run(self) -> Outcome:
        plan, chance, loop = self._plan, self._chance, self._loop
        tasks = [f"t{number}" for number in range(chance.choice((2, 3, 3, 5)))]
        writing = Writing(
            tasks=tasks,
            groups=chance.randint(10, 40),
            begins_with=12 if plan.has("large") else 4,
            padding=(0, 20, 300) if plan.has("large") else (0,),
            repeats=plan.has("repeats"),
            ends_whole=chance.random() < 0.5,
        )
        world = World(History(made_up(plan.chance("writes"), writing)))
        referee = Referee(world, show=self._show, is_strict=plan.is_strict)
        began = loop.time()
        network = Network(loop, plan.chance("network"), high_water=chance.choice((100, 400, 2_000)))
        loop.network = network
        pages = chance.choice((160, 400)), chance.choice((500, 1_500))
        async with AsyncExitStack() as stack:
            # Where outboxes are tiny, so are pages: in production 64 times the smallest outbox is 16 pages.
            has_pages = plan.has("pages") or plan.has("overflow")
            stack.enter_context(small_pages(*pages) if has_pages else nullcontext())
            stack.enter_context(refusing(BAD_ID))
            ports = PORTS if plan.has("instances") else PORTS[:1]
            instances = [await stack.enter_async_context(Instance(world, plan, port)) for port in ports]
            if not plan.has("instances"):
                instances[0].stream.lag_s = 0.0
            network.instances |= {one.port: one for one in instances}
            scene = Scene(plan, world, referee, network, instances, tasks)
            readers = self._readers(scene)
            for reader in readers:
                reader.start()
            await self._go_through(scene, readers)
            if not referee.violations:
                await self._settle(scene, readers)
            for reader in readers:
                await reader.stop()
            for instance in instances:
                for failure in instance.failures():
                    referee.blame("died", f"instance {instance.port}", failure)
        return Outcome(plan, referee.violations, referee.trace, referee.noted, loop.time() - began)

    def _readers(self, scene: Scene) -> list[Reader]:
        made: list[Reader] = []
        chance = self._plan.chance("readers")
        for kind in self._plan.readers:
            match kind:
                case "naive":
                    users = ("alice", "alice", "bob")
                    made += [Naive(scene, f"naive {number}", sub) for number, sub in enumerate(users)]
                case "python":
                    made += [Python(scene, f"python {number}", sub) for number, sub in enumerate(USERS)]
                case "browser":
                    node = self._services["node"]
                    made += [
                        Browser(scene, f"browser {number}", sub, node, polls=bool(number))
                        for number, sub in enumerate(chance.choice((USERS, USERS[::-1])))
                    ]
                case "poller":
                    made += [Poller(scene, f"poller {number}", sub) for number, sub in enumerate(USERS)]
        return made

    async def _go_through(self, scene: Scene, readers: list[Reader]) -> None:
        """Everything that is written, and everything that happens meanwhile."""
        chance, plan, world = self._chance, self._plan, scene.world
        if "browser" in plan.readers:
            await asyncio.sleep(POLLING_S)
        while not world.is_over and not scene.referee.violations:
            if chance.random() < 0.6:
                world.write(chance.choice((1, 1, 1, 3)))
                scene.referee.note("world", lambda: f"moment {world.written}")
            instance = chance.choice(scene.instances)
            if plan.has("instances") and chance.random() < 0.1:
                instance.stream.lag_s = chance.choice(LAGS_S)
            if plan.has("lost") and chance.random() < 0.04:
                due_s = 0.0
                if plan.has("stalls"):  # troubles come together, and one a little before the other
                    due_s = chance.choice((0.0, 0.1, 0.3))
                    chance.choice(readers).stall(chance.choice((0.2, 0.6, 1.5)))
                self._loop.call_later(due_s, instance.stream.reopen, "simulated")
                scene.referee.note(f"instance {instance.port}", "loses its place")
                away = 0.4
            else:
                away = 0.04
            if plan.has("unavailable") and chance.random() < away:
                instance.reads.away_until = self._loop.time() + chance.choice((0.3, 1.0, 2.5))
                scene.referee.note(f"instance {instance.port}", "cannot read")
            chance.choice(readers).act()
            await asyncio.sleep(chance.choice(PAUSES_S))

    async def _settle(self, scene: Scene, readers: list[Reader]) -> None:
        """No more trouble: in the end everyone equals the documents, and stays so."""
        for instance in scene.instances:
            instance.stream.lag_s = 0.0
            instance.reads.calm()
        for reader in readers:
            reader.calm()
        end, calm_since = self._loop.time() + SETTLED_WITHIN_S, self._loop.time()
        while not scene.referee.violations:
            found = [(reader, one) for reader in readers for one in reader.differences()]
            now = self._loop.time()
            if found and now >= end:
                for reader, (kind, what) in found:
                    reader.blame(kind, what)
            elif not found and now - calm_since >= CALM_S:
                return
            elif found:
                calm_since = now
            await asyncio.sleep(0.25)
