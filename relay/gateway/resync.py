"""The answer to a `resync_requested`, which asks for the states of several tasks at once.

The hub reads the tasks and sends a state (a snapshot) of each in its own time; this file knows when all are answered.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from relay.hub.subscription import Answer
from relay.protocol.frames import Frame, encode, error
from relay.protocol.types import ErrorCode, Kind


@dataclass(slots=True)
class ResyncAnswer:
    """The answer to one `resync_requested`: counts the tasks that were answered, and ends with `resync:done`.

    `left` is the number of tasks that are still to be answered. `send` queues a message for the client, and
    `request_id` is the id of the request. If one of the tasks could not be read, an `error` message is sent in place of
    `resync:done`, because neither of its two lists could name that task.
    """

    send: Callable[[Frame], None]
    request_id: str | None
    left: int
    given: list[str] = field(default_factory=list)
    forbidden: list[str] = field(default_factory=list)
    unavailable: bool = False

    def answers(self, task_id: str) -> Callable[[Answer], None]:
        """Return a callback that records what the answer for this task was, and ends the request after the last one."""

        def answered(answer: Answer) -> None:
            match answer:
                case "given":
                    self.given.append(task_id)
                case "forbidden":
                    self.forbidden.append(task_id)
                case "unavailable":
                    self.unavailable = True
            self.left -= 1
            self.finish_if_complete()

        return answered

    def finish_if_complete(self) -> None:
        """Send the last message of the answer if every task has been answered. To be called once at the beginning, for
        a request that names no task."""
        if self.left:
            return
        if self.unavailable:
            message = "The database is unavailable; try again."
            self.send(error(ErrorCode.UNAVAILABLE, message, reply_to=self.request_id))
        else:
            data = {"taskIds": self.given, "forbidden": self.forbidden}
            self.send(encode(Kind.RESYNC_DONE, data, reply_to=self.request_id))
