"""Whom a task waits for: the rules that a mapping has under `[needs]`, applied to documents and to users. Pure.

A rule compares a field of the document with a claim of the user's token, as a visibility rule does, but it gives nobody
a right: it only says whose turn it is. The values of the field are sent with the summary, and those of the claim to
each user, and the client compares the two. So the summary of a task is the same for everybody who sees it.

Rules of this file: of a value that stands for no id, nothing is sent; of an id that is too long, or that holds a
secret, nothing is sent either, because what would be left of it could be the id of somebody else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Any, get_args

from pydantic import AfterValidator, BeforeValidator, ConfigDict

from relay.protocol.types import Claims, Stage
from relay.tasks.claims import claim_at, texts_of
from relay.tasks.ids import identity, values_of
from relay.tasks.mapped_paths import Paths, filled
from relay.tasks.packed_ids import PackedIds
from relay.tasks.paths import Document, fields_of

MAX_VALUES = 20  # ids that are sent of one task
MAX_ELEMENTS = 20  # elements of an array that are looked at
MAX_CHARACTERS = 200  # of an id

REVIEWERS = ("reviewers", "reviewer", "requestedReviewers")
ASSIGNEES = ("assignee", "assignees", "assignedTo")


@dataclass(frozen=True, slots=True)
class Need:
    """A rule: a task waits for everybody for whom `claim` of the token has a value that `field` of the document holds.

    The field may hold one value or an array, and its path may lead through arrays. `field` is a list of dotted paths,
    of which the first counts at which there is an id.
    """

    __pydantic_config__ = ConfigDict(extra="forbid", hide_input_in_errors=True)
    field: Paths
    claim: Annotated[str, AfterValidator(filled)]


def _stage(name: Any) -> Any:
    if name not in get_args(Stage):
        raise ValueError(f"is not a key of the mapping; known here are {', '.join(sorted(get_args(Stage)))}")
    return name


def _as_rules(value: Any) -> Any:
    return [value] if isinstance(value, dict) else value


def _as_table(value: Any) -> Any:
    if value is False:
        return None
    if isinstance(value, dict):
        return value
    raise ValueError("must be a table, or false")


Needs = Mapping[Stage, tuple[Need, ...]]
# What the file says. A stage that it does not name has the rules of `defaults`; None, for `needs = false`, switches all
# of them off.
_Rules = Annotated[tuple[Need, ...], BeforeValidator(_as_rules)]
NeedsTable = Annotated[
    Mapping[Annotated[Stage, BeforeValidator(_stage)], _Rules] | None, BeforeValidator(_as_table)
]


def defaults(creator: Paths) -> Needs:
    """Return the rules of a file that names none. `creator` are the paths of the creator of a task."""
    return {
        "clarification_needed": (Need(creator, "sub"),),
        "pr_opened": (Need((*REVIEWERS, *ASSIGNEES, *creator), "sub"),),
        "failed": (Need(creator, "sub"),),
    }


def waits_for(rules: Iterable[Need], document: Document, shown: Callable[[str], str]) -> Claims:
    """Return whom a task waits for by these rules: for each claim, the ids of which a user must have one.

    `shown` redacts a string. At most MAX_VALUES ids are returned, in the order of the rules and of the fields.
    """
    found: Claims = {}
    left = MAX_VALUES
    for rule in rules:
        for path in rule.field:
            known = found.get(rule.claim, ())
            ids = dict.fromkeys(_ids(document, path.split("."), shown))
            if not ids:
                continue
            new = [one for one in ids if one not in known][:left]
            if new:
                found[rule.claim] = [*known, *new]
                left -= len(new)
            break
    return found


def claims_of(names: Iterable[str], claims: Mapping[str, Any]) -> Claims:
    """Return what a user has of the claims with these names, in the spelling in which `waits_for` returns ids.

    A claim of which the user has nothing is left out.
    """
    found: Claims = {}
    for name in sorted(names):
        texts = texts_of(claim_at(claims, name))
        stored = [identity(value) for text in texts for value in values_of(text)]
        if values := dict.fromkeys(one.text for one in stored if one is not None):
            found[name] = [*values]
    return found


def is_one_of(waiting: Claims, mine: Claims) -> bool:
    """Whether a user who has these values is one of those whom a task waits for, as a client finds it out."""
    return any(not set(values).isdisjoint(mine.get(claim, ())) for claim, values in waiting.items())


def _ids(document: Document, path: Sequence[str], shown: Callable[[str], str]) -> Iterator[str]:
    for value in _values(document, path):
        found = identity(value)
        if found is not None and len(found.text) <= MAX_CHARACTERS and shown(found.text) == found.text:
            yield found.text


def _values(value: Any, path: Sequence[str]) -> Iterator[Any]:
    """Yield the values at a path that is split at its dots. An array on the way is searched, and a name in the path is
    never an index; of each array the first MAX_ELEMENTS elements count."""
    value = fields_of(value)
    if isinstance(value, list | PackedIds):
        for item in islice(value, MAX_ELEMENTS):
            if not isinstance(item, list):
                yield from _values(item, path)
    elif not path:
        yield value
    elif isinstance(value, Mapping) and path[0] in value:
        yield from _values(value[path[0]], path[1:])
