"""Keep the part of a document that the relay reads, and apply updates to that part. Pure.

`Kept` says which fields are kept and what of their values. An update is given as MongoDB's change stream describes it:
the paths of fields that were set, of fields that were removed, and of arrays that were truncated.

Rules of this file: nothing that is passed in is changed; the time grows with the number of an update's paths and with
the size of what they change, not with the product of the two; an update of a path outside the kept part changes
nothing; whether a name in a path is an index or a field depends on the value that the name is applied to, as in
MongoDB.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from relay.tasks.kept import Kept
from relay.tasks.packed_ids import PackedIds
from relay.tasks.paths import array_index

_SPLIT: Mapping[str, Sequence[str]] = {}


def prune(document: Mapping[str, Any], fields: Mapping[str, Kept]) -> dict[str, Any]:
    """Return the part of a document that is kept, as a new dictionary. `fields` are its top-level fields."""
    return {name: kept.of(document[name]) for name, kept in fields.items() if name in document}


class _Copies:
    """The copies that one update has made. A container is copied when a path first changes something in it; the paths
    after that change the same copy. So an update of every element of an array copies the array once."""

    def __init__(self) -> None:
        # By the identity of the copy. The copies are kept, so that no other object can get their identity.
        self._made: dict[int, Any] = {}

    def of(self, container: Any) -> Any:
        """Return a copy of this list or mapping that may be changed; the container itself if it is such a copy."""
        if id(container) in self._made:
            return container
        copy: Any
        if isinstance(container, PackedIds):
            copy = container.copy()
        else:
            copy = list(container) if isinstance(container, list) else dict(container)
        self._made[id(copy)] = copy
        return copy

    def settle(self) -> None:
        """Note that nothing more is changed."""
        for copy in self._made.values():
            if isinstance(copy, PackedIds):
                copy.settle()


def _with_value(container: Any, path: Sequence[str], value: Any, copies: _Copies, kept: Kept | None) -> Any:
    """Return the container with the value at `path` set, as MongoDB's `$set` does.

    If `kept` is given, it says what is kept of the container, and only that is set. If the path cannot be set, for
    example because it passes through a string, the container itself is returned.
    """
    name, rest = path[0], path[1:]
    if isinstance(container, PackedIds):
        index = array_index(name)
        if index is None or rest:  # nothing is kept of the inside of an element
            return container
        copy: PackedIds = copies.of(container)
        copy.put(index, value)
        return copy
    if isinstance(container, list):
        index = array_index(name)
        if index is None or (rest and index >= len(container)):
            return container
        inside = kept.items if kept is not None else None
        if kept is not None and kept.max_items is not None and index >= kept.max_items:
            return container
        if rest:
            return _with_element(
                container, index, _with_value(container[index], rest, value, copies, inside), copies
            )
        return _with_element(container, index, value if inside is None else inside.of(value), copies)
    if not isinstance(container, Mapping):
        return container
    if kept is None or kept.whole:
        inside = None
    elif name not in kept.inner:
        return container
    else:
        inside = kept.inner[name]
    if not rest:
        return _with_field(container, name, value if inside is None else inside.of(value), copies)
    if name not in container:
        return container
    changed = _with_value(container[name], rest, value, copies, inside)
    if inside is not None:
        changed = inside.grown(changed)
    return _with_field(container, name, changed, copies)


def _without(container: Any, path: Sequence[str], copies: _Copies) -> Any:
    """Return the container with the field at `path` removed, as MongoDB's `$unset` does.

    Elements of arrays are not removed. If the path leads to nothing, the container itself is returned.
    """
    name, rest = path[0], path[1:]
    if isinstance(container, list):
        index = array_index(name)
        if not rest or index is None or index >= len(container):
            return container
        return _with_element(container, index, _without(container[index], rest, copies), copies)
    if not isinstance(container, Mapping) or name not in container:
        return container
    if rest:
        return _with_field(container, name, _without(container[name], rest, copies), copies)
    copy = copies.of(container)
    del copy[name]
    return copy


def _cut(container: Any, path: Sequence[str], size: int, copies: _Copies) -> Any:
    """Return the container with the array at `path` cut to its first `size` elements."""
    if not path:
        if isinstance(container, PackedIds):
            return container.first(size)
        return container[:size] if isinstance(container, list) else container
    name, rest = path[0], path[1:]
    if isinstance(container, list):
        index = array_index(name)
        if index is None or index >= len(container):
            return container
        return _with_element(container, index, _cut(container[index], rest, size, copies), copies)
    if not isinstance(container, Mapping) or name not in container:
        return container
    return _with_field(container, name, _cut(container[name], rest, size, copies), copies)


def _with_element(array: list[Any], index: int, element: Any, copies: _Copies) -> list[Any]:
    """Return the array with this element at the index. If the array is shorter, it is filled up with nulls."""
    if index < len(array) and array[index] is element:
        return array
    copy: list[Any] = copies.of(array)
    copy += [None] * (index + 1 - len(copy))
    copy[index] = element
    return copy


def _with_field(container: Mapping[str, Any], name: str, value: Any, copies: _Copies) -> Mapping[str, Any]:
    if name in container and container[name] is value:
        return container
    copy: dict[str, Any] = copies.of(container)
    copy[name] = value
    return copy


def apply(
    container: Any,
    fields: Mapping[str, Any],
    removed: Iterable[str],
    truncated: Iterable[tuple[str, int]],
    kept: Kept | None = None,
    paths: Mapping[str, Sequence[str]] | None = None,
) -> Any:
    """Return the container as it is after an update; the container that was given stays unchanged.

    What no path changes is the same object as before. Arrays are cut first, then fields removed, then fields set.
    `fields` maps paths to their new values, `removed` are the paths of removed fields, and `truncated` are pairs of an
    array's path and its new length. If `kept` is given, it says what is kept of the container, and only that is set.
    `paths` maps each path that cannot be split at its dots to the field names along that path.
    """
    known, copies = paths or _SPLIT, _Copies()
    for path, size in truncated:
        container = _cut(container, known.get(path) or path.split("."), size, copies)
    for path in removed:
        container = _without(container, known.get(path) or path.split("."), copies)
    for path, value in fields.items():
        names = known.get(path) or path.split(".")
        if kept is None or names[0] in kept.inner:  # a fast check: most changes set no field that is kept
            container = _with_value(container, names, value, copies, kept)
    copies.settle()
    return container
