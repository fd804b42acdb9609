"""Say what is wrong with a request, with a path and in the words of JSON. Pure.

`tasks[3].since: expected an integer ≥ 0`. The path is where pydantic found the first error; what is expected there is
read from the JSON Schema of the request, so that the sentence names every bound of the declaration.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from relay.protocol.messages import RULE

Schema = dict[str, Any]


def sentence(invalid: ValidationError, adapter: TypeAdapter[Any]) -> str:
    """Return one sentence about the first error. It quotes nothing that the client sent but the path."""
    error = invalid.errors(include_url=False, include_context=False, include_input=False)[0]
    if error["type"] == RULE:
        return error["msg"]
    # The tag of a union is part of pydantic's path. It is no part of the JSON, and written "<tag>" in messages.py.
    path = [step for step in error["loc"] if isinstance(step, int) or not step.startswith("<")]
    expected = "expected " + _described(_at(_schema(adapter), path))
    if error["type"] == "missing":
        expected = "missing, " + expected
    return f"{_written(path)}: {expected}" if path else expected


@lru_cache(maxsize=32)  # one for each adapter; made when the first error needs it
def _schema(adapter: TypeAdapter[Any]) -> Schema:
    return adapter.json_schema()


def _written(path: list[int | str]) -> str:
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return "".join(steps).removeprefix(".")


def _at(schema: Schema, path: list[int | str]) -> list[Schema]:
    """Return the alternatives that the schema allows at a path."""
    alternatives = list(_alternatives(schema, schema))
    for step in path:
        if isinstance(step, int):
            inner = [one["items"] for one in alternatives if "items" in one]
        else:
            inner = [one["properties"][step] for one in alternatives if step in one.get("properties", {})]
        alternatives = [found for one in inner for found in _alternatives(one, schema)]
    return alternatives


def _alternatives(schema: Schema, root: Schema) -> Iterator[Schema]:
    """Yield the schemas of which a value has to match one, without null: it only stands for an absent field."""
    if "$ref" in schema:
        yield from _alternatives(root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    elif "type" not in schema:
        for one in schema.get("anyOf") or schema["oneOf"]:
            yield from _alternatives(one, root)
    elif schema["type"] != "null":
        yield schema


def _described(alternatives: list[Schema]) -> str:
    return " or ".join(dict.fromkeys(map(_described_one, alternatives)))


def _described_one(schema: Schema) -> str:
    match schema:
        case {"type": "integer", "minimum": low, "maximum": high}:
            return f"an integer from {low} to {high}"
        case {"type": "integer", "minimum": low}:
            return f"an integer ≥ {low}"
        case {"type": "string", "minLength": low, "maxLength": high}:
            return f"a string of {low} to {high} characters"
        case {"type": "string", "maxLength": high}:
            return f"a string of at most {high} characters"
        case {"type": "string", "pattern": pattern}:
            return f"a string that matches {pattern}"
        case {"type": "array", "minItems": low, "maxItems": high}:
            return f"an array of {low} to {high} elements"
        case {"type": "array", "maxItems": high}:
            return f"an array of at most {high} elements"
        case {"type": "object"}:
            return "an object"
        case {"type": str(name)}:
            return f"a {name}"
    raise AssertionError(f"a schema that no request uses: {schema}")
