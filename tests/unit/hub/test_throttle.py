"""The throttle of list updates: the first of a task at once, the newest when the interval is over."""

from __future__ import annotations

from typing import Any

import bson
from bson import Timestamp
from support.hub_in_memory import TRANSLATOR
from support.mongo_model import DECODER

from relay.hub.messages import StepFrames
from relay.hub.registry import Group
from relay.hub.throttle import ListThrottle
from relay.source.change import Change, Updated, key_of

ALICE, BOB = Group(frozenset({"a"}), {}), Group(frozenset({"b"}), {})
BOTH, NOBODY = {ALICE, BOB}, set[Group]()


def update(number: int, task: str = "t", *, listed: bool = True) -> StepFrames:
    document = DECODER.document(bson.encode({"_id": task, "events": [], "status": "new"}))
    before = TRANSLATOR.read(document)
    fields: dict[str, Any] = {"status": f"{number}"} if listed else {"unseen": number}
    step = TRANSLATOR.translate(before, Change(key_of(task), task, Timestamp(9, 9), None, Updated(fields)))
    assert step is not None
    return StepFrames(step, TRANSLATOR.view)


def test_the_first_update_of_a_task_is_sent_at_once() -> None:
    throttle = ListThrottle(1.0)

    assert throttle.offer(update(1), BOTH, NOBODY, now=10.0) == BOTH
    assert throttle.next_due is None


def test_of_the_updates_within_the_interval_the_newest_is_sent_when_it_is_over() -> None:
    throttle, newest = ListThrottle(1.0), update(3)
    throttle.offer(update(1), BOTH, NOBODY, now=10.0)

    assert throttle.offer(update(2), BOTH, NOBODY, now=10.2) == NOBODY
    assert throttle.offer(newest, BOTH, NOBODY, now=10.4) == NOBODY

    assert throttle.next_due == 11.0
    assert throttle.take_due(10.9) == []
    assert throttle.take_due(11.0) == [(newest, NOBODY)]
    assert not throttle.waits_for(key_of("t"))


def test_the_update_that_waited_begins_another_interval() -> None:
    throttle = ListThrottle(1.0)
    throttle.offer(update(1), BOTH, NOBODY, now=10.0)
    throttle.offer(update(2), BOTH, NOBODY, now=10.5)
    throttle.take_due(11.0)

    assert throttle.offer(update(3), BOTH, NOBODY, now=11.5) == NOBODY


def test_tasks_do_not_delay_each_other() -> None:
    throttle = ListThrottle(1.0)
    throttle.offer(update(1), BOTH, NOBODY, now=10.0)

    assert throttle.offer(update(1, "u"), BOTH, NOBODY, now=10.1) == BOTH


def test_a_group_that_was_just_sent_the_task_as_new_is_not_sent_its_update_too() -> None:
    throttle = ListThrottle(1.0)

    assert throttle.offer(update(1), BOTH, {ALICE}, now=10.0) == {BOB}
    throttle.offer(update(2), BOTH, {ALICE}, now=10.5)

    ((_, sent_to),) = throttle.take_due(11.0)
    assert sent_to == {ALICE.keys}


def test_a_step_that_changes_nothing_in_the_list_does_not_make_a_group_miss_the_update_that_waits() -> None:
    throttle, silent = ListThrottle(1.0), update(3, listed=False)
    throttle.offer(update(1), BOTH, NOBODY, now=10.0)
    throttle.offer(update(2), BOTH, NOBODY, now=10.2)

    throttle.offer(silent, BOTH, NOBODY, now=10.4)

    assert throttle.take_due(11.0) == [(silent, NOBODY)]  # it is sent as the task is then


def test_an_update_that_waits_is_dropped_when_no_group_sees_its_task_any_more() -> None:
    throttle = ListThrottle(1.0)
    throttle.offer(update(1), BOTH, NOBODY, now=10.0)
    throttle.offer(update(2), BOTH, NOBODY, now=10.2)

    throttle.offer(update(3), NOBODY, NOBODY, now=10.4)

    assert throttle.take_due(11.0) == []


def test_a_resync_forgets_the_updates_that_wait() -> None:
    throttle = ListThrottle(1.0)
    throttle.offer(update(1), BOTH, NOBODY, now=10.0)
    throttle.offer(update(2), BOTH, NOBODY, now=10.2)

    throttle.clear()

    assert throttle.next_due is None


def test_without_an_interval_every_update_is_sent_at_once() -> None:
    throttle = ListThrottle(0.0)

    assert [throttle.offer(update(n), BOTH, NOBODY, now=10.0) for n in (1, 2)] == [BOTH, BOTH]
