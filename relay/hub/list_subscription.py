"""A listener's subscription to the list of tasks. Pure: `relay.hub.subscription` defines its states, events and
effects.

It differs from a subscription to a task in three ways. A snapshot is always the whole list. The answer to one request
also answers the requests made before it, because their own answers would be older lists. And the subscription ends if
the client's last unanswered request fails, because a list that is no longer kept up to date is not a subscription.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, cast

from relay.hub.listener import Listener
from relay.hub.messages import StepFrames, unavailable
from relay.hub.request import Request
from relay.hub.subscription import (
    Drained,
    Effect,
    Event,
    ImpossibleEvent,
    Join,
    Lagged,
    Leave,
    ListRead,
    Outcome,
    Paused,
    Read,
    ReadGiven,
    ReadLater,
    ReadUnavailable,
    ReadWhenCaughtUp,
    Replay,
    RightsChanged,
    Send,
    SendState,
    State,
    StreamLost,
    Subscription,
    Table,
    states,
)
from relay.protocol.frames import Frame

ABSENT, READING, LIVE, BEHIND = State


class ListRequest(Request):
    """One request for a snapshot of the list: of its first `limit` tasks.

    `asked_at` is when the client asked, in seconds of the event loop's clock.
    """

    __slots__ = ("asked_at", "limit", "subscription")

    def __init__(
        self,
        subscription: ListSubscription,
        limit: int,
        reply_to: str | None = None,
        *,
        unasked: bool = False,
        asked_at: float = 0.0,
    ) -> None:
        super().__init__(reply_to, unasked=unasked)
        self.subscription = subscription
        self.limit = limit
        self.asked_at = asked_at


class ListSubscription(Subscription[ListRequest]):
    """A listener's subscription to the list. Live messages follow the answer to the newest request that has not failed.

    `limit` is the number of tasks that this request asked for; requests that the relay makes by itself ask for as many.
    """

    __slots__ = ("limit",)

    TABLE: ClassVar[Table] = {
        ABSENT: {
            Join: states(READING),
        },
        READING: {
            Join: states(READING),
            ReadGiven: states(READING, LIVE, BEHIND),
            ReadUnavailable: states(READING, BEHIND, ABSENT),
            StreamLost: states(READING),  # the read is repeated
            RightsChanged: states(READING),
            Paused: states(READING),
            Lagged: states(READING),  # the list that is being read is newer than all dropped messages
            Drained: states(READING),
            Leave: states(ABSENT),
        },
        LIVE: {
            Join: states(READING),
            StreamLost: states(READING),
            RightsChanged: states(READING),
            Paused: states(LIVE),
            Lagged: states(BEHIND),
            Drained: states(LIVE),
            Leave: states(ABSENT),
        },
        BEHIND: {
            Join: states(READING),
            StreamLost: states(BEHIND),
            RightsChanged: states(BEHIND),
            Paused: states(BEHIND),
            Drained: states(READING),
            Leave: states(ABSENT),
        },
    }

    def __init__(self, listener: Listener) -> None:
        super().__init__(listener)
        self.limit = 0

    def _react(self, event: Event) -> Outcome:
        match event:
            case Join():
                return self._join(event)
            case ReadGiven():
                return self._given(event)
            case ReadUnavailable():
                return self._unavailable(event)
            case StreamLost() if self.state is LIVE:
                return READING, [*self._leave_room(), Read(self._renew())]
            case RightsChanged() if self.state is not BEHIND:
                return READING, [*self._leave_room(), *self._ask_again()]
            case Lagged() if self.state is LIVE:
                return BEHIND, self._leave_room()
            case Drained() if self.state is BEHIND:
                return READING, [Read(self._renew())]
            case Drained():
                return self.state, self._read_postponed()
            case Leave():
                self._withdraw(self.requests)
                return ABSENT, self._leave_room()
            case StreamLost() | RightsChanged() | Paused() | Lagged():
                return self.state, []  # the next list that is read takes it into account
        raise ImpossibleEvent(type(event).__name__)

    def _join(self, event: Join) -> Outcome:
        request = cast(ListRequest, event.request)
        self.limit = request.limit
        self._add(request)
        # A client that was connected to another instance of the relay may hold a later list than this instance can read
        # at its current position S. Wait until this instance has caught up, so that the list does not go back in time.
        read = Read(request) if event.caught_up else ReadWhenCaughtUp(request)
        return READING, [*self._leave_room(), read]

    def _renew(self) -> ListRequest:
        """Add and return a request that the relay makes by itself, to bring the client's list up to date."""
        request = ListRequest(self, self.limit, unasked=True)
        self._add(request)
        return request

    def _ask_again(self) -> list[Effect]:
        """The rights have changed: repeat the reads of the list with the current rights.

        Return the effects that read again for each request of the client, once the relay has caught up with the
        database. If there are only requests that the relay made by itself, or none, one new read at once replaces them.
        """
        asked = [request for request in self.requests if not request.unasked]
        self._withdraw(self.requests)
        if not asked:
            return [Read(self._renew())]
        effects: list[Effect] = []
        for request in asked:
            again = ListRequest(self, request.limit, request.reply_to, asked_at=request.asked_at)
            self._add(again)
            effects.append(ReadWhenCaughtUp(again))
        return effects

    def _given(self, event: ReadGiven) -> Outcome:
        request, read = cast(ListRequest, event.request), cast(ListRead, event.read)
        if not event.has_room:
            request.postpone()
            return READING, []
        answered = self.requests[: self.requests.index(request) + 1]
        self._withdraw(answered)
        effects: list[Effect] = [
            SendState(read.pages, one.reply_to) for one in answered if one is request or not one.unasked
        ]
        if self.requests:
            return READING, effects
        if self.listener.lagging:
            return BEHIND, effects
        if frames := self._missed(read.since):
            effects.append(Replay(frames))
        state, entered = self._enter_room(read.room)
        return state, [*effects, *entered]

    def _missed(self, since: Sequence[tuple[Frame, StepFrames | None]]) -> list[Frame]:
        # The listener may have been sent lifecycle messages already, as a subscriber of the task. These are not sent
        # twice, and earlier ones of the same task are left out, because they would arrive after later ones.
        last = {
            frames.step.key: number
            for number, (_, frames) in enumerate(since)
            if frames is not None and self.listener in frames.lifecycle_sent_to
        }
        missed: list[Frame] = []
        for number, (frame, frames) in enumerate(since):
            if frames is None:
                missed.append(frame)
            elif number > last.get(frames.step.key, -1):
                frames.note_lifecycle_sent((self.listener,))
                missed.append(frame)
        return missed

    def _unavailable(self, event: ReadUnavailable) -> Outcome:
        request = cast(ListRequest, event.request)
        self._withdraw([request])
        if not request.unasked:
            return self._refused(Send(unavailable(request.reply_to)))
        if self.requests:
            return READING, []
        if self.listener.lagging:
            return BEHIND, []
        return READING, [ReadLater(self._renew())]

    def _refused(self, refusal: Send) -> Outcome:
        """One request of the client has failed. The others are still to be answered. If there are no others, end."""
        asked = [one for one in self.requests if not one.unasked]
        if asked:
            self.limit = asked[-1].limit
            return READING, [refusal]
        # Withdraw the relay's own request: its list would be sent to a client that is no longer subscribed.
        self._withdraw(self.requests)
        return ABSENT, [refusal]
