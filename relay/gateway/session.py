"""A session: the authentication, the requests and the timers of one client, from its first message to its last.

A session sends its messages through a *carrier*, such as a WebSocket, and does not know which kind of carrier it is. It
reads no socket, and reads the time only from the clocks it is given, so tests can drive it by calling its methods.

A *live message* reports a change as it happens. A *state* is a snapshot of a task's timeline or of the list of tasks.
To *join* a task or the list means to subscribe to it: the client is sent its state, and then live messages.

Rules of this file: no method blocks; the first message sent is `welcome`; a request is validated as a whole before
any part of it is executed; every mistake of a client is answered with a short code that never changes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, assert_never

from relay.auth.limits import BURST_S, TokenBucket
from relay.errors import BadRequest, Refused
from relay.gateway.expiry import NOTICE_S, expiry_notice, moment
from relay.gateway.resync import ResyncAnswer
from relay.gateway.services import Services
from relay.hub.listener import Listener, Receiver
from relay.hub.mapping_switch import Rights
from relay.protocol.frames import Frame, encode, error
from relay.protocol.messages import (
    Auth,
    DashboardJoin,
    DashboardLeave,
    Envelope,
    Ping,
    Resync,
    TaskLeave,
    TaskPosition,
    TaskPositions,
)
from relay.protocol.requests import cost, parse, parse_data
from relay.protocol.types import (
    VERSION,
    Close,
    ErrorCode,
    Kind,
    Limits,
    Request,
)
from relay.tasks.visibility import Audience, Keys, Principal

# A connection that its user's rate refuses comes back this much later than the rate permits. A handshake costs more
# than a request, so several connections of the user should be admitted when they come back together.
REOPEN_S = 1.0
ABUSE_COUNT, ABUSE_WINDOW_S = 100, 10.0  # this many refused requests within this many seconds: close 4429


class Carrier(Receiver, Protocol):
    """The connection that a session sends its messages through, such as a WebSocket.

    After `close`, the carrier silently ignores what is sent. If too many live messages (reports of changes) wait to be
    sent, the carrier drops them and calls the session's `lag`.
    """

    @property
    def id(self) -> str:
        """The name of this connection, which the client is told in `welcome`."""

    def wake(self) -> None:
        """Call the session's `tick` soon, even if its last `tick` returned a later time."""

    def admitted(self) -> None:
        """Note that a message of the client brought the token with which it was admitted."""

    def close(self, code: int, reason: str) -> None:
        """Send what is queued, then close the connection with this close code and reason. A second call does
        nothing."""


@dataclass(frozen=True, slots=True)
class Opening:
    """What the address of a connection subscribes the client to, right after the `welcome` message.

    If `dashboard_limit` is given, the client is subscribed to the list of that many tasks. If `task_id` is given, it is
    subscribed to that task, and `since` and `head` are the position up to which the client holds the task's events (how
    many, and a digest of them)."""

    dashboard_limit: int | None = None
    task_id: str | None = None
    since: int | None = None
    head: str | None = None

    def cost(self) -> float:
        """Return as how many requests it counts to open a connection with this address: the handshake is one, and to
        join the list or a task is one like any other."""
        joined = 0.0 if self.dashboard_limit is None else cost(limit=self.dashboard_limit)
        return 1 + joined + (0 if self.task_id is None else 1)


NOTHING = Opening()


class Session:
    """The session of one client: authenticates it, executes its requests, and sends heartbeats and notices.

    The client is authenticated by `authenticate` or by a first request of type `auth`. The session ends with `closed`.
    """

    __slots__ = (
        "_abuse",
        "_announced",
        "_bucket",
        "_carrier",
        "_deadline",
        "_heartbeat_at",
        "_listener",
        "_notice_s",
        "_opening",
        "_principal",
        "_services",
        "_settings",
    )

    def __init__(self, services: Services, carrier: Carrier, opening: Opening) -> None:
        now = services.monotonic()
        self._services = services
        self._settings = services.settings  # of its beginning: `welcome` tells the client of them
        self._carrier = carrier
        self._opening = opening
        self._principal: Principal | None = None
        self._announced: Keys = (
            frozenset()
        )  # the names of the claims of which the client was told what it has
        self._listener: Listener | None = None
        self._deadline = now + self._settings.relay_auth_timeout_ms / 1000
        self._heartbeat_at = now + self._settings.relay_heartbeat_ms / 1000
        self._notice_s: float | None = NOTICE_S  # sent this long before the expiry; None once sent
        self._bucket: TokenBucket | None = (
            None  # the rate limit of this connection; None until the first request
        )
        self._abuse: deque[float] | None = None  # when requests were refused; None until the first one

    # Called by the carrier.

    def authenticate(self, token: str, reply_to: str | None = None) -> None:
        """Admit the client with this token, send `welcome`, and subscribe it to what its address asks for.

        `reply_to` is the id of the `auth` request that brought the token, if one did. Raises Refused if the token is
        not valid (4401), no key to verify it is there yet (1011), the rollout excludes the user (4502), the user has
        too many connections (4430), or the connections and polls of the user exceed the rate (4429)."""
        services = self._services
        self._principal = principal = services.admission.admit(token)
        wait_s = services.reads.take(principal.sub, services.monotonic(), self._opening.cost())
        if wait_s:
            reason = f"rate_limited:{_ms(wait_s + REOPEN_S)}"
            raise Refused(Close.RATE_LIMITED, reason, user=principal.sub)
        self._carrier.wake()
        listener = Listener(
            services.audience.keys_for(principal),
            services.audience.later_filter_for(principal),
            user=principal.sub,
            receiver=self._carrier,
        )
        self._listener = listener
        self._announced = services.audience.announced
        settings = self._settings
        limits: Limits = {
            "maxMessageBytes": settings.relay_max_message_bytes,
            "messagesPerSecond": settings.relay_messages_per_second,
            "maxTasks": settings.relay_max_tasks_per_connection,
        }
        self._carrier.answer(
            encode(
                Kind.WELCOME,
                {
                    "connectionId": self._carrier.id,
                    "sub": principal.sub,
                    "protocol": VERSION,
                    "heartbeatMs": settings.relay_heartbeat_ms,
                    "expiresAt": moment(principal.expires_at),
                    "limits": limits,
                    **services.audience.announced_to(principal),
                },
                reply_to=reply_to,
            )
        )
        services.hub.enter(listener)
        if services.hub.status == "stale":
            self._carrier.answer(services.hub.status_frame())
        opening, self._opening = self._opening, NOTHING
        if opening.dashboard_limit is not None:
            services.hub.join_list(listener, opening.dashboard_limit, None)
        if opening.task_id is not None:
            services.hub.join_task(listener, opening.task_id, opening.since, opening.head, None)

    def receive(self, frame: str) -> None:
        """Execute one request of the client; `frame` is the text of one WebSocket message.

        A request with a mistake is answered with an `error` message. Raises Refused if the session must end: 4401 if
        the first message is not a valid `auth` request, 4429 if too many requests exceeded the rate, or for a token
        that is refused, the code of that refusal.
        """
        metrics = self._services.metrics
        try:
            request = parse(frame)
        except BadRequest as bad:
            metrics.note_request("")
            if self._listener is None:
                raise Refused(Close.UNAUTHENTICATED, "unauthenticated") from bad
            if self._within_rate(None):
                self._carrier.answer(_error(bad, None))
            return
        metrics.note_request(request.type)
        if self._listener is None:
            if request.type != Request.AUTH:
                raise Refused(Close.UNAUTHENTICATED, "unauthenticated")
            try:
                first = parse_data(request)
            except BadRequest as bad:
                raise Refused(Close.UNAUTHENTICATED, "unauthenticated") from bad
            assert isinstance(first, Auth)
            self.authenticate(first.token, request.id)
            self._carrier.admitted()
            return
        if not self._within_rate(request.id):
            return
        try:
            self._execute(self._listener, request)
        except BadRequest as bad:
            self._carrier.answer(_error(bad, request.id))

    @property
    def is_admitted(self) -> bool:
        """Whether the client is admitted: it was sent `welcome`, and the session has not ended."""
        return self._listener is not None

    @property
    def user(self) -> str | None:
        """The `sub` of the client's token. None before the client is authenticated, and after the session has ended."""
        return self._principal.sub if self._principal is not None else None

    @property
    def listener(self) -> Listener | None:
        """The listener of the client, as the hub knows it. None before the client is authenticated, and after the
        session has ended."""
        return self._listener

    def recheck(self) -> None:
        """Raise Refused if the client would not be admitted any more since the relay has reloaded its settings: 4401 if
        the key of its token is gone, 4502 if the rollout excludes its user."""
        if self._principal is not None:
            self._services.admission.recheck(self._principal)

    def rights_by(self, audience: Audience, unchanged: Audience) -> tuple[Listener, Rights] | None:
        """Return the listener of the client with its rights under a new mapping, whose rules are those of `audience`;
        None before the client is authenticated. `unchanged` has the rules that are also those of the old mapping.

        Raises Refused (1001) if a rule reads a claim that was not kept of the client's token, or if the client has to
        know other claims of its user: the client comes back at once, and brings the token again."""
        if self._principal is None or self._listener is None:
            return None
        is_kept = audience.claims <= self._principal.claims.keys()
        if not is_kept or audience.announced != self._announced:
            raise Refused(Close.GOING_AWAY, "restart")
        keys = audience.keys_for(self._principal)
        is_same = keys == self._listener.keys == unchanged.keys_for(self._principal)
        rights = Rights(keys, audience.later_filter_for(self._principal), changed=not is_same)
        return self._listener, rights

    def tick(self) -> float:
        """Send the heartbeat, and the notice that the token expires soon, if they are due.

        Return the time of the monotonic clock at which `tick` must be called again. Raises Refused (4408) if the client
        has sent no token within RELAY_AUTH_TIMEOUT_MS, and Refused (4401) if its token has expired.
        """
        services, principal = self._services, self._principal
        now = services.monotonic()
        if principal is None:
            if now >= self._deadline:
                raise Refused(Close.TIMEOUT, "auth_timeout")
            return self._deadline
        left = principal.expires_at - services.wall()
        if left <= 0:
            raise Refused(Close.UNAUTHENTICATED, "token_expired")
        if self._notice_s is not None and left <= self._notice_s:
            self._notice_s = None
            self._carrier.answer(expiry_notice(principal.expires_at))
        if now >= self._heartbeat_at:
            self._heartbeat_at = now + self._settings.relay_heartbeat_ms / 1000
            self._carrier.answer(encode(Kind.HEARTBEAT, {"serverTime": moment(services.wall())}))
        return min(self._heartbeat_at, now + left - (self._notice_s or 0))

    def paused(self) -> None:
        """Handle that the socket accepts no more data for now. Everything sent before this call is on its way
        already."""
        if self._listener is not None:
            self._services.hub.note_paused(self._listener)

    def lag(self, *, since_pause: bool) -> None:
        """Handle that the carrier has dropped live messages (reports of changes), because the client reads too slowly.

        If `since_pause` is true, only messages sent after the last call of `paused` were dropped. If it is false, any
        live message may have been dropped.
        """
        if self._listener is not None:
            self._services.hub.lag(self._listener, since_pause=since_pause)

    def drained(self) -> None:
        """Handle that the carrier has sent everything: send the states (snapshots) that replace the live messages it
        dropped, and those for which it had no room before."""
        if self._listener is not None:
            self._services.hub.catch_up(self._listener)

    def announce_drain(self, reconnect_after_ms: int) -> None:
        """Tell the client that the relay will stop soon, and after how many milliseconds to reconnect. Does nothing
        before the client is authenticated."""
        if self._listener is not None:
            self._carrier.answer(encode(Kind.DRAINING, {"reconnectAfterMs": reconnect_after_ms}))

    def closed(self) -> None:
        """Handle that the connection has ended or is closing: end all subscriptions, and stop counting the connection
        for its user. A second call does nothing."""
        if self._listener is not None:
            self._services.hub.leave(self._listener)
            self._listener = None
        if self._principal is not None:
            self._services.admission.leave_user(self._principal)
            self._principal = None

    # Requests of the client.

    def _within_rate(self, request_id: str | None) -> bool:
        """Count one request, and return whether it is within the client's rate. If it is not, answer with an `error`
        message. Raises Refused (4429) if ABUSE_COUNT requests exceeded the rate within ABUSE_WINDOW_S seconds."""
        now = self._services.monotonic()
        if self._bucket is None:
            rate = self._settings.relay_messages_per_second
            self._bucket = TokenBucket(rate, rate * BURST_S, now)
        wait_s = self._bucket.take(now)
        if not wait_s:
            return True
        if self._abuse is None:
            self._abuse = deque(maxlen=ABUSE_COUNT)
        self._abuse.append(now)
        if len(self._abuse) == ABUSE_COUNT and now - self._abuse[0] < ABUSE_WINDOW_S:
            raise Refused(Close.RATE_LIMITED, f"rate_limited:{_ms(wait_s)}")
        self._carrier.answer(_error(_too_many(wait_s), request_id))
        return False

    def _spend(self, listener: Listener, requests: float) -> None:
        """Count a request that costs reads, as much as `requests` ordinary ones (at least 1). It counts for the user,
        with those of all other connections and polls; for this connection `_within_rate` has counted one.

        Raises BadRequest if the user has exceeded the rate: then nothing of the request is executed."""
        wait_s = self._services.reads.take(listener.user, self._services.monotonic(), requests)
        if wait_s:
            raise _too_many(wait_s)  # not counted as abuse: other connections of the user may be the cause
        assert self._bucket is not None
        self._bucket.charge(requests - 1)

    def _execute(self, listener: Listener, envelope: Envelope) -> None:
        """Validate a request and execute it. Raises BadRequest if the request is invalid or not permitted; then nothing
        was executed. Raises Refused if the request is an `auth` whose token is refused."""
        carrier, hub, request_id = self._carrier, self._services.hub, envelope.id
        match parse_data(envelope):
            case Ping():
                server_time = moment(self._services.wall())
                carrier.answer(encode(Kind.PONG, {"serverTime": server_time}, reply_to=request_id))
            case Auth(token):
                self._refresh(listener, token, request_id)
            case DashboardJoin(limit):
                self._spend(listener, cost(limit=limit))
                hub.join_list(listener, limit, request_id)
            case DashboardLeave():
                hub.leave_list(listener)
                carrier.answer(encode(Kind.DASHBOARD_LEFT, {}, reply_to=request_id))
            case TaskPosition() as position:
                self._spend(listener, 1)
                self._join_tasks(listener, [position], request_id)
            case TaskPositions(tasks):
                self._spend(listener, cost(tasks=len(tasks)))
                self._join_tasks(listener, tasks, request_id)
            case TaskLeave(task_id):
                hub.leave_task(listener, task_id)
                carrier.answer(encode(Kind.TASK_LEFT, {"taskId": task_id}, reply_to=request_id))
            case Resync() as resync:
                positions = resync.positions()
                if positions:
                    self._spend(listener, cost(tasks=len(positions)))
                self._resync(listener, positions, request_id)
            case never:
                assert_never(never)

    def _join_tasks(self, listener: Listener, tasks: Sequence[TaskPosition], request_id: str | None) -> None:
        hub = self._services.hub
        new = {one.task_id for one in tasks if not hub.has_joined(listener, one.task_id)}
        limit = self._settings.relay_max_tasks_per_connection
        if len(new) + hub.joined_tasks(listener) > limit:
            raise BadRequest(ErrorCode.TOO_MANY_TASKS, f"A connection may join at most {limit} tasks.")
        for one in tasks:
            hub.join_task(listener, one.task_id, one.since, one.head, request_id)

    def _resync(self, listener: Listener, tasks: Sequence[TaskPosition], request_id: str | None) -> None:
        resync = ResyncAnswer(self._carrier.answer, request_id, len(tasks))
        resync.finish_if_complete()
        for one in tasks:
            self._services.hub.show_task(
                listener, one.task_id, one.since, one.head, resync.answers(one.task_id), request_id
            )

    def _refresh(self, listener: Listener, token: str, request_id: str | None) -> None:
        assert self._principal is not None
        principal = self._services.admission.verify(token)
        if principal.sub != self._principal.sub:
            raise BadRequest(
                ErrorCode.FORBIDDEN,
                'A new token must have the same "sub"; open another connection for another user.',
            )
        audience = self._services.audience
        keys = audience.keys_for(principal)
        if keys != listener.keys:  # the list, and tasks that were not answered yet, are read again
            limit = listener.list.limit if listener.list is not None else 0
            self._spend(listener, cost(tasks=listener.unanswered_tasks(), limit=limit))
        self._principal = principal
        # Send the notice when half of the remaining time is left, at the earliest. Otherwise a new token that expires
        # within 30 s would be answered with a notice at once, and so would every token after it.
        self._notice_s = min(NOTICE_S, (principal.expires_at - self._services.wall()) / 2)
        self._carrier.wake()
        self._announced = audience.announced
        data = {"expiresAt": moment(principal.expires_at), **audience.announced_to(principal)}
        self._carrier.answer(encode(Kind.AUTH_OK, data, reply_to=request_id))
        self._services.hub.change_rights(listener, keys, audience.later_filter_for(principal))


def _error(bad: BadRequest, request_id: str | None) -> Frame:
    return error(
        ErrorCode(bad.code),
        bad.message,
        task_id=bad.task_id,
        retry_after_ms=bad.retry_after_ms,
        reply_to=request_id,
    )


def _too_many(wait_s: float) -> BadRequest:
    """Return the answer to a request that exceeds a rate, and may be sent again after this many seconds."""
    return BadRequest(ErrorCode.RATE_LIMITED, "Too many requests.", retry_after_ms=_ms(wait_s))


def _ms(seconds: float) -> int:
    return max(1, round(seconds * 1000))
