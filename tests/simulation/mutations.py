"""Faults that can be put into the code for one run: `scripts/simulate --mutation NAME` must find each of them.

A mutation patches the relay or the Python client in the process of the simulation, and replaces text in the
copy of the browser client that Node is given. It is the way to show that the simulation would find a fault
that was mended: write down here what the code was, and how many histories it takes to notice.
"""

from __future__ import annotations

from typing import Any

from relay.gateway.websocket.connection import Connection
from relay.hub.delivery import Delivery
from relay.protocol.frames import Batch, Frame
from relay.protocol.types import Kind
from simulation.mutation import Mutation, replaced
from simulation.mutations_clients import CLIENTS
from simulation.mutations_hub import HUB


def _loses_some(send: Any) -> Any:
    count = 0

    def sends(self: Any, batch: Batch) -> None:
        nonlocal count
        count += 1
        if count % 20:
            send(self, batch)

    return sends


def _keeps_quiet(revoke: Any) -> Any:
    def revokes(self: Delivery, listeners: Any, frame: Frame) -> None:
        revoke(self, () if frame.kind in (Kind.REVOKED, Kind.DELETED) else listeners, frame)

    return revokes


# These show that the simulation notices at all; those of faults that were fixed follow.
MUTATIONS: dict[str, Mutation] = {
    "lost-frame": Mutation(
        "one write of live messages in twenty is lost",
        "gap",
        python=replaced(Connection, "send", _loses_some),
    ),
    "silent-revocation": Mutation(
        "a listener that loses a task is not sent its revocation",
        "differs",
        python=replaced(Delivery, "revoke", _keeps_quiet),
    ),
    "list-without-updates": Mutation(
        "the list of the browser client takes no updates",
        "list",
        ("browser",),
        javascript=[("task-list.js", "this.#byId.set(task.taskId, task);", "")],
    ),
}

MUTATIONS |= HUB | CLIENTS
