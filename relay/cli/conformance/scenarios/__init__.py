"""The scenarios: each is a coroutine that plays the relay's side to the end, or raises Failed."""

from relay.cli.conformance.scenarios import connections, endings, joining, timelines
from relay.cli.conformance.scenarios.scenario import Scenario

ALL: tuple[Scenario, ...] = (*joining.ALL, *timelines.ALL, *endings.ALL, *connections.ALL)

__all__ = ["ALL", "Scenario"]
