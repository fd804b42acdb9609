"""The part of a document that the relay keeps, and how an update description changes it. Pure.

Rules of this file: nothing is changed in place; a path that leads out of the kept part changes nothing; whether a name
in a path is an index or a field depends on the value that it is applied to, as in MongoDB.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from relay.tasks.paths import array_index

_SPLIT: Mapping[str, Sequence[str]] = {}

# The fields to keep: each name with None, for the whole value, or with the fields to keep inside it.
Tree = Mapping[str, "Tree | None"]


def tree_of(paths: Iterable[str]) -> Tree:
    """Dotted paths, none of which lies inside another, as a tree."""
    tree: dict[str, Any] = {}
    for path in paths:
        *middle, last = path.split(".")
        node = tree
        for name in middle:
            node = node.setdefault(name, {})
        node[last] = None
    return tree


def prune(document: Mapping[str, Any], tree: Tree) -> dict[str, Any]:
    """The kept part of a document.

    Where the tree goes further but the value is no sub-document, the whole value is kept: later updates with paths
    through it then have the effect that they have in the database.
    """
    kept: dict[str, Any] = {}
    for name, inner in tree.items():
        if name in document:
            kept[name] = _pruned(document[name], inner)
    return kept


def _pruned(value: Any, inner: Tree | None) -> Any:
    return prune(value, inner) if inner is not None and isinstance(value, Mapping) else value


def with_value(container: Any, path: Sequence[str], value: Any, tree: Tree | None = None) -> Any:
    """A copy with the value at `path` set, as `$set` does. With a tree, only the fields in it are kept."""
    name, rest = path[0], path[1:]
    if isinstance(container, list):
        index = array_index(name)
        if index is None or (rest and index >= len(container)):
            return container
        if rest:
            return _with_element(container, index, with_value(container[index], rest, value))
        return _with_element(container + [None] * (index - len(container)), index, value)
    if not isinstance(container, Mapping) or (tree is not None and name not in tree):
        return container
    inner = tree[name] if tree is not None else None
    if not rest:
        return {**container, name: _pruned(value, inner)}
    if name not in container:
        return container
    return {**container, name: with_value(container[name], rest, value, inner)}


def without(container: Any, path: Sequence[str]) -> Any:
    """A copy without the field at `path`, as `$unset` does in sub-documents."""
    name, rest = path[0], path[1:]
    if isinstance(container, list):
        index = array_index(name)
        if not rest or index is None or index >= len(container):
            return container
        return _with_element(container, index, without(container[index], rest))
    if not isinstance(container, Mapping) or name not in container:
        return container
    if rest:
        return {**container, name: without(container[name], rest)}
    return {key: value for key, value in container.items() if key != name}


def cut(container: Any, path: Sequence[str], size: int) -> Any:
    """A copy with the array at `path` cut to its first `size` elements."""
    if not path:
        return container[:size] if isinstance(container, list) else container
    name, rest = path[0], path[1:]
    if isinstance(container, list):
        index = array_index(name)
        if index is None or index >= len(container):
            return container
        return _with_element(container, index, cut(container[index], rest, size))
    if not isinstance(container, Mapping) or name not in container:
        return container
    return {**container, name: cut(container[name], rest, size)}


def _with_element(array: list[Any], index: int, element: Any) -> list[Any]:
    return [*array[:index], element, *array[index + 1 :]]


def apply(
    container: Any,
    fields: Mapping[str, Any],
    removed: Iterable[str],
    truncated: Iterable[tuple[str, int]],
    tree: Tree | None = None,
    paths: Mapping[str, Sequence[str]] | None = None,
) -> Any:
    """The container after an update description: arrays are cut first, then fields removed, then fields set.

    `paths` holds the names along those paths that cannot be split at their dots.
    """
    known = paths or _SPLIT
    for path, size in truncated:
        container = cut(container, known.get(path) or path.split("."), size)
    for path in removed:
        container = without(container, known.get(path) or path.split("."))
    for path, value in fields.items():
        names = known.get(path) or path.split(".")
        if tree is None or names[0] in tree:  # a fast check: most changes set no field that is kept
            container = with_value(container, names, value, tree)
    return container
