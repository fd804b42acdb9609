"""A server of a JWKS (JSON Web Key Set), as an identity provider has one."""

from __future__ import annotations

import asyncio
from typing import Self


class Issuer:
    """Serves a JWKS once it has a document; until then it drops every connection."""

    def __init__(self) -> None:
        self.document: bytes | None = None
        self.url = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/jwks"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if self.document is not None:
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + self.document)
            await writer.drain()
        writer.close()
