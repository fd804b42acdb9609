"""Decide who may see a task, in two ways that agree: audience keys for live delivery, filters for reads. Pure.

A visibility rule compares a field of the document with a claim of the user's token. An audience key, such as
`team:s:red`, is the name of a rule with one value: a document and a principal (the user of a token) each have a set of
keys, and the principal may see the document if the two sets have a key in common. The MongoDB filter of a principal
selects the documents that the principal may see.

Rules of this file: deny by default; a claim that is absent, null or empty matches nothing; a document and a principal
have a key in common exactly when the principal's filter selects the document, which a property test checks against a
real MongoDB.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from relay.protocol.types import Claims
from relay.tasks.claims import claim_at, texts_of
from relay.tasks.ids import MARKS, identity, values_of
from relay.tasks.mapping import RoleRule, Rule, Visibility
from relay.tasks.needs import claims_of
from relay.tasks.packed_ids import PackedIds
from relay.tasks.packed_keys import PackedKeys, TaskKeys
from relay.tasks.paths import Document, array_index, fields_of

Keys = frozenset[str]
Filter = dict[str, Any]

ALL = "all"  # an audience key that every task has, and that a principal who may see every task holds
_DB_POINTER = 12  # the number of a deprecated BSON type
NOTHING: Filter = {"$expr": False}  # selects no document


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated user: the subject and the claims of a verified token, and the time when the token expires.

    `expires_at` is in seconds since the epoch, by the wall clock. `key` is the key that verified the token, as
    `relay.auth` has it; None for a principal that no token made.
    """

    sub: str
    claims: Mapping[str, Any]
    expires_at: float
    key: object = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Compared:
    """A value of a document that a visibility rule compares with a claim, and the path at which it was found.

    `equal`: it is one of the values of the claim. `counts`: no earlier path of the rule is present in the document, as
    it must be for the value to make the document visible.
    """

    path: str
    value: Any
    equal: bool
    counts: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """A visibility rule, and each value of one document that it compares with the claim of one principal."""

    rule: Rule
    values: tuple[Compared, ...]

    @property
    def holds(self) -> bool:
        """Whether the principal may see the document by this rule."""
        return any(one.equal and one.counts for one in self.values)


class Audience:
    """The visibility rules of one deployment, applied to documents and to principals (users of a token).

    `announced` are the names of the claims of which a user is sent what it has. They give nobody a right.
    """

    def __init__(self, visibility: Visibility, announced: Keys = frozenset()) -> None:
        self._visibility = visibility
        self.announced = announced

    @property
    def claims(self) -> Keys:
        """Return the names of the claims that are read; all other claims of a token can be dropped."""
        rules, roles = self._visibility.rules, self._visibility.sees_all
        return self.announced.union([rule.claim for rule in rules], [role.claim for role in roles])

    def announced_to(self, principal: Principal) -> dict[str, Claims]:
        """Return what is sent to a principal about its claims, as fields of `welcome`: none if no task waits for
        anybody in this deployment."""
        return {"claims": claims_of(self.announced, principal.claims)} if self.announced else {}

    def keys_of(self, document: Document) -> TaskKeys:
        """Return the audience keys of a document: a principal who holds at least one of them may see the document."""
        found, lists = [ALL], []
        for name, value in self.looked_at(document):
            if isinstance(value, PackedIds):
                lists.append((name, value))
            elif (key := _key(name, value)) is not None:
                found.append(key)
        return PackedKeys(frozenset(found), lists) if lists else frozenset(found)

    def looked_at(self, document: Document) -> Iterator[tuple[str, Any]]:
        """Yield each value of a document that a visibility rule compares with a claim, as (name of the rule, value).

        A long list of a document that was pruned is one value, PackedIds.
        """
        for rule in self._visibility.rules:
            for path in _counting(rule, document):
                for value in _values(document, path.split(".")):
                    yield rule.name, value

    def compare(self, document: Document, principal: Principal) -> list[Comparison]:
        """Explain for each visibility rule whether it lets the principal see the document, and by which values."""
        return [_compare(rule, document, principal) for rule in self._visibility.rules]

    def roles_of(self, principal: Principal) -> list[RoleRule]:
        """Return the rules for users who may see every task that hold for the principal."""
        claims = principal.claims
        return [
            one for one in self._visibility.sees_all if one.value in texts_of(claim_at(claims, one.claim))
        ]

    def keys_for(self, principal: Principal) -> Keys:
        """Return the audience keys that a principal holds: it may see every document that has at least one of them."""
        if self._sees_all(principal):
            return frozenset((ALL,))
        wanted = ((rule.name, value) for rule in self._visibility.rules for value in _wanted(rule, principal))
        return frozenset(key for name, value in wanted if (key := _key(name, value)) is not None)

    def filter_for(self, principal: Principal) -> Filter:
        """Return the MongoDB filter that selects exactly the documents that the principal may see."""
        if self._sees_all(principal):
            return {}
        branches: list[Filter] = []
        for rule in self._visibility.rules:
            if wanted := _wanted(rule, principal):
                branches += _candidates(rule.field, wanted)
        return {"$or": branches} if branches else NOTHING

    def later_filter_for(self, principal: Principal) -> Callable[[], Filter]:
        """Return a function that returns `filter_for(principal)`. Each connection holds one; few are ever called."""
        return _LaterFilter(self, principal)

    def _sees_all(self, principal: Principal) -> bool:
        return bool(self.roles_of(principal))


def _counting(rule: Rule, document: Document) -> Iterator[str]:
    """Yield the paths of the rule up to the first that is present in the document; those behind it do not count."""
    for path in rule.field:
        yield path
        if not _is_null(document, path) or _is_ambiguous(document, path):
            return


def _compare(rule: Rule, document: Document, principal: Principal) -> Comparison:
    counting = set(_counting(rule, document))
    wanted = {_key(rule.name, value) for value in _wanted(rule, principal)} - {None}
    return Comparison(
        rule,
        tuple(
            Compared(path, value, _key(rule.name, value) in wanted, path in counting)
            for path in rule.field
            for value in _values(document, path.split("."))
        ),
    )


@dataclass(frozen=True, slots=True)
class _LaterFilter:
    audience: Audience
    principal: Principal

    def __call__(self) -> Filter:
        return self.audience.filter_for(self.principal)


def _wanted(rule: Rule, principal: Principal) -> list[Any]:
    """Return the BSON values that let the principal see a task if the field of this rule holds one of them."""
    return [value for text in texts_of(claim_at(principal.claims, rule.claim)) for value in values_of(text)]


def _candidates(paths: Sequence[str], wanted: list[Any]) -> Iterator[Filter]:
    """Yield a filter for each path: it selects documents whose first present path is this one, with a wanted value."""
    for index, path in enumerate(paths):
        # {path: null} selects "missing or null", so this branch applies where no earlier candidate is present.
        branch: Filter = {**dict.fromkeys(paths[:index]), path: {"$in": wanted}}
        references = [one for earlier in paths[:index] for one in _references(earlier)]
        yield {**branch, "$nor": references} if references else branch


def _references(path: str) -> Iterator[Filter]:
    """Yield MongoDB filters that select the documents with a reference (DBRef or DBPointer) on the way along `path`."""
    for holder in _holders(path):
        yield {f"{holder}.$ref": {"$exists": True}}
        yield {holder: {"$type": _DB_POINTER}}
        yield {holder: {"$elemMatch": {"$type": _DB_POINTER}}}


def _holders(path: str) -> Iterator[str]:
    names = path.split(".")
    return (".".join(names[:count]) for count in range(1, len(names)))


def _is_ambiguous(document: Document, path: str) -> bool:
    """Whether the document has a reference (DBRef or DBPointer) on the way along `path`.

    If so, the later paths of the same rule must not be tried. The driver decodes two things to one class: a
    sub-document with `$ref` and `$id`, in which MongoDB finds fields, and the old type DBPointer, in which it finds
    none. As the relay cannot tell them apart, keys and filter both deny.
    """
    return any(True for holder in _holders(path) for _ in _values(document, [*holder.split("."), "$ref"]))


def _key(rule: str, value: Any) -> str | None:
    """Return the audience key for a rule and a BSON value, such as `team:s:red`; None if the value is no id."""
    found = identity(value)
    return f"{rule}:{MARKS[found.kind]}:{found.text}" if found is not None else None


# How MongoDB reads a dotted path: it searches every element of an array on the way, and takes a number in the path
# for an index as well; an array at the end of the path matches by each of its elements.


def _values(value: Any, path: Sequence[str]) -> Iterator[Any]:
    """Yield every value with which MongoDB compares a wanted value at this path, which is split at its dots."""
    value = fields_of(value)
    if not path:
        if isinstance(value, list):
            yield from value
        else:
            yield value
        return
    name, rest = path[0], path[1:]
    if isinstance(value, Mapping):
        if name in value:
            yield from _values(value[name], rest)
    elif isinstance(value, list):
        for item in map(fields_of, value):
            if isinstance(item, Mapping):
                yield from _values(item, path)
        index = array_index(name)
        if index is not None and index < len(value):
            element = value[index]
            if rest:
                yield from _values(element, rest)
            else:
                yield element  # MongoDB does not search the elements of an array that an index leads to


def _is_null(document: Document, path: str) -> bool:
    """Whether the MongoDB filter `{path: null}` selects the document, so that the value counts as missing or null."""
    return _null_at(document, path.split("."))


def _null_at(value: Any, path: Sequence[str]) -> bool:
    """Whether MongoDB finds null, or nothing, at this path (split at its dots) inside the value."""
    value = fields_of(value)
    if not path:
        if isinstance(value, PackedIds):
            return value.has_null
        return value is None or (isinstance(value, list) and any(item is None for item in value))
    name, rest = path[0], path[1:]
    if isinstance(value, Mapping):
        return name not in value or _null_at(value[name], rest)
    if isinstance(value, list):
        items = map(fields_of, value)
        found = [_null_at(item, path) for item in items if isinstance(item, Mapping)]
        index = array_index(name)
        if index is not None and index < len(value):
            element = fields_of(value[index])
            if not rest:
                found.append(element is None)
            elif isinstance(
                element, Mapping | list
            ):  # in a scalar of an array there is nothing, not even null
                found.append(_null_at(element, rest))
        return any(found)
    return True
