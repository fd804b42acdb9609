"""One client in one scenario: what it has sent and shown, and what was wrong with that.

Rules of this file: a request is judged when it arrives, what the client shows when it is printed; a scenario waits for
conditions, and each wait has a sentence for the client that does not meet it.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from relay.cli.conformance.faults import Failed, Fault
from relay.cli.conformance.socket import Socket
from relay.cli.conformance.tokens import token
from relay.cli.conformance.world import TASK, Frame, Position, World, frame
from relay.errors import BadRequest
from relay.protocol.requests import parse, parse_data
from relay.protocol.types import Close, ErrorCode, Event, Kind, Request, TaskSummary, rfc3339

QUIET_S = 1.5  # without an attempt: the client stays away. The first pause of a backoff is 0.5 s at most.
LIMITS = {"maxMessageBytes": 65_536, "messagesPerSecond": 20, "maxTasks": 200}
TRACE_MAX = 200  # frames kept for the report
DIRECTIONS = {"sent": "→", "got": "←"}  # as in PROTOCOL.md 11: what the client sends, and what it gets


@dataclass(slots=True, eq=False)
class Peer:
    """A connection that was given a welcome."""

    socket: Socket
    number: int  # of the attempt that opened it, from 1
    listed: bool = False  # was the list joined and answered?
    joins: list[Position | None] = field(
        default_factory=list
    )  # of the task, each with the position it came with
    asked: int = 0  # joins of the task, and requests for its state
    fresh_tokens: list[str] = field(default_factory=list)
    received: list[Frame] = field(default_factory=list)

    @property
    def is_joined(self) -> bool:
        return self.listed and bool(self.joins)


class Exam:
    """The state of one scenario, and the questions that a scenario asks of it."""

    def __init__(self, patience_s: float, clock: Callable[[], float]) -> None:
        self.patience_s = patience_s
        self.clock = clock
        self.world = World()
        self.judges_events = True  # is everything shown compared with the timeline?
        self.wrong_events = Fault("showed events that the timeline never had", "6.1")
        self.answers = True  # are joins answered?
        self.heartbeat_ms = 25_000
        self.refusals: deque[Frame] = deque()  # errors for the next joins of the task
        self.refused_at = 0.0  # when the last of these errors was sent
        self.blocked = False  # are WebSockets broken before they open?
        self.token = token(1)
        self.faults: dict[Fault, None] = {}
        self.trace: deque[str] = deque(maxlen=TRACE_MAX)
        self.attempts: list[float] = []  # when a WebSocket was asked for
        self.polls: list[Any] = []
        self.pongs = 0
        self.peers: list[Peer] = []
        self.expected: Position | None = None  # with what position a new connection has to join
        self.events: list[Any] | None = None  # as the client shows them
        self.tasks: dict[str, Any] | None = None
        self.ended = False  # has the client ended?
        self.ended_at = 0.0  # when the kit closed the last connection
        self._moved = asyncio.Event()  # for the scenario
        self.changed = asyncio.Event()  # for polls that wait

    # What happens

    def moved(self) -> None:
        """Say that something happened, on which a scenario may wait."""
        self._moved.set()
        self.changed.set()

    def fault(self, sentence: str, section: str) -> None:
        """Note a fault after which the scenario goes on."""
        self.faults[Fault(sentence, section)] = None
        self.moved()

    def show(self, found: dict[str, Any]) -> None:
        """Take what the client says that it shows."""
        events, tasks = found.get("events"), found.get("tasks")
        if isinstance(events, list):
            self.events = [_known(event, Event) for event in events]
            if self.judges_events and not self.world.has_been(self.events):
                self.faults[self.wrong_events] = None
        if isinstance(tasks, list):
            listed = [_known(task, TaskSummary) for task in tasks]
            self.tasks = {
                task["taskId"]: task for task in listed if isinstance(task, dict) and "taskId" in task
            }
        self.moved()

    def welcome(self, peer: Peer, expires_at: str) -> None:
        """Begin the conversation on a new connection."""
        self.peers.append(peer)
        data = {"connectionId": str(peer.number), "sub": "alice", "protocol": 1, "limits": LIMITS}
        self.send(
            peer, frame(Kind.WELCOME, data | {"heartbeatMs": self.heartbeat_ms, "expiresAt": expires_at})
        )
        self.moved()

    def send(self, peer: Peer, *frames: Frame) -> None:
        """Send messages to the client."""
        for one in frames:
            text = json.dumps(one, ensure_ascii=False, separators=(",", ":"))
            self.trace.append(f"{DIRECTIONS['got']} {text}")
            peer.socket.send(text)

    def receive(self, peer: Peer, text: str) -> None:
        """Judge a request of the client, and answer it as a relay does."""
        try:
            request = parse(text)
            named = request.type
            data: Any = parse_data(request)
        except BadRequest as refusal:
            self.trace.append(f"{DIRECTIONS['sent']} {text}")
            self.fault(f"sent a request that the relay refuses ({refusal}): {text[:200]}", "4")
            error = {"code": refusal.code, "message": str(refusal), "temporary": False}
            return self.send(peer, frame(Kind.ERROR, error, _id(text)))
        shown = '{"type":"auth",…}' if named == Request.AUTH else text
        self.trace.append(f"{DIRECTIONS['sent']} {shown}")
        peer.received.append(json.loads(text))
        self._answer(peer, named, data, request.id)
        self.moved()

    def _answer(self, peer: Peer, named: str, data: Any, id_: str | None) -> None:
        match named:
            case Request.PING:
                self.send(peer, frame(Kind.PONG, {"serverTime": now()}, id_))
            case Request.AUTH:
                self._on_fresh_token(peer, data.token, id_)
            case Request.DASHBOARD_JOIN:
                peer.listed = True
                self.send(peer, *(self.world.list_state(id_) if self.answers else ()))
            case Request.DASHBOARD_LEAVE:
                peer.listed = False
                self.send(peer, frame(Kind.DASHBOARD_LEFT, {}, id_))
            case Request.TASK_JOIN:
                for one in getattr(data, "tasks", None) or (data,):
                    self.join(peer, one.task_id, one.since, one.head, id_)
            case Request.TASK_LEAVE:
                peer.joins.clear()
                self.send(peer, frame(Kind.TASK_LEFT, {"taskId": data.task_id}, id_))
            case Request.RESYNC:
                self._on_resync(peer, data, id_)

    def join(self, peer: Peer, task: str, since: int | None, head: str | None, id_: str | None) -> None:
        """Answer a join of a task."""
        if task != TASK:
            error = {"code": "forbidden", "message": "No.", "temporary": False, "taskId": task}
            return self.send(peer, frame(Kind.ERROR, error, id_))
        peer.asked += 1
        if self.refusals:
            error, self.refused_at = self.refusals.popleft(), self.clock()
            return self.send(peer, frame(Kind.ERROR, error | {"taskId": task}, id_))
        position = None if since is None or head is None else (since, head)
        if self.expected is not None and not peer.joins:
            self._judge_position(position, self.expected)
        peer.joins.append(position)
        self.send(peer, *(self.world.task_state(since, head, id_) if self.answers else ()))

    def _judge_position(self, position: Position | None, expected: Position) -> None:
        if position is None:
            self.fault("joined the task again without the position that it had", "6.2")
        elif position != expected:
            self.fault(f"joined the task again at {position}, and its position was {expected}", "6.2")

    def _on_resync(self, peer: Peer, data: Any, id_: str | None) -> None:
        named = [one if isinstance(one, str) else one.task_id for one in data.task_ids]
        peer.asked += TASK in named
        for one in data.task_ids:
            task, since, head = (
                (one, None, None) if isinstance(one, str) else (one.task_id, one.since, one.head)
            )
            if task == TASK:
                self.send(peer, *self.world.task_state(since, head, id_))
        known = [task for task in named if task == TASK]
        forbidden = [task for task in named if task != TASK]
        self.send(peer, frame(Kind.RESYNC_DONE, {"taskIds": known, "forbidden": forbidden}, id_))

    def _on_fresh_token(self, peer: Peer, given: str, id_: str | None) -> None:
        peer.fresh_tokens.append(given)
        if given == self.token:
            self.send(peer, frame(Kind.AUTH_OK, {"expiresAt": now(3600)}, id_))
        else:
            error = {"code": ErrorCode.FORBIDDEN, "message": "This token has ended.", "temporary": False}
            self.send(peer, frame(Kind.ERROR, error, id_))

    # What a scenario asks

    async def until(
        self, holds: Callable[[], bool], sentence: str, section: str, within_s: float | None = None
    ) -> None:
        """Wait until this holds. Raises Failed with this sentence if the client does not bring it about in time."""
        try:
            async with asyncio.timeout(self.patience_s if within_s is None else within_s):
                while not holds():
                    if self.ended:
                        raise Failed(Fault("ended by itself", "7"))
                    self._moved.clear()
                    await self._moved.wait()
        except TimeoutError:
            raise Failed(Fault(sentence, section)) from None

    async def opened(self) -> Peer:
        """Wait for the first connection, with list and task joined and shown."""
        peer = await self.joined(1, "did not connect", "1")
        await self.shows("did not show the list and the events of the task", "6.2")
        return peer

    async def joined(self, number: int, sentence: str, section: str) -> Peer:
        """Wait for the connection that the attempt of this number, from 1, or a later one opened, and for its joins."""
        await self.until(lambda: any(one.number >= number for one in self.peers), sentence, section)
        peer = next(one for one in self.peers if one.number >= number)
        await self.until(lambda: peer.is_joined, "connected, and joined not both the list and the task", "4")
        return peer

    async def shows(self, sentence: str, section: str) -> None:
        """Wait until the client shows what the relay has."""
        listed = {task["taskId"]: task for task in self.world.listed()}
        await self.until(lambda: self.events == self.world.events and self.tasks == listed, sentence, section)

    async def stays_away(self, sentence: str, section: str, for_s: float = QUIET_S) -> None:
        """Fail the client if it makes any attempt in this time."""
        before = len(self.attempts) + len(self.polls)
        try:
            await self.until(lambda: len(self.attempts) + len(self.polls) > before, "", "", for_s)
        except Failed as failed:
            if failed.fault.sentence and not self.ended:
                raise
            return
        raise Failed(Fault(sentence, section))

    async def comes_back(self, peer: Peer, how: str, *, not_before_s: float = 0, within_s: float) -> Peer:
        """Wait for a connection after this one and its joins, and judge how long that took.

        `how` says how the connection ended. A pause shorter than `not_before_s`, or longer than `within_s` and the
        patience of this exam, is a fault. It counts from the end that the kit made: a client can know of it only later.
        """
        number = peer.number + 1
        sentence = f"did not come back after {how}"
        await self.until(lambda: len(self.attempts) >= number, sentence, "7", within_s + self.patience_s)
        pause_s = self.attempts[number - 1] - self.ended_at
        if pause_s < not_before_s - 0.05:
            self.fault(f"came back {pause_s:.2f} s after {how}", "7")
        return await self.joined(number, sentence, "7")

    async def close(self, peer: Peer, code: Close | int, reason: str) -> None:
        """Close a connection, and expect the next one to join from the position of the timeline."""
        self.expected, self.ended_at = self.world.position(), self.clock()
        self.trace.append(f"{DIRECTIONS['got']} close {int(code)} {reason}")
        await peer.socket.close(code, reason)

    def append(self, peer: Peer, added: dict[str, Any]) -> None:
        """Add an event to the timeline, and tell the client."""
        self.send(peer, *self.world.append(added))


def now(later_s: float = 0) -> str:
    """Return a time of the wire, this many seconds from now."""
    return rfc3339(datetime.now(UTC) + timedelta(seconds=later_s))


def _known(shown: Any, kind: type) -> Any:
    """Return what is shown without the fields that are unknown: a client may keep them or not (PROTOCOL.md 3)."""
    if not isinstance(shown, dict):
        return shown
    return {key: value for key, value in shown.items() if key in kind.__annotations__}


def _id(text: str) -> str | None:
    try:
        found = json.loads(text).get("id")
    except (ValueError, AttributeError):
        return None
    return found if isinstance(found, str) else None
