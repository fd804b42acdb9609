"""`relay check`: can relays share a change stream through the configured Redis?"""

from __future__ import annotations

from collections.abc import Iterator

from relay.cli.check.examination import Examination, problem
from relay.cli.check.report import Finding
from relay.config import Settings

MIB = 1024 * 1024


async def ask(examination: Examination) -> None:
    """Ask Redis what it is, and try what the relay needs of it."""
    assert examination.bus is not None
    # Imported here, because the client of Redis is an extra.
    from relay.source.shared.redis_reach import Unusable
    from relay.source.shared.redis_stream import REDIS_ERRORS

    try:
        server = await examination.bus.ask()
    except Unusable as failure:
        examination.add(problem(failure.diagnosis))
    except REDIS_ERRORS as failure:
        examination.add(
            Finding(
                "redis",
                "warning",
                f"it does not answer ({type(failure).__name__})",
                "Until it does, each relay follows MongoDB itself.",
            )
        )
    else:
        examination.add(
            *judge(server.version, server.max_bytes, evicts=server.evicts, settings=examination.settings)
        )


def judge(version: str, max_bytes: int, *, evicts: bool, settings: Settings) -> Iterator[Finding]:
    """Judge a Redis that can be used, by its version (empty: not known), its limit of memory in bytes (0: none), and
    whether it removes keys at this limit."""
    yield Finding("redis", "ok", f"{version or 'it'} can be used to share the change stream")
    if settings.relay_redis_encryption == "off":
        yield Finding(
            "redis",
            "warning",
            "changes are not encrypted in it",
            "Everyone who can read this Redis can read the documents; set RELAY_REDIS_KEY and leave out "
            "RELAY_REDIS_ENCRYPTION.",
        )
    kept = settings.relay_redis_max_bytes
    if 0 < max_bytes < 2 * kept:
        yield Finding(
            "redis",
            "warning",
            f"its memory is limited to {max_bytes // MIB:,} MiB, for up to {kept // MIB:,} MiB of changes",
            "Raise its maxmemory or lower RELAY_REDIS_MAX_BYTES: without memory, each relay follows MongoDB itself.",
        )
    elif max_bytes and evicts:
        yield Finding(
            "redis",
            "note",
            "at its limit of memory it removes the shared change stream like any other key",
            "Relays read from MongoDB what they lack then; with maxmemory-policy noeviction they need not.",
        )
