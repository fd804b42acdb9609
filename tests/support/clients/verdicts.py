"""What `relay conformance` finds wrong with a client."""

from __future__ import annotations

from collections.abc import Sequence

from relay.cli.conformance.client import Launch
from relay.cli.conformance.run import choose, examine
from relay.cli.conformance.scenarios import ALL

PATIENCE_S = 30.0  # on a busy machine; a client without a fault never needs it


async def faults(
    launch: Launch, names: Sequence[str] = (), without: Sequence[str] = (), patience_s: float = PATIENCE_S
) -> list[str]:
    """The faults of the client in these scenarios, by default in all, with the name of the scenario before each."""
    played = examine(launch, choose(names, without), patience_s=patience_s, at_once=len(ALL))
    return [
        f"{one.scenario.name}: {fault.sentence} ({fault.section})"
        async for one in played
        for fault in one.faults
    ]
