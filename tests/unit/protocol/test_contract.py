"""One contract: PROTOCOL.md, the JSON Schema and the AsyncAPI document agree with the declaration of the wire.

The tables of PROTOCOL.md and the types of the browser client are generated; tests/project/test_generated.py keeps them
current.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from relay.protocol import messages, schema
from relay.protocol.types import Close, ErrorCode, Kind, Request

RELAY = Path(__file__).parents[3] / "relay"
PROTOCOL = (RELAY / "PROTOCOL.md").read_text("utf-8")
KINDS = {kind.value for kind in Kind}
REQUESTS = {request.value for request in Request}


def section(number: int) -> str:
    found = re.search(rf"^## {number}\..*?(?=^## |\Z)", PROTOCOL, re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[0]


def rows(text: str) -> list[list[str]]:
    """Return the cells of the rows of every table in a text, heads included."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


# The declaration, and the documents that are generated from it


def test_every_message_and_every_request_is_declared() -> None:
    assert set(messages.SERVER) == set(Kind)
    assert set(messages.CLIENT) == set(Request)


@pytest.mark.parametrize("closed", [False, True])
def test_the_schema_is_valid_json_schema_of_2020_12(closed: bool) -> None:
    Draft202012Validator.check_schema(schema.json_schema(closed=closed))


def test_the_schema_has_every_message_and_every_request() -> None:
    defs = schema.json_schema()["$defs"]
    for side, types in (("ServerMessage", KINDS), ("ClientMessage", REQUESTS)):
        named = [defs[one["$ref"].removeprefix("#/$defs/")] for one in defs[side]["oneOf"]]
        assert {one["properties"]["type"]["const"] for one in named} == types


def test_every_reference_of_the_asyncapi_document_leads_somewhere() -> None:
    document = schema.asyncapi()
    references = re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document))
    assert references
    for reference in references:
        found = document
        for name in reference.split("/"):
            found = found[name]


# PROTOCOL.md


def test_tables_have_a_row_for_every_request_and_every_message() -> None:
    for number, kinds in ((4, REQUESTS), (5, KINDS)):
        assert kinds <= {row[0].strip("`") for row in rows(section(number))}


def test_tables_have_a_row_for_every_type_that_another_row_names() -> None:
    fields = [row[1] for number in (4, 5, 8, 9) for row in rows(section(number))]
    rows_of_types = {row[0].strip("`") for number in (4, 5, 8, 9) for row in rows(section(number))}
    named = {name for cell in fields for name in re.findall(r"\b[A-Z]\w+", cell)}
    # These two are in the text: the error codes, and the table of messages itself.
    assert named - {"ErrorCode", "ServerMessage", "JSON"} <= rows_of_types


def test_the_document_lists_every_error_code_and_every_close_code() -> None:
    (listed,) = re.findall(r"^Error codes: (.*)$", section(5), re.MULTILINE)
    assert {code.value for code in ErrorCode} <= set(re.findall(r"`(\w+)`", listed))
    closes = {int(code) for row in rows(section(7)) for code in re.findall(r"\b\d{4}\b", row[0])}
    assert {int(code) for code in Close} == closes


def example_frames() -> list[tuple[str, str]]:
    """Return every whole frame in the text, with an arrow for the side that sends it."""
    spoken = re.findall(r"^([→←]) (\{.*\})$", PROTOCOL, re.MULTILINE)
    inline = re.findall(r"`(\{\"type\":\"[^`]*\})`", PROTOCOL)
    return [*spoken, *(("→", frame) for frame in inline)]


def test_the_document_has_examples_of_both_sides() -> None:
    assert {side for side, _ in example_frames()} == {"→", "←"}


@pytest.mark.parametrize(("side", "frame"), example_frames())
def test_every_example_is_valid_by_the_schema(side: str, frame: str) -> None:
    closed = schema.json_schema(closed=True)
    spoken = "ClientMessage" if side == "→" else "ServerMessage"
    validator = Draft202012Validator({"$ref": f"#/$defs/{spoken}", "$defs": closed["$defs"]})
    assert [error.message for error in validator.iter_errors(json.loads(frame))] == []
