"""What `relay check` makes of the answers it was given: findings, and their remedies. Pure.

Rules of this file: of documents only statuses, types of events, names of fields and the types of ids are shown,
each bounded and with nothing in it that a terminal would obey; a remedy is one sentence.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from relay.cli.check.report import Finding
from relay.cli.check.survey import PARTS, Ids, Survey, message_of_event, message_of_status
from relay.cli.printable import counted, visible
from relay.source.diagnosis import Diagnosis, of_member
from relay.tasks.mapping import Mapping as TaskMapping

OLDEST_VERSION = (6, 0)
OPLOG_MIN_S = 3600.0
SNAPSHOT_DEFAULT_S, SNAPSHOT_MIN_S = 300, 60
JOURNAL_NOTICED_MS = 10  # a shorter commit interval is not worth a word
NAMES_SHOWN = 12  # of a list in one line; the rest is counted
NAME_CHARS = 60

OPLOG_UNSEEN = Finding(
    "oplog window",
    "note",
    "it cannot be seen with this user: where the relay is cut off for longer than it lasts, clients are sent "
    "whole states instead of what they missed",
    "Ask an administrator for rs.printReplicationInfo(); an hour is the least to have.",
)

# What changes data, users or the server (MongoDB's "Privilege Actions"); a relay needs none of them.
CHANGING = frozenset(
    {
        "anyAction", "insert", "update", "remove", "bypassDocumentValidation", "createCollection", "createIndex",
        "dropCollection", "dropDatabase", "dropIndex", "collMod", "convertToCapped", "renameCollection",
        "renameCollectionSameDB", "applyOps", "createUser", "dropUser", "createRole", "dropRole", "grantRole",
        "revokeRole", "changePassword", "changeCustomData", "setParameter", "shutdown", "replSetConfigure",
        "replSetStateChange", "internal", "fsync", "killAnyCursor", "killop", "enableSharding", "moveChunk",
        "addShard", "removeShard",
    }
)  # fmt: skip
WRITES = ("insert", "update", "remove", "anyAction")  # what is worth naming first


def least_role(database: str, collection: str) -> str:
    """What an administrator pastes into mongosh: a role with nothing but what the relay does, and a user."""
    role = {
        "role": "relay",
        "privileges": [
            {
                "resource": {"db": database, "collection": collection},
                "actions": ["find", "changeStream"],
            }
        ],
        "roles": [],
    }
    admin = database_in_shell("admin")
    return (
        f"{admin}.createRole({quoted(role)})\n"
        f'{admin}.createUser({{"user": "relay", "pwd": passwordPrompt(), "roles": ["relay"]}})'
    )


def judge_version(info: Mapping[str, Any]) -> Finding:
    """Is this the build info of a version that can do it?"""
    version = visible(str(info["version"]), NAME_CHARS)
    if tuple(info["versionArray"][:2]) >= OLDEST_VERSION:
        return Finding("version", "ok", f"MongoDB {version}")
    return Finding("version", "problem", f"MongoDB {version} is too old", "Upgrade it to 6.0 or newer.")


def judge_rights(privileges: Sequence[Mapping[str, Any]], database: str, collection: str) -> Finding:
    """Can this user do more than read and follow the one collection?"""
    changing = {
        _resource(entry["resource"]): sorted(CHANGING & set(entry["actions"]), key=_writes_first)
        for entry in privileges
        if CHANGING & set(entry["actions"])
    }
    if changing:
        where, actions = min(changing.items(), key=lambda item: _writes_first(item[1][0]))
        others = f", and more in {len(changing) - 1} other places" if len(changing) > 1 else ""
        text = f"this user can change things: {listed(actions, 3)} on {where}{others}"
        return Finding("rights", "warning", text, "Give the relay a user of its own with the role below.")
    own = {"db": database, "collection": collection}
    wider = [_resource(entry["resource"]) for entry in privileges if _reads_more(entry, own)]
    if wider:
        text = f"this user may also read {listed(wider, 3)}, which the relay does not need"
        return Finding("rights", "note", text, "`relay check --role` prints a role for the one collection.")
    return Finding("rights", "ok", "this user may read and follow the one collection, and change nothing")


def judge_oplog(seconds: float, *, whole: bool) -> Finding:
    """`whole`: nothing has ever been dropped from it."""
    lasts = str(timedelta(seconds=round(seconds))) if seconds < OPLOG_MIN_S else f"{seconds / 3600:,.1f} h"
    if seconds >= OPLOG_MIN_S:
        return Finding(
            "oplog window", "ok", f"{lasts}: for so long the relay may be cut off and miss nothing"
        )
    if whole:
        return Finding(
            "oplog window", "ok", f"{lasts}: all since the replica set was set up, nothing dropped"
        )
    return Finding(
        "oplog window",
        "warning",
        f"{lasts}: a relay that was cut off for longer sends its clients whole states again",
        "If the server is older than that, give it more with "
        "db.adminCommand({replSetResizeOplog: 1, minRetentionHours: 24}).",
    )


def judge_snapshots(seconds: int | None) -> Finding:
    """`seconds`: how far in the past MongoDB can read; None where that cannot be seen."""
    if seconds is None:
        return Finding(
            "snapshot window",
            "note",
            f"it cannot be seen with this user; MongoDB's default of {SNAPSHOT_DEFAULT_S} s is good",
            "Ask an administrator whether minSnapshotHistoryWindowInSeconds was set lower.",
        )
    if seconds >= SNAPSHOT_MIN_S:
        return Finding("snapshot window", "ok", f"{seconds} s")
    return Finding(
        "snapshot window",
        "warning",
        f"{seconds} s: a relay that is further behind than that cannot read for those who join",
        "Raise it with db.adminCommand({setParameter: 1, minSnapshotHistoryWindowInSeconds: "
        f"{SNAPSHOT_DEFAULT_S}}}).",
    )


def judge_journal(interval_ms: int | None, waits: bool | None) -> Finding:
    """What the journal adds to writes that do not wait for it; `waits`: a majority counts with it."""
    if waits is False:
        return Finding("journal", "ok", "changes are seen without waiting for it")
    if interval_ms is None:
        return Finding(
            "journal",
            "note",
            "it cannot be seen with this user; by default it adds up to 100 ms to writes with w: 1",
            "Writes with w: majority do not wait, nor does a server with --journalCommitInterval 1.",
        )
    if interval_ms <= JOURNAL_NOTICED_MS:
        return Finding("journal", "ok", f"adds at most {interval_ms} ms to writes with w: 1")
    return Finding(
        "journal",
        "note",
        f"adds up to {interval_ms} ms to writes with w: 1, which are seen once they are in it",
        "Write with w: majority, or start mongod with a lower --journalCommitInterval, where that is too long.",
    )


def judge_sample(found: Survey, mapping: TaskMapping) -> Iterator[Finding]:
    """The lines about the documents that were read."""
    yield _parts(found)
    yield _timeline(found, mapping)
    statuses = [(name, message_of_status(mapping, name)) for name, _ in found.statuses.most_common()]
    yield _meanings(
        "statuses", found.statuses, dict(statuses), "[statuses]", mapping.lifecycle_from != "events"
    )
    if found.timelines and (found.event_types or not found.untyped_events):
        types = [(name, message_of_event(mapping, name)) for name, _ in found.event_types.most_common()]
        yield _meanings(
            "event types", found.event_types, dict(types), "[event_types]", mapping.lifecycle_from != "status"
        )
    if found.untyped_events:
        yield Finding(
            "event types",
            "warning" if not found.event_types else "note",
            f"{found.untyped_events} events have none: {listed(mapping.event.type)} not found in them",
            "Name the field that tells an event's type as type under [event] in the mapping.",
        )
    yield _visibility(found, mapping)
    if mapping.visibility.rules:
        yield _ids(found, mapping)


def _parts(found: Survey) -> Finding:
    missing = [name for name in PARTS if not found.parts[name]]
    text = f"of the {found.documents} newest, " + ", ".join(
        f"{found.parts[name]} have a {name}" if not index else f"{found.parts[name]} a {name}"
        for index, name in enumerate(PARTS)
    )
    if not missing:
        return Finding("documents", "ok", text)
    remedy = f"Say where to find the {' and the '.join(missing)} under [fields] in the mapping."
    return Finding("documents", "warning", text, remedy)


def _timeline(found: Survey, mapping: TaskMapping) -> Finding:
    path = visible(mapping.events, NAME_CHARS)
    text = f"{found.timelines} of {found.documents} have an array at {path}"
    lacking = found.documents - found.timelines
    if not lacking:
        return Finding("timeline", "ok", text)
    others = [name for name, _ in found.other_arrays.most_common()]
    if others:
        meant = visible(others[0], NAME_CHARS)
        text += f"; the others have arrays at {listed(others)}"
        remedy = f"If one of these is meant, name it in the mapping, such as events = {quoted(meant)}."
    else:
        text += "; the others have no array of sub-documents"
        remedy = "Tasks may start without one; if theirs is in a sub-document, set events in the mapping."
    return Finding("timeline", "note" if found.timelines else "warning", text, remedy)


def _meanings(
    name: str, counts: Counter[str], messages: Mapping[str, Any], table: str, counted_on: bool
) -> Finding:
    if not counts:
        return Finding(name, "note", "none occur in these documents")
    shown = [
        f"{visible(value, NAME_CHARS)} ({count}) → {messages[value] or 'no message'}"
        for value, count in counts.most_common(NAMES_SHOWN)
    ]
    if len(counts) > NAMES_SHOWN:
        shown.append(f"{len(counts) - NAMES_SHOWN} more")
    if any(messages.values()) or not counted_on:
        return Finding(name, "ok", ", ".join(shown))
    return Finding(
        name,
        "warning",
        ", ".join(shown),
        f"Say which of them stand for a message under {table} in the mapping.",
    )


def _visibility(found: Survey, mapping: TaskMapping) -> Finding:
    rules = mapping.visibility.rules
    text = "rules that have a value to match: " + (
        ", ".join(f"{visible(rule.name, NAME_CHARS)} in {found.rules[rule.name]}" for rule in rules) or "none"
    )
    if not found.administrators_only:
        return Finding("visibility", "ok", f"{text}, of {found.documents}")
    nobody = "nobody but an administrator" if mapping.visibility.sees_all else "nobody at all"
    return Finding(
        "visibility",
        "warning",
        f"{found.administrators_only} of {found.documents} can be seen by {nobody}; {text}",
        "Unless that is meant, say which field tells whose a task is, in [[visibility.rules]] of the mapping.",
    )


def _ids(found: Survey, mapping: TaskMapping) -> Finding:
    rules = [rule.name for rule in mapping.visibility.rules]
    shown = "; ".join(
        f"rule {visible(rule, NAME_CHARS)}: {_types(found.ids[rule])}" for rule in rules[:NAMES_SHOWN]
    )
    if len(rules) > NAMES_SHOWN:
        shown += f"; {len(rules) - NAMES_SHOWN} more rules"
    if not any(found.ids[rule].unmatched for rule in rules):
        return Finding("ids", "ok", shown)
    return Finding(
        "ids",
        "warning",
        shown,
        "An id is a text, a whole number, an ObjectId or a UUID: name a field that holds one in [[visibility.rules]] "
        "of the mapping.",
    )


def _types(ids: Ids) -> str:
    matched = ", ".join(counted(number, kind) for kind, number in ids.matched.most_common())
    unmatched = ", ".join(counted(number, kind) for kind, number in ids.unmatched.most_common())
    if not unmatched:
        return matched or "no values"
    return f"{matched}{', and ' if matched else ''}{unmatched} that can match nobody"


def sample_json(found: Survey, mapping: TaskMapping) -> dict[str, Any]:
    return {
        "documents": found.documents,
        **{name: found.parts[name] for name in PARTS},
        "events": found.timelines,
        "statuses": [
            {"value": visible(name, NAME_CHARS), "count": count, "message": message_of_status(mapping, name)}
            for name, count in found.statuses.most_common(NAMES_SHOWN)
        ],
        "eventTypes": [
            {"value": visible(name, NAME_CHARS), "count": count, "message": message_of_event(mapping, name)}
            for name, count in found.event_types.most_common(NAMES_SHOWN)
        ],
        "rules": {rule.name: found.rules[rule.name] for rule in mapping.visibility.rules},
        "ids": {
            rule.name: {
                "matched": dict(found.ids[rule.name].matched),
                "unmatched": dict(found.ids[rule.name].unmatched),
            }
            for rule in mapping.visibility.rules
        },
        "administratorsOnly": found.administrators_only,
    }


def judge_topology(hello: Mapping[str, Any]) -> Finding:
    wrong = of_member(hello)
    if wrong is not None:
        return problem(wrong)
    if hello.get("msg") == "isdbgrid":
        return Finding(
            "replica set",
            "warning",
            "a sharded cluster, over which the relay was never tried",
            'See "Sharded clusters" in docs/explanation/exactness.md.',
        )
    name = visible(str(hello["setName"]), NAME_CHARS)
    members = counted(len(hello.get("hosts") or ()), "member")
    return Finding("replica set", "ok", f"{name}, {members}")


def problem(diagnosis: Diagnosis) -> Finding:
    """The line of the report for what keeps the relay from working, in the words of `relay serve`."""
    remedy = f"{diagnosis.remedy[:1].upper()}{diagnosis.remedy[1:]}."
    return Finding(diagnosis.about, "problem", diagnosis.reason, remedy)


def _resource(resource: Mapping[str, Any]) -> str:
    match resource:
        case {"db": "", "collection": ""}:
            return "all databases"
        case {"db": str(database), "collection": ""}:
            return f"all of {visible(database, NAME_CHARS)}"
        case {"db": "", "collection": str(collection)}:
            return f"every {visible(collection, NAME_CHARS)}"
        case {"db": str(database), "collection": str(collection)}:
            return visible(f"{database}.{collection}", NAME_CHARS)
        case {"cluster": True}:
            return "the server itself"
        case _:
            return "everything"


def _reads_more(entry: Mapping[str, Any], own: Mapping[str, str]) -> bool:
    collection = str(entry["resource"].get("collection", ""))
    return "find" in entry["actions"] and entry["resource"] != own and not collection.startswith("system.")


def _writes_first(action: str) -> tuple[int, str]:
    return (WRITES.index(action) if action in WRITES else len(WRITES), action)


def database_in_shell(name: str) -> str:
    return f"db.getSiblingDB({quoted(name)})"


def quoted(value: Any) -> str:
    """As JavaScript writes it: of any name, ASCII without control characters."""
    return json.dumps(value)


def listed(names: Sequence[str], limit: int = NAMES_SHOWN) -> str:
    shown = ", ".join(visible(name, NAME_CHARS) for name in names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"
