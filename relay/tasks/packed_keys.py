"""The audience keys of a task that has long lists of ids, without a Python object for each key. Pure.

An audience key, such as `member:s:bob`, is the name of a visibility rule with one id. Most tasks have a few keys, which
are a frozenset of strings. A task with thousands of members has PackedKeys: the rule, and the packed list that is also
a part of the kept document. Nobody ever needs all keys of a task, but only those that somebody who is connected holds.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from relay.tasks.ids import MARKS, IdKind
from relay.tasks.packed_ids import PackedIds, encoded

_REMEMBERED = 1_000  # held keys for which it is remembered whether the task has them
_KINDS: dict[str, IdKind] = {mark: kind for kind, mark in MARKS.items()}


class PackedKeys:
    """The audience keys of one task: the keys in `plain`, and for each of `lists`, the name of a rule with each id.

    `seen` is free for the one who has to find out again and again who may see the task, and keeps the answer here.
    """

    __slots__ = ("_known", "lists", "plain", "seen")

    def __init__(self, plain: frozenset[str], lists: Sequence[tuple[str, PackedIds]]) -> None:
        self.plain = plain
        self.lists = tuple(lists)
        self.seen: Any = None
        self._known: dict[str, bool] = {}

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, PackedKeys) and (self.plain, self.lists) == (other.plain, other.lists)

    def __hash__(self) -> int:
        return hash((self.plain, self.lists))

    @property
    def size(self) -> int:
        """About how many bytes of memory the lists take."""
        return sum(ids.size for _, ids in self.lists)

    def isdisjoint(self, held: Collection[str]) -> bool:
        """Whether the task has none of these keys, so that somebody who holds only these may not see it."""
        return not self.matching(held)

    def matching(self, wanted: Collection[str]) -> set[str]:
        """Return those of the wanted keys that the task has."""
        known = self._known
        unknown = [key for key in wanted if key not in known]
        if unknown:
            found = self._found(unknown)
            found.update(key for key in wanted if known.get(key))
            if len(known) + len(unknown) > _REMEMBERED:
                known.clear()
            if len(unknown) <= _REMEMBERED:
                known.update((key, key in found) for key in unknown)
            return found
        return {key for key in wanted if known[key]}

    def _found(self, wanted: Collection[str]) -> set[str]:
        found = self.plain.intersection(wanted)
        for rule, ids in self.lists:
            by_item = {
                encoded(_KINDS[kind], text): key
                for key in wanted
                for name, kind, text in (_parts(key),)
                if name == rule
            }
            found = found.union(by_item[item] for item in ids.matching(by_item.keys())) if by_item else found
        return set(found)


def matching(keys: TaskKeys, wanted: Collection[str]) -> Collection[str]:
    """Return those of the wanted audience keys that are among the keys of a task."""
    return keys.matching(wanted) if isinstance(keys, PackedKeys) else keys.intersection(wanted)


def rules_of(keys: TaskKeys) -> set[str]:
    """Return the names of the visibility rules that have at least one of these audience keys."""
    plain, lists = (keys.plain, keys.lists) if isinstance(keys, PackedKeys) else (keys, ())
    return {_parts(key)[0] for key in plain} | {rule for rule, ids in lists if ids.has_id}


def _parts(key: str) -> Sequence[str]:
    """Return the rule, the mark of the type, and the id of an audience key; an empty rule for ALL."""
    parts = key.split(":", 2)
    return parts if len(parts) == 3 else ("", "", "")


TaskKeys = frozenset[str] | PackedKeys
