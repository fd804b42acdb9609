"""What one process of the relay knows about its connections and polls, for administrators.

Rule of this file: no call takes longer than some milliseconds, however many connections there are, because the event
loop stands still meanwhile. (20,000 take 4 ms.)
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from relay.auth.admission import Admission
from relay.gateway.admin.api import MAX_LIMIT, Answer
from relay.gateway.admin.figures import Uptime, moment, state_of
from relay.gateway.polling.endpoint import Polls
from relay.gateway.polling.waiting import WaitingPoll
from relay.gateway.websocket.endpoints import Connections
from relay.gateway.websocket.open_connection import OpenConnection
from relay.hub.hub import Hub
from relay.hub.listener import Listener

# A list ends early when the texts in it have this many characters: the name of a user may have some thousands, and the
# answer of a worker has to fit into one line of its control channel, which would end otherwise, and the worker with it.
MAX_CHARS = 1_000_000

Row = dict[str, Any]


class ProcessAdministration:
    """Answers administrators for the connections and polls of this process (`api.Administration`).

    `readiness` returns the body of /readyz, and `known_tasks` the number of tasks in memory.
    """

    def __init__(
        self,
        connections: Connections,
        polls: Polls,
        hub: Hub,
        admission: Admission,
        *,
        readiness: Callable[[], dict[str, Any]],
        known_tasks: Callable[[], int],
    ) -> None:
        self._connections = connections
        self._polls = polls
        self._hub = hub
        self._admission = admission
        self._readiness = readiness
        self._known_tasks = known_tasks
        self._uptime = Uptime()

    async def connections(self, user: str | None, limit: int) -> Answer:
        sockets = [one for one in self._connections.opened() if user is None or one.user == user]
        polls = [one for one in self._polls.waiting() if user is None or one.user == user]
        oldest: list[OpenConnection | WaitingPoll] = [*sockets[:limit], *polls[:limit]]
        oldest.sort(key=lambda one: one.opened_at)
        return {
            "connections": list(_bounded(map(self._row, oldest[:limit]))),
            "total": len(sockets) + len(polls),
        }

    async def listeners(self, task_id: str) -> Answer:
        listed: list[Row] = []
        total = 0
        for one, listener, transport in self._all_listeners():
            state = self._hub.state_of(listener, task_id)
            if state is not None:
                total += 1
                if total <= MAX_LIMIT:
                    user = listener.user
                    listed.append(
                        {"connection": one.id, "user": user, "state": state, "transport": transport}
                    )
        return {"taskId": task_id, "listeners": list(_bounded(listed)), "total": total}

    async def disconnect(self, user: str) -> Answer:
        return {"disconnected": self._connections.disconnect(user) + self._polls.disconnect(user)}

    async def stats(self) -> Answer:
        figures = self.figures()
        figures["users"] = len(figures["users"])
        return self._uptime.head() | state_of(self._readiness()) | figures

    def figures(self) -> dict[str, Any]:
        """Return the numbers of `stats` that are of this process alone. `users` has a checksum of each user, so that a
        user with connections in several processes can be counted once."""
        return {
            "connections": len(self._connections),
            "polls": len(self._polls),
            "users": [zlib.crc32(user.encode()) for user in self._admission.users()],
            "rooms": self._hub.rooms,
            "knownTasks": self._known_tasks(),
        }

    def _all_listeners(self) -> Iterator[tuple[OpenConnection | WaitingPoll, Listener, str]]:
        for connection in self._connections.opened():
            if connection.session is not None and connection.session.listener is not None:
                yield connection, connection.session.listener, "websocket"
        for poll in self._polls.waiting():
            for listener in poll.listeners():
                yield poll, listener, "poll"

    def _row(self, one: OpenConnection | WaitingPoll) -> Row:
        row = {
            "id": one.id,
            "user": one.user,
            "transport": "poll" if isinstance(one, WaitingPoll) else "websocket",
            "address": one.address,
            "path": one.path,
            "since": moment(one.opened_at),
            "list": False,
            "tasks": 0,
            "lagging": False,
            "outboxBytes": 0,
            "messagesIn": one.messages_in,
            "messagesOut": one.messages_out,
        }
        if isinstance(one, WaitingPoll):
            return row | {"list": one.polled.dashboard is not None, "tasks": len(one.polled.tasks)}
        if one.connection is not None:
            row["outboxBytes"] = one.connection.waiting_bytes
        listener = one.session.listener if one.session is not None else None
        if listener is not None:
            row["list"], row["tasks"] = listener.list is not None, self._hub.joined_tasks(listener)
            row["lagging"] = listener.lagging
        return row


def _bounded(rows: Iterable[Row]) -> Iterator[Row]:
    """Yield rows until the texts in them have more than MAX_CHARS characters."""
    size = 0
    for row in rows:
        yield row
        size += sum(len(value) for value in row.values() if isinstance(value, str))
        if size > MAX_CHARS:
            return
