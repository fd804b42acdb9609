"""Documents with unusual field names at every level, random changes of them, and the three forms in which a change
stream reports a change, as MongoDB writes them (doc_diff and the change stream's diff parser, observed on 6.0)."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import bson
from bson import Timestamp

from support import odd_values

NAMES = (
    "a",
    "b",
    "0",
    "1",
    "01",
    "a.b",
    "events.0",
    "events.1",
    "members.0",
    "http.status",
    "$d",
    "",
    ".",
    "x.",
)
TOP = (
    "events", "members", "createdBy", "teamId", "title", "status", "error", "github", "questions",
    *("events.0", "events.1", "events.2", "members.0", "members.1", "createdBy.0", "github.prUrl", "status.", "$d", ""),
)  # fmt: skip
USERS = ("alice", "bob", "carol")
FORMS = ("paths", "exact paths", "diff")


def value(rng: random.Random, depth: int = 2) -> Any:
    kind = rng.randrange(7 if depth else 4)
    if kind < 2:
        return rng.choice(USERS)
    if kind < 4:
        return rng.choice([None, 1, True, "merged", "failed"])
    if kind < 6:
        return {rng.choice(NAMES): value(rng, depth - 1) for _ in range(rng.randrange(4))}
    return [value(rng, depth - 1) for _ in range(rng.randrange(4))]


def event(rng: random.Random) -> Any:
    if not rng.randrange(8):
        return value(rng)
    extra_fields = {rng.choice(NAMES): value(rng, 1) for _ in range(rng.randrange(3))}
    return {"type": rng.choice(["log", "merged", "dispatched"]), "n": rng.randrange(9), **extra_fields}


def field(rng: random.Random, name: str) -> Any:
    match name:
        case "events" if rng.randrange(8):
            return [event(rng) for _ in range(rng.randrange(5))]
        case "members" if rng.randrange(4):
            return [rng.choice(USERS) for _ in range(rng.randrange(3))]
        case "createdBy" | "teamId" if rng.randrange(4):
            return rng.choice(USERS)
        case "github" if rng.randrange(4):
            return {"prUrl": rng.choice(["u", "v"]), "prUrl.x": 1, rng.choice(NAMES): value(rng)}
    return value(rng)


def document(rng: random.Random) -> dict[str, Any]:
    chosen = [name for name in TOP if rng.randrange(2) or name in ("events", "members")]
    return {"_id": 1, **{name: field(rng, name) for name in chosen}}


def changed(rng: random.Random, before: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of the document with a few random changes anywhere in it."""
    after = copy.deepcopy(before)
    for _ in range(rng.choice([1, 1, 2, 3])):
        if not rng.randrange(3) and isinstance(after.get("events"), list):
            after["events"] += [event(rng) for _ in range(rng.choice([1, 1, 2]))]  # most writers append
            continue
        path, holder = rng.choice([*_holders(after)])
        if isinstance(holder, list):
            _in_list(rng, holder, path)
        else:
            _in_object(rng, holder, path)
    return after


def _in_list(rng: random.Random, holder: list[Any], path: tuple[str, ...]) -> None:
    made = event(rng) if path == ("events",) else value(rng)
    match rng.randrange(4):
        case 0:
            holder.append(made)
        case 1 if holder:
            holder[rng.randrange(len(holder))] = made
        case 2:
            del holder[rng.randrange(len(holder) + 1) :]
        case _:
            holder.extend([None, made])


def _in_object(rng: random.Random, holder: dict[str, Any], path: tuple[str, ...]) -> None:
    name = rng.choice(NAMES if path else TOP)
    left = [one for one in holder if one != "_id"]
    if rng.randrange(3) == 0 and left:
        del holder[rng.choice(left)]
    else:
        holder[name] = value(rng) if path else field(rng, name)


def _holders(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield each object and array in a value, with its path."""
    if isinstance(value, dict):
        yield path, value
        for name, inner in value.items():
            yield from _holders(inner, (*path, name))
    elif isinstance(value, list):
        yield path, value
        for index, inner in enumerate(value):
            yield from _holders(inner, (*path, str(index)))


# The oplog's diff


def diff(before: Any, after: Any) -> dict[str, Any]:
    """Return the oplog's diff of two objects or two arrays."""
    if isinstance(before, list):
        made: dict[str, Any] = {"a": True}
        if len(after) < len(before):
            made["l"] = len(after)
        for index, new in enumerate(after):
            if index >= len(before):
                made[f"u{index}"] = new
            else:
                made |= _differing(str(index), before[index], new)
        return made
    inside = {name: _differing(name, before[name], new) for name, new in after.items() if name in before}
    parts = {
        "d": {name: False for name in before if name not in after},
        "u": {name: after[name] for name, made in inside.items() if f"u{name}" in made},
        "i": {name: new for name, new in after.items() if name not in before},
    }
    made = {section: fields for section, fields in parts.items() if fields}
    for name, inner in inside.items():
        made |= {section: what for section, what in inner.items() if section == f"s{name}"}
    return made


def _differing(name: str, before: Any, after: Any) -> dict[str, Any]:
    if bson.encode({"": before}) == bson.encode({"": after}):
        return {}
    if type(before) is type(after) and isinstance(after, dict | list) and before and after:
        return {f"s{name}": diff(before, after)}
    return {f"u{name}": after}


# The change stream's description of it


def _operations(
    diff: dict[str, Any], names: tuple[Any, ...] = ()
) -> Iterator[tuple[str, tuple[Any, ...], Any]]:
    """Yield each operation of a diff: "set", "removed" or "cut", the path, and the value or new size."""
    if diff.get("a") is True:
        if "l" in diff:
            yield "cut", names, diff["l"]
        for section, what in diff.items():
            if section[0] == "u":
                yield "set", (*names, int(section[1:])), what
            elif section[0] == "s":
                yield from _operations(what, (*names, int(section[1:])))
        return
    for section in ("u", "i"):
        for name, what in diff.get(section, {}).items():
            yield "set", (*names, name), what
    for name in diff.get("d", {}):
        yield "removed", (*names, name), None
    for section, what in diff.items():
        if section[0] == "s":
            yield from _operations(what, (*names, section[1:]))


def _is_ambiguous(names: Sequence[Any]) -> bool:
    return any(
        isinstance(name, str)
        and ("." in name or (place and name.isdigit() and (name == "0" or name[0] != "0")))
        for place, name in enumerate(names)
    )


def _dotted(names: Sequence[Any]) -> str:
    return ".".join(map(str, names))


def _object(fields: Sequence[tuple[str, Any]]) -> bytes:
    """Return the BSON of an object, type byte first. A field name may occur twice."""
    made = [(name, odd_values.in_value(what)) for name, what in fields]
    return b"\x03" + odd_values.raw(*(odd_values.field(one[0], name, one[1:]) for name, one in made))


def description(diff: dict[str, Any], *, exact: bool) -> bytes:
    """Return the `updateDescription` of a diff. `exact`: with `disambiguatedPaths`."""
    operations = [*_operations(diff)]
    parts = {
        "updatedFields": _object(
            [(_dotted(names), what) for kind, names, what in operations if kind == "set"]
        ),
        "removedFields": odd_values.in_value(
            [_dotted(names) for kind, names, _ in operations if kind == "removed"]
        ),
        "truncatedArrays": odd_values.in_value(
            [{"field": _dotted(names), "newSize": size} for kind, names, size in operations if kind == "cut"]
        ),
    }
    if exact:
        ambiguous = [names for _, names, _ in operations if _is_ambiguous(names)]
        parts["disambiguatedPaths"] = _object([(_dotted(names), list(names)) for names in ambiguous])
    return b"\x03" + odd_values.document(parts).raw


def change(
    before: dict[str, Any], after: dict[str, Any], form: str, time: Timestamp, *, transaction: bool = False
) -> bytes:
    """Return the change event for an update of one document to another, in one of the FORMS."""
    made = diff(before, after)
    ends = {
        "ns": odd_values.in_value({"db": "app", "coll": "tasks"}),
        "documentKey": odd_values.in_value({"_id": after["_id"]}),
    }
    if form == "diff":
        ends["rawUpdateDescription"] = odd_values.in_value({"$v": 2, "diff": made})
    else:
        ends["updateDescription"] = description(made, exact=form == "exact paths")
    event = {
        "_id": odd_values.in_value({"_data": "82"}),
        "operationType": odd_values.in_value("update"),
        "clusterTime": odd_values.in_value(time),
        **(
            {"collectionUUID": odd_values.in_value(bson.Binary(bytes(16), 4))}
            if form == "exact paths"
            else {}
        ),
        "wallTime": odd_values.in_value(datetime(2026, 1, 1)),
        **({"txnNumber": odd_values.in_value(bson.Int64(1))} if transaction else {}),
        **ends,
    }
    return bytes(odd_values.document(event).raw)
