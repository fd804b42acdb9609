"""Which messages `--type` and `--until` select. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from relay.client import Message
from relay.protocol.types import Kind

EVENT_PREFIX = "event:"  # names the type of an event, which a deployment chooses, and not that of a message
# Messages that only keep the connection alive, or answer a request. They say nothing about tasks.
CONVERSATION = frozenset(
    {
        Kind.WELCOME, Kind.HEARTBEAT, Kind.PONG, Kind.AUTH_OK, Kind.AUTH_EXPIRING, Kind.DRAINING,
        Kind.TASK_LEFT, Kind.DASHBOARD_LEFT, Kind.RESYNC_DONE,
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Types:
    """Types of messages, and types of events that a message may bring."""

    messages: frozenset[str] = frozenset()
    events: frozenset[str] = frozenset()

    def has(self, message: Message) -> bool:
        """Is the message of one of these types, or does it bring an event of one of them?"""
        if message.type in self.messages:
            return True
        match message.type, message.data:
            case Kind.EVENT_ADDED, {"event": {"type": str(found)}}:
                return found in self.events
            case Kind.TASK_STATE, {"events": list(events)} if self.events:
                return any(isinstance(event, dict) and event.get("type") in self.events for event in events)
        return False


def parse(names: Iterable[str], option: str) -> Types:
    """Read the values of an option. Raises ValueError, with the list of types, for one that is none."""
    known = [kind.value for kind in Kind]
    messages, events = set(), set()
    for name in names:
        if name.startswith(EVENT_PREFIX) and name != EVENT_PREFIX:
            events.add(name.removeprefix(EVENT_PREFIX))
        elif name in known:
            messages.add(name)
        else:
            raise ValueError(
                f"{option} {name!r} is no type of a message: choose from {', '.join(known)}; "
                f"or {EVENT_PREFIX}TYPE for events of a type of your own"
            )
    return Types(frozenset(messages), frozenset(events))
