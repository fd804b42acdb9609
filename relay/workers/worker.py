"""The process of one worker: a relay that serves listening sockets of its parent. `python -m relay.workers.worker`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from relay.app import Place, Relay
from relay.auth.shared_counts import SharedCounts
from relay.cli import output
from relay.config import Settings
from relay.gateway.admin.process import ProcessAdministration
from relay.gateway.listening import inherited_ports
from relay.metrics import DroppedLines
from relay.source.shared.socket_feed import SocketFeed
from relay.workers import entry
from relay.workers.assignment import WorkerAssignment
from relay.workers.channel import Answer, Channel
from relay.workers.metric_sums import families_of


class ViaParent:
    """Answers operators with what the parent says about all workers (`relay.gateway.http.Operations`)."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def readiness(self) -> dict[str, Any]:
        answer: dict[str, Any] = await self._ask("readiness")
        return answer

    async def metrics(self) -> bytes:
        text: str = await self._ask("metrics")
        return text.encode()

    async def _ask(self, what: str) -> Any:
        return await self._channel.ask(what, within_s=entry.PARENT_ANSWERS_WITHIN_S)


class Worker:
    """Serves clients (`entry.Work`)."""

    def __init__(self) -> None:
        self._relay: Relay | None = None
        self._begun = asyncio.Event()  # set once there is a relay
        self._stopped = False
        self._accepting = True

    async def run(self, settings: Settings, assignment: dict[str, Any], channel: Channel) -> None:
        own = WorkerAssignment(**assignment)
        place = Place(
            ports=inherited_ports(settings, own.sockets),
            counts=SharedCounts.attach(own.counts).worker(own.counts_slot),
            operations=ViaParent(channel),
            feed=SocketFeed(own.feed),
            workers=settings.relay_workers,
            number=int(own.name),
            speaks=own.name == "1",
        )
        self._relay = Relay(settings, place)
        self._begun.set()
        self._relay.metrics.registry.register(DroppedLines(output.dropped))
        if self._stopped:
            self._relay.stop(accepting=self._accepting)
        await self._relay.run(lambda: channel.tell("ready"))

    def stop(self) -> None:
        self._stopped = True
        if self._relay is not None:
            self._relay.stop(accepting=self._accepting)

    def retire(self) -> None:
        self._accepting = False
        self.stop()

    async def check(self, settings: Settings) -> None:
        if self._relay is not None:
            await self._relay.check(settings)

    async def reload(self, settings: Settings) -> list[str]:
        # A worker that has only just been started may have been given the settings of before.
        await self._begun.wait()
        assert self._relay is not None
        await self._relay.built.wait()
        return [*(await self._relay.use(settings)).changed]

    def figures(self) -> dict[str, Any]:
        if self._relay is None:
            return {"readiness": {"ready": False, "stale": True}, "metrics": []}
        return {"readiness": self._relay.readiness(), "metrics": families_of(self._relay.metrics.registry)}

    def answers(self) -> Mapping[str, Answer]:
        return {
            "connections": self._connections,
            "listeners": self._listeners,
            "disconnect": self._disconnect,
            "census": self._census,
        }

    # What administrators ask (`relay/workers/administration.py`). A worker that has not begun has no connections.

    async def _connections(self, given: Any) -> dict[str, Any]:
        here = self._administration
        if here is None:
            return {"connections": [], "total": 0}
        return await here.connections(given["user"], given["limit"])

    async def _listeners(self, task_id: Any) -> dict[str, Any]:
        here = self._administration
        return {"listeners": [], "total": 0} if here is None else await here.listeners(task_id)

    async def _disconnect(self, user: Any) -> dict[str, Any]:
        here = self._administration
        return {"disconnected": 0} if here is None else await here.disconnect(user)

    async def _census(self, _: Any) -> dict[str, Any]:
        here = self._administration
        return {} if here is None else here.figures()

    @property
    def _administration(self) -> ProcessAdministration | None:
        return self._relay.administration if self._relay is not None else None

    def orphaned(self) -> None:
        pass


if __name__ == "__main__":
    entry.main(Worker())
