"""What monitoring sends to the addresses for operators: GET and HEAD, in HTTP/1.1 and as old programs in HTTP/1.0."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from support.relay_fixture import SOON_S, running
from support.worker_processes import until, workers

PATHS = ("/healthz", "/readyz", "/metrics")


async def answer(base: str, head: str) -> bytes:
    """Send this to a relay and return everything that it answers until it closes the connection."""
    parts = urlsplit(base)
    async with asyncio.timeout(SOON_S):
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        try:
            writer.write(head.encode())
            return await reader.read()
        finally:
            writer.close()
            await writer.wait_closed()


async def good_answer(base: str, head: str) -> bytes:
    """Send this until the answer has status 200: that of /readyz has not if a worker takes seconds to answer."""
    return await until(lambda: answer(base, head), lambda found: found.split()[1] == b"200")


async def check(base: str, path: str) -> None:
    whole = await good_answer(base, f"GET {path} HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\r\n")
    assert whole.startswith(b"HTTP/1.1 200 ")
    assert whole.partition(b"\r\n\r\n")[2]
    head = await good_answer(base, f"HEAD {path} HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert head.endswith(b"\r\n\r\n"), "an answer to HEAD has no body"
    for method in ("GET", "HEAD"):
        for host in ("", "Host: relay\r\n"):
            old = await good_answer(base, f"{method} {path} HTTP/1.0\r\n{host}\r\n")
            assert b"transfer-encoding" not in old.lower(), "HTTP/1.0 has no chunks"
            assert bool(old.partition(b"\r\n\r\n")[2]) is (method == "GET")


async def test_operators_are_answered_on_the_port_of_clients(with_: Any) -> None:
    async with running(with_()) as relay:
        for path in PATHS:
            await check(relay.url, path)


async def test_operators_are_answered_on_a_port_of_their_own(with_: Any) -> None:
    async with running(with_(relay_admin_port=0)) as relay:
        await check(relay.url, "/healthz")
        for path in PATHS:
            await check(relay.admin_url, path)


async def test_operators_of_workers_are_answered(two_workers: dict[str, str], tmp_path: Path) -> None:
    async with workers(tmp_path, **two_workers) as relay:
        await relay.ready(2)
        for path in PATHS:
            await check(relay.url, path)


@pytest.mark.parametrize("request_line", ["POST /healthz HTTP/1.1", "DELETE /readyz HTTP/1.0"])
async def test_nothing_but_reading_is_answered(with_: Any, request_line: str) -> None:
    async with running(with_()) as relay:
        refused = await answer(relay.url, f"{request_line}\r\nHost: relay\r\nConnection: close\r\n\r\n")
    assert refused.split()[1] == b"405"
