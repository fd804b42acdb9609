"""The tables of docs/explanation/design.md about subscriptions, from their declaration in `relay/hub/`."""

from __future__ import annotations

from typing import get_args

from relay.hub.list_subscription import ListSubscription
from relay.hub.subscription import Event, State
from relay.hub.task_subscription import TaskSubscription

MACHINES = {"TaskSubscription": TaskSubscription, "ListSubscription": ListSubscription}


def states(_: str) -> str:
    """What a listener gets in each state of a subscription."""
    rows = [f"| {state.name} | {state.value} |" for state in State]
    return "\n".join(["| state | what the listener gets |", "| --- | --- |", *rows])


def transitions(of: str) -> str:
    """By event and state, the states that may follow in one kind of subscription."""
    table = MACHINES[of].TABLE
    rows = [f"| event | {' | '.join(state.name for state in State)} |", f"| --- |{' --- |' * len(State)}"]
    for event in get_args(Event):
        if any(event in table[state] for state in State):
            cells = [_names(table[state].get(event, frozenset())) for state in State]
            rows.append(f"| {event.__name__} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _names(states: frozenset[State]) -> str:
    return ", ".join(state.name for state in State if state in states) or "–"
