"""The metrics of a running relay, as tests read and await them."""

from __future__ import annotations

import asyncio
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable

from relay.app import Relay
from support.relay_fixture import SOON_S


async def metric(relay: Relay, name: str) -> float:
    """The sum of all samples with this name, or with this name and the labels that it goes on with."""
    trusting = ssl.create_default_context() if relay.url.startswith("https:") else None
    body = await asyncio.to_thread(
        lambda: urllib.request.urlopen(f"{relay.url}/metrics", context=trusting).read().decode()
    )
    name = name.rstrip()
    lines = [line for line in body.splitlines() if line.startswith(name)]
    return sum(float(line.split()[-1]) for line in lines if "{" in name or line[len(name)] in "{ ")


async def becomes(relay: Relay, name: str, holds: Callable[[float], bool]) -> None:
    """Wait until the metric has a value for which `holds` is true."""
    async with asyncio.timeout(SOON_S):
        while not holds(await metric(relay, name)):
            pass
