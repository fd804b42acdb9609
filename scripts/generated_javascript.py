"""Write the messages and requests of the wire as types of the browser client (JSDoc), from the schema of the relay.

Each file has only types, so no browser ever loads it. An application may say what its events hold: the types that
contain an event have a parameter for it, `E`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable
from pathlib import Path

from relay.protocol.messages import CLIENT, SERVER
from relay.protocol.schema import message_name
from relay.protocol.types import Kind, Request
from scripts.generated_wire import (
    DEFS,
    SIDES,
    Schema,
    choice,
    envelope,
    is_message,
    literal,
    name_of,
    references,
)

CLIENT_FOLDER = Path(__file__).parents[1] / "relay" / "web" / "client"
WIDTH = 110  # of a line
PARAMETER = "[E=AnyEvents]"

# In place of what the schema says of an event: there, `type` and `data` are those of any application.
EVENT = """
@typedef {string extends keyof E
  ? {type: string | null, at: string | null, data: any}
  : {[K in keyof E & string]: {type: K, at: string | null, data: E[K]}}[keyof E & string]} Event
"""
ANY_EVENTS = """
Events of any type with any data. An application that knows its events names them in a type of its own, as in
`{note: {text: string}}`: the data by the type of the event.
@typedef {Record<string, any>} AnyEvents
"""
EVERYTHING = """
Everything that the server sends. A newer relay may send more: ignore a type that is not here.
@template [E=AnyEvents]
@typedef {ServerMessages<E>[MessageType]} ServerMessage
"""
BY_TYPE = """
@typedef {keyof ServerMessages} MessageType
"""
MESSAGE_OF = """
@template {MessageType} K
@template [E=AnyEvents]
@typedef {ServerMessages<E>[K]} MessageOf
"""
DATA_OF = """
@template {MessageType} K
@template [E=AnyEvents]
@typedef {ServerMessages<E>[K]["data"]} MessageData
"""


def messages() -> str:
    """Return the file of what the server sends."""
    by_type = [f"{literal(kind.value)}: {_reference(message_name(kind))}" for kind in SERVER]
    return _file(
        "The messages of the server as types.",
        [
            _comment(ANY_EVENTS.strip().splitlines()),
            *(_data_type(name) for name in _made_of(SERVER)),
            *(_message_type(kind) for kind in SERVER),
            _comment(
                [
                    "Every message of the server, by its type.",
                    f"@template {PARAMETER}",
                    *_typedef(["{" + by_type[0], *by_type[1:-1], by_type[-1] + "}"], ", ", "ServerMessages"),
                ]
            ),
            *(_comment(text.strip().splitlines()) for text in (BY_TYPE, EVERYTHING, MESSAGE_OF, DATA_OF)),
        ],
    )


def requests() -> str:
    """Return the file of what a client sends."""
    union = _typedef([message_name(request) for request in CLIENT], " | ", "ClientMessage")
    return _file(
        "The requests of a client as types.",
        [
            *(_data_type(name) for name in _made_of(CLIENT)),
            *(_message_type(request) for request in CLIENT),
            _comment(["Everything that a client may send.", *union]),
        ],
    )


def polls() -> str:
    """Return the file of the bodies that travel over HTTP."""
    elsewhere = {*_made_of(SERVER), *_made_of(CLIENT), *SIDES}
    names = [name for name in DEFS if name not in elsewhere and not is_message(name)]
    foreign = sorted({one for name in names for one in references(DEFS[name])} - set(names))
    imports = "\n".join(_comment([f'@typedef {{import("./messages.js").{name}}} {name}']) for name in foreign)
    title = "The bodies of polls and of `GET /config` as types."
    return _file(title, [imports, *(_data_type(name) for name in names)])


FILES: dict[Path, Callable[[], str]] = {
    CLIENT_FOLDER / "messages.js": messages,
    CLIENT_FOLDER / "requests.js": requests,
    CLIENT_FOLDER / "polls.js": polls,
}


def _file(title: str, blocks: list[str]) -> str:
    made_from = (
        f"// @ts-check\n// {title} scripts/generate writes this file from the declaration in\n"
        "// relay/protocol/messages.py and polls.py: change that one."
    )
    return "\n\n".join([made_from, *blocks, "export {};"]) + "\n"


def _made_of(side: Iterable[Kind | Request]) -> list[str]:
    """Return the names of all types that the data of these messages are made of, sorted."""
    found: set[str] = set()
    open_ = [name for kind in side for name in references(envelope(kind))]
    while open_:
        name = open_.pop()
        if name not in found:
            found.add(name)
            open_ += references(DEFS[name])
    return sorted(found)


def _has_events(name: str) -> bool:
    """Return whether a type contains an event, so that it has the parameter `E`. A poll has events of any type."""
    if name in ("PollAnswer", "ServerMessage"):
        return False
    return name == "Event" or any(map(_has_events, references(DEFS[name])))


def _reference(name: str) -> str:
    return f"{name}<E>" if _has_events(name) else name


def _parameter(name: str) -> list[str]:
    return [f"@template {PARAMETER}"] if _has_events(name) else []


def _data_type(name: str) -> str:
    shape = DEFS[name]
    lines = [*textwrap.wrap(shape["description"], WIDTH), *_parameter(name)]
    if name == "Event":
        return _comment([*lines, *EVENT.strip().splitlines()])
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
        for field, schema in envelope(kind).items()
    )
    return _comment([*_parameter(name), *_typedef(["{" + first, *others[:-1], others[-1] + "}"], ", ", name)])


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
        return _reference(name_of(schema))
    if alternatives := choice(schema):
        return " | ".join(map(_typescript, alternatives))
    if "const" in schema:
        return literal(schema["const"])
    match schema:
        case {"enum": values}:
            return " | ".join(map(literal, values))
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
