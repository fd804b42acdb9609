"""Secrets out of what is sent: fields by their names, texts by the names before values and by shapes. Pure.

Rules of this file: nothing here raises on any text; what was redacted once is not changed by a second
time; every pattern takes time in proportion to the text (each run of characters is tried from one place
only, or from each place over a bounded length); whatever a shape matches, `signs` finds as well, also
in the text's JSON.
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

_NAMES_CACHED = 4_096  # fields whose name is known to hold a secret or none
CUT_MARGIN = 8_192  # characters read beyond a cut, to recognise a secret that the cut goes through
LOOKS = 8  # at a text that changes each time; two are nearly always enough


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
    """Takes secrets out of texts, and says in which fields they lie. Never changes after it was made."""

    def __init__(self, redaction: Redaction = Redaction()) -> None:
        names = Names(redaction.names, redaction.keep)
        self.hides: Callable[[str], Harmless | None] = names.hides
        self._assignments = Assignments(names)
        self._patterns = Patterns(redaction.patterns) if redaction.patterns else None
        self._in_text, self._in_json = signs(names.added)
        # Bytes know no large and small letters beyond ASCII, so with such a name every text is suspicious.
        self._has_others = not all(map(str.isascii, names.added))
        self._may_always = self._patterns is not None or self._has_others
        self._name = lru_cache(_NAMES_CACHED)(self.text)

    def text(self, value: str) -> str:
        """The text without secrets. What is left of one can stand beside another name in a new way, so a text that
        was changed is looked at again, until nothing more is found."""
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
        """The text without secrets, and not longer than `limit`: nothing is cut before they are out."""
        return bounded(self.text(bounded(value, limit + CUT_MARGIN)), limit)

    def may_change(self, json: bytes) -> bool:
        """Could `value` find anything in what has this JSON? False only when it could not."""
        return self._may_always or self._in_json(folded(json)) is not None

    def value(self, value: Any) -> Any:
        """A value in terms of JSON with no secret in any text; names of fields are texts as well."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return self._items(value)
        if isinstance(value, dict):
            return self._fields(value)
        return value

    def _items(self, items: list[Any]) -> list[Any]:
        """A list in which a name may stand before a value: `["X-Api-Key", "x"]`, as lists of headers are
        written, and `["--password", "x"]`, as the words of a command are."""
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
        """Is this the next name or option, or one of the words that stand beside a name in a list?"""
        return text.startswith("-") or is_listed(text) or self._assignments.names(text) is not None

    def _named(self, fields: dict[str, Any]) -> Harmless | None:
        """Does one of these fields say that the value beside it is a secret: `{"name": "DB_PASSWORD", …}`?"""
        for key, item in fields.items():
            if isinstance(item, str) and (part := _part(key)) in NAMING:
                harmless = self._assignments.names(item)
                if harmless is not None and not (part in KINDS and is_kind(item)):
                    return harmless
        return None

    def _fields(self, fields: dict[str, Any]) -> dict[str, Any]:
        """No field is lost where two names become one; the order they come in makes no difference."""
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
    """What a shape leaves of its match."""
    secret = match.lastindex
    return REDACTED if secret is None else match[0][: match.start(secret) - match.start()] + REDACTED
