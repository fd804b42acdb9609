"""The JSON Schema (2020-12) and the AsyncAPI document of the wire, generated from its declaration. Pure.

pydantic makes the schema of each class of `messages.py` and `polls.py`; this module adds the envelopes (PROTOCOL.md
section 3). Objects are open, because both sides ignore fields that they do not know.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import TypeAdapter

from relay.protocol.messages import CLIENT, SERVER, Envelope
from relay.protocol.polls import ConfigAnswer, Poll, PollAnswer
from relay.protocol.types import MAX_REQUEST_ID, VERSION, Kind, Request, Time

Schema = dict[str, Any]
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema(*, closed: bool = False) -> Schema:
    """Return the schema of every message and request.

    `#/$defs/ServerMessage` is what a client reads, `#/$defs/ClientMessage` what it sends; `#/$defs/Poll` and
    `#/$defs/PollAnswer` are the bodies of a poll; `#/$defs/ConfigAnswer` is the answer of `GET /config`. With `closed`,
    unknown fields are errors: for tests of a server.
    """
    messages, types = _generated("#/$defs/", Poll, PollAnswer, ConfigAnswer)
    # The envelopes are made here, so pydantic cannot know that a poll is answered with messages in theirs.
    types["PollAnswer"]["properties"]["messages"]["items"] = _ref("#/$defs/", "ServerMessage")
    sides = {
        "ServerMessage": {"oneOf": [_ref("#/$defs/", message_name(kind)) for kind in SERVER]},
        "ClientMessage": {"oneOf": [_ref("#/$defs/", message_name(request)) for request in CLIENT]},
    }
    schema = {
        "$schema": DIALECT,
        "title": f"Messages of the relay, version {VERSION}",
        "description": "Each WebSocket text frame is one of these. "
        "Readers ignore types and fields that they do not know.",
        "oneOf": [_ref("#/$defs/", side) for side in sides],
        "$defs": sides | messages | types,
    }
    return _closed(schema) if closed else schema


def asyncapi() -> Schema:
    """Return the WebSocket as an AsyncAPI 3 document.

    It is written from the relay's point of view: the operation `send` is what the server sends. Polls are left out,
    because they travel over HTTP.
    """
    payloads, types = _generated("#/components/schemas/")
    messages = {
        name: {
            "name": kind.value,
            "contentType": "application/json",
            "summary": _summary(payloads[name]["properties"]["data"], types),
            "payload": payloads[name],
        }
        for name, kind, _ in _all_messages()
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
        "components": {"messages": messages, "schemas": types},
    }


def message_name(kind: Kind | Request) -> str:
    """The name of a message in the schema: `TaskStateMessage` for TASK_STATE, `TaskJoinRequest` for TASK_JOIN."""
    name = "".join(word.capitalize() for word in kind.name.split("_"))
    return name + ("Message" if isinstance(kind, Kind) else "Request")


def _generated(prefix: str, *others: type) -> tuple[dict[str, Schema], dict[str, Schema]]:
    """Return the messages in their envelopes, and the types that these and `others` are made of; both by name.

    A type is referred to by `prefix` and its name.
    """
    declared = {name: data for name, _, data in _all_messages()} | {kind.__name__: kind for kind in others}
    declared |= {"Time": Time, "Envelope": Envelope}
    made, shared = TypeAdapter.json_schemas(
        [(name, "validation", TypeAdapter(kind)) for name, kind in declared.items()],
        ref_template=prefix + "{model}",
    )
    schemas: dict[str, Schema] = {name: _tidied(schema) for (name, _), schema in made.items()}
    types: dict[str, Schema] = _tidied(shared["$defs"])
    envelope = types.pop("Envelope")["properties"]
    reply_to = {"type": "string", "maxLength": MAX_REQUEST_ID}
    messages = {}
    for name, kind, _ in _all_messages():
        fields = {"type": {"const": kind.value}, "data": schemas[name]}
        required = ["type", "data"]
        if isinstance(kind, Kind):
            fields |= {"at": schemas["Time"], "replyTo": reply_to}
        else:
            fields["id"] = envelope["id"]
            if _accepts_nothing(schemas[name], types):
                required.remove("data")
        messages[name] = {"type": "object", "properties": fields, "required": required}
    return messages, dict(sorted(types.items()))


def _all_messages() -> Iterator[tuple[str, Kind | Request, Any]]:
    for kind, data in SERVER.items():
        yield message_name(kind), kind, data
    for request, data in CLIENT.items():
        yield message_name(request), request, data


def _accepts_nothing(data: Schema, types: dict[str, Schema]) -> bool:
    """Return whether `{}` is valid data, so that a client may leave `data` out."""
    return "$ref" in data and not types[_name(data)].get("required")


def _summary(data: Schema, types: dict[str, Schema]) -> str:
    """Return the description of a message; of a choice without one, the description of the first alternative."""
    while "description" not in data:
        data = types[_name(data)] if "$ref" in data else data["anyOf"][0]
    return str(data["description"])


def _tidied(node: Any) -> Any:
    """Return a schema without what pydantic derives from Python names: titles, and defaults that say "absent"."""
    if isinstance(node, list):
        return [_tidied(one) for one in node]
    if not isinstance(node, dict):
        return node
    tidy = {}
    for key, value in node.items():
        if (key == "title" and isinstance(value, str)) or (
            key == "default" and not value and value is not False
        ):
            continue
        tidy[key] = (
            " ".join(value.split()) if key == "description" and isinstance(value, str) else _tidied(value)
        )
    return tidy


def _closed(node: Any) -> Any:
    """Return a schema whose objects have no other fields than those it names."""
    if isinstance(node, list):
        return [_closed(one) for one in node]
    if not isinstance(node, dict):
        return node
    closed = {key: _closed(value) for key, value in node.items()}
    if closed.get("type") == "object" and "additionalProperties" not in closed:
        closed["additionalProperties"] = False
    return closed


def _operation(action: str, kinds: dict[Any, Any]) -> Schema:
    messages = [_ref("#/channels/relay/messages/", message_name(kind)) for kind in kinds]
    return {"action": action, "channel": _ref("#/channels/", "relay"), "messages": messages}


def _name(reference: Schema) -> str:
    return str(reference["$ref"]).rpartition("/")[2]


def _ref(prefix: str, name: str) -> Schema:
    return {"$ref": prefix + name}
