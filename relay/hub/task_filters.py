"""The filters with which tasks are read: a task is found only if one of those who ask for it may see it. Pure."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from relay.hub.listener import Listener
from relay.source.identity import among
from relay.tasks.task import Keys

# The audience keys of all listeners that one query may look for. A filter for more could exceed the 16 MB that MongoDB
# accepts, and the read would fail for all of them; so they are looked for in several queries.
MAX_KEYS = 10_000


@dataclass(frozen=True, slots=True)
class Asked:
    """One task that is asked for: `ids` are the `_id`s for which its taskId may stand, by key, and `listeners` are
    those who ask, by their rights."""

    ids: Mapping[bytes, Any]
    listeners: Mapping[Keys, Listener]


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of a query: the documents with these `ids` (by key) that match one of the `filters`; all of them if there
    are no filters."""

    ids: Mapping[bytes, Any]
    filters: Sequence[Mapping[str, Any]]

    def filter(self, known: Container[bytes]) -> Mapping[str, Any] | None:
        wanted = [id for key, id in self.ids.items() if key not in known]
        if not wanted:
            return None
        return {**among(wanted), "$or": self.filters} if self.filters else among(wanted)


class Query:
    """One query of the database for tasks, in parts that have different rights."""

    def __init__(self) -> None:
        self._parts: list[_Part] = []
        self._room = MAX_KEYS

    def has_room(self, size: int) -> bool:
        """Whether a part that looks for `size` audience keys may be added. A query has at least one part."""
        return size <= self._room or not self._parts

    def add(self, part: _Part, size: int) -> None:
        self._parts.append(part)
        self._room -= size

    def filter(self, known: Container[bytes]) -> Mapping[str, Any] | None:
        """Return the MongoDB filter of this query without the documents whose keys are `known`, because an earlier
        query has found them; None if nothing is left to be found."""
        filters = [one for part in self._parts if (one := part.filter(known)) is not None]
        if len(filters) > 1:
            return {"$or": filters}
        return filters[0] if filters else None


def queries(tasks: Iterable[Asked]) -> Sequence[Query]:
    """Return the queries that find each of these tasks if one of the listeners that ask for it may see it.

    That is one query, unless the listeners have more than MAX_KEYS audience keys together. A task that nobody asks for
    is not looked for.
    """
    together: dict[frozenset[Keys], tuple[dict[bytes, Any], Mapping[Keys, Listener]]] = {}
    for task in tasks:
        if task.listeners:
            ids, _ = together.setdefault(frozenset(task.listeners), ({}, task.listeners))
            ids.update(task.ids)
    made: list[Query] = []
    for ids, listeners in together.values():
        for filters, size in _shares(listeners):
            if not made or not made[-1].has_room(size):
                made.append(Query())
            made[-1].add(_Part(ids, filters), size)
    return made


def _shares(listeners: Mapping[Keys, Listener]) -> Iterator[tuple[Sequence[Mapping[str, Any]], int]]:
    """Yield the filters of these listeners in shares of at most MAX_KEYS audience keys, each with its number of keys.

    A listener with more keys has a share of its own. If one of the listeners may see everything, yield one share
    without filters.
    """
    filters = [(listener.filter(), len(keys)) for keys, listener in listeners.items()]
    if not all(filter for filter, _ in filters):  # an empty filter selects everything
        yield (), 0
        return
    share: list[Mapping[str, Any]] = []
    size = 0
    for filter, count in filters:
        if share and size + count > MAX_KEYS:
            yield share, size
            share, size = [], 0
        share.append(filter)
        size += count
    yield share, size
