"""Write the messages and requests of the wire as Markdown, and read the JSON Schema that the relay publishes.

Everything is made from that schema, and so from the declaration in relay/protocol.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from relay.protocol.messages import CLIENT, SERVER
from relay.protocol.schema import json_schema, message_name
from relay.protocol.types import Kind, Request

Schema = dict[str, Any]
DEFS: dict[str, Schema] = json_schema()["$defs"]
SIDES = {"ServerMessage": SERVER, "ClientMessage": CLIENT}


# Tables of Markdown


def requests(_: str) -> str:
    """Return the table of what a client sends."""
    return _messages_table(CLIENT)


def messages(_: str) -> str:
    """Return the table of what the server sends."""
    return _messages_table(SERVER)


def types(names: str) -> str:
    """Return the table of the types with these names, as in `TaskSummary Event`."""
    rows = [f"| `{name}` | {_data(DEFS[name])} | {DEFS[name]['description']} |" for name in names.split()]
    return "\n".join(["| type | fields | what it is |", "| --- | --- | --- |", *rows])


def _messages_table(side: Mapping[Any, Any]) -> str:
    rows = []
    for kind in side:
        data = envelope(kind)["data"]
        rows.append(f"| `{kind.value}` | {_data(data)} | {_description(data)} |")
    return "\n".join(["| type | data | what it says |", "| --- | --- | --- |", *rows])


def _description(data: Schema) -> str:
    if "description" in data:
        return str(data["description"])
    return " ".join(_description(DEFS[name_of(one)]) for one in choice(data) or [data])


def _data(schema: Schema) -> str:
    """Return an object with its fields, or the alternatives of a union."""
    return " or ".join(f"`{_fields(one)}`" for one in _objects(schema))


def _objects(schema: Schema) -> Iterator[Schema]:
    for one in choice(schema) or [schema]:
        yield DEFS[name_of(one)] if "$ref" in one else one


def _fields(shape: Schema) -> str:
    fields, required = dict(shape["properties"]), shape.get("required", ())
    summary = DEFS["TaskSummary"]["properties"]
    inherited = ["…TaskSummary"] if shape["properties"].keys() > summary.keys() else []
    named = [
        f"{name}{'' if name in required else '?'}: {_words(field)}{_default(field)}"
        for name, field in fields.items()
        if not (inherited and name in summary)
    ]
    return "{" + ", ".join(named + inherited) + "}"


def _default(field: Schema) -> str:
    return f" = {literal(field['default'])}" if "default" in field else ""


def _words(schema: Schema) -> str:
    """Return the type of a field in the words of JSON."""
    if "$ref" in schema:
        return name_of(schema)
    if alternatives := choice(schema):
        return " or ".join(map(_words, alternatives))
    if "const" in schema:
        return literal(schema["const"])
    match schema:
        case {"enum": values}:
            return " or ".join(map(literal, values))
        case {"type": "array", "items": items}:
            return f"[{_words(items)}]{_range(schema, 'minItems', 'maxItems')}"
        case {"type": "object", "additionalProperties": dict(values)}:
            return f"{{string: {_words(values)}}}"
        case {"format": "date-time"}:
            return "time"
        case {"type": "string"}:
            return "string" + _range(schema, "minLength", "maxLength")
        case {"type": "integer"}:
            return "integer" + _range(schema, "minimum", "maximum")
        case {"type": str(name)}:
            return name
    return "any JSON"


def _range(schema: Schema, least: str, most: str) -> str:
    if most in schema:
        return f" ({schema[least]}–{schema[most]})" if least in schema else f" (≤ {schema[most]})"
    return f" (≥ {schema[least]})" if least in schema else ""


# The schema


def envelope(kind: Kind | Request) -> dict[str, Schema]:
    """Return the fields of a message or request: `type`, `data` and those beside them."""
    properties: dict[str, Schema] = DEFS[message_name(kind)]["properties"]
    return properties


def is_message(name: str) -> bool:
    """Return whether this type is a message or request in its envelope."""
    return "type" in DEFS[name].get("properties", {}) and "const" in DEFS[name]["properties"]["type"]


def choice(schema: Schema) -> list[Schema]:
    """Return the alternatives of a union; none for any other schema."""
    return [] if "type" in schema else schema.get("anyOf") or schema.get("oneOf") or []


def references(schema: Any) -> Iterator[str]:
    """Return the names of the types that this schema is made of, without those that these are made of."""
    if isinstance(schema, list):
        for one in schema:
            yield from references(one)
    elif isinstance(schema, dict):
        if "$ref" in schema:
            yield name_of(schema)
        for one in schema.values():
            yield from references(one)


def name_of(reference: Schema) -> str:
    """Return the name of the type that a reference leads to."""
    return str(reference["$ref"]).rpartition("/")[2]


def literal(value: Any) -> str:
    """Return a constant as JSON."""
    return json.dumps(value)
