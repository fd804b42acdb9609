"""Four spellings of one contract: PROTOCOL.md, the Python types, the JavaScript types, and the JSON Schema."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import pytest
from jsonschema import Draft202012Validator

from relay.protocol import messages, schema
from relay.protocol.types import Close, ErrorCode, Event, Kind, Limits, Request, TaskSummary

RELAY = Path(__file__).parents[3] / "relay"
PROTOCOL = (RELAY / "PROTOCOL.md").read_text("utf-8")
JAVASCRIPT = (RELAY / "web" / "client" / "protocol.js").read_text("utf-8")
KINDS = {kind.value for kind in Kind}
REQUESTS = {request.value for request in Request}


def section(number: int) -> str:
    found = re.search(rf"^## {number}\..*?(?=^## |\Z)", PROTOCOL, re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[0]


def rows(text: str) -> list[list[str]]:
    """The cells of a table's rows, without its head."""
    lines = [line for line in text.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def fields(text: str) -> set[str]:
    """The names of the fields of the first `{…}` in a text, as `name?` where they may be absent."""
    start = text.index("{")
    depth, parts, part = 0, [], ""
    for character in text[start:]:
        depth += (character in "{[(<") - (character in "}])>")
        if depth == 0:
            break
        if character == "," and depth == 1:
            parts.append(part)
            part = ""
        elif depth > 1 or character != "{":
            part += character
    names = {re.sub(r"[:\s].*", "", one.strip(), flags=re.DOTALL) for one in (*parts, part)}
    return {name for name in names if re.fullmatch(r"\w+\??", name)}


def fields_of(kind: Any) -> set[str]:
    """The names of the fields of a type, as `name?` where they may be absent."""
    shape = schema.schema_of(kind)
    return {name if name in shape.get("required", ()) else f"{name}?" for name in shape["properties"]}


def names(found: set[str]) -> set[str]:
    return {name.rstrip("?") for name in found}


def alternatives(kind: Any) -> tuple[Any, ...]:
    """The types that a union is made of, without what `Annotated` adds."""
    if get_origin(kind) is Annotated:
        return alternatives(get_args(kind)[0])
    return tuple(one for arm in get_args(kind) for one in alternatives(arm)) or (kind,)


# The types themselves


def test_every_type_of_the_wire_has_the_type_of_its_data() -> None:
    assert set(messages.SERVER) == set(Kind)
    assert set(messages.CLIENT) == set(Request)


@pytest.mark.parametrize("closed", [False, True])
def test_the_schema_is_one_of_2020_12(closed: bool) -> None:
    Draft202012Validator.check_schema(schema.json_schema(closed=closed))


def test_the_schema_names_every_type_of_the_wire() -> None:
    defs = schema.json_schema()["$defs"]
    for side, types in (("ServerMessage", KINDS), ("ClientMessage", REQUESTS)):
        named = [defs[one["$ref"].removeprefix("#/$defs/")] for one in defs[side]["oneOf"]]
        assert {one["properties"]["type"]["const"] for one in named} == types


def test_the_asyncapi_document_leads_somewhere_with_every_reference() -> None:
    document = schema.asyncapi()
    references = re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document))
    assert references
    for reference in references:
        found = document
        for name in reference.split("/"):
            found = found[name]


# PROTOCOL.md


def test_the_tables_name_every_request() -> None:
    assert {name for row in rows(section(4)) for name in re.findall(r"`([\w:]+)`", row[0])} == REQUESTS


def test_the_tables_name_every_message() -> None:
    told = {name for row in rows(section(5)) for name in re.findall(r"`([\w:]+)`", row[0])}
    answers = {name for row in rows(section(4)) for name in re.findall(r"`([a-z_]+(?::\w+)?)[ `]", row[2])}
    assert told | answers == KINDS


@pytest.mark.parametrize("row", rows(section(5)), ids=lambda row: row[0])
def test_the_tables_name_the_fields_of_each_message(row: list[str]) -> None:
    for name in re.findall(r"`([\w:]+)`", row[0]):
        if name == Kind.LIST_UPDATED:
            upserted, removed = messages.ListUpserted, messages.ListRemoved
            assert fields_of(upserted) - fields_of(TaskSummary) == {"change"}
            assert fields_of(removed) == {"change", "taskId"}
        else:
            assert names(fields(row[1])) == names(fields_of(messages.SERVER[Kind(name)])), name


@pytest.mark.parametrize("row", rows(section(4)), ids=lambda row: row[0])
def test_the_tables_name_the_fields_of_each_request(row: list[str]) -> None:
    kind = alternatives(messages.CLIENT[Request(row[0].strip("`"))])[0]
    assert fields(row[1]) == fields_of(kind)


@pytest.mark.parametrize("kind", [TaskSummary, Event, Limits])
def test_the_shared_types_are_spelled_out(kind: Any) -> None:
    place = "limits: " if kind is Limits else f"{kind.__name__}: "
    told = fields(section(5)[section(5).index(place + ("{" if kind is Limits else "`{")) :])
    maybe_missing = {"title", "creator", "status"}  # "absent where it says nothing", as all the others
    assert {name for name in fields_of(kind) if name.rstrip("?") not in maybe_missing} == told - maybe_missing
    assert names(fields_of(kind)) == names(told)


@pytest.mark.parametrize(
    ("start", "kind"), [("`{dashboard", messages.Poll), ("`{messages", messages.PollAnswer)]
)
def test_the_bodies_of_a_poll_are_spelled_out(start: str, kind: Any) -> None:
    assert fields(section(8)[section(8).index(start) :]) == fields_of(kind)


def test_the_error_codes_and_the_close_codes_are_listed() -> None:
    (listed,) = re.findall(r"^Error codes: (.*)$", section(5), re.MULTILINE)
    assert {code.value for code in ErrorCode} <= set(re.findall(r"`(\w+)`", listed))
    closes = {int(code) for row in rows(section(7)) for code in re.findall(r"\b\d{4}\b", row[0])}
    assert {int(code) for code in Close} == closes


def example_frames() -> list[tuple[str, str]]:
    """Every whole frame in the text, and from which side it is."""
    spoken = re.findall(r"^([→←]) (\{.*\})$", PROTOCOL, re.MULTILINE)
    inline = re.findall(r"`(\{\"type\":\"[^`]*\})`", PROTOCOL)
    return [*spoken, *(("→", frame) for frame in inline)]


def test_there_are_examples_of_both_sides() -> None:
    assert {side for side, _ in example_frames()} == {"→", "←"}


@pytest.mark.parametrize(("side", "frame"), example_frames())
def test_every_example_is_true_of_the_schema(side: str, frame: str) -> None:
    closed = schema.json_schema(closed=True)
    spoken = "ClientMessage" if side == "→" else "ServerMessage"
    validator = Draft202012Validator({"$ref": f"#/$defs/{spoken}", "$defs": closed["$defs"]})
    assert [error.message for error in validator.iter_errors(json.loads(frame))] == []


# JavaScript


def javascript_union(name: str) -> set[str]:
    """The types of the wire in a union of messages."""
    found = re.search(
        rf"@typedef \{{((?:Message|Request)<(?:(?!@typedef).)*?)\}} {name}\b", JAVASCRIPT, re.DOTALL
    )
    assert found is not None
    heads = re.findall(r"(?:Message|Request)<((?:\s*\*?\s*\|?\s*\"[\w:]+\")+)", found[1])
    return {name for head in heads for name in re.findall(r'"([\w:]+)"', head)}


def javascript_fields(name: str) -> set[str]:
    """The fields of a typedef, written as properties or in braces."""
    inline = re.search(rf"@typedef \{{(\{{[^\n]*\}})\}} {name}\b", JAVASCRIPT)
    if inline is not None:
        return fields(inline[1])
    block = re.search(rf"@typedef {{object}} {name}\n(.*?)\*/", JAVASCRIPT, re.DOTALL)
    assert block is not None, name
    properties = re.findall(r"@property \{.*\} (\[?)(\w+)\]?$", block[1], re.MULTILINE)
    return {f"{one}?" if bracket else one for bracket, one in properties}


def test_the_javascript_client_knows_every_type_of_the_wire() -> None:
    assert javascript_union("ServerMessage") == KINDS
    assert javascript_union("ClientMessage") == REQUESTS


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("TaskSummary", TaskSummary),
        ("Event", Event),
        ("Welcome", messages.Welcome),
        ("DashboardState", messages.DashboardState),
        ("TaskState", messages.TaskState),
        ("EventAdded", messages.EventAdded),
        ("ListRemoved", messages.ListRemoved),
        ("ErrorData", messages.Error),
        ("TaskPosition", messages.TaskPosition),
    ],
)
def test_the_javascript_types_have_the_same_fields(name: str, kind: Any) -> None:
    assert javascript_fields(name) == fields_of(kind)
