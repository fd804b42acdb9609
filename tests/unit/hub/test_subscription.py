"""Both state machines of a subscription: every pair of state and event, and what each transition asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any, get_args

import orjson
import pytest
from support.hub_in_memory import AUDIENCE, TRANSLATOR, Receiver, task_of
from support.mongo_model import Group as Writes
from support.mongo_model import Model

from relay.hub.list_subscription import ListRequest, ListSubscription
from relay.hub.listener import Listener
from relay.hub.messages import StepFrames, revocation
from relay.hub.registry import Group, Room
from relay.hub.snapshot import Progress, TaskState, dashboard_pages
from relay.hub.subscription import (
    Deleted,
    Drained,
    EnterRoom,
    Event,
    ImpossibleEvent,
    Join,
    Lagged,
    Leave,
    LeaveRoom,
    ListRead,
    Paused,
    Read,
    ReadForbidden,
    ReadGiven,
    ReadLater,
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
    TaskRead,
)
from relay.hub.task_subscription import TaskRequest, TaskSubscription
from relay.protocol.frames import Frame
from relay.tasks.event_view import head
from relay.tasks.visibility import Principal

ABSENT, READING, LIVE, BEHIND = State
EVENTS: Sequence[type[Event]] = get_args(Event)
GONE = revocation("t0", deleted=False)

# What PROTOCOL.md and docs/explanation/design.md say, written down a second time: state and event, and every state
# that may follow. A pair that is not here is impossible.
TASK_TRANSITIONS: dict[tuple[State, type[Event]], set[State]] = {
    (ABSENT, Join): {READING},
    (ABSENT, Show): {READING},
    (READING, Join): {READING},
    (READING, Show): {READING},
    (READING, ReadGiven): {READING, LIVE, BEHIND, ABSENT},
    (READING, ReadForbidden): {READING, ABSENT},
    (READING, ReadUnavailable): {READING, BEHIND, ABSENT},
    (READING, Revoked): {READING},
    (READING, Deleted): {READING},
    (READING, Rewritten): {READING},
    (READING, StreamLost): {READING},
    (READING, RightsChanged): {READING},
    (READING, Paused): {READING},
    (READING, Lagged): {READING},
    (READING, Drained): {READING},
    (READING, Leave): {READING, ABSENT},
    (LIVE, Join): {READING},
    (LIVE, Show): {READING},
    (LIVE, Revoked): {ABSENT},
    (LIVE, Deleted): {ABSENT},
    (LIVE, Rewritten): {READING},
    (LIVE, StreamLost): {READING},
    (LIVE, RightsChanged): {LIVE, ABSENT},
    (LIVE, Paused): {LIVE},
    (LIVE, Lagged): {BEHIND},
    (LIVE, Drained): {LIVE},
    (LIVE, Leave): {ABSENT},
    (BEHIND, Join): {READING},
    (BEHIND, Show): {READING},
    (BEHIND, Revoked): {BEHIND},
    (BEHIND, Deleted): {BEHIND},
    (BEHIND, Rewritten): {BEHIND},
    (BEHIND, StreamLost): {BEHIND},
    (BEHIND, RightsChanged): {BEHIND},
    (BEHIND, Paused): {BEHIND},
    (BEHIND, Drained): {READING},
    (BEHIND, Leave): {ABSENT},
}
LIST_TRANSITIONS: dict[tuple[State, type[Event]], set[State]] = {
    (ABSENT, Join): {READING},
    (READING, Join): {READING},
    (READING, ReadGiven): {READING, LIVE, BEHIND},
    (READING, ReadUnavailable): {READING, BEHIND, ABSENT},
    (READING, StreamLost): {READING},
    (READING, RightsChanged): {READING},
    (READING, Paused): {READING},
    (READING, Lagged): {READING},
    (READING, Drained): {READING},
    (READING, Leave): {ABSENT},
    (LIVE, Join): {READING},
    (LIVE, StreamLost): {READING},
    (LIVE, RightsChanged): {READING},
    (LIVE, Paused): {LIVE},
    (LIVE, Lagged): {BEHIND},
    (LIVE, Drained): {LIVE},
    (LIVE, Leave): {ABSENT},
    (BEHIND, Join): {READING},
    (BEHIND, StreamLost): {BEHIND},
    (BEHIND, RightsChanged): {BEHIND},
    (BEHIND, Paused): {BEHIND},
    (BEHIND, Drained): {READING},
    (BEHIND, Leave): {ABSENT},
}


def listener_of(sub: str = "alice") -> Listener:
    principal = Principal(sub, {"sub": sub}, 0)
    return Listener(
        AUDIENCE.keys_for(principal),
        lambda: AUDIENCE.filter_for(principal),
        user=sub,
        receiver=Receiver(),
    )


class Tasks:
    """A subscription of alice to a task of hers, which has one event, and the events that may come to it."""

    def __init__(self, *later: Writes) -> None:
        self.listener = listener_of()
        self.subscription = TaskSubscription(self.listener, "t0")
        model = Model([[("insert", "t0", [{"n": 0}], "new")]])
        task = task_of(model.documents["t0"])
        self.state = TaskState(task, task.timeline.elements or (), TRANSLATOR.view)
        self.room = Room(b"key", "t0", task.keys, self.state.progress(), 0.0)
        self.since: list[StepFrames] = []
        for writes in later:
            for change in model.write(writes).changes:
                step = TRANSLATOR.translate(task, change)
                assert step is not None
                self.since.append(StepFrames(step, TRANSLATOR.view))
                if step.after is not None:
                    task = step.after

    def request(self, **given: Any) -> TaskRequest:
        return TaskRequest(self.subscription, given.pop("since", None), given.pop("head", None), **given)

    def shown(self, answers: list[str] | None = None) -> Show:
        return Show(self.request(answered=(answers if answers is not None else []).append))

    def join(self) -> Join:
        return Join(self.request(reply_to="1"))

    def given(self, *, moved: bool = False, has_room: bool = True, number: int = 0) -> ReadGiven:
        read = TaskRead(self.state, self.since, self.room, moved)
        return ReadGiven(self.subscription.requests[number], read, has_room)

    def handle(self, event: Event) -> list[Any]:
        return list(self.subscription.handle(event))

    def reach(self, state: State) -> None:
        if state is ABSENT:
            return
        self.handle(self.join())
        if state is READING:
            return
        self.handle(self.given())
        if state is BEHIND:
            self.lag()

    def lag(self, *, since_pause: bool = False) -> list[Any]:
        self.listener.set_lagging(True)
        return self.handle(Lagged(since_pause))

    def any(self, kind: type[Event]) -> Event:
        request = (*self.subscription.requests, self.request())[0]
        made: dict[type[Event], Callable[[], Event]] = {
            Join: self.join,
            Show: self.shown,
            ReadGiven: lambda: ReadGiven(request, TaskRead(self.state, (), self.room)),
            ReadForbidden: lambda: ReadForbidden(request, exists=False),
            ReadUnavailable: lambda: ReadUnavailable(request),
            Revoked: lambda: Revoked(GONE),
            Deleted: lambda: Deleted(GONE),
            Lagged: lambda: Lagged(since_pause=False),
        }
        return made[kind]() if kind in made else kind()  # type: ignore[call-arg]


class Lists(Tasks):
    """A subscription of alice to the list, and the events that may come to it."""

    def __init__(self) -> None:
        super().__init__()
        self.list = ListSubscription(self.listener)
        self.subscription = self.list  # type: ignore[assignment]
        self.group = Group(self.listener.keys, {})

    def request(self, **given: Any) -> Any:
        given.pop("answered", None)
        return ListRequest(self.list, 100, **given)

    def given(
        self, *, moved: bool = False, has_room: bool = True, number: int = 0, since: Any = ()
    ) -> ReadGiven:
        read = ListRead(dashboard_pages([orjson.dumps(self.state.task.summary)]), since, self.group)
        return ReadGiven(self.list.requests[number], read, has_room)

    def any(self, kind: type[Event]) -> Event:
        if kind is ReadGiven:
            request = (*self.list.requests, self.request())[0]
            return ReadGiven(request, ListRead(dashboard_pages([]), (), self.group))
        return super().any(kind)


def kinds(effects: Sequence[Any]) -> list[type]:
    return [type(effect) for effect in effects]


# The tables.


@pytest.mark.parametrize(
    ("machine", "transitions"),
    [(TaskSubscription, TASK_TRANSITIONS), (ListSubscription, LIST_TRANSITIONS)],
    ids=["task", "list"],
)
def test_the_table_of_the_code_is_the_one_that_is_documented(machine: Any, transitions: Any) -> None:
    table = {
        (state, event): set(allowed)
        for state, events in machine.TABLE.items()
        for event, allowed in events.items()
    }
    assert table == transitions


def pairs(transitions: dict[tuple[State, type[Event]], set[State]]) -> list[Any]:
    return [
        pytest.param(state, event, transitions.get((state, event)), id=f"{state.name}-{event.__name__}")
        for state, event in product(State, EVENTS)
    ]


@pytest.mark.parametrize(("state", "kind", "allowed"), pairs(TASK_TRANSITIONS))
def test_a_task_subscription_moves_as_its_table_says(
    state: State, kind: type[Event], allowed: set[State] | None
) -> None:
    check_transition(Tasks(), state, kind, allowed)


@pytest.mark.parametrize(("state", "kind", "allowed"), pairs(LIST_TRANSITIONS))
def test_a_list_subscription_moves_as_its_table_says(
    state: State, kind: type[Event], allowed: set[State] | None
) -> None:
    check_transition(Lists(), state, kind, allowed)


def check_transition(given: Tasks, state: State, kind: type[Event], allowed: set[State] | None) -> None:
    given.reach(state)
    assert given.subscription.state is state
    event = given.any(kind)

    if allowed is None:
        with pytest.raises(ImpossibleEvent):
            given.handle(event)
        assert given.subscription.state is state
        return
    effects = given.handle(event)

    assert given.subscription.state in allowed
    assert (given.subscription.room is not None) == (given.subscription.state is LIVE)
    assert (LeaveRoom in kinds(effects)) == (state is LIVE and given.subscription.state is not LIVE)
    assert (EnterRoom in kinds(effects)) == (state is not LIVE and given.subscription.state is LIVE)
    assert given.subscription.requests or given.subscription.state is not READING


# Where a pair has several outcomes: what decides.


def test_a_join_that_is_given_sends_the_state_and_then_is_live() -> None:
    given = Tasks()
    given.handle(given.join())

    effects = given.handle(given.given())

    assert kinds(effects) == [SendState, EnterRoom]
    assert effects[0].reply_to == "1"
    assert given.subscription.state is LIVE


def test_a_join_that_is_given_while_another_one_is_unanswered_goes_on_reading() -> None:
    given = Tasks()
    given.handle(given.join())
    given.handle(given.join())

    assert kinds(given.handle(given.given())) == [SendState]
    assert given.subscription.state is READING
    assert kinds(given.handle(given.given())) == [SendState, EnterRoom]


def test_a_show_that_is_given_leaves_the_listener_absent() -> None:
    given, answers = Tasks(), list[str]()
    given.handle(given.shown(answers))

    effects = given.handle(given.given())

    assert kinds(effects) == [SendState, Report]
    assert given.subscription.state is ABSENT
    assert not given.subscription.is_joined


def test_a_show_does_not_end_the_membership_of_a_live_listener() -> None:
    given = Tasks()
    given.reach(LIVE)

    assert kinds(given.handle(given.shown())) == [LeaveRoom, Read]
    assert given.subscription.is_joined
    assert kinds(given.handle(given.given())) == [SendState, EnterRoom, Report]


def test_a_read_that_is_given_to_a_lagging_listener_leaves_it_behind() -> None:
    given = Tasks()
    given.reach(READING)
    given.lag()

    assert kinds(given.handle(given.given())) == [SendState]
    assert given.subscription.state is BEHIND


def test_a_state_that_finds_no_room_is_read_again_when_the_socket_has_drained() -> None:
    given = Tasks()
    given.reach(READING)

    assert given.handle(given.given(has_room=False)) == []
    (effect,) = given.handle(Drained())

    assert effect == Read(given.subscription.requests[0])
    assert given.handle(Drained()) == []  # it is read once


def test_steps_since_the_read_follow_the_state() -> None:
    given = Tasks([("push", "t0", [{"n": 1}], None)])
    given.reach(READING)

    effects = given.handle(given.given())

    assert kinds(effects) == [SendState, Replay, EnterRoom]
    assert [frame.kind for frame in effects[1].frames] == ["task:event_added"]


@pytest.mark.parametrize(
    ("lost", "sent"),
    [(("delete", "t0"), "task:deleted"), (("fields", "t0", "new", "bob"), "task:revoked")],
)
def test_a_task_that_is_lost_since_the_read_is_revoked_and_nothing_after_it_is_sent(
    lost: Any, sent: str
) -> None:
    given = Tasks([("push", "t0", [{"n": 1}], None)], [lost], [("push", "t0", [{"n": 2}], None)])
    given.reach(READING)

    effects = given.handle(given.given())

    assert kinds(effects) == [SendState, Replay, Revoke]
    assert len(effects[1].frames) == 1
    assert effects[2].frame.kind == sent
    assert given.subscription.state is ABSENT


def test_a_lifecycle_message_that_the_list_brought_is_not_replayed() -> None:
    given = Tasks([("push", "t0", [{"type": "merged"}], None)])
    given.reach(READING)
    given.since[0].note_lifecycle_sent((given.listener,))

    replayed = given.handle(given.given())[1]

    assert [frame.kind for frame in replayed.frames] == ["task:event_added"]


def test_no_lifecycle_message_is_replayed_after_a_later_one_that_the_list_brought_when_the_task_came_back() -> (
    None
):
    given = Tasks(
        [("push", "t0", [{"type": "dispatched"}], None)],
        [("fields", "t0", "new", "bob")],
        [("fields", "t0", "new", "alice")],
        [("push", "t0", [{"type": "merged"}], None)],
    )
    given.reach(READING)
    given.since[-1].note_lifecycle_sent((given.listener,))

    _, replayed, revoked = given.handle(given.given())

    assert [frame.kind for frame in replayed.frames] == ["task:event_added"]
    assert revoked.frame.kind == "task:revoked"


def test_a_forbidden_join_is_refused() -> None:
    given = Tasks()
    given.reach(READING)

    (effect,) = given.handle(ReadForbidden(given.subscription.requests[0], exists=True))

    assert isinstance(effect, Send)
    assert effect.frame.data["code"] == "forbidden"
    assert given.subscription.state is ABSENT


@pytest.mark.parametrize(("exists", "kind"), [(True, "task:revoked"), (False, "task:deleted")])
def test_a_member_that_is_refused_is_sent_a_revocation_too(exists: bool, kind: str) -> None:
    given = Tasks()
    given.reach(LIVE)
    given.handle(given.join())

    refused, revoked = given.handle(ReadForbidden(given.subscription.requests[0], exists))

    assert isinstance(refused, Send)
    assert isinstance(revoked, Revoke)
    assert revoked.frame.kind == kind
    assert given.subscription.state is ABSENT


def test_a_resync_of_the_relay_that_is_refused_is_only_revoked() -> None:
    given = Tasks()
    given.reach(LIVE)
    given.handle(StreamLost())

    assert kinds(given.handle(ReadForbidden(given.subscription.requests[0], exists=True))) == [Revoke]


def test_a_refusal_withdraws_the_states_that_nobody_asked_for() -> None:
    given = Tasks()
    given.reach(LIVE)
    given.handle(StreamLost())
    given.handle(given.join())
    given.handle(given.shown())
    unasked, join, show = given.subscription.requests

    given.handle(ReadForbidden(join, exists=True))

    assert given.subscription.requests == (show,)
    assert not unasked.active
    assert given.subscription.state is READING


def test_a_join_that_is_unavailable_ends_absent() -> None:
    given = Tasks()
    given.reach(READING)

    (effect,) = given.handle(ReadUnavailable(given.subscription.requests[0]))

    assert effect.frame.data["code"] == "unavailable"
    assert given.subscription.state is ABSENT


def test_a_member_whose_request_is_unavailable_is_brought_up_to_date_by_the_relay() -> None:
    given = Tasks()
    given.reach(LIVE)
    given.handle(Join(given.request(), pinned=True))

    refused, again = given.handle(ReadUnavailable(given.subscription.requests[0]))

    assert isinstance(refused, Send)
    assert isinstance(again, Read)  # at once: what is published until it succeeds is buffered with it
    assert again.request.unasked
    assert again.request.since == 1  # type: ignore[attr-defined]
    assert given.subscription.is_joined


def test_a_lagging_member_whose_request_is_unavailable_waits_until_the_socket_has_drained() -> None:
    given = Tasks()
    given.reach(BEHIND)
    given.handle(given.join())

    given.handle(ReadUnavailable(given.subscription.requests[0]))

    assert given.subscription.state is BEHIND


def test_a_listener_that_leaves_is_still_owed_the_states_that_it_asked_to_be_shown() -> None:
    given = Tasks()
    given.reach(LIVE)
    given.handle(given.join())
    given.handle(given.shown())

    given.handle(Leave())

    (show,) = given.subscription.requests
    assert show.answered is not None
    assert given.subscription.state is READING
    assert not given.subscription.is_joined
    assert kinds(given.handle(given.given())) == [SendState, Report]
    assert given.subscription.state is ABSENT


def test_a_show_from_before_a_leave_is_part_of_the_live_order_of_a_later_join() -> None:
    given = Tasks([("push", "t0", [{"n": 1}], None)])
    given.reach(LIVE)
    given.handle(Show(given.request(**position(given), answered=list[str]().append), pinned=True))
    given.handle(Leave())
    given.handle(given.join())

    joined = given.handle(given.given(number=1))
    shown = given.handle(given.given())

    assert kinds(joined) == [SendState]
    assert kinds(shown) == [SendState, Replay, EnterRoom, Report]
    assert start_of(shown) == 0  # what the client held when it asked, it may have dropped when it left
    assert given.subscription.state is LIVE


def test_a_show_that_is_given_before_the_join_that_follows_a_leave_begins_no_membership() -> None:
    given = Tasks()
    given.reach(LIVE)
    given.handle(given.shown())
    given.handle(Leave())
    given.handle(given.join())

    assert kinds(given.handle(given.given())) == [SendState, Report]
    assert given.subscription.state is READING
    assert kinds(given.handle(given.given())) == [SendState, EnterRoom]


def test_a_listener_whose_connection_is_gone_is_owed_nothing() -> None:
    given = Tasks()
    given.handle(given.shown())

    given.handle(Leave(closed=True))

    assert given.subscription.state is ABSENT


def test_other_rights_revoke_only_a_task_that_they_do_not_open() -> None:
    given = Tasks()
    given.reach(LIVE)

    assert given.handle(RightsChanged()) == []
    given.listener.change_rights(listener_of("bob").keys, dict)

    left, revoked = given.handle(RightsChanged())
    assert isinstance(left, LeaveRoom)
    assert revoked.frame == revocation("t0", deleted=False)


def test_a_revocation_is_sent_when_the_listener_has_left_the_room() -> None:
    given = Tasks()
    given.reach(LIVE)

    assert given.handle(Revoked(GONE)) == [LeaveRoom(given.room), Revoke(GONE)]


# Positions.


def position(given: Tasks) -> dict[str, Any]:
    return {"since": 1, "head": head(given.state.progress().digest)}


def start_of(effects: Sequence[Any]) -> int:
    """Where the events of the state begin that is sent."""
    first: Frame = next(iter(effects[0].pages))
    start: int = first.data["from"]
    return start


def test_the_first_join_with_a_position_waits_until_the_relay_has_caught_up() -> None:
    given = Tasks()

    assert kinds(given.handle(Join(given.request(**position(given))))) == [ReadWhenCaughtUp]
    assert start_of(given.handle(given.given())) == 1


def test_a_join_with_a_position_that_the_relay_has_come_to_is_read_at_once() -> None:
    given = Tasks()

    assert kinds(given.handle(Join(given.request(**position(given)), caught_up=True))) == [Read]


def test_a_member_continues_from_its_position_if_what_it_was_sent_will_reach_it() -> None:
    given = Tasks()
    given.reach(LIVE)

    assert kinds(given.handle(Join(given.request(**position(given)), pinned=True))) == [LeaveRoom, Read]
    assert start_of(given.handle(given.given())) == 1


@pytest.mark.parametrize("reason", ["dropped", "stale", "behind", "moved", "two requests", "no room"])
def test_no_position_holds_where_it_is_uncertain_what_the_client_was_sent_after_it(reason: str) -> None:
    given = Tasks()
    given.reach(BEHIND if reason == "behind" else LIVE)
    if reason == "stale":
        given.room.stale = True

    given.handle(Join(given.request(**position(given)), pinned=reason not in ("dropped", "behind")))
    if reason == "two requests":
        given.handle(given.shown())

    if reason == "no room":
        given.handle(given.given(has_room=False))
        given.handle(Drained())

    given.listener.set_lagging(False)
    assert start_of(given.handle(given.given(moved=reason == "moved"))) == 0


def test_a_resync_of_the_relay_continues_from_what_the_client_was_sent() -> None:
    given = Tasks()
    given.reach(LIVE)

    _, read = given.handle(StreamLost(pinned=True))

    assert (read.request.since, read.request.unasked) == (1, True)


def test_the_position_of_a_pause_does_not_hold_after_a_rewrite_that_was_sent_since() -> None:
    given = Tasks()
    given.reach(LIVE)
    given.handle(Paused())
    given.room.rewritten_at = 5.0
    given.lag(since_pause=True)

    (read,) = given.handle(Drained())

    assert read.request.since is None


@pytest.mark.parametrize(
    ("since_pause", "since"), [(True, 1), (False, None)], ids=["since the pause", "unknown"]
)
def test_a_listener_that_lagged_continues_from_the_last_pause_if_nothing_before_it_was_dropped(
    since_pause: bool, since: int | None
) -> None:
    given = Tasks()
    given.reach(LIVE)
    given.handle(Paused())
    given.room.progress = Progress(5, b"later")
    given.lag(since_pause=since_pause)

    (read,) = given.handle(Drained())

    assert read.request.since == since


def test_a_pause_counts_for_nothing_after_another_state() -> None:
    given = Tasks()
    given.reach(LIVE)
    given.handle(Paused())
    given.handle(given.join())
    given.handle(given.given())
    given.lag(since_pause=True)

    (read,) = given.handle(Drained())

    assert read.request.since is None


# The list.


def test_a_list_is_read_when_the_relay_has_caught_up_with_the_database() -> None:
    assert kinds(Lists().handle(Join(Lists().request()))) == [ReadWhenCaughtUp]


def test_the_answer_to_a_request_for_the_list_answers_the_earlier_ones_too() -> None:
    given = Lists()
    for number in "123":
        given.handle(Join(given.request(reply_to=number)))

    effects = given.handle(given.given(number=1))

    assert [effect.reply_to for effect in effects] == ["1", "2"]
    assert given.subscription.state is READING


def test_a_request_for_the_list_that_is_refused_ends_the_subscription() -> None:
    given = Lists()
    given.reach(LIVE)
    given.handle(given.join())

    effects = given.handle(ReadUnavailable(given.list.requests[0]))

    assert kinds(effects) == [Send]
    assert given.subscription.state is ABSENT


def test_live_messages_follow_an_earlier_request_for_the_list_if_the_newest_was_refused() -> None:
    given = Lists()
    given.handle(given.join())
    given.handle(given.join())

    given.handle(ReadUnavailable(given.list.requests[1]))
    effects = given.handle(given.given())

    assert kinds(effects) == [SendState, EnterRoom]


def test_lists_of_the_relay_have_as_many_tasks_as_the_newest_request_that_was_not_refused() -> None:
    given = Lists()
    given.handle(Join(ListRequest(given.list, 5)))
    given.handle(Join(ListRequest(given.list, 9)))
    given.handle(ReadUnavailable(given.list.requests[1]))
    given.handle(given.given())

    _, read = given.handle(StreamLost())

    assert read.request.limit == 5


def test_a_list_that_the_relay_could_not_bring_up_to_date_is_tried_again() -> None:
    given = Lists()
    given.reach(LIVE)
    given.handle(StreamLost())

    (effect,) = given.handle(ReadUnavailable(given.list.requests[0]))

    assert isinstance(effect, ReadLater)
    assert given.subscription.state is READING


def test_a_list_that_is_given_to_a_lagging_listener_leaves_it_behind() -> None:
    given = Lists()
    given.reach(READING)
    given.lag()

    given.handle(given.given())

    assert given.subscription.state is BEHIND


def test_other_rights_read_the_list_again_for_every_request_that_is_unanswered() -> None:
    given = Lists()
    given.reach(LIVE)
    given.handle(given.join())
    (old,) = given.list.requests

    (effect,) = given.handle(RightsChanged())

    assert isinstance(effect, ReadWhenCaughtUp)
    assert (effect.request.reply_to, old.active) == ("1", False)


def test_a_refusal_of_the_newest_request_for_the_list_withdraws_the_lists_that_nobody_asked_for() -> None:
    given = Lists()
    given.reach(LIVE)
    given.handle(StreamLost())
    given.handle(Join(given.request(), caught_up=True))
    unasked, join = given.list.requests

    given.handle(ReadUnavailable(join))

    assert not unasked.active
    assert given.list.state is ABSENT


def test_other_rights_read_a_live_list_again() -> None:
    given = Lists()
    given.reach(LIVE)

    left, read = given.handle(RightsChanged())

    assert isinstance(left, LeaveRoom)
    assert read.request.unasked


def test_an_impossible_event_names_the_event_and_the_state() -> None:
    with pytest.raises(ImpossibleEvent, match="Leave while ABSENT"):
        Tasks().handle(Leave())


def test_rewrites_ask_for_a_state_from_zero() -> None:
    given = Tasks()
    given.reach(LIVE)
    given.room.stale = True

    _, read = given.handle(Rewritten(pinned=True))

    assert read.request.since is None
