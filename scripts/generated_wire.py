"""Write the messages and requests of the wire as Markdown and as types of the browser client.

Both are made from the JSON Schema that the relay publishes, and so from the declaration in relay/protocol.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from relay.protocol.messages import CLIENT, SERVER
from relay.protocol.schema import json_schema, message_name
from relay.protocol.types import Kind, Request

Schema = dict[str, Any]
DEFS: dict[str, Schema] = json_schema()["$defs"]
SIDES = {"ServerMessage": SERVER, "ClientMessage": CLIENT}
WIDTH = 110  # of a line in the file of types


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
        data = _envelope(kind)["data"]
        rows.append(f"| `{kind.value}` | {_data(data)} | {_description(data)} |")
    return "\n".join(["| type | data | what it says |", "| --- | --- | --- |", *rows])


def _description(data: Schema) -> str:
    if "description" in data:
        return str(data["description"])
    return " ".join(_description(DEFS[_name(one)]) for one in _choice(data) or [data])


def _data(schema: Schema) -> str:
    """Return an object with its fields, or the alternatives of a union."""
    return " or ".join(f"`{_fields(one)}`" for one in _objects(schema))


def _objects(schema: Schema) -> Iterator[Schema]:
    for one in _choice(schema) or [schema]:
        yield DEFS[_name(one)] if "$ref" in one else one


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
    return f" = {_literal(field['default'])}" if "default" in field else ""


def _words(schema: Schema) -> str:
    """Return the type of a field in the words of JSON."""
    if "$ref" in schema:
        return _name(schema)
    if alternatives := _choice(schema):
        return " or ".join(map(_words, alternatives))
    if "const" in schema:
        return _literal(schema["const"])
    match schema:
        case {"enum": values}:
            return " or ".join(map(_literal, values))
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


# Types of JavaScript (JSDoc)


def javascript() -> str:
    """Return the file `messages.js`. It has only types, so no browser ever loads it."""
    data_types = [name for name in DEFS if name not in SIDES and not _is_message(name)]
    blocks = [
        "// @ts-check\n"
        "// The messages and requests of the wire as types. scripts/generate writes this file from the declaration in\n"
        "// relay/protocol/messages.py and polls.py: change that one.",
        *(_data_type(name) for name in data_types),
        *(_message_type(kind) for side in SIDES.values() for kind in side),
        *(
            _comment([_SAYS[name], *_typedef([message_name(kind) for kind in side], " | ", name)])
            for name, side in SIDES.items()
        ),
        "export {};",
    ]
    return "\n\n".join(blocks) + "\n"


_SAYS = {
    "ServerMessage": "Everything that the server sends.",
    "ClientMessage": "Everything that a client may send.",
}


def _data_type(name: str) -> str:
    shape = DEFS[name]
    lines = textwrap.wrap(shape["description"], WIDTH)
    if not shape.get("properties"):
        return _comment([*lines, *_typedef(_typescript(shape).split(" | "), " | ", name)])
    lines.append(f"@typedef {{object}} {name}")
    for field, schema in shape["properties"].items():
        shown = field if field in shape.get("required", ()) else f"[{field}]"
        lines.append(f"@property {{{_typescript(schema)}}} {shown}")
    return _comment(lines)


def _message_type(kind: Kind | Request) -> str:
    name, required = message_name(kind), DEFS[message_name(kind)]["required"]
    first, *others = (
        f"{field}{'' if field in required else '?'}: {_typescript(schema)}"
        for field, schema in _envelope(kind).items()
    )
    return _comment(_typedef(["{" + first, *others[:-1], others[-1] + "}"], ", ", name))


def _typedef(parts: list[str], between: str, name: str) -> list[str]:
    """Return a type in one line, or each of its parts in a line of its own where that would be too long."""
    line = f"@typedef {{{between.join(parts)}}} {name}"
    if len(line) <= WIDTH:
        return [line]
    separator = "\n" + between.lstrip() if between.startswith(" ") else between.rstrip() + "\n"
    first, *others = separator.join(parts).split("\n")
    return [f"@typedef {{{first}", *(f"  {one}" for one in others[:-1]), f"  {others[-1]}}} {name}"]


def _typescript(schema: Schema) -> str:
    if "$ref" in schema:
        return _name(schema)
    if alternatives := _choice(schema):
        return " | ".join(map(_typescript, alternatives))
    if "const" in schema:
        return _literal(schema["const"])
    match schema:
        case {"enum": values}:
            return " | ".join(map(_literal, values))
        case {"type": "array", "items": items}:
            inner = _typescript(items)
            return f"({inner})[]" if " " in inner else f"{inner}[]"
        case {"type": "object", "additionalProperties": dict(values)}:
            return f"Record<string, {_typescript(values)}>"
        case {"type": "object"}:
            return "{}"
        case {"type": "integer"}:
            return "number"
        case {"type": str(name)}:
            return name
    return "any"


def _comment(lines: list[str]) -> str:
    if len(lines) == 1 and len(lines[0]) < WIDTH:
        return f"/** {lines[0]} */"
    return "\n".join(["/**", *(f" * {line}" for line in lines), " */"])


# Schemas


def _envelope(kind: Kind | Request) -> dict[str, Schema]:
    properties: dict[str, Schema] = DEFS[message_name(kind)]["properties"]
    return properties


def _is_message(name: str) -> bool:
    return "type" in DEFS[name].get("properties", {}) and "const" in DEFS[name]["properties"]["type"]


def _choice(schema: Schema) -> list[Schema]:
    return [] if "type" in schema else schema.get("anyOf") or schema.get("oneOf") or []


def _name(reference: Schema) -> str:
    return str(reference["$ref"]).rpartition("/")[2]


def _literal(value: Any) -> str:
    return json.dumps(value)
