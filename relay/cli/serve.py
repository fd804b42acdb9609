"""`relay serve`: one relay in a process of its own, until a signal asks for the end."""

from __future__ import annotations

import gc
from collections.abc import Callable

from relay.app import Relay
from relay.cli.signals import on_signals
from relay.config import Settings

# Objects allocated before the youngest generation is looked at. CPython's default of 700 is reached with every 50
# changes, and the relay makes next to no reference cycles: each look would find nothing.
YOUNG_OBJECTS = 10_000


async def run(settings: Settings, on_listening: Callable[[str], None]) -> None:
    """Serve until a signal comes. `on_listening` is called with the relay's address. Raises StartupError."""
    relay = Relay(settings)
    on_signals(relay.stop)
    tune_garbage_collection()
    await relay.run(lambda: on_listening(relay.url))


def tune_garbage_collection() -> None:
    """Make CPython's cyclic garbage collector run seldom, as suits a process that runs for days. The objects that
    exist now (modules, classes) are never looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 5, 5)
