"""Redact secrets in everything that is sent: by the names of fields, by names in front of values, and by shapes. Pure.

A shape is what a kind of token looks like, such as `ghp_…`. A value is harmless if it cannot be a secret although its
name says so, such as the count in `tokens: 120`; harmless values stay.

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
# A string that a search changed is searched again, at most this many times; nearly always two are enough.
LOOKS = 8


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
    """What one deployment redacts besides the built-in names and shapes, and what it keeps.

    `names` are further names of secret fields, `patterns` further regular expressions for secrets, and `keep` the names
    of fields that are no secrets here.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")
    names: tuple[_FieldName, ...] = ()
    patterns: Annotated[tuple[Annotated[str, AfterValidator(_pattern)], ...], AfterValidator(_together)] = ()
    keep: tuple[_FieldName, ...] = ()


class Redactor:
    """Redacts the secrets of one deployment in strings and in JSON values. Immutable."""

    def __init__(self, redaction: Redaction = Redaction()) -> None:
        names = Names(redaction.names, redaction.keep)
        self.hides: Callable[[str], Harmless | None] = names.hides
        self._assignments = Assignments(names)
        self._patterns = Patterns(redaction.patterns) if redaction.patterns else None
        self._in_text, self._in_json = signs(names.added)
        # The search for signs works on bytes, which have no upper and lower case beyond ASCII. If a name that was
        # added has letters beyond ASCII, the search cannot rule out any string, so every string is redacted in full.
        self._has_others = not all(map(str.isascii, names.added))
        self._may_always = self._patterns is not None or self._has_others
        self._name = lru_cache(_NAMES_CACHED)(self.text)

    def text(self, value: str) -> str:
        """Return the string with `[redacted]` in place of its secrets.

        A redaction may bring the name of a secret next to text that it was not next to before. So a string that changed
        is searched again until nothing more is found, but at most LOOKS times.
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
        """Return the beginning of a string without its secrets: at most `limit` characters.

        The string is cut after its secrets are redacted, because half of a secret might not be recognised.
        """
        return bounded(self.text(bounded(value, limit + CUT_MARGIN)), limit)

    def may_change(self, json: bytes) -> bool:
        """Whether a value with this JSON may hold a secret; False only if the method `value` would not change it."""
        return self._may_always or self._in_json(folded(json)) is not None

    def value(self, value: Any) -> Any:
        """Return a JSON value with its secrets redacted, in all of its strings and in the names of its fields."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return self._items(value)
        if isinstance(value, dict):
            return self._fields(value)
        return value

    def _items(self, items: list[Any]) -> list[Any]:
        """Return a list with the secrets in its items redacted.

        An item may also be a secret because the item before it is the name of one: `["X-Api-Key", "x"]`, as in a list
        of headers, or `["--password", "x"]`, as in the arguments of a command.
        """
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
        """Whether a string that follows the name of a secret in a list is not the value of that secret.

        That is so if the string is another name of a secret, an option of a command (`-x`), or a word that describes
        secrets or usually stands beside their names.
        """
        return text.startswith("-") or is_listed(text) or self._assignments.names(text) is not None

    def _named(self, fields: dict[str, Any]) -> Harmless | None:
        """Whether one field of an object says that another one holds a secret: `{"name": "DB_PASSWORD", "value": …}`.

        Return None if not; else a predicate that is true for values that are harmless, and so need not be redacted.
        """
        for key, item in fields.items():
            if isinstance(item, str) and (part := _part(key)) in NAMING:
                harmless = self._assignments.names(item)
                if harmless is not None and not (part in KINDS and is_kind(item)):
                    return harmless
        return None

    def _fields(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Return an object with the secrets in the names and values of its fields redacted.

        If redaction makes two names equal, a number is added to the second. The fields are handled in sorted order, so
        that equal objects have equal results.
        """
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
    """Return the replacement for a match of a secret's shape, in which `[redacted]` stands for the secret.

    The secret is the group of the match, which is at its end; if there is no group, it is the whole match.
    """
    secret = match.lastindex
    return REDACTED if secret is None else match[0][: match.start(secret) - match.start()] + REDACTED
