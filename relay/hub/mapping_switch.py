"""Switches the hub to another mapping: all at one moment, and what a listener may no longer see is revoked first.

The moment is one at which no step is being translated or published. Position S, the cluster time up to which every
change has been published, stays the same: what was published before is as the old mapping shows it, and everything that
is read or published from then on is as the new one does.

Rules of this file: until `switch`, nothing changes; `switch` does not wait; rights are decided by the new mapping from
the documents at position S, so no right of the old mapping outlives the moment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from bson import Timestamp

from relay.hub.delivery import Delivery
from relay.hub.driver import Driver
from relay.hub.list_delivery import ListDelivery
from relay.hub.listener import Listener
from relay.hub.messages import revocation
from relay.hub.reads import Reader
from relay.hub.registry import Registry, Room
from relay.hub.subscription import Revoked, RightsChanged, StreamLost
from relay.source.change import key_of
from relay.source.identity import RawId, among
from relay.tasks.packed_keys import TaskKeys
from relay.tasks.task import Keys
from relay.tasks.translate import Translator
from relay.tasks.visibility import NOTHING

ROOMS_AT_ONCE = 1_000  # documents of one read: about as many as are decoded without holding the event loop


class Rights(NamedTuple):
    """What a listener may see under the new mapping: its audience keys and its filter. `changed` is False if it holds
    the same keys as before, and all of them by rules that have not changed."""

    keys: Keys
    filter: Callable[[], dict[str, Any]]
    changed: bool = True


@dataclass(frozen=True, slots=True)
class NewMapping:
    """What the hub needs of another mapping. `shows_the_same` says that documents look the same under it, and only the
    rights differ."""

    reader: Reader
    translator: Translator
    shows_the_same: bool


class MappingSwitch:
    """Switches these parts of a hub to another mapping."""

    def __init__(
        self, registry: Registry, driver: Driver, delivery: Delivery, lists: ListDelivery, new: NewMapping
    ) -> None:
        self._registry = registry
        self._driver = driver
        self._delivery = delivery
        self._lists = lists
        self._new = new
        self._keys: dict[
            bytes, TaskKeys
        ] = {}  # the audience keys of tasks under the new mapping, at position S

    async def read(self, position: Timestamp) -> None:
        """Read what the new mapping makes of the rights to every task that has subscribers. `position` is position S,
        which must not move until `switch` has been called, without anything awaited in between.

        Raises Unavailable or PositionLost if the documents cannot be read.
        """
        translator = self._new.translator
        # Clients go on joining tasks meanwhile.
        while missing := [key for key in self._registry.rooms if key not in self._keys][:ROOMS_AT_ONCE]:
            self._keys |= dict.fromkeys(missing, _NO_KEYS)  # of a document that cannot be read
            documents = await self._new.reader.read_at(
                position, among(map(RawId, missing)), projection=translator.outline_projection
            )
            for document in documents:
                self._keys[key_of(document["_id"])] = translator.keys_of(document)

    def switch(self, position: Timestamp, rights: Mapping[Listener, Rights]) -> None:
        """Use the new mapping from now on.

        `rights` has the rights of every listener. A listener that is missing there loses everything.
        """
        # What is sent from here on was made by the new mapping, except revocations.
        self._lists.send_waiting()
        self._delivery.flush()
        waiting = self._driver.reread(self._new.reader, self._new.translator, position)
        self._lists.read_from(self._driver.list_reads)
        rooms, groups = [*self._registry.rooms.values()], [*self._registry.groups.values()]
        listeners = {one for room in rooms for one in room.live} | {
            one for group in groups for one in group.live
        }
        listeners |= {request.subscription.listener for request in waiting}
        changed = self._take_over(listeners | rights.keys(), rights)
        for group in groups:
            staying = group.live - changed
            if self._new.shows_the_same and staying:
                group.filter = next(iter(staying)).filter()
            else:
                self._registry.drop(
                    group
                )  # its filter is that of the old mapping; those who join make a new one
        for room in rooms:
            room.keys = self._keys.get(room.key, _NO_KEYS)
            self._revoke(room)
        for listener in changed:
            for subscription in listener.subscriptions():
                self._driver.tell(subscription, RightsChanged())
        if not self._new.shows_the_same:
            self._resync(listeners)
        self._driver.read_again(waiting)
        self._delivery.flush()

    def _take_over(self, listeners: Iterable[Listener], rights: Mapping[Listener, Rights]) -> set[Listener]:
        """Give listeners their new rights, and return those whose rights have changed."""
        changed = set()
        for listener in listeners:
            new = rights.get(listener, _NO_RIGHTS)
            listener.change_rights(new.keys, new.filter)
            if new.changed:
                changed.add(listener)
        return changed

    def _revoke(self, room: Room) -> None:
        losing = [one for one in room.live if not one.may_see(room.keys)]
        if losing:
            frame = revocation(room.id, deleted=False)
            for listener in losing:
                self._driver.tell(listener.tasks[room.id], Revoked(frame))

    def _resync(self, listeners: Iterable[Listener]) -> None:
        """Send these listeners everything again, as the new mapping shows it. Where that is the same as before, a
        subscriber of a task is sent nothing of the timeline but its end."""
        for listener in listeners:
            for subscription in listener.subscriptions():
                self._driver.tell(subscription, StreamLost(self._driver.pin(subscription)))


_NO_KEYS: Keys = frozenset()
_NO_RIGHTS = Rights(_NO_KEYS, lambda: NOTHING)
