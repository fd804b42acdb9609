"""Several relays as processes, and a client that moves between them and between WebSocket and polling."""

from __future__ import annotations

import asyncio
import os
import random
import re
import signal
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from checker import LONG_S, POLL_S, Watcher, fetch, joined, ready
from support.polling_client import post
from support.relay_fixture import SECRET, command, environment
from support.worker_processes import children
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage

from relay.cli.demo import mongod as embedded

GONE = (
    OSError,
    EOFError,
    ConnectionClosed,
    InvalidHandshake,
    InvalidMessage,
)  # what a relay that ends may cause
PATIENCE_S = 5.0  # how long a client waits for a relay before it goes to another
# Patches: however long something stands still on a busy machine, a follower goes on to follow through Redis.
PATIENT_WITH_REDIS = {
    "relay.source.shared.redis_feed.GONE_S": 60,
    "relay.source.shared.redis_url.ANSWER_S": 60,
}


class Instance:
    """A `relay serve` with these arguments, always on the same port. `patches` are as for `command`."""

    def __init__(
        self,
        log: Path,
        settings: Mapping[str, str],
        patches: Mapping[str, float],
        arguments: Sequence[str] = ("serve",),
    ) -> None:
        self.port = port = embedded.free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.log = log
        self._settings = {
            "RELAY_JWT_SECRET": SECRET,
            "RELAY_PORT": str(port),
            "RELAY_DRAIN_MS": "100",
            "RELAY_MESSAGES_PER_SECOND": "1000",  # movers connect more often than a user may by default
            **settings,
        }
        self._command = [*command(patches), *arguments]
        self._has_workers = "--workers" in arguments
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, **settings: str) -> None:
        """Start the relay, with these settings changed."""
        self._settings |= settings
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdout=log,
                stderr=log,
                env=environment(**self._settings),
            )

    def kill(self) -> None:
        """End the relay and its workers like a power failure."""
        assert self._process is not None
        if self._has_workers:
            self.pause()  # it would start a worker again that was killed
            for child in children(self._process.pid):
                os.kill(child, signal.SIGKILL)
        self._end(signal.SIGKILL)

    async def stop(self) -> None:
        """Stop the relay as a deployment does."""
        await asyncio.to_thread(self._end, signal.SIGTERM)

    def pause(self) -> None:
        """Stop the process with SIGSTOP, until `resume`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WNOWAIT)  # until it has really stopped

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def children(self, module: str) -> list[int]:
        """The process ids of its workers or of its tailer."""
        assert self._process is not None
        return children(self._process.pid, module)

    async def gets_ready(self) -> None:
        """Wait until the relay is ready for clients."""
        await ready(self.url, 200, within_s=LONG_S)

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    async def figure(self, name: str) -> float:
        """Return the value of a metric; 0 if there is none, or the relay does not answer."""
        _, text = await fetch(self.url, "/metrics")
        return next(
            (float(line.split()[1]) for line in text.splitlines() if line.startswith(f"{name} ")), 0.0
        )

    async def roles(self) -> set[str]:
        """Return the roles in sharing that the relay, or one of its processes, has; none if it does not answer."""
        _, text = await fetch(self.url, "/metrics")
        found = re.findall(r'^relay_shared_role\{role="(\w+)"\} (\S+)$', text, re.MULTILINE)
        return {role for role, processes in found if float(processes)}

    async def is_(self, role: str) -> bool:
        """Return whether the relay, or one of its processes, has this role in sharing the change stream."""
        return role in await self.roles()

    async def becomes(self, role: str) -> None:
        """Wait until this is its role."""
        async with asyncio.timeout(LONG_S):
            while not await self.is_(role):
                await asyncio.sleep(POLL_S)

    def _end(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        assert self._process.wait(LONG_S) in (0, -number)


class Fleet(list[Instance]):
    """Several relays, running within a `with` block. Their settings are equal, but for those in `own`, by relay."""

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, str],
        patches: Mapping[str, float],
        *,
        count: int = 3,
        arguments: Sequence[str] = ("serve",),
        own: Sequence[Mapping[str, str]] = (),
    ) -> None:
        several = [{**settings, **one} for one in own or [{}] * count]
        super().__init__(
            Instance(folder / f"relay-{number}.log", its, patches, arguments)
            for number, its in enumerate(several)
        )

    async def __aenter__(self) -> Self:
        for one in self:
            one.start()
        try:
            for one in self:
                await one.gets_ready()
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for one in self:
            if one.runs:
                one.kill()

    async def leader(self) -> Instance:
        """Wait until one of them leads, and return it."""
        async with asyncio.timeout(LONG_S):
            while True:
                for one in self:
                    if one.runs and await one.is_("leading"):
                        return one
                await asyncio.sleep(POLL_S)

    async def settled(self) -> None:
        """Wait until one relay leads and all others follow it."""
        async with asyncio.timeout(LONG_S):
            while not await self._is_settled():
                await asyncio.sleep(POLL_S)

    async def _is_settled(self) -> bool:
        roles = [await one.roles() for one in self]
        leaders = sum("leading" in found for found in roles)
        # Of a relay with workers, some may still be alone.
        return leaders == 1 and all(roles) and not any("alone" in found for found in roles)

    async def total(self, name: str) -> float:
        """Return the sum of a metric over all relays."""
        return sum([await one.figure(name) for one in self])

    def said(self) -> str:
        return "".join(one.log.read_text() for one in self)


class Mover(Watcher):
    """A client that stays nowhere: every moment it goes to another relay, by WebSocket or by polling."""

    def __init__(self, wanted: Sequence[str], chance: random.Random, *, dashboard: bool = False) -> None:
        super().__init__(wanted, dashboard=dashboard)
        self._chance = chance
        self._moment: str | None = None
        self._etags: dict[str, dict[str, Any]] = {}  # of summaries by task; of the list under ""
        self.polls = 0

    async def move(self, fleet: Sequence[Instance]) -> None:
        """Move between the relays until cancelled."""
        while True:
            self.connection += 1
            url, stay_s = self._chance.choice(fleet).url, self._chance.uniform(0.05, 1)
            # KeyError: the answer to a poll ended before its head was complete.
            with suppress(*GONE, KeyError):
                if self._chance.random() < 0.5:
                    await self._connect(url, stay_s)
                else:
                    until = asyncio.get_running_loop().time() + stay_s
                    while asyncio.get_running_loop().time() < until:
                        async with asyncio.timeout(PATIENCE_S):
                            await self._poll(url)
            await asyncio.sleep(POLL_S)

    async def _connect(self, url: str, stay_s: float) -> None:
        self._etags.clear()
        joined = asyncio.Event()
        # A connection that is cancelled before it is open would leave its socket to the garbage collector.
        living, joining = asyncio.create_task(self.live(url, joined)), asyncio.create_task(joined.wait())
        try:
            await asyncio.wait((living, joining), timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait((living,), timeout=stay_s)
        finally:
            for task in (living, joining):
                task.cancel()
            await asyncio.wait((living, joining))
        if not living.cancelled():
            living.result()

    async def _poll(self, url: str) -> None:
        body: dict[str, Any] = {"tasks": [self._asked(task) for task in self.wanted]}
        if self._moment is not None:
            body["moment"] = self._moment
        if self.dashboard is not None:
            body["dashboard"] = self._etags.get("", {})
        answer = await post(url, body, sub=self.sub, teams=["everyone"])
        if answer.status != 200:
            await asyncio.sleep(POLL_S)
            return
        self.polls += 1
        self._moment = answer.body["moment"]
        for message in answer.body["messages"]:
            if message["type"] != "stream:status":
                self.apply(message)
        self._etags |= answer.body.get("tasks", {})
        if "dashboard" in answer.body:
            self._etags[""] = answer.body["dashboard"]

    def _asked(self, task: str) -> dict[str, Any]:
        position = self.positions.get(task)
        held = {"since": position[0], "head": position[1], **self._etags.get(task, {})} if position else {}
        return {"taskId": task, **held}


@asynccontextmanager
async def moving(fleet: Sequence[Instance], *movers: Mover) -> AsyncIterator[None]:
    """Let these clients move between the relays. At the end the first failure of one of them is raised."""
    async with joined(movers, [asyncio.create_task(mover.move(fleet)) for mover in movers]):
        yield
