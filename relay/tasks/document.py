"""Keep the part of a document that the relay reads, and apply updates to that part. Pure.

A tree says which fields are kept. An update is given as MongoDB's change stream describes it: the paths of fields that
were set, of fields that were removed, and of arrays that were truncated.

Rules of this file: nothing is changed in place; an update of a path outside the kept part changes nothing; whether a
name in a path is an index or a field depends on the value that the name is applied to, as in MongoDB.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from relay.tasks.paths import array_index

_SPLIT: Mapping[str, Sequence[str]] = {}

# The fields to keep: each name maps to None, to keep the whole value, or to the tree of the fields to keep inside it.
Tree = Mapping[str, "Tree | None"]


def tree_of(paths: Iterable[str]) -> Tree:
    """Return the tree of the fields at these dotted paths; no path may lie inside another one."""
    tree: dict[str, Any] = {}
    for path in paths:
        *middle, last = path.split(".")
        node = tree
        for name in middle:
            node = node.setdefault(name, {})
        node[last] = None
    return tree


def prune(document: Mapping[str, Any], tree: Tree) -> dict[str, Any]:
    """Return the part of a document that the tree keeps, as a new dictionary.

    If the tree names fields inside a value that is not a sub-document, such as an array, the whole value is kept. Later
    updates with paths through that value then have the same effect here as in the database.
    """
    kept: dict[str, Any] = {}
    for name, inner in tree.items():
        if name in document:
            kept[name] = _pruned(document[name], inner)
    return kept


def _pruned(value: Any, inner: Tree | None) -> Any:
    return prune(value, inner) if inner is not None and isinstance(value, Mapping) else value


def with_value(container: Any, path: Sequence[str], value: Any, tree: Tree | None = None) -> Any:
    """Return a copy of the container in which the value at `path` is set, as MongoDB's `$set` does.

    If a tree is given, only fields in the tree are set. If the path cannot be set, for example because it
    passes through a string, the result equals the container.
    """
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
    """Return a copy of the container in which the field at `path` is removed, as MongoDB's `$unset` does.

    Elements of arrays are not removed. If the path leads to nothing, the result equals the container.
    """
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
    """Return a copy of the container in which the array at `path` is cut to its first `size` elements."""
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
    """Return the container as it is after an update; the container that was given stays unchanged.

    Arrays are cut first, then fields removed, then fields set. `fields` maps paths to their new values, `removed` are
    the paths of removed fields, and `truncated` are pairs of an array's path and its new length. If a tree is given,
    only fields in the tree are set. `paths` maps each path that cannot be split at its dots to the field names along
    that path.
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
