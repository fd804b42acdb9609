"""Read an oplog diff, which is the form in which MongoDB stores an update, as an `Updated`. Pure.

`{u: …}` and `{i: …}` set fields, `{d: …}` removes fields, and `s` before a name is a diff of that field. If the field
is an array, `a` is true, `l` is the array's new length, and `u` and `s` come before an index. A diff names one level of
nesting at a time, so a dot in one of its names is always part of that name.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from relay.source.change import UNKNOWN_UPDATE, Updated
from relay.source.raw_bson import Document

DELTA = 2  # the version number of oplog diffs since MongoDB 5.0


class _Told(NamedTuple):
    """The parts of an `Updated` (an update's description), collected while an oplog diff is read."""

    fields: dict[str, Any]
    removed: list[str]
    truncated: list[tuple[str, int]]
    paths: dict[str, tuple[str, ...]]


def read_diff(diff: Document) -> Updated:
    """Parse an oplog diff.

    Returns UNKNOWN_UPDATE if the diff is of an unknown kind, or if two of its paths have the same spelling.
    """
    told = _Told({}, [], [], {})
    try:
        count = _flatten(diff, "", (), False, told)
    except Exception:  # an unknown kind of diff: the document has to be read to see what the update did
        return UNKNOWN_UPDATE
    if not told.paths:
        return Updated(told.fields, told.removed or (), told.truncated or ())
    if count > len({*told.fields, *told.removed, *(path for path, _ in told.truncated)}):
        return UNKNOWN_UPDATE  # two paths have the same spelling, and one of them is missing here
    return Updated(told.fields, told.removed, told.truncated, told.paths)


def _flatten(diff: Document, before: str, names: tuple[str, ...], dotted: bool, told: _Told) -> int:
    """Add each path that an oplog diff sets, removes or truncates to `told`, and return the number of these paths.

    `diff` may be a part of the whole diff. `names` are the field names that lead to the value that `diff` describes;
    `before` is these names joined by dots, with a final dot (empty at the top); `dotted` is true if one of the names
    contains a dot. Raises ValueError if the diff is of an unknown kind.
    """
    count = 0
    if diff.get("a") is True:
        for section, what in diff.items():
            kind, index = section[0], section[1:]
            if kind == "u" and index.isdigit():
                count += 1
                told.fields[before + index] = what
                if dotted:
                    told.paths[before + index] = (*names, index)
            elif kind == "s" and index.isdigit():
                count += _flatten(what, f"{before}{index}.", (*names, index), dotted, told)
            elif section == "l":
                count += 1
                told.truncated.append((before[:-1], int(what)))
                if dotted:
                    told.paths[before[:-1]] = names
            elif section != "a":
                raise ValueError("the diff is of an unknown kind")
        return count
    for section, what in diff.items():
        if section == "u" or section == "i":
            for name, value in what.items():
                told.fields[before + name] = value
        elif section == "d":
            told.removed.extend([before + name for name in what])
        elif section[0] == "s":
            name = section[1:]
            inside = dotted or "." in name
            count += _flatten(what, f"{before}{name}.", (*names, name), inside, told)
            continue
        else:
            raise ValueError("the diff is of an unknown kind")
        count += len(what)
        for name in what:
            if dotted or "." in name:
                told.paths[before + name] = (*names, name)
    return count
