"""The process that follows the change stream once, for all workers. `python -m relay.workers.tailer`.

Each worker would otherwise have a change stream of its own, which costs MongoDB about 0.1 ms of a core for each write.
The tailer serves no clients, so nothing delays the stream. While there is no tailer, each worker follows the stream
itself. If several machines share one stream through Redis, the tailer does that for all workers of its machine.
"""

from __future__ import annotations

import asyncio
import shutil
import socket
from collections.abc import Mapping
from typing import Any

from relay.cli import output
from relay.config import Settings
from relay.errors import StartupError
from relay.metrics import DroppedLines, Metrics
from relay.pipeline import Pipeline, bus_of, mapping_of
from relay.source.shared.feeder import Feeder, feed
from relay.workers import entry
from relay.workers.assignment import TailerAssignment
from relay.workers.channel import Answer, Channel
from relay.workers.metric_sums import families_of


class Tailer:
    """Passes the change stream on to the workers (`entry.Work`)."""

    def __init__(self) -> None:
        self._stop = asyncio.Event()
        self._directory = ""
        self._metrics = Metrics()
        self._metrics.registry.register(DroppedLines(output.dropped))

    async def run(self, settings: Settings, assignment: dict[str, Any], channel: Channel) -> None:
        own = TailerAssignment(**assignment)
        self._directory = own.directory
        feeder = Feeder()
        with socket.socket(fileno=own.listening) as listening:
            bus = bus_of(settings)
            mapping, metrics = mapping_of(settings), self._metrics
            async with Pipeline(settings, mapping, metrics, bus=bus, passes_on=True) as pipeline:
                following = asyncio.create_task(self._follow(pipeline, feeder, listening, channel))
                stopping = asyncio.create_task(self._stop.wait())
                await asyncio.wait((following, stopping), return_when=asyncio.FIRST_COMPLETED)
                if following.done():
                    following.result()  # raises what ended it
                following.cancel()
                await asyncio.wait((following,))

    async def _follow(
        self, pipeline: Pipeline, feeder: Feeder, listening: socket.socket, channel: Channel
    ) -> None:
        """Pass every change on. Ends only by cancellation, or by StartupError if the stream cannot be followed."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(pipeline.lead())
                feeder.begin(await pipeline.open(), pipeline.tail.token)
                group.create_task(feeder.serve(listening))
                group.create_task(feed(feeder, pipeline.tail.batches()))
                channel.tell("ready")
        except* StartupError as failures:
            raise failures.exceptions[0] from None

    def stop(self) -> None:
        self._stop.set()

    def retire(self) -> None:
        self._stop.set()

    async def check(self, settings: Settings) -> None:
        pass

    async def reload(self, settings: Settings) -> list[str]:
        return []  # what it passes on does not depend on a setting that can change

    def figures(self) -> dict[str, Any]:
        return {"metrics": families_of(self._metrics.registry)}

    def answers(self) -> Mapping[str, Answer]:
        return {}

    def orphaned(self) -> None:
        shutil.rmtree(self._directory, ignore_errors=True)


if __name__ == "__main__":
    # A process manager may send the signal that stops the relay to all processes at once. The workers then need the
    # tailer until they have said goodbye to their clients; after that, the parent ends it.
    entry.main(Tailer(), heeds_signals=False)
