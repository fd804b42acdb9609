"""BSON values as plain JSON, and the questions a mapping asks of a document. Pure.

Rules of this file: `plain` never raises and never loses a key; what JSON cannot hold becomes text
(PROTOCOL.md, "Values").
"""

from __future__ import annotations

import math
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import bson
from bson import (
    Binary,
    DatetimeMS,
    DBRef,
    Decimal128,
    MaxKey,
    MinKey,
    ObjectId,
    Regex,
    Timestamp,
)
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.json_util import CANONICAL_JSON_OPTIONS
from bson.json_util import dumps as extended_json
from bson.json_util import loads as from_extended_json

from relay.protocol.nesting import is_nested_deeper
from relay.protocol.types import rfc3339
from relay.source.change import key_of
from relay.source.identity import RawId, canonical, document_of, may_be_id
from relay.source.raw_bson import decode, opened
from relay.tasks.ids import is_object_id, uuid_text, whole

Document = dict[str, Any]

REDACTED = "[redacted]"
NAME_LENGTH = 100  # characters; a longer name of a field is not looked at to tell whether it hides something
MAX_DEPTH = 100  # levels of nesting; deeper content is replaced by a mark
SAFE_INTEGER = 2**53 - 1  # beyond it a browser's numbers lose digits, so they travel as text
TOO_DEEP = "[nested too deeply]"
AS_BSON = "$bson"  # in a `taskId`, before the BSON of what Extended JSON does not hold
_JSON_LEVELS = 50  # of sub-documents in an `_id` whose `taskId` is Extended JSON
_SPELLED_LEVELS = (
    2 * _JSON_LEVELS + 2
)  # of objects in that: code with a scope takes two each, and a binary two
# Dates outside the years 1 to 9999 are `_id`s like others, but no dates of Python's.
_DATES_AS_NUMBERS: CodecOptions[Document] = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_MS)
_EXTENDED_JSON = CANONICAL_JSON_OPTIONS.with_options(datetime_conversion=DatetimeConversion.DATETIME_MS)
_WHOLE_NUMERAL = re.compile(r"(-?[0-9]+)(?:\.0+)?")
_AS_THEY_ARE = frozenset({str, bool, type(None)})
_MISSING = object()


Hides = Callable[[str], Callable[[Any], bool] | None]


def hides_nothing(name: str) -> None:
    return None


def plain(value: Any, hides: Hides = hides_nothing, depth: int = MAX_DEPTH) -> Any:
    """The same value in terms of JSON: text, numbers, booleans, null, lists, objects. What a field holds
    whose name `hides` it is left out, unless the predicate that it gives says the value is harmless."""
    kind = type(value)  # the usual ones first: this is most of what an event costs
    if kind in _AS_THEY_ARE:
        return value
    if kind is dict:
        if not depth:
            return TOO_DEEP
        return {
            (name := str(key)): REDACTED
            if len(name) <= NAME_LENGTH and (harmless := hides(name)) and not harmless(item)
            else item
            if type(item) is str
            else plain(item, hides, depth - 1)
            for key, item in value.items()
        }
    match value:
        case int():
            return int(value) if -SAFE_INTEGER <= value <= SAFE_INTEGER else str(int(value))
        case float():
            return value if math.isfinite(value) else str(value)
        case datetime():
            return rfc3339(value)
        case list() | tuple():
            if not depth:
                return TOO_DEEP
            return [plain(item, hides, depth - 1) for item in value]
        case str():
            return str(value)
        case Mapping():
            return plain(dict(value), hides, depth)
        case ObjectId() | Decimal128():
            return str(value)
        case DatetimeMS():
            return plain(int(value))  # a date outside years 1 to 9999, as milliseconds
        case Binary():
            return _binary(value)
        case bytes():
            return b64encode(value).decode()
        case UUID():
            return str(value)
        case Regex():
            return str(value.pattern)
        case re.Pattern():
            return str(value.pattern)
        case Timestamp():
            return {"t": value.time, "i": value.inc}
        case DBRef():
            return plain(value.as_doc(), hides, depth)
        case MinKey():
            return "MinKey"
        case MaxKey():
            return "MaxKey"
        case _:
            return str(value)


def _binary(value: Binary) -> str:
    if value.subtype == 4 and len(value) == 16:
        return str(UUID(bytes=bytes(value)))
    return b64encode(bytes(value)).decode()


def wire_id(document_id: Any) -> str:
    """A task's `_id` as the `taskId` of the wire (PROTOCOL.md, head): one for all `_id`s that are equal."""
    if type(document_id) is str:
        return document_id
    if type(document_id) is ObjectId:
        return str(document_id)
    return _spelled(key_of(document_id))


def candidate_ids(task_id: str) -> list[Any]:
    """The `_id`s a `taskId` may stand for, the one that wins first."""
    candidates: list[Any] = []
    if is_object_id(task_id) and task_id == task_id.lower():
        candidates.append(ObjectId(task_id))
    elif task_id.startswith("{") or task_id in ("true", "false", "null"):
        candidates += _named(task_id)
    candidates.append(task_id)
    return candidates


def _spelled(key: bytes) -> str:
    """The canonical Extended JSON of an identity; where that does not lead back to it, its BSON in Base64."""
    with suppress(Exception):  # whatever it is that the driver cannot decode, or JSON not hold
        value = bson.decode(document_of(key), codec_options=_DATES_AS_NUMBERS)[""]
        spelled: str = extended_json(value, json_options=_EXTENDED_JSON)
        # (Deeper than that, these readers fail or not as the stack happens to be.)
        if canonical(from_extended_json(spelled, json_options=_EXTENDED_JSON), _JSON_LEVELS) == key:
            return spelled
    return extended_json({AS_BSON: b64encode(key).decode()})


def _named(task_id: str) -> list[Any]:
    """The `_id` that is no text and no ObjectId and is spelled like this, if there may be one."""
    try:
        if is_nested_deeper(task_id.encode(), _SPELLED_LEVELS):
            return []
        value = from_extended_json(task_id, json_options=_EXTENDED_JSON)
        if isinstance(value, dict) and list(value) == [AS_BSON]:
            value = RawId(b64decode(value[AS_BSON], validate=True))
        # Only the one spelling we send names the task: no second name for the same `_id`. And what MongoDB
        # takes for no `_id`, such as a pattern or an operator, it would understand as a question.
        return [value] if may_be_id(key_of(value)) and wire_id(value) == task_id else []
    except Exception:  # any text is a valid string `_id`, whatever these readers make of it
        return []


@lru_cache(maxsize=4096)
def array_index(name: str) -> int | None:
    """The array index a part of a path stands for, None where it can only be a field's name. No array
    of MongoDB is longer than seven digits tell."""
    if name.isascii() and name.isdigit() and len(name) <= 7 and (name == "0" or name[0] != "0"):
        return int(name)
    return None


def at_path(document: Any, path: str) -> Any:
    """The value at a dotted path through sub-documents, or None."""
    if type(document) is dict and "." not in path:  # nearly always
        return document.get(path)
    for name in path.split("."):
        if not isinstance(document, dict):  # which is quickly told
            document = fields_of(document)
            if not isinstance(document, Mapping):
                return None
        document = document.get(name)
    return document


def fields_of(value: Any) -> Any:
    """What has fields to MongoDB as a mapping of them, where the driver or the relay made something else of
    it; any other value as it is."""
    if isinstance(value, RawId):
        value = decode(document_of(value.element))[""]
    return opened(value)


def first_present(documents: Iterable[Any], paths: Sequence[str]) -> Any:
    """The first value that is there and not null: documents in order, then candidates in order."""
    for document in documents:
        for path in paths:
            value = at_path(document, path)
            if value is not None:
                return value
    return None


def text(value: Any) -> str | None:
    """A scalar as text; None for what is no text. A whole number is its digits, whatever its type."""
    if type(value) is str:  # nearly always
        return value
    match value:
        case bool():
            return None
        case int() | float() | Decimal128():
            found = whole(value)
            return str(value if found is None else found)
        case str() | ObjectId():  # BSON's code is a string to Python, but one that no table can be asked for
            return str(value)
        case _:
            return uuid_text(value)


def bounded(shown: str, limit: int) -> str:
    """At most so many characters of a text."""
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def number(value: Any) -> int | None:
    """A whole number of any type, also where a writer stored it as digits."""
    if isinstance(value, str):
        return int(value) if re.fullmatch(r"[0-9]{1,15}", value) else None
    found = whole(value)
    return found if found is not None and abs(found) <= SAFE_INTEGER else None


def moment(value: Any) -> str | None:
    """A time as RFC 3339: BSON dates, ISO texts, numbers of any type (from 10¹¹ on milliseconds, else seconds)."""
    match value:
        case bool():
            return None
        case datetime():
            return rfc3339(value)
        case str():
            return _from_iso(value)
        case int() | float():
            return _from_epoch(float(value))
        case Decimal128():
            with suppress(ArithmeticError, ValueError):  # a NaN that signals, above all
                return _from_epoch(float(value.to_decimal()))
            return None
        case _:
            return None


def _from_iso(value: str) -> str | None:
    if not re.match(r"\d{4}-\d{2}-\d{2}", value) or len(value) > 40:
        return None
    try:
        return rfc3339(datetime.fromisoformat(value))
    except (ValueError, OverflowError):
        return None


def _from_epoch(value: float) -> str | None:
    if not math.isfinite(value):
        return None
    seconds = value / 1000 if abs(value) >= 1e11 else value
    try:
        return rfc3339(datetime.fromtimestamp(seconds, UTC))
    except (ValueError, OverflowError, OSError):
        return None


@lru_cache(maxsize=4096)
def snake(name: str) -> str:
    """`task:pr_opened`, `PR_OPENED`, `prOpened` and `pr-opened` are one name: `pr_opened`. A whole number keeps its
    sign, which tells it from another: `-1` is `-1`, and `1.0` is `1`."""
    if (numeral := _WHOLE_NUMERAL.fullmatch(name)) is not None:
        return numeral[1]
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    snaked = re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")
    return snaked.removeprefix("task_") if snaked != "task_" else snaked
