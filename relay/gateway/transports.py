"""What asyncio's transports keep of themselves when they are closed."""

from __future__ import annotations

import asyncio


def release(transport: asyncio.BaseTransport) -> None:
    """Let a lost connection's transport be freed at once. To be called from `connection_lost`.

    asyncio keeps a method of the transport in the transport itself, to choose how it reads and writes: a cycle
    of references, 1.4 KB for each connection, that waits for Python's collector. Nothing reads or writes after
    `connection_lost`, so the method is taken out. A transport that is not written in Python has none.
    """
    attributes = getattr(transport, "__dict__", {})
    for name in [name for name, value in attributes.items() if getattr(value, "__self__", None) is transport]:
        attributes[name] = None
