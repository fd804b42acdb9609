"""A JSON Schema (2020-12) and an AsyncAPI document of the wire, made from the types of its messages. Pure.

Rules of this file: what the types do not say, the schema does not say either; objects are open, because both
sides ignore fields they do not know (PROTOCOL.md 3), unless a schema that tolerates none is asked for.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from enum import StrEnum
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from relay.protocol.messages import CLIENT, SERVER, Poll, PollAnswer
from relay.protocol.types import MAX_REQUEST_ID, VERSION, Kind, Request, Time

Schema = dict[str, Any]
DIALECT = "https://json-schema.org/draft/2020-12/schema"
_SCALARS: dict[Any, str] = {str: "string", int: "integer", bool: "boolean", float: "number", NoneType: "null"}


def json_schema(*, closed: bool = False) -> Schema:
    """Every message and request of the wire. `#/$defs/ServerMessage` is what a client reads,
    `#/$defs/ClientMessage` what it sends; `#/$defs/Poll` and `#/$defs/PollAnswer` are the bodies of a poll. With `closed`, unknown fields are errors: for tests of a server."""
    types = _Types("#/$defs/", closed=closed)
    messages = {name: types.message(kind, data) for name, kind, data in _all_messages()}
    for body in (Poll, PollAnswer):
        types.of(body)
    sides = {
        "ServerMessage": {"oneOf": [_ref("#/$defs/", _message_name(kind)) for kind in SERVER]},
        "ClientMessage": {"oneOf": [_ref("#/$defs/", _message_name(request)) for request in CLIENT]},
    }
    return {
        "$schema": DIALECT,
        "title": f"Messages of the relay, version {VERSION}",
        "description": "Each WebSocket text frame is one of these; who reads ignores types and fields it does not know.",
        "oneOf": [_ref("#/$defs/", side) for side in sides],
        "$defs": sides | messages | dict(sorted(types.named.items())),
    }


def asyncapi() -> Schema:
    """The same as an AsyncAPI 3 document, from the relay's point of view: it sends what the server sends."""
    types = _Types("#/components/schemas/", closed=False)
    messages = {
        name: {
            "name": kind.value,
            "contentType": "application/json",
            "summary": inspect.getdoc(_first(data)),
            "payload": types.message(kind, data),
        }
        for name, kind, data in _all_messages()
    }
    everything = {name: _ref("#/components/messages/", name) for name in messages}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "The relay",
            "version": str(VERSION),
            "description": "Live updates for tasks in MongoDB (PROTOCOL.md is the contract).",
        },
        "defaultContentType": "application/json",
        "channels": {"relay": {"address": "/ws", "messages": everything}},
        "operations": {
            "tell": _operation("send", SERVER),
            "ask": _operation("receive", CLIENT),
        },
        "components": {"messages": messages, "schemas": dict(sorted(types.named.items()))},
    }


class _Types:
    """Types as schemas; those with a name are collected and referred to."""

    def __init__(self, prefix: str, *, closed: bool) -> None:
        self.named: dict[str, Schema] = {}
        self._prefix = prefix
        self._closed = closed

    def message(self, kind: Kind | Request, data: Any) -> Schema:
        """The envelope of one type (PROTOCOL.md 3)."""
        fields: Schema = {"type": {"const": kind.value}, "data": self.of(data)}
        required = ["type", "data"]
        if isinstance(kind, Kind):
            fields |= {"at": self.of(Time), "replyTo": {"type": "string", "maxLength": MAX_REQUEST_ID}}
        else:
            fields["id"] = {"type": "string", "maxLength": MAX_REQUEST_ID}
            if is_typeddict(data) and not _required(data):
                required.remove("data")
        return self._object(fields, required)

    def of(self, kind: Any) -> Schema:
        """The schema of one type. Raises TypeError for one that JSON does not know."""
        origin = get_origin(kind)
        if kind is Any:
            return {}
        if kind in _SCALARS:
            return {"type": _SCALARS[kind]}
        if origin is Annotated:
            inner, *said = get_args(kind)
            return dict(said) if said[0][0] == "$ref" else self.of(inner) | dict(said)
        if origin is Literal:
            return {"enum": list(get_args(kind))}
        if origin is list:
            return {"type": "array", "items": self.of(*get_args(kind))}
        if origin is dict:
            return {"type": "object", "additionalProperties": self.of(get_args(kind)[1])}
        if origin in (Union, UnionType):
            return self._union(get_args(kind))
        if is_typeddict(kind):
            return self._named(kind)
        if isinstance(kind, type) and issubclass(kind, StrEnum):
            return {"enum": [member.value for member in kind]}
        raise TypeError(f"no JSON Schema of {kind!r}")

    def _union(self, kinds: tuple[Any, ...]) -> Schema:
        schemas = [self.of(kind) for kind in kinds]
        if all(schema.keys() == {"type"} for schema in schemas):
            return {"type": [schema["type"] for schema in schemas]}
        return {"anyOf": schemas}

    def _named(self, kind: Any) -> Schema:
        if kind.__name__ not in self.named:
            self.named[kind.__name__] = {}  # its place, should it meet itself
            hints = get_type_hints(kind, include_extras=True)
            fields = {name: self.of(_bare(hint)) for name, hint in hints.items()}
            said = {"description": inspect.getdoc(kind)}
            self.named[kind.__name__] = said | self._object(fields, _required(kind))
        return _ref(self._prefix, kind.__name__)

    def _object(self, fields: Schema, required: list[str]) -> Schema:
        made: Schema = {"type": "object", "properties": fields, "required": required}
        return made | ({"additionalProperties": False} if self._closed else {})


def _all_messages() -> Iterator[tuple[str, Kind | Request, Any]]:
    for kind, data in SERVER.items():
        yield _message_name(kind), kind, data
    for request, data in CLIENT.items():
        yield _message_name(request), request, data


def _message_name(kind: Kind | Request) -> str:
    """TASK_STATE -> TaskStateMessage, and of a client TASK_JOIN -> TaskJoinRequest."""
    name = "".join(word.capitalize() for word in kind.name.split("_"))
    return name + ("Message" if isinstance(kind, Kind) else "Request")


def _operation(action: str, kinds: dict[Any, Any]) -> Schema:
    messages = [_ref("#/channels/relay/messages/", _message_name(kind)) for kind in kinds]
    return {"action": action, "channel": _ref("#/channels/", "relay"), "messages": messages}


def _required(kind: Any) -> list[str]:
    # Not __required_keys__: it cannot see through annotations that are texts before Python 3.14.
    hints = get_type_hints(kind, include_extras=True)
    return [name for name, hint in hints.items() if get_origin(hint) is not NotRequired]


def _bare(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) is NotRequired else hint


def _first(data: Any) -> Any:
    return data if is_typeddict(data) else get_args(data)[0]


def _ref(prefix: str, name: str) -> Schema:
    return {"$ref": prefix + name}
