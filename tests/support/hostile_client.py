"""A client that sends what it should not: handshakes and requests byte for byte, and how the relay ends them."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from typing import Any

import orjson

from support.raw_client import CLOSE, TEXT, frame, handshake, tcp_connection, upgraded
from support.relay_fixture import SOON_S


def bearer(text: str) -> str:
    return f"Authorization: Bearer {text}"


async def get(url: str, method: str = "GET", **headers: str) -> tuple[int, Any, bytes]:
    def ask() -> tuple[int, Any, bytes]:
        request = urllib.request.Request(
            url, method=method, headers={name.replace("_", "-"): value for name, value in headers.items()}
        )
        try:
            with urllib.request.urlopen(request, timeout=SOON_S) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as answer:
            with answer:
                return answer.code, answer.headers, answer.read()

    return await asyncio.to_thread(ask)


async def status_of(url: str, path: str, *headers: str, host: str = "x") -> int:
    async with tcp_connection(url) as peer:
        peer.send(handshake(path, *headers, host=host))
        return (await peer.answer())[0]


async def ending_of(url: str, path: str = "/ws", *headers: str) -> tuple[int, str]:
    """The code and reason with which the relay closes a WebSocket after this handshake, without a welcome."""
    async with upgraded(url, path, *headers, sub=None) as peer:
        while True:
            opcode, payload = await peer.frame()
            if opcode == CLOSE:
                return int.from_bytes(payload[:2], "big"), payload[2:].decode()
            assert json.loads(payload)["type"] != "welcome"


def text_frame(kind: str, data: Any = None, **more: Any) -> bytes:
    return frame(TEXT, orjson.dumps({"type": kind, "data": data or {}, **more}))
