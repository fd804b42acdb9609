"""Convert the `_id` of a document to the `taskId` of the protocol, and a `taskId` back to possible `_id`s. Pure.

Rules of this file: `_id`s that MongoDB calls equal have the same `taskId`, and the `_id` can be found again from its
`taskId`; nothing here raises, whatever bytes an `_id` has and whatever string a client sends.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from contextlib import suppress
from typing import Any

import bson
from bson import ObjectId
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.json_util import CANONICAL_JSON_OPTIONS
from bson.json_util import dumps as extended_json
from bson.json_util import loads as from_extended_json

from relay.protocol.nesting import is_nested_deeper
from relay.source.change import key_of
from relay.source.identity import RawId, canonical, document_of, may_be_id
from relay.tasks.ids import is_object_id

AS_BSON = (
    "$bson"  # the key of a `taskId` that holds BSON in Base64, where Extended JSON cannot express the `_id`
)
_JSON_LEVELS = 50  # levels of sub-documents in an `_id` that is written as Extended JSON; deeper ones as BSON
# Levels of objects in the Extended JSON of such an `_id`. Code with a scope takes two levels of JSON for one level of
# BSON, and a binary value takes two levels more.
_SPELLED_LEVELS = 2 * _JSON_LEVELS + 2
# Dates outside the years 1 to 9999 are valid in an `_id`, but Python's datetime cannot hold them.
_DATES_AS_NUMBERS: CodecOptions[dict[str, Any]] = CodecOptions(
    datetime_conversion=DatetimeConversion.DATETIME_MS
)
_EXTENDED_JSON = CANONICAL_JSON_OPTIONS.with_options(datetime_conversion=DatetimeConversion.DATETIME_MS)


def wire_id(document_id: Any) -> str:
    """Return the `taskId` for the `_id` of a document (PROTOCOL.md, head).

    All `_id`s that MongoDB calls equal have the same `taskId`. Never raises.
    """
    if type(document_id) is str:
        return document_id
    if type(document_id) is ObjectId:
        return str(document_id)
    return _spelled(key_of(document_id))


def candidate_ids(task_id: str) -> list[Any]:
    """Return the `_id`s that a `taskId` may stand for, most likely first.

    If the collection has documents with several of these `_id`s, the first `_id` in the list wins.
    """
    candidates: list[Any] = []
    if is_object_id(task_id) and task_id == task_id.lower():
        candidates.append(ObjectId(task_id))
    elif task_id.startswith("{") or task_id in ("true", "false", "null"):
        candidates += _named(task_id)
    candidates.append(task_id)
    return candidates


def _spelled(key: bytes) -> str:
    """Return the `taskId` for the key of an `_id` (the canonical BSON bytes of the `_id`), in Extended JSON.

    If Extended JSON cannot be converted back to the same key, the `taskId` holds the BSON in Base64 instead.
    """
    with suppress(Exception):  # the driver may fail to decode it, or JSON to express it, in many ways
        value = bson.decode(document_of(key), codec_options=_DATES_AS_NUMBERS)[""]
        spelled: str = extended_json(value, json_options=_EXTENDED_JSON)
        # Deeper values are left to BSON: whether these readers accept them depends on the size of the stack.
        if canonical(from_extended_json(spelled, json_options=_EXTENDED_JSON), _JSON_LEVELS) == key:
            return spelled
    return extended_json({AS_BSON: b64encode(key).decode()})


def _named(task_id: str) -> list[Any]:
    """Return a list with the one `_id`, neither string nor ObjectId, that has this `taskId`; empty if there is none."""
    try:
        if is_nested_deeper(task_id.encode(), _SPELLED_LEVELS):
            return []
        value = from_extended_json(task_id, json_options=_EXTENDED_JSON)
        if isinstance(value, dict) and list(value) == [AS_BSON]:
            value = RawId(b64decode(value[AS_BSON], validate=True))
        # Accept only the spelling that we send, so that an `_id` has no second `taskId`. Reject values that cannot
        # be an `_id`, such as patterns and operators: MongoDB would run them as a query.
        return [value] if may_be_id(key_of(value)) and wire_id(value) == task_id else []
    except (
        Exception
    ):  # every string is a valid `_id`, so one that these readers reject is looked up as a string
        return []
