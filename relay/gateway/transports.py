"""Cleaning up asyncio's transports after their connection has ended."""

from __future__ import annotations

import asyncio


def release(transport: asyncio.BaseTransport) -> None:
    """Break the reference cycle of a closed transport. To be called from `connection_lost`.

    asyncio stores a bound method of the transport in the transport itself, to choose how it reads and writes. This
    cycle keeps 1.4 KB for each connection until Python's garbage collector runs. Nothing is read or written after
    `connection_lost`, so the method can be removed. A transport that is not written in Python has no such attribute.
    """
    attributes = getattr(transport, "__dict__", {})
    for name in [name for name, value in attributes.items() if getattr(value, "__self__", None) is transport]:
        attributes[name] = None
