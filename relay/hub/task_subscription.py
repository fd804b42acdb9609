"""A listener's subscription to one task. Pure: `relay.hub.subscription` defines its states, events and effects.

A client's position in the timeline (`since`, `head`) is used only if it is certain which messages the client has been
sent after that position. If live messages were dropped, left out or replaced by another snapshot, a snapshot that
continues from the position might keep events that the client does not have. In these cases the snapshot begins at 0.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import takewhile
from typing import ClassVar, cast

from relay.hub.listener import Listener
from relay.hub.messages import StepFrames, replay, revocation, unavailable
from relay.hub.registry import Room
from relay.hub.request import Request
from relay.hub.snapshot import Progress
from relay.hub.subscription import (
    Answer,
    Deleted,
    Drained,
    Effect,
    Event,
    ImpossibleEvent,
    Join,
    Lagged,
    Leave,
    Outcome,
    Paused,
    Read,
    ReadForbidden,
    ReadGiven,
    ReadUnavailable,
    ReadWhenCaughtUp,
    Replay,
    Report,
    Revoke,
    Revoked,
    Rewritten,
    RightsChanged,
    Send,
    SendState,
    Show,
    State,
    StreamLost,
    Subscription,
    Table,
    TaskRead,
    states,
)
from relay.protocol.frames import Frame, error
from relay.protocol.types import ErrorCode
from relay.tasks.event_view import head

ABSENT, READING, LIVE, BEHIND = State


class TaskRequest(Request):
    """One request for a snapshot of a task, from the client's position (`since`, `head`) or, if these are None, from 0.

    `answered` is not None if the client asked for the snapshot only and not for live messages (the event `Show`): then
    it is called with the way the request ended, and the listener is not sent an error. `overlooked`: it shared a read
    that did not look for documents that only the rights of its listener allow. `asked_at` is when the client asked, in
    seconds of the event loop's clock.
    """

    __slots__ = ("answered", "asked_at", "head", "overlooked", "since", "subscription")

    def __init__(
        self,
        subscription: TaskSubscription,
        since: int | None,
        head: str | None,
        reply_to: str | None = None,
        *,
        answered: Callable[[Answer], None] | None = None,
        unasked: bool = False,
        asked_at: float = 0.0,
    ) -> None:
        super().__init__(reply_to, unasked=unasked)
        self.subscription = subscription
        self.since = since
        self.head = head
        self.answered = answered
        self.asked_at = asked_at
        self.overlooked = False

    @property
    def has_position(self) -> bool:
        return self.since is not None and self.head is not None

    def forget_position(self) -> None:
        """Ignore how much of the timeline the client says it has: let the snapshot begin at the first event."""
        self.since = self.head = None

    def note_overlooked(self) -> None:
        self.overlooked = True


class TaskSubscription(Subscription[TaskRequest]):
    """A listener's subscription to one task.

    `member`: the listener is to be sent live messages once its requests are answered.
    `sent` is the position in the timeline up to which the client has certainly been sent everything; None if that is
    not known. While READING it is the position at which live delivery stopped, while LIVE the position at the last
    `Paused` event, while BEHIND the position before the first live message that was dropped.
    `rewritten_at` is that of the room at the last `Paused` event, see `Room`.
    """

    __slots__ = ("member", "rewritten_at", "sent", "task_id")

    TABLE: ClassVar[Table] = {
        ABSENT: {
            Join: states(READING),
            Show: states(READING),
        },
        READING: {
            Join: states(READING),
            Show: states(READING),
            # The state stays READING while requests are unanswered. The answer to the last one decides what follows.
            ReadGiven: states(READING, LIVE, BEHIND, ABSENT),
            ReadForbidden: states(READING, ABSENT),
            ReadUnavailable: states(READING, BEHIND, ABSENT),
            # These need no reaction: their messages are buffered with the read, or the read is repeated, so the
            # answer of the read takes them into account.
            Revoked: states(READING),
            Deleted: states(READING),
            Rewritten: states(READING),
            StreamLost: states(READING),
            RightsChanged: states(READING),
            Paused: states(READING),
            Lagged: states(READING),
            Drained: states(READING),
            Leave: states(READING, ABSENT),  # READING: snapshots asked for with `Show` are still sent
        },
        LIVE: {
            Join: states(READING),
            Show: states(READING),
            Revoked: states(ABSENT),
            Deleted: states(ABSENT),
            Rewritten: states(READING),
            StreamLost: states(READING),
            RightsChanged: states(LIVE, ABSENT),
            Paused: states(LIVE),
            Lagged: states(BEHIND),
            Drained: states(LIVE),
            Leave: states(ABSENT),
        },
        BEHIND: {
            Join: states(READING),
            Show: states(READING),
            # These need no reaction: the snapshot that is read when the socket has drained takes them into account.
            Revoked: states(BEHIND),
            Deleted: states(BEHIND),
            Rewritten: states(BEHIND),
            StreamLost: states(BEHIND),
            RightsChanged: states(BEHIND),
            Paused: states(BEHIND),
            Drained: states(READING),
            Leave: states(ABSENT),
        },
    }

    def __init__(self, listener: Listener, task_id: str) -> None:
        super().__init__(listener)
        self.task_id = task_id
        self.member = False
        self.sent: Progress | None = None
        self.rewritten_at = 0.0

    @property
    def is_joined(self) -> bool:
        """Whether the subscription counts among the tasks that the connection has joined, or has asked to join."""
        return (
            self.state in (LIVE, BEHIND) or self.member or any(one.answered is None for one in self.requests)
        )

    def _react(self, event: Event) -> Outcome:
        match event:
            case Join():
                return READING, self._ask(event.request, event.pinned, caught_up=event.caught_up)
            case Show():
                return READING, self._ask(event.request, event.pinned, caught_up=False)
            case ReadGiven():
                return self._given(event)
            case ReadForbidden():
                return self._forbidden(event)
            case ReadUnavailable():
                return self._unavailable(event)
            case Revoked() | Deleted() if self.state is LIVE:
                return self._revoked(event.frame)
            case Rewritten() | StreamLost() if self.state is LIVE:
                self.member, effects = True, self._stop(event.pinned)
                return READING, [*effects, Read(self._resume())]
            case RightsChanged() if self.state is LIVE:
                if self.listener.may_see(self._room.keys):
                    return LIVE, []
                return self._revoked(revocation(self.task_id, deleted=False))
            case Paused() if self.state is LIVE:
                self.sent = None if self._room.stale else self._room.progress
                self.rewritten_at = self._room.rewritten_at
                return LIVE, []
            case Lagged() if self.state is LIVE:
                # A rewrite that was sent after the pause may have taken away events that the position counts.
                if not event.since_pause or self.rewritten_at != self._room.rewritten_at:
                    self.sent = None
                return BEHIND, self._leave_room()
            case Drained() if self.state is BEHIND:
                self.member = True
                return READING, [Read(self._resume())]
            case Drained():
                return self.state, self._read_postponed()
            case Leave():
                return self._leave(event)
            case Revoked() | Deleted() | Rewritten() | StreamLost() | RightsChanged() | Paused() | Lagged():
                return self.state, []  # the next snapshot that is read takes it into account
        raise ImpossibleEvent(type(event).__name__)

    @property
    def _room(self) -> Room:
        return cast(Room, self.room)

    def _ask(self, asked: Request, pinned: bool, *, caught_up: bool) -> list[Effect]:
        """Add a request of the client, and return the effects that read a snapshot for it.

        Live messages stop and are buffered until all requests are answered.
        """
        request = cast(TaskRequest, asked)
        effects: list[Effect] = []
        has_position = request.has_position
        if self.state is LIVE:
            self.member, effects = True, self._stop(pinned)
            if self.sent is None:
                request.forget_position()
        elif self.state is BEHIND:
            self.member = True
            request.forget_position()
        self._add(request)
        if len(self.requests) > 1:
            # The answer to one request moves the client away from the positions that the other requests name.
            for one in self.requests:
                one.forget_position()
        if has_position and not (caught_up or self.member):
            # The client may have got its position from another instance of the relay that is ahead of this one. Before
            # this instance has caught up, the position would match nothing here, and a snapshot from 0 would send the
            # client back in time.
            effects.append(ReadWhenCaughtUp(request))
        else:
            effects.append(Read(request))
        return effects

    def _stop(self, pinned: bool) -> list[Effect]:
        """Stop live messages. Store in `sent` how far the client has been sent the timeline, or None if that is not
        certain.

        `pinned`: all live messages sent so far are certain to reach the client.
        """
        self.sent = self._room.progress if pinned and not self._room.stale else None
        return self._leave_room()

    def _resume(self) -> TaskRequest:
        """Add and return a request that the relay makes by itself, to bring the client up to date from the position
        `sent`."""
        since, at = (self.sent.next, head(self.sent.digest)) if self.sent is not None else (None, None)
        request = TaskRequest(self, since, at, unasked=True)
        self._add(request)
        return request

    def _given(self, event: ReadGiven) -> Outcome:
        request, read = cast(TaskRequest, event.request), cast(TaskRead, event.read)
        if not event.has_room:
            # The next read is at a later position, and what was published before it is not buffered. A member has been
            # sent more than its position says, so the two might only seem to match.
            if self.member and not request.unasked:
                request.forget_position()
            request.postpone()
            return READING, []
        self._withdraw([request])
        if read.moved and self.member and not request.unasked:
            # The client has been sent more than the position of its request says, but not the messages between that and
            # the position of the repeated read, because these were not buffered.
            request.forget_position()
        effects: list[Effect] = [SendState(read.state.pages(request.since, request.head), request.reply_to)]
        self.member = self.member or request.answered is None
        self.sent = None
        state = READING if self.requests else ABSENT
        if self.member and not self.requests:
            state, more = self._go_live(read)
            effects += more
        if request.answered is not None:
            effects.append(Report(request.answered, "given"))
        return state, effects

    def _go_live(self, read: TaskRead) -> Outcome:
        """Return the effects that send what was published since the snapshot was read.

        Then the listener is in the task's room and is sent live messages, unless one of the buffered steps took the
        task from it: then it is sent the revocation. If live messages to the listener are being dropped, wait for its
        socket instead.
        """
        self.member = False
        if self.listener.lagging:
            return BEHIND, []
        visible = list(takewhile(self._may_see, read.since))
        effects: list[Effect] = []
        if frames := self._missed(visible, read):
            effects.append(Replay(frames))
        if len(visible) < len(read.since):
            return ABSENT, [*effects, Revoke(read.since[len(visible)].revocation())]
        state, entered = self._enter_room(read.room)
        return state, [*effects, *entered]

    def _missed(self, visible: list[StepFrames], read: TaskRead) -> list[Frame]:
        # The listener may have been sent lifecycle messages already, through its subscription to the list. These are
        # not sent twice, and earlier ones are left out, because they would arrive after later ones. Lifecycle messages
        # from before a revocation are left out too, if the task has come back to the list since.
        got = [
            number for number, frames in enumerate(read.since) if self.listener in frames.lifecycle_sent_to
        ]
        last = got[-1] if got else -1
        missed: list[Frame] = []
        for number, (frames, made) in enumerate(replay(visible, read.state.progress())[0]):
            missed += [frame for frame, lifecycle in made if not lifecycle or number > last]
            if any(lifecycle for _, lifecycle in made):
                frames.note_lifecycle_sent((self.listener,))
        return missed

    def _may_see(self, frames: StepFrames) -> bool:
        after = frames.step.after
        return after is not None and self.listener.may_see(after.keys)

    def _forbidden(self, event: ReadForbidden) -> Outcome:
        request = cast(TaskRequest, event.request)
        self._withdraw([request])
        effects = self._refused(request, "forbidden")
        if self.member:
            effects += self._revoked(revocation(self.task_id, deleted=not event.exists))[1]
        return (READING if self.requests else ABSENT), effects

    def _unavailable(self, event: ReadUnavailable) -> Outcome:
        request = cast(TaskRequest, event.request)
        self._withdraw([request])
        effects = self._refused(request, "unavailable")
        if self.requests:
            return READING, effects
        if not self.member:
            return ABSENT, effects
        if self.listener.lagging:
            self.member = False
            return BEHIND, effects
        # It is still a member, whatever it asked for. Read at once, so that what is published meanwhile is buffered:
        # the read itself is retried while the database does not answer.
        return READING, [*effects, Read(self._resume())]

    def _refused(self, request: TaskRequest, answer: Answer) -> list[Effect]:
        if request.answered is not None:
            return [Report(request.answered, answer)]
        if request.unasked:
            return []
        if answer == "unavailable":
            return [Send(unavailable(request.reply_to, self.task_id))]
        message = "There is no such task, or you may not see it."
        return [Send(error(ErrorCode.FORBIDDEN, message, task_id=self.task_id, reply_to=request.reply_to))]

    def _revoked(self, frame: Frame) -> Outcome:
        """End the subscription's live messages, and send `frame`, which tells the client the reason."""
        self._end_membership()
        return ABSENT, [*self._leave_room(), Revoke(frame)]

    def _end_membership(self) -> None:
        # Withdraw the relay's own requests: their snapshots would be sent to a client that is no longer subscribed.
        self._withdraw([one for one in self.requests if one.unasked])
        self.member, self.sent = False, None

    def _leave(self, event: Leave) -> Outcome:
        self.member, self.sent = False, None
        self._withdraw([one for one in self.requests if event.closed or one.answered is None])
        return (READING if self.requests else ABSENT), self._leave_room()
