"""Values of every BSON type, mostly edge cases, and BSON that the driver cannot decode."""

from __future__ import annotations

import struct
from datetime import datetime
from typing import Any

import bson
from bson import (
    Binary,
    Code,
    DatetimeMS,
    DBRef,
    Decimal128,
    Int64,
    MaxKey,
    MinKey,
    ObjectId,
    Regex,
    Timestamp,
)
from bson.raw_bson import RawBSONDocument


def raw(*fields: bytes) -> bytes:
    """Return the BSON of a document with these encoded fields."""
    body = b"".join(fields)
    return struct.pack("<i", len(body) + 5) + body + b"\0"


def field(kind: int, name: str, value: bytes) -> bytes:
    return bytes([kind]) + name.encode() + b"\0" + value


def string(value: bytes) -> bytes:
    return struct.pack("<i", len(value) + 1) + value + b"\0"


# A binary of subtype 2 whose inner length is 99 although it has two bytes. mongod stores it, but no driver decodes it.
UNDECODABLE = struct.pack("<i", 6) + b"\x02" + struct.pack("<i", 99) + b"ab"


def in_value(value: Any) -> bytes:
    """Return the BSON of a value: its type byte, then its bytes."""
    encoded = bson.encode({"": value})
    return encoded[4:5] + encoded[6:-1]


def document(fields: dict[str, bytes]) -> RawBSONDocument:
    """Return a document of values that are already BSON, each beginning with its type byte."""
    return RawBSONDocument(raw(*(field(value[0], name, value[1:]) for name, value in fields.items())))


def nested(depth: int) -> Any:
    value: Any = "deep"
    for level in range(depth):
        value = {"type": value} if level % 2 else [value]
    return value


# BSON values by name, each beginning with its type byte.
VALUES: dict[str, bytes] = {
    **{
        name: in_value(value)
        for name, value in {
            "string": "merged",
            "empty string": "",
            "string with a zero": "mer\0ged",
            "long string": "é" * 5_000,
            "unrelated string": "task_",
            "int32": 5,
            "int64": Int64(2**63 - 1),
            "least int64": Int64(-(2**63)),
            "double": 1.5,
            "a large double": 1e300,
            "NaN": float("nan"),
            "infinity": float("-inf"),
            "decimal": Decimal128("1.5"),
            "decimal NaN": Decimal128("NaN"),
            "decimal sNaN": Decimal128("sNaN"),
            "decimal infinity": Decimal128("-Infinity"),
            "true": True,
            "null": None,
            "ObjectId": ObjectId("65f0c0ffee65f0c0ffee65f0"),
            "date": datetime(2026, 1, 2),
            "first date": datetime(1, 1, 1),
            "date past 9999": DatetimeMS(2**62),
            "date before 1": DatetimeMS(-(2**62)),
            "last date": DatetimeMS(2**63 - 1),
            "timestamp": Timestamp(2**32 - 1, 2**32 - 1),
            "regex": Regex("me(rged", "imx"),
            "code": Code("merged"),
            "code with scope": Code("merged", {"a": 1}),
            "min": MinKey(),
            "max": MaxKey(),
            "binary": Binary(b"merged"),
            "uuid": Binary(bytes(16), 4),
            "short uuid": Binary(b"ab", 4),
            "old uuid": Binary(bytes(16), 3),
            "binary of a user-defined subtype": Binary(b"ab", 200),
            "object": {"a": {"b": 1}},
            "object like the fields": {"message": Code("x"), "question": Regex("x"), "type": Code("merged")},
            "empty object": {},
            "object with odd names": {"": 1, "a.b": 2, "$c": 3, "0": 4},
            "DBRef": DBRef("c", 1, "d"),
            "invalid DBRef": {"$ref": 5, "$id": 1},
            "array": ["merged", Code("merged"), None, 5],
            "empty array": [],
            "arrays in arrays": [[["merged"]], {"type": ["merged"]}],
            "objects in an array": [{"question": Code("why?")}, {"text": {"a": 1}}, DBRef("c", 2)],
            "deep": nested(150),
        }.items()
    },
    "undefined": b"\x06",
    "symbol": b"\x0e" + string(b"merged"),
    "invalid UTF-8": b"\x02" + string(b"mer\xffged"),
    "UTF-8 of a surrogate": b"\x02" + string(b"\xed\xa0\x80"),
    "code with invalid UTF-8": b"\x0d" + string(b"\xff"),
    "symbol with invalid UTF-8": b"\x0e" + string(b"\xff"),
    "DBPointer": b"\x0c" + string(b"c") + bytes(12),
    "regex with unknown options": b"\x0bme(\0qz\0",
    "decimal of all ones": b"\x13" + b"\xff" * 16,
    "undecodable": b"\x05" + UNDECODABLE,
    "undecodable in an object": b"\x03"
    + raw(field(5, "type", UNDECODABLE), field(2, "message", string(b"x"))),
    "undecodable in an array": b"\x04" + raw(field(2, "0", string(b"m")), field(5, "1", UNDECODABLE)),
    "undecodable in a scope": b"\x0f"
    + struct.pack("<i", 8 + len(string(b"f")) + len(raw(field(5, "x", UNDECODABLE))) - 4)
    + string(b"f")
    + raw(field(5, "x", UNDECODABLE)),
    "a name twice": b"\x03" + raw(field(2, "type", string(b"a")), field(5, "type", UNDECODABLE)),
    "an array with invalid indexes": b"\x04" + raw(field(2, "7", string(b"a")), field(2, "q", string(b"b"))),
}
