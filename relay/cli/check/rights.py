"""`relay check`: has the relay's user more rights than the relay uses?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from relay.cli.check.examination import Examination
from relay.cli.check.report import Finding
from relay.cli.check.text import listed, named
from relay.source.diagnosis import NOBODY

# The actions that change data, users or the server, of MongoDB's "Privilege Actions". The relay needs none.
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
WRITES = ("insert", "update", "remove", "anyAction")  # named before any other


async def ask(examination: Examination) -> None:
    """Ask the server for the privileges of this user."""
    info = (await examination.ask_admin(connectionStatus=1, showPrivileges=True))["authInfo"]
    if not info["authenticatedUsers"]:
        if examination.may_read:
            examination.add(_OPEN)
        else:
            examination.fail_with(NOBODY)
        return
    finding = judge(info["authenticatedUserPrivileges"], examination.database, examination.collection)
    if finding.mark == "warning":
        examination.show_role()
    if finding.mark != "ok" or (examination.may_follow and examination.may_read):
        examination.add(finding)


_OPEN = Finding(
    "rights",
    "warning",
    "MongoDB requires no login: anyone who can reach it may read and write everything",
    "Turn its access control on if others can reach it.",
)


def judge(privileges: Sequence[Mapping[str, Any]], database: str, collection: str) -> Finding:
    """Judge a user by their privileges: can they do more than read and follow the one collection?"""
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


def _resource(resource: Mapping[str, Any]) -> str:
    match resource:
        case {"db": "", "collection": ""}:
            return "all databases"
        case {"db": str(database), "collection": ""}:
            return f"all of {named(database)}"
        case {"db": "", "collection": str(collection)}:
            return f"every {named(collection)}"
        case {"db": str(database), "collection": str(collection)}:
            return named(f"{database}.{collection}")
        case {"cluster": True}:
            return "the server itself"
        case _:
            return "everything"


def _reads_more(entry: Mapping[str, Any], own: Mapping[str, str]) -> bool:
    collection = str(entry["resource"].get("collection", ""))
    return "find" in entry["actions"] and entry["resource"] != own and not collection.startswith("system.")


def _writes_first(action: str) -> tuple[int, str]:
    return (WRITES.index(action) if action in WRITES else len(WRITES), action)
