"""The JSON that the relay sends of an event, and the digest of a timeline that is made from it. Pure.

An element is one item of the array in the document, as raw BSON or as a decoded value; an event is what the relay sends
of an element. The digest of a timeline is the same on every instance, because it is made from the JSON as it was sent:
so a client's position can be checked against the document.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import orjson

from relay.protocol.types import Event
from relay.source.raw_bson import Element, decode_element
from relay.tasks.bson_json import plain
from relay.tasks.mapping import EventFields
from relay.tasks.paths import first_present
from relay.tasks.redact import Redactor
from relay.tasks.scalars import moment, text

DIGEST_VERSION = "1."
START = b""  # the digest of a timeline without events
NULL = b"null"
MAX_EVENT_BYTES = 65_536  # default limit of one event's JSON; of a larger event only the size is sent
TYPE_LENGTH = 200  # characters of an event's type; a longer one is cut


@dataclass(frozen=True, slots=True)
class EventView:
    """How one deployment shows events to clients.

    `fields` says where an event has its type and its time, `redactor` removes secrets, and `max_bytes` limits the JSON
    of one event; of a larger event only the size is sent.
    """

    fields: EventFields = field(default_factory=EventFields)
    redactor: Redactor = field(default_factory=Redactor)
    max_bytes: int = MAX_EVENT_BYTES

    def type_of(self, element: Any) -> str | None:
        """Return the type of an event as a string, neither cut nor redacted; None if the event has no type.

        Some writers store the type as a number, which is returned as its digits.
        """
        return text(first_present((element,), self.fields.type))

    def types_of(self, elements: Iterable[Any]) -> list[str | None]:
        """Return the type of each of these events, as `type_of` does, in a third of the time."""
        first = self.fields.type[0] if self.fields.type else ""
        if not first or "." in first:
            return [self.type_of(element) for element in elements]
        found: list[str | None] = []
        for element in elements:
            # Nearly all events have their type in the field that is looked at first.
            kind = element.get(first) if type(element) is dict else None
            found.append(kind if type(kind) is str else self.type_of(element))
        return found

    def shown_type(self, kind: str | None) -> str | None:
        """Return a type as it is sent: cut and redacted."""
        return None if kind is None else self.redactor.beginning(kind, TYPE_LENGTH)


def event_json(element: Any, view: EventView) -> bytes:
    """Encode one decoded element as the JSON of an Event (PROTOCOL.md section 5), with its secrets redacted.

    Keys are sorted, so that equal events have equal bytes. If the JSON is larger than `view.max_bytes`, its data is
    replaced by `{"truncated": true, "bytes": size}`. A null element becomes `null`.
    """
    if element is None:
        return NULL
    redactor = view.redactor
    kind = view.type_of(element)
    if kind is not None and len(kind) > TYPE_LENGTH:
        kind = redactor.beginning(kind, TYPE_LENGTH)
    shown: Event = {
        "type": kind,
        "at": moment(first_present((element,), view.fields.at)),
        "data": plain(element, redactor.hides),
    }
    json = orjson.dumps(shown, option=orjson.OPT_SORT_KEYS)
    # Search the strings only if one of them may hold a secret, and only if the event is not too large anyway: an event
    # of many megabytes then costs no search, and the size that is sent is the one before redaction.
    if len(json) <= view.max_bytes and redactor.may_change(json):
        if kind is not None:
            shown["type"] = redactor.beginning(kind, TYPE_LENGTH)
        shown["data"] = redactor.value(shown["data"])
        json = orjson.dumps(shown, option=orjson.OPT_SORT_KEYS)
    if len(json) > view.max_bytes:
        if kind is not None:
            shown["type"] = redactor.beginning(kind, TYPE_LENGTH)
        shown["data"] = {"truncated": True, "bytes": len(json)}
        json = orjson.dumps(shown, option=orjson.OPT_SORT_KEYS)
    return json


def element_json(element: Element, view: EventView) -> bytes:
    """Encode one element in raw BSON as the JSON of an Event, with its secrets redacted and within the size limit."""
    return event_json(decode_element(element), view)


def extend(digest: bytes, event: bytes) -> bytes:
    """Return the digest of a timeline after one more event: `digest` is the one before it, `event` the event's JSON."""
    return blake2b(event, key=digest, digest_size=16).digest()


def head(digest: bytes) -> str:
    """Return the digest of a timeline as the `head` that messages carry.

    The string is opaque to clients, and begins with a version so that its form may change later.
    """
    return DIGEST_VERSION + digest.hex()
