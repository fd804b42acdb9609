"""Redact secrets in everything that is sent: by the names of fields, by names in front of values, and by shapes. Pure.

Rules of this file: nothing here raises on any string; redacting twice gives the result of redacting once; the time is
in proportion to the length of the string.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict

from relay.tasks.assignments import Assignments
from relay.tasks.names import NAME_LENGTH, REDACTED, Harmless, Names, normalised
from relay.tasks.patterns import Patterns, check
from relay.tasks.scalars import bounded
from relay.tasks.secret_words import HOLDING, KINDS, LISTING, NAMING, is_kind, is_listed, is_word
from relay.tasks.shapes import SHAPES_PATTERN
from relay.tasks.signs import folded, shows_a_shape, signs

_NAMES_CACHED = 4_096  # names of fields whose redacted form is kept
CUT_MARGIN = 8_192  # characters searched beyond a cut, to recognise a secret that the cut goes through
LOOKS = 8  # rounds of searching a string that changes in each of them; nearly always two are enough


def _field_name(name: str) -> str:
    if not normalised(name):
        raise ValueError("must be the name of a field")
    return name


def _pattern(pattern: str) -> str:
    check(pattern)  # raises BadPattern, a ValueError
    return pattern


def _together(patterns: tuple[str, ...]) -> tuple[str, ...]:
    Patterns(patterns)  # raises BadPattern
    return patterns


_FieldName = Annotated[str, AfterValidator(_field_name)]


@dataclass(frozen=True, slots=True)
class Redaction:
    """What a deployment adds to the names and shapes, and the names that it takes out."""

    __pydantic_config__ = ConfigDict(extra="forbid")
    names: tuple[_FieldName, ...] = ()
    patterns: Annotated[tuple[Annotated[str, AfterValidator(_pattern)], ...], AfterValidator(_together)] = ()
    keep: tuple[_FieldName, ...] = ()


class Redactor:
    """Redacts the strings and fields of one deployment. Immutable."""

    def __init__(self, redaction: Redaction = Redaction()) -> None:
        names = Names(redaction.names, redaction.keep)
        self.hides: Callable[[str], Harmless | None] = names.hides
        self._assignments = Assignments(names)
        self._patterns = Patterns(redaction.patterns) if redaction.patterns else None
        self._in_text, self._in_json = signs(names.added)
        # The search for signs works on bytes, which have no upper and lower case beyond ASCII. If a name that was
        # added has other letters, no string can be ruled out by it.
        self._has_others = not all(map(str.isascii, names.added))
        self._may_always = self._patterns is not None or self._has_others
        self._name = lru_cache(_NAMES_CACHED)(self.text)

    def text(self, value: str) -> str:
        """The string without its secrets.

        After a redaction, the rest may stand beside another name in a new way. So a string that changed is searched
        again, until nothing more is found.
        """
        shown = self._looked_at_once(value)
        for _ in range(LOOKS):
            if shown == value:
                break
            value, shown = shown, self._looked_at_once(shown)
        return shown

    def _looked_at_once(self, value: str) -> str:
        shown = folded(value.encode("utf-8", "surrogatepass"))
        if self._has_others or self._in_text(shown):
            if shows_a_shape(shown):
                value = SHAPES_PATTERN.sub(_left, value)
            value = self._assignments.without(value)
        return value if self._patterns is None else self._patterns.without(value)

    def beginning(self, value: str, limit: int) -> str:
        """The string without its secrets, cut to at most `limit` characters. It is cut after the redaction, because
        half of a secret might not be recognised."""
        return bounded(self.text(bounded(value, limit + CUT_MARGIN)), limit)

    def may_change(self, json: bytes) -> bool:
        """Whether `value` may change a value that has this JSON. False only if it certainly would not."""
        return self._may_always or self._in_json(folded(json)) is not None

    def value(self, value: Any) -> Any:
        """A JSON value without secrets in any of its strings, names of fields included."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return self._items(value)
        if isinstance(value, dict):
            return self._fields(value)
        return value

    def _items(self, items: list[Any]) -> list[Any]:
        """A list, in which a name may stand in front of a value: `["X-Api-Key", "x"]`, as in a list of headers, or
        `["--password", "x"]`, as in the arguments of a command."""
        shown = [self.value(item) for item in items]
        even = not len(items) % 2
        for index, (name, item) in enumerate(pairwise(items)):
            if not isinstance(name, str) or not ((even and not index % 2) or name.startswith("-")):
                continue
            harmless = self._assignments.names(name)
            if harmless is None or harmless(item) or (isinstance(item, str) and self._is_no_value(item)):
                continue
            shown[index + 1] = REDACTED
        return shown

    def _is_no_value(self, text: str) -> bool:
        """Whether this item of a list is another name, an option, or a word that usually stands beside names."""
        return text.startswith("-") or is_listed(text) or self._assignments.names(text) is not None

    def _named(self, fields: dict[str, Any]) -> Harmless | None:
        """Whether a field names another field of the object as a secret, as in `{"name": "DB_PASSWORD", "value": …}`:
        None if not, else a predicate for values that are harmless."""
        for key, item in fields.items():
            if isinstance(item, str) and (part := _part(key)) in NAMING:
                harmless = self._assignments.names(item)
                if harmless is not None and not (part in KINDS and is_kind(item)):
                    return harmless
        return None

    def _fields(self, fields: dict[str, Any]) -> dict[str, Any]:
        """An object. If redaction makes two names equal, numbers keep them apart; they are given in sorted order, so
        that equal objects have equal results."""
        shown: dict[str, Any] = {}
        numbers: dict[str, int] = {}
        harmless = self._named(fields)
        for key in sorted(fields):
            name = unused = self._name(key) if len(key) <= NAME_LENGTH else self.text(key)
            while unused in shown:
                numbers[name] = number = numbers.get(name, 1) + 1
                unused = f"{name} {number}"
            item = fields[key]
            if harmless is not None and _part(key) in HOLDING and not harmless(item):
                shown[unused] = REDACTED
            elif isinstance(item, list) and _part(key) in LISTING and all(map(is_word, item)):
                shown[unused] = item
            else:
                shown[unused] = self.value(item)
        return shown


@lru_cache(maxsize=4_096)
def _part(key: str) -> str:
    return normalised(key[: NAME_LENGTH + 1])


def _left(match: re.Match[str]) -> str:
    """The replacement for the match of a shape: all of it, or only its group, which is at the end."""
    secret = match.lastindex
    return REDACTED if secret is None else match[0][: match.start(secret) - match.start()] + REDACTED
