"""A listener's subscription to one task. Pure: see `subscription` for the states, events and effects.

A client's position in the timeline (`since`, `head`) holds only if it is certain what the client has been sent after
it. Where live messages were dropped, left out or sent as another state, a state from that position might keep events
that the client does not have any more: then the state begins at 0.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import takewhile
from typing import ClassVar, cast

from relay.hub.listener import Listener
from relay.hub.messages import StepFrames, replay, revocation, unavailable
from relay.hub.registry import Room
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
    ReadLater,
    ReadUnavailable,
    ReadWhenCaughtUp,
    Replay,
    Report,
    Request,
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
from relay.tasks.timeline import head

ABSENT, READING, LIVE, BEHIND = State


class TaskRequest(Request):
    """One request for a task's state from the position `since`, `head`, or from 0.

    `answered`, if there is one, hears how the request ended in place of the listener: then it is a `Show`.
    """

    __slots__ = ("answered", "head", "since", "subscription")

    def __init__(
        self,
        subscription: TaskSubscription,
        since: int | None,
        head: str | None,
        reply_to: str | None = None,
        *,
        answered: Callable[[Answer], None] | None = None,
        unasked: bool = False,
    ) -> None:
        super().__init__(reply_to, unasked=unasked)
        self.subscription = subscription
        self.since = since
        self.head = head
        self.answered = answered

    @property
    def has_position(self) -> bool:
        return self.since is not None and self.head is not None

    def forget_position(self) -> None:
        """Begin the state at 0."""
        self.since = self.head = None


class TaskSubscription(Subscription[TaskRequest]):
    """`sent` is the position up to which the client has certainly been sent the timeline, where that is known:
    while READING at the moment when live delivery stopped, while LIVE at the last `Paused`, while BEHIND before
    the first message that was dropped."""

    __slots__ = ("sent", "task_id")

    TABLE: ClassVar[Table] = {
        ABSENT: {
            Join: states(READING),
            Show: states(READING),
        },
        READING: {
            Join: states(READING),
            Show: states(READING),
            # The last request that is answered decides; READING while others are left.
            ReadGiven: states(READING, LIVE, BEHIND, ABSENT),
            ReadForbidden: states(READING, ABSENT),
            ReadUnavailable: states(READING, BEHIND, ABSENT),
            # These are in the buffer of the read, or the read is repeated: its answer settles them.
            Revoked: states(READING),
            Deleted: states(READING),
            Rewritten: states(READING),
            StreamLost: states(READING),
            RightsChanged: states(READING),
            Paused: states(READING),
            Lagged: states(READING),
            Drained: states(READING),
            Leave: states(READING, ABSENT),  # READING: states that were asked for by themselves still come
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
            # The state that is read when the socket has drained settles these.
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
        self.sent: Progress | None = None

    @property
    def is_joined(self) -> bool:
        """Does it count among the tasks that the connection has joined?"""
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
                return LIVE, []
            case Lagged() if self.state is LIVE:
                if not event.since_pause:
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
                return self.state, []  # the answer of a read settles it
        raise ImpossibleEvent(type(event).__name__)

    @property
    def _room(self) -> Room:
        return cast(Room, self.room)

    def _ask(self, asked: Request, pinned: bool, *, caught_up: bool) -> list[Effect]:
        """Read a state for a request of the client; buffer live messages until all requests are answered."""
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
            # The answer to one of them leaves the client elsewhere than the positions of the others say.
            for one in self.requests:
                one.forget_position()
        if has_position and not (caught_up or self.member):
            # It may come from an instance that is ahead of this one. Read before this one has come as far, its
            # position would match nothing, and a state from 0 would send the client back in time.
            effects.append(ReadWhenCaughtUp(request))
        else:
            effects.append(Read(request))
        return effects

    def _stop(self, pinned: bool) -> list[Effect]:
        """Stop live delivery; remember how far the client has been sent the timeline, if that is certain."""
        self.sent = self._room.progress if pinned and not self._room.stale else None
        return self._leave_room()

    def _resume(self) -> TaskRequest:
        """A request of the relay itself, which brings the client up to date from where it is."""
        since, at = (self.sent.next, head(self.sent.digest)) if self.sent is not None else (None, None)
        request = TaskRequest(self, since, at, unasked=True)
        self._add(request)
        return request

    def _given(self, event: ReadGiven) -> Outcome:
        request, read = cast(TaskRequest, event.request), cast(TaskRead, event.read)
        if not event.has_room:
            request.postpone()
            return READING, []
        self._withdraw([request])
        if read.moved and self.member and not request.unasked:
            # The client has been sent more than its position says, and not what came between that and the state.
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
        """Send what was published since the state; then the listener is in the room, or has lost the task."""
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
        # The listener may have got lifecycle messages through its list. They are not sent twice, and earlier ones
        # are not sent after them: not even those before a revocation, if the task came back to the list since.
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
        return READING, [*effects, ReadLater(self._resume())]  # it is still a member, whatever it asked for

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
        """End the membership and say so."""
        self._end_membership()
        return ABSENT, [*self._leave_room(), Revoke(frame)]

    def _end_membership(self) -> None:
        # The states of the relay's own requests would come to a client that is no member any more.
        self._withdraw([one for one in self.requests if one.unasked])
        self.member, self.sent = False, None

    def _leave(self, event: Leave) -> Outcome:
        self.member, self.sent = False, None
        self._withdraw([one for one in self.requests if event.closed or one.answered is None])
        return (READING if self.requests else ABSENT), self._leave_room()
