"""Sends lists what a step changes in them: list updates, revocations and lifecycle messages."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Sequence

from relay.hub.delivery import Delivery
from relay.hub.list_reads import ListReads
from relay.hub.messages import Made, StepFrames
from relay.hub.registry import Group, Registry
from relay.hub.throttle import ListThrottle
from relay.tasks.step import Step
from relay.tasks.task import Keys

log = logging.getLogger(__name__)


class ListDelivery:
    """Sends the groups (listeners of the list with equal rights) the messages of each step that they may see, and the
    reads of their lists that are in flight.

    List updates of one task are sent at most once in `interval_s` seconds. `failed` is called if an update that was
    delayed for that could not be sent.
    """

    def __init__(
        self,
        registry: Registry,
        delivery: Delivery,
        reads: ListReads,
        interval_s: float,
        *,
        failed: Callable[[], None],
    ) -> None:
        self._registry = registry
        self._delivery = delivery
        self._reads = reads
        self._throttle = ListThrottle(interval_s)
        self._timer: asyncio.TimerHandle | None = None  # for the list updates that the throttle delays
        self._failed = failed

    def change_interval(self, interval_s: float) -> None:
        """Send list updates of one task at most once in `interval_s` seconds from now on."""
        self._throttle.change_interval(interval_s)

    def send_waiting(self) -> None:
        """Send all list updates that wait for their time."""
        self._send(self._throttle.take_due(math.inf))

    def read_from(self, reads: ListReads) -> None:
        """Buffer what is published for these reads from now on."""
        self._reads = reads

    def waits_for(self, key: bytes) -> bool:
        """Whether a list update of the task with this key waits until it may be sent."""
        return self._throttle.waits_for(key)

    def concerns(self, step: Step) -> bool:
        """Whether a list update of the task waits, or a group may see the task before or after the step."""
        if self.waits_for(step.key):
            return True
        return bool(self._registry.groups) and any(
            task is not None and self._registry.seeing(task.keys) for task in (step.before, step.after)
        )

    def clear(self) -> None:
        """Forget all list updates that wait: the change stream was lost, and every list is read again."""
        self._throttle.clear()

    def publish(self, frames: StepFrames) -> None:
        """Send the lists what this step changes in them: now, or when an update of the task may be sent again."""
        step, seeing = frames.step, self._registry.seeing
        saw = seeing(step.before.keys) if step.before is not None else set()
        if step.before is not None and step.after is not None and step.after.keys is step.before.keys:
            sees = saw
        else:
            sees = seeing(step.after.keys) if step.after is not None else set()
        if not saw and not sees and not self._throttle.waits_for(step.key):
            return
        if frames.is_listed or saw != sees:
            self._reads.note_outdated(saw | sees)
        for group in saw - sees:
            self._revoke_from_list(group, frames)
        # A group to which an existing task becomes visible is sent `upserted` and nothing else. For a new task it is
        # sent the lifecycle messages too, because creating a task is not making it visible.
        shown = sees - saw if step.before is not None else set()
        for group in shown:
            self._to_group(group, frames, [(frames.upserted(), False)])
        if lifecycles := frames.lifecycles():
            for group in sees - shown:
                self._to_group(group, frames, lifecycles)
        if frames.is_listed or self._throttle.waits_for(step.key):
            now = asyncio.get_running_loop().time()
            for group in self._throttle.offer(frames, sees, shown, now):
                self._to_group(group, frames, [(frames.upserted(), False)])
            self._wake_in_time()

    def _revoke_from_list(self, group: Group, frames: StepFrames) -> None:
        frame = frames.list_revocation()
        self._reads.buffer(group, frame)
        self._delivery.revoke(group.live, frame)

    def _to_group(self, group: Group, frames: StepFrames, made: Sequence[Made]) -> None:
        for frame, lifecycle in made:
            self._reads.buffer(group, frame, frames if lifecycle else None)
        # Subscribers of the task were sent its lifecycle messages already, in order with its events. Sending them here
        # again would repeat them.
        sent_to = frames.lifecycle_sent_to
        others = group.live - sent_to if sent_to else group.live
        for frame, lifecycle in made:
            self._delivery.send(others if lifecycle else group.live, frame)
        if any(lifecycle for _, lifecycle in made):
            frames.note_lifecycle_sent(group.live)

    def _wake_in_time(self) -> None:
        """Set the timer for the moment when the next delayed list update is due."""
        due = self._throttle.next_due
        if due is not None and (self._timer is None or self._timer.when() > due):
            if self._timer is not None:
                self._timer.cancel()
            self._timer = asyncio.get_running_loop().call_at(due, self._send_due)

    def _send_due(self) -> None:
        self._timer = None
        try:
            self._send(self._throttle.take_due(asyncio.get_running_loop().time()))
            self._delivery.flush()
        except Exception:
            log.exception("list updates could not be sent")
            self._failed()
        self._wake_in_time()

    def _send(self, updates: Sequence[tuple[StepFrames, set[Keys]]]) -> None:
        """Send updates that the throttle gave: the frames of a step, and the rights of the groups that need none."""
        for frames, sent_to in updates:
            after = frames.step.after
            sees = self._registry.seeing(after.keys) if after is not None else set()
            for group in sees:
                if group.keys not in sent_to:
                    self._to_group(group, frames, [(frames.upserted(), False)])
