"""The process that follows the change stream once, for all workers. `python -m relay.workers.tailer`.

Each worker would otherwise have a change stream of its own, which costs MongoDB about 0.1 ms of a core for each write.
The tailer serves no clients, so nothing delays the stream. While there is no tailer, each worker follows the stream
itself.
"""

from __future__ import annotations

import asyncio
import shutil
import socket
from typing import Any

from relay.config import Settings
from relay.metrics import Metrics
from relay.pipeline import Pipeline, mapping_of
from relay.source.shared.feeder import Feeder, feed
from relay.workers import entry
from relay.workers.assignment import TailerAssignment
from relay.workers.channel import Channel


class Tailer:
    """Passes the change stream on to the workers (`entry.Work`)."""

    def __init__(self) -> None:
        self._stop = asyncio.Event()
        self._directory = ""

    async def run(self, settings: Settings, assignment: dict[str, Any], channel: Channel) -> None:
        own = TailerAssignment(**assignment)
        self._directory = own.directory
        feeder = Feeder()
        with socket.socket(fileno=own.listening) as listening:
            async with Pipeline(settings, mapping_of(settings), Metrics()) as pipeline:
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
        feeder.begin(await pipeline.opening.patiently(), pipeline.tail.token)
        async with asyncio.TaskGroup() as group:
            group.create_task(feeder.serve(listening))
            group.create_task(feed(feeder, pipeline.tail.batches()))
            channel.tell("ready")

    def stop(self) -> None:
        self._stop.set()

    def retire(self) -> None:
        self._stop.set()

    def figures(self) -> dict[str, Any]:
        return {}

    def orphaned(self) -> None:
        shutil.rmtree(self._directory, ignore_errors=True)


if __name__ == "__main__":
    # A process manager may send the signal that stops the relay to all processes at once. The workers then need the
    # tailer until they have said goodbye to their clients; after that, the parent ends it.
    entry.main(Tailer(), heeds_signals=False)
