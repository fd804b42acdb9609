"""How this deployment's documents are read: fields, event types, statuses, visibility. Pure.

The defaults below are what most writers use; a TOML file may change every row of them. A mistake in
the file stops the start with a sentence that names the key.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from collections.abc import Mapping as Map
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from relay.errors import StartupError
from relay.protocol.types import LIFECYCLE_FIELDS, Kind
from relay.tasks.ids import whole
from relay.tasks.names import normalised
from relay.tasks.redact import Redaction, wrong_pattern
from relay.tasks.scalars import snake

Paths = tuple[str, ...]
LifecycleFrom = Literal["events", "status", "both"]


@dataclass(frozen=True, slots=True)
class Fields:
    """Candidates of each part of a summary: dotted paths, the first present wins."""

    title: Paths = ("title", "name")
    status: Paths = ("status", "state")
    creator: Paths = ("createdBy", "creator", "userId")
    createdAt: Paths = ("createdAt", "created_at")
    updatedAt: Paths = ("updatedAt", "updated_at")
    issueUrl: Paths = ("issueUrl", "github.issueUrl")
    issueNumber: Paths = ("issueNumber", "github.issueNumber")
    prUrl: Paths = ("prUrl", "github.prUrl", "pullRequest.url")
    prNumber: Paths = ("prNumber", "github.prNumber", "pullRequest.number")
    mergeCommitSha: Paths = ("mergeCommitSha", "github.mergeCommitSha")
    error: Paths = ("error", "errorMessage", "failureReason")
    questions: Paths = ("questions", "clarificationQuestions")


@dataclass(frozen=True, slots=True)
class EventFields:
    """Candidates inside one event; `payload` names where else its fields may lie."""

    type: Paths = ("type", "eventType", "event", "kind")
    at: Paths = ("at", "timestamp", "createdAt", "time")
    payload: Paths = ("data", "payload", "metadata", "details")


@dataclass(frozen=True, slots=True)
class Rule:
    """A task is visible when this field (a scalar or an array) holds one of the claim's values."""

    name: str
    field: Paths
    claim: str


@dataclass(frozen=True, slots=True)
class RoleRule:
    """Who has this value in this claim sees every task."""

    claim: str
    value: str


@dataclass(frozen=True, slots=True)
class Visibility:
    """A task is visible when any rule holds; nothing holds: not visible."""

    rules: tuple[Rule, ...] = (
        Rule("creator", ("createdBy", "creator", "userId"), "sub"),
        Rule("member", ("members",), "sub"),
        Rule("team", ("teamId",), "teams"),
    )
    sees_all: tuple[RoleRule, ...] = (RoleRule("roles", "admin"),)


EVENT_TYPES: dict[Kind, Paths] = {
    Kind.ANALYZING: ("analyzing", "analysis_started", "llm_started"),
    Kind.CLARIFICATION_NEEDED: ("clarification_needed", "needs_clarification", "questions_asked"),
    Kind.DISPATCHED: ("dispatched", "issue_created"),
    Kind.PR_OPENED: ("pr_opened", "pull_request_opened"),
    Kind.PR_MERGED: ("pr_merged", "merged", "pull_request_merged"),
    Kind.FAILED: ("failed", "error", "task_failed"),
}
STATUSES: dict[Kind, Paths] = {
    Kind.ANALYZING: ("analyzing",),
    Kind.CLARIFICATION_NEEDED: ("clarification_needed", "needs_clarification"),
    Kind.DISPATCHED: ("dispatched",),
    Kind.PR_OPENED: ("pr_opened", "in_review"),
    Kind.PR_MERGED: ("merged", "pr_merged"),
    Kind.FAILED: ("failed",),
}


def _by_name(kinds: Map[Kind, Paths]) -> dict[str, Kind]:
    return {snake(name): kind for kind, names in kinds.items() for name in names}


@dataclass(frozen=True, slots=True)
class Mapping:
    """One deployment's reading of its documents."""

    fields: Fields = field(default_factory=Fields)
    events: str = "events"
    event: EventFields = field(default_factory=EventFields)
    event_types: Map[str, Kind] = field(default_factory=lambda: _by_name(EVENT_TYPES))
    statuses: Map[str, Kind] = field(default_factory=lambda: _by_name(STATUSES))
    visibility: Visibility = field(default_factory=Visibility)
    lifecycle_from: LifecycleFrom = "both"
    list_order: str = "_id"
    redact: Redaction = field(default_factory=Redaction)

    def names(self) -> frozenset[str]:
        """The names of all fields on the paths that are looked at."""
        return frozenset(name for path in self._paths() for name in path.split("."))

    def roots(self) -> tuple[str, ...]:
        """Every dotted path that is looked at, shortest first, without one that lies inside another: what has to
        be kept of a document."""
        return _outermost(self._paths())

    def _paths(self) -> set[str]:
        """What the summary, the visibility and the order of the list need."""
        paths = {self.list_order} - {"_id"}
        for part in fields(Fields):
            paths.update(getattr(self.fields, part.name))
        for rule in self.visibility.rules:
            paths.update(rule.field)
        return paths

    def kept(self) -> tuple[str, ...]:
        """The paths of `roots`, and the `$ref` of every sub-document on the way to a field that gives rights: where
        one stands, no later candidate counts, so without it the rights would not be those of the document."""
        parts = [path.split(".") for rule in self.visibility.rules for path in rule.field]
        holders = {".".join(names[:count]) for names in parts for count in range(1, len(names))}
        return _outermost({*self.roots(), *(f"{holder}.$ref" for holder in holders)})


def _outermost(paths: Iterable[str]) -> tuple[str, ...]:
    """These paths without those inside another, shortest first."""
    kept: list[str] = []
    for path in sorted(set(paths), key=lambda path: (path.count("."), path)):
        if not any(path == other or path.startswith(other + ".") for other in kept):
            kept.append(path)
    return tuple(kept)


def load(path: Path) -> Mapping:
    """The mapping of a TOML file over the defaults.

    Raises StartupError, one sentence naming the file and the key.
    """
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except OSError as failure:
        raise StartupError(
            f"The mapping file {path} cannot be read: {failure.strerror or failure}."
        ) from failure
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as failure:
        raise StartupError(f"The mapping file {path} is not valid TOML: {failure}.") from failure
    except RecursionError:
        raise StartupError(f"The mapping file {path} is nested too deeply.") from None
    try:
        return _read(table)
    except _Wrong as wrong:
        raise StartupError(f"The mapping file {path}: {wrong}.") from wrong


class _Wrong(Exception):
    pass


def _read(table: dict[str, Any]) -> Mapping:
    known = {
        "fields",
        "events",
        "event",
        "event_types",
        "statuses",
        "visibility",
        "lifecycle_from",
        "list_order",
        "redact",
    }
    _refuse_unknown(table, known, "")
    mapping = Mapping()
    if "fields" in table:
        mapping = replace(mapping, fields=_candidates(Fields(), table["fields"], "fields"))
    if "events" in table:
        mapping = replace(mapping, events=_path(table["events"], "events"))
    if "event" in table:
        mapping = replace(mapping, event=_candidates(EventFields(), table["event"], "event"))
    if "event_types" in table:
        mapping = replace(mapping, event_types=_kinds(EVENT_TYPES, table["event_types"], "event_types"))
    if "statuses" in table:
        mapping = replace(mapping, statuses=_kinds(STATUSES, table["statuses"], "statuses"))
    if "visibility" in table:
        mapping = replace(mapping, visibility=_visibility(table["visibility"]))
    if "lifecycle_from" in table:
        if table["lifecycle_from"] not in ("events", "status", "both"):
            raise _Wrong('lifecycle_from must be "events", "status" or "both"')
        mapping = replace(mapping, lifecycle_from=table["lifecycle_from"])
    if "list_order" in table:
        mapping = replace(mapping, list_order=_path(table["list_order"], "list_order"))
    if "redact" in table:
        mapping = replace(mapping, redact=_redaction(table["redact"]))
    _refuse_inside_events(mapping)
    return mapping


def _refuse_inside_events(mapping: Mapping) -> None:
    """Live, no more of the array is looked at than a change says, so nothing else can be found in it."""
    candidates = {f"fields.{part.name}": getattr(mapping.fields, part.name) for part in fields(Fields)}
    for index, rule in enumerate(mapping.visibility.rules):
        candidates[f"visibility.rules[{index}].field"] = rule.field
    candidates["list_order"] = (mapping.list_order,)
    for key, paths in candidates.items():
        for path in paths:
            if path == mapping.events or path.startswith(f"{mapping.events}."):
                raise _Wrong(
                    f'{key}: {path!r} lies in the array of events (events = "{mapping.events}"), where no field of '
                    "a task can be; name one outside of it"
                )


def _refuse_unknown(table: Any, known: set[str], where: str) -> None:
    if not isinstance(table, dict):
        raise _Wrong(f"{where} must be a table")
    for key in table:
        if key not in known:
            name = f"{where}.{key}" if where else key
            raise _Wrong(f"{name} is not a key of the mapping; known here are {', '.join(sorted(known))}")


def _path(value: Any, key: str) -> str:
    if not isinstance(value, str) or not value or any(not part for part in value.split(".")):
        raise _Wrong(f'{key} must be a dotted path, such as "github.prUrl"')
    if value.startswith("$") or ".$" in value:
        raise _Wrong(f"{key}: a name in a path cannot begin with $")
    if "\0" in value or "\ufffd" in value:
        raise _Wrong(f"{key}: a name in a path cannot contain NUL or U+FFFD")
    return value


def _paths(value: Any, key: str) -> Paths:
    if isinstance(value, str):
        return (_path(value, key),)
    if not isinstance(value, list) or not value:
        raise _Wrong(f"{key} must be a path or a list of paths")
    return tuple(_path(item, key) for item in value)


_Candidates = TypeVar("_Candidates", Fields, EventFields)


def _candidates(defaults: _Candidates, table: Any, where: str) -> _Candidates:
    _refuse_unknown(table, {part.name for part in fields(defaults)}, where)
    return replace(defaults, **{key: _paths(value, f"{where}.{key}") for key, value in table.items()})


def _kinds(defaults: dict[Kind, Paths], table: Any, where: str) -> dict[str, Kind]:
    short = {kind.value.removeprefix("task:"): kind for kind in LIFECYCLE_FIELDS}
    _refuse_unknown(table, set(short), where)
    names = dict(defaults)
    for key, value in table.items():
        texts = [_text(one) or "" for one in (value if isinstance(value, list) else [value])]
        if not all(map(snake, texts)):
            raise _Wrong(f"{where}.{key} must be a list of names, or of whole numbers")
        names[short[key]] = tuple(texts)
    claimed: dict[str, Kind] = {}
    for kind, listed in names.items():
        for name in listed:
            if claimed.setdefault(snake(name), kind) != kind:
                raise _Wrong(f"{where}: {name!r} stands for two messages")
    return claimed


def _text(value: Any) -> str | None:
    """A text of the file; a whole number, such as a status that is one, as the digits that it is compared by."""
    if isinstance(value, str):
        return value
    number = whole(value)
    return None if number is None else str(number)


def _visibility(table: Any) -> Visibility:
    _refuse_unknown(table, {"rules", "sees_all"}, "visibility")
    defaults = Visibility()
    return Visibility(
        tuple(_rules(table["rules"])) if "rules" in table else defaults.rules,
        tuple(_roles(table["sees_all"])) if "sees_all" in table else defaults.sees_all,
    )


def _rules(listed: Any) -> list[Rule]:
    if not isinstance(listed, list):
        raise _Wrong("visibility.rules must be a list of tables with name, field and claim")
    rules: list[Rule] = []
    for index, table in enumerate(listed):
        where = f"visibility.rules[{index}]"
        _refuse_unknown(table, {"name", "field", "claim"}, where)
        name, claim = table.get("name"), table.get("claim")
        if not isinstance(name, str) or not name or ":" in name:
            raise _Wrong(f"{where}.name must be a word without a colon")
        if any(rule.name == name for rule in rules):
            raise _Wrong(f"{where}.name {name!r} is taken by another rule")
        if not isinstance(claim, str) or not claim:
            raise _Wrong(f"{where}.claim must be the name of a claim")
        rules.append(Rule(name, _paths(table.get("field"), f"{where}.field"), claim))
    return rules


def _roles(listed: Any) -> list[RoleRule]:
    if not isinstance(listed, list):
        raise _Wrong("visibility.sees_all must be a list of tables with claim and value")
    roles = []
    for index, table in enumerate(listed):
        where = f"visibility.sees_all[{index}]"
        _refuse_unknown(table, {"claim", "value"}, where)
        claim, value = table.get("claim"), _text(table.get("value"))
        if not isinstance(claim, str) or not claim or not value:
            raise _Wrong(f"{where} needs a claim and a value, both texts")
        roles.append(RoleRule(claim, value))
    return roles


def _redaction(table: Any) -> Redaction:
    _refuse_unknown(table, {part.name for part in fields(Redaction)}, "redact")
    for key, listed in table.items():
        if not isinstance(listed, list) or not all(isinstance(item, str) for item in listed):
            raise _Wrong(f"redact.{key} must be a list of texts")
        for index, item in enumerate(listed):
            where = f"redact.{key}[{index}]"
            if key == "patterns":
                if (wrong := wrong_pattern(item)) is not None:
                    raise _Wrong(f"{where} {wrong}")
            elif not normalised(item):
                raise _Wrong(f"{where} must be the name of a field")
    return Redaction(**{key: tuple(listed) for key, listed in table.items()})
