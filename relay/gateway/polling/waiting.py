"""The record of one poll that waits for its answer: what operators can ask about it, and how it is ended."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field

from relay.errors import Refused
from relay.gateway.polling.poll import Poll
from relay.hub.listener import Listener
from relay.protocol import polls
from relay.tasks.visibility import Principal


@dataclass(eq=False, slots=True)
class WaitingPoll:
    """A poll from the moment its request has been checked until it is answered.

    `principal` is the user of its token, `address` the client address whose connection cap it counts for, `polled` what
    it asks for, and `opened_at` the time in seconds since 1970. `answering` is the task that makes the answer.
    """

    principal: Principal
    address: str
    path: str
    opened_at: float
    polled: polls.Poll
    poll: Poll
    answering: asyncio.Task[bytes]
    refused: Refused | None = None  # what it is answered, in place of its answer
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    messages_in: int = 1
    messages_out: int = 0

    @property
    def user(self) -> str:
        """The `sub` of its token."""
        return self.principal.sub

    def refuse(self, refused: Refused) -> None:
        """End the poll, and have it answered that it is refused."""
        self.refused = refused
        self.answering.cancel()

    def listeners(self) -> Iterator[Listener]:
        """Yield the listeners of the items that the poll has subscribed to."""
        return self.poll.listeners()
