"""A server that speaks MongoDB's wire protocol to a real driver, and answers what a test says."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import bson

Command = dict[str, Any]
Answers = Callable[[Command], Command]

_HEADER = struct.Struct("<iiii")  # length, request, the request that is answered, kind of the message
_QUERY, _REPLY, _MESSAGE = 2004, 1, 2013


@asynccontextmanager
async def played(answers: Answers) -> AsyncIterator[str]:
    """Serve the answers of this function on a port of this machine, and yield the server's "host:port".

    The function gets each command as a dictionary. The driver's first command on a connection is `hello`, under one of
    its names.
    """

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                length, request, _, kind = _HEADER.unpack(await reader.readexactly(_HEADER.size))
                body = await reader.readexactly(length - _HEADER.size)
                if kind == _QUERY:  # flags, the name of the collection, two numbers, and the command
                    answer = bson.encode({"ok": 1, **answers(bson.decode(body[body.index(b"\0", 4) + 9 :]))})
                    body, kind = struct.pack("<iqii", 8, 0, 0, 1) + answer, _REPLY
                else:  # flags, the kind of the section, and the command
                    answer = bson.encode({"ok": 1, **answers(bson.decode(body[5:]))})
                    body, kind = struct.pack("<ib", 0, 0) + answer, _MESSAGE
                writer.write(_HEADER.pack(_HEADER.size + len(body), 0, request, kind) + body)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield "{}:{}".format(*server.sockets[0].getsockname())
    finally:
        server.close()


def name_of(command: Command) -> str:
    """Return the name of a command; "hello" under each of its names."""
    name = next(iter(command))
    return "hello" if name.lower() in ("hello", "ismaster") else name
