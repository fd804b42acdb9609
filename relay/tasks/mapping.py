"""The mapping: which fields, event types, statuses and visibility rules a deployment's documents have. Pure.

The defaults below are what most writers (programs that update MongoDB) use; a TOML file may change every one of them.
If the file has a mistake, the relay does not start, and prints one sentence that names the key of the mistake, such as
`visibility.rules[2].field`.

The dataclasses of this file are the schema of the TOML file: pydantic reads and validates the file into them. Their
constructors validate nothing, because code that calls them is trusted; so reading an attribute costs nothing extra.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterable
from collections.abc import Mapping as Map
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, ConfigDict, PlainValidator, TypeAdapter, ValidationError

from relay.errors import StartupError, but_is, first_problem, may_be_secret
from relay.protocol.types import LIFECYCLE_FIELDS, Kind, Stage
from relay.tasks.ids import whole
from relay.tasks.links import Links
from relay.tasks.mapped_paths import DottedPath, Paths, filled
from relay.tasks.needs import Need, Needs, NeedsTable, defaults
from relay.tasks.redact import Redaction
from relay.tasks.scalars import snake


def _digits(value: Any) -> str:
    """Return a string of the file unchanged, and an integer as its digits.

    Stored values, such as a status that is a number, are compared in the same form.
    Raises ValueError if the value is neither a string nor an integer.
    """
    if isinstance(value, str):
        return value
    if (number := whole(value)) is None:
        raise ValueError("must be a string or an integer")
    return str(number)


def _named(value: str) -> str:
    if not snake(value):
        raise ValueError("must have a letter or a digit")
    return value


def _rule_name(value: str) -> str:
    if not value or ":" in value:
        raise ValueError("must be a word without a colon")
    return value


LifecycleFrom = Literal["events", "status", "both"]
_STRICT = ConfigDict(extra="forbid", hide_input_in_errors=True)


@dataclass(frozen=True, slots=True)
class Fields:
    """Where the parts of a summary are in a document: for each part, dotted paths that are tried in order.

    The first path at which the document has a value that is not null counts.
    """

    __pydantic_config__ = _STRICT

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
    """Where the type and the time of an event are: for each, dotted paths inside the event that are tried in order.

    `payload` names sub-documents of the event in which the data of a lifecycle message (such as `prUrl`) may be too.
    """

    __pydantic_config__ = _STRICT

    type: Paths = ("type", "eventType", "event", "kind")
    at: Paths = ("at", "timestamp", "createdAt", "time")
    payload: Paths = ("data", "payload", "metadata", "details")


@dataclass(frozen=True, slots=True)
class Rule:
    """One visibility rule: a user may see a task if `field` of its document holds a value of `claim` of the token.

    The field may hold one value or an array. `field` is a list of dotted paths, of which the first present one counts;
    `name` is the name of the rule.
    """

    __pydantic_config__ = _STRICT
    name: Annotated[str, AfterValidator(_rule_name)]
    field: Paths
    claim: Annotated[str, AfterValidator(filled)]


@dataclass(frozen=True, slots=True)
class RoleRule:
    """A rule for users who may see every task: those whose token has this value in this claim."""

    __pydantic_config__ = _STRICT
    claim: Annotated[str, AfterValidator(filled)]
    value: Annotated[str, BeforeValidator(_digits), AfterValidator(filled)]


def _shown(name: str) -> str:
    return "the same" if may_be_secret(name) else repr(name)


def _distinct(rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
    names = [rule.name for rule in rules]
    if repeated := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"must not have two rules named {_shown(min(repeated))}")
    return rules


@dataclass(frozen=True, slots=True)
class Visibility:
    """The visibility rules: a user may see a task if at least one of `rules` holds for it, and otherwise not.

    A user for whom at least one rule of `sees_all` holds may see every task.
    """

    __pydantic_config__ = _STRICT
    rules: Annotated[tuple[Rule, ...], AfterValidator(_distinct)] = (
        Rule("creator", ("createdBy", "creator", "userId"), "sub"),
        Rule("member", ("members",), "sub"),
        Rule("team", ("teamId",), "teams"),
    )
    sees_all: tuple[RoleRule, ...] = (RoleRule("roles", "admin"),)


EVENT_TYPES: dict[Kind, tuple[str, ...]] = {
    Kind.ANALYZING: ("analyzing", "analysis_started", "llm_started"),
    Kind.CLARIFICATION_NEEDED: ("clarification_needed", "needs_clarification", "questions_asked"),
    Kind.DISPATCHED: ("dispatched", "issue_created"),
    Kind.PR_OPENED: ("pr_opened", "pull_request_opened"),
    Kind.PR_MERGED: ("pr_merged", "merged", "pull_request_merged"),
    Kind.FAILED: ("failed", "error", "task_failed"),
}
STATUSES: dict[Kind, tuple[str, ...]] = {
    Kind.ANALYZING: ("analyzing",),
    Kind.CLARIFICATION_NEEDED: ("clarification_needed", "needs_clarification"),
    Kind.DISPATCHED: ("dispatched",),
    Kind.PR_OPENED: ("pr_opened", "in_review"),
    Kind.PR_MERGED: ("merged", "pr_merged"),
    Kind.FAILED: ("failed",),
}


def _lifecycle_kind(key: str) -> Kind:
    """Return the kind of lifecycle message that a key of the file names: `failed` names `task:failed`.

    Raises ValueError if there is no such kind.
    """
    kinds = {kind.removeprefix("task:"): kind for kind in LIFECYCLE_FIELDS}
    if key not in kinds:
        raise ValueError(f"is not a key of the mapping; known here are {', '.join(sorted(kinds))}")
    return kinds[key]


# The names in a table of the file whose keys are kinds of message: under each key is one name, or a list of names.
_Name = Annotated[str, BeforeValidator(_digits), AfterValidator(_named)]
_Names = Annotated[
    tuple[_Name, ...], BeforeValidator(lambda value: value if isinstance(value, list) else [value])
]


def _names_by_kind(table: Any) -> dict[Kind, tuple[str, ...]]:
    kind = Annotated[Kind, BeforeValidator(_lifecycle_kind)]
    names: dict[Kind, tuple[str, ...]] = TypeAdapter(dict[kind, _Names]).validate_python(table)
    return names


def _kind_by_name(names_by_kind: Map[Kind, tuple[str, ...]]) -> dict[str, Kind]:
    kinds: dict[str, Kind] = {}
    for kind, names in names_by_kind.items():
        for name in names:
            if kinds.setdefault(snake(name), kind) != kind:
                raise ValueError(f"must not name {_shown(name)} for two kinds of message")
    return kinds


def _over(defaults: Map[Kind, tuple[str, ...]]) -> PlainValidator:
    """Return a validator that reads a table of names by kind of message, and turns it into the kind by name.

    A kind that is missing in the table has the names that `defaults` gives it.
    """
    return PlainValidator(lambda table: _kind_by_name({**defaults, **_names_by_kind(table)}))


@dataclass(frozen=True, slots=True)
class Mapping:
    """How the relay reads the documents of one deployment: where their fields and events are, and who may see them.

    `needs` is what the file says of whom a task waits for; `waiting` is what counts. `links` changes nothing of what is
    read: it says where pages lead from a task.
    """

    __pydantic_config__ = _STRICT
    fields: Fields = field(default_factory=Fields)
    events: DottedPath = "events"
    event: EventFields = field(default_factory=EventFields)
    event_types: Annotated[Map[str, Kind], _over(EVENT_TYPES)] = field(
        default_factory=lambda: _kind_by_name(EVENT_TYPES)
    )
    statuses: Annotated[Map[str, Kind], _over(STATUSES)] = field(
        default_factory=lambda: _kind_by_name(STATUSES)
    )
    visibility: Visibility = field(default_factory=Visibility)
    lifecycle_from: LifecycleFrom = "both"
    list_order: DottedPath = "_id"
    redact: Redaction = field(default_factory=Redaction)
    needs: NeedsTable = field(default_factory=dict)
    links: Links = field(default_factory=Links)

    def waiting(self) -> Needs:
        """Return the rules that say whom a task waits for, by its stage."""
        return {} if self.needs is None else {**defaults(self.fields.creator), **self.needs}

    def announced(self) -> frozenset[str]:
        """Return the names of the claims that those rules compare, of which each user is sent what it has."""
        return frozenset(rule.claim for rules in self.waiting().values() for rule in rules)

    def need_paths(self) -> frozenset[str]:
        """Return the dotted paths that those rules read."""
        return frozenset(path for rules in self.waiting().values() for rule in rules for path in rule.field)

    def names(self) -> frozenset[str]:
        """Return every field name that occurs in a dotted path that the relay reads, outside the array of events."""
        return frozenset(name for path in self._paths() for name in path.split("."))

    def roots(self) -> tuple[str, ...]:
        """Return the dotted paths that the relay reads, outside the array of events, shortest first.

        A path that lies inside another one is left out.
        """
        return _outermost(self._paths())

    def _paths(self) -> set[str]:
        """Return all dotted paths that the summary, the rules and the order of the list read."""
        paths = {self.list_order, *self.need_paths()} - {"_id"}
        for part in fields(Fields):
            paths.update(getattr(self.fields, part.name))
        for rule in self.visibility.rules:
            paths.update(rule.field)
        return paths


def _outermost(paths: Iterable[str]) -> tuple[str, ...]:
    """Return the paths without those that lie inside another one of them, shortest first."""
    kept: list[str] = []
    for path in sorted(set(paths), key=lambda path: (path.count("."), path)):
        if not any(path == other or path.startswith(other + ".") for other in kept):
            kept.append(path)
    return tuple(kept)


def parse(text: str, file: Path, secrets: Collection[str] = ()) -> Mapping:
    """Read the text of a TOML file into a Mapping; a key that the text does not have keeps its default.

    Raises StartupError if the text is not valid TOML or is not a valid mapping; its message is one sentence that names
    the `file`, and for an invalid mapping the key. It shows nothing of `secrets`, the secrets of the settings.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as failure:
        raise StartupError(f"The mapping file {file} is not valid TOML: {failure}.") from failure
    except RecursionError:
        raise StartupError(f"The mapping file {file} is nested too deeply.") from None
    try:
        mapping = TypeAdapter(Mapping).validate_python(table)  # made here: most deployments have no file
    except ValidationError as failure:
        raise StartupError(f"The mapping file {file}: {_sentence(failure, table, secrets)}.") from None
    if (misplaced := _inside_events(mapping)) is not None:
        raise StartupError(f"The mapping file {file}: {misplaced}.")
    return mapping


_TABLES: dict[str, type] = {
    "": Mapping,
    "fields": Fields,
    "event": EventFields,
    "visibility": Visibility,
    "visibility.rules": Rule,
    "visibility.sees_all": RoleRule,
    "redact": Redaction,
    **{f"needs.{stage}": Need for stage in get_args(Stage)},
    "links": Links,
}


def _sentence(failure: ValidationError, file: Any, secrets: Collection[str]) -> str:
    """Return a sentence about the first problem in a file, without a full stop: the key, and what is wrong with it.

    `file` is the parsed content of the file.
    """
    kind, location, reason = first_problem(failure)
    # The location of pydantic as a key of the file. Leave out "[key]", with which it marks a wrong key of a dictionary,
    # and the index of a single value that was read as a list of one.
    key, value = "", file
    for part in location:
        if isinstance(part, int):
            if isinstance(value, list):
                key, value = f"{key}[{part}]", value[part]
        elif part != "[key]":
            key = f"{key}.{part}" if key else part
            value = value.get(part) if isinstance(value, dict) else None
    names = [part for part in location if isinstance(part, str)]
    table, parent = _TABLES.get(".".join(names)), _TABLES.get(".".join(names[:-1]))
    match kind:
        case "unexpected_keyword_argument" if parent is not None:
            return f"{key} is not a key of the mapping; known here are {_keys(parent)}"
        case "missing":
            return f"{key} is missing"
        case "dataclass_type" | "dict_type":
            return f"{key} must be a table"
        case "tuple_type":
            return f"{key} must be a list of {'strings' if table is None else f'tables with {_keys(table)}'}"
        case "string_type":
            return f"{key} must be a string{but_is(value, secrets)}"
        case _:
            # A pattern or a name under [redact] may be a secret itself.
            return f"{key} {reason}{'' if names[:1] == ['redact'] else but_is(value, secrets)}"


def _keys(table: type) -> str:
    return ", ".join(sorted(field.name for field in fields(table)))


def _inside_events(mapping: Mapping) -> str | None:
    """Return a sentence about the first field of a task that is mapped into the array of events; None if there is none.

    Such a field cannot work, because a live change shows the relay only the elements that the change adds or sets.
    """
    candidates = {f"fields.{part.name}": getattr(mapping.fields, part.name) for part in fields(Fields)}
    for index, rule in enumerate(mapping.visibility.rules):
        candidates[f"visibility.rules[{index}].field"] = rule.field
    for stage, rules in (mapping.needs or {}).items():
        for index, need in enumerate(rules):
            candidates[f"needs.{stage}[{index}].field"] = need.field
    candidates["list_order"] = (mapping.list_order,)
    for key, paths in candidates.items():
        for path in paths:
            if path == mapping.events or path.startswith(f"{mapping.events}."):
                return (
                    f'{key}: {path!r} lies in the array of events (events = "{mapping.events}"), where no field of '
                    "a task can be; name one outside of it"
                )
    return None
