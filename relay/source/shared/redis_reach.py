"""Ask the configured Redis, at the start, whether relays can share a change stream through it. Does I/O."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import (
    AuthenticationError,
    ClusterError,
    InvalidResponse,
    MovedError,
    NoPermissionError,
    ReadOnlyError,
    ResponseError,
)

from relay.source.shared.redis_stream import REDIS_ERRORS

OLDEST_VERSION = (6, 2)
LEAST_RIGHTS = (
    "~relay:v1:* +get +set +del +pexpire +xadd +xread +xrange +xrevrange +xlen +xtrim +eval "
    "+ping +info +select"
)
_TRIAL_MS = 1_000
# What the scripts of `redis_stream.py` do, on a key that nothing else uses.
_TRIAL = """
redis.call('SET', KEYS[1], 'x', 'PX', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[1])
redis.call('GET', KEYS[1])
redis.call('DEL', KEYS[1])
redis.call('XADD', KEYS[1], '1-1', 'entry', '', 'total', '0')
redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)
redis.call('XTRIM', KEYS[1], 'MINID', '~', '0-1')
redis.call('XTRIM', KEYS[1], 'MAXLEN', redis.call('XLEN', KEYS[1]))
redis.call('DEL', KEYS[1])
"""


class Unusable(Exception):
    """This Redis cannot be used as it is configured. The message is a sentence without its full stop."""


@dataclass(frozen=True, slots=True)
class Server:
    """What a Redis or Valkey says about itself. `version` is empty if the user may not ask for it.

    `max_bytes` is the limit of its memory, 0 for none; `evicts` says that it removes any key at this limit.
    """

    version: str
    max_bytes: int
    evicts: bool


async def reach(client: Redis, name: str) -> Server:
    """Ask Redis what it is, and try what the relay needs of it, for the stream `name` ("database.collection").

    Raises Unusable for what only a change of the configuration can mend, and one of REDIS_ERRORS otherwise.
    """
    asked: Any = client
    key = f"relay:v1:{{{name}}}:trial"
    try:
        await asked.ping()
        try:
            about = {**await asked.info("server"), **await asked.info("memory")}
        except NoPermissionError:
            about = {}
        server = _server(about)
        await asked.eval(_TRIAL, 1, key, _TRIAL_MS)
        await asked.xread({key: "0-0"}, count=1, block=1)
        await asked.xrevrange(key, count=1)
        await asked.xlen(key)
    except REDIS_ERRORS as failure:
        why = _why(failure)
        if why is None:
            raise
        raise Unusable(why) from failure
    return server


def _server(about: dict[str, Any]) -> Server:
    name = "Valkey" if "valkey_version" in about else "Redis"
    version = str(about.get("valkey_version") or about.get("redis_version") or "")
    numbers = [int(part) for part in version.split(".")[:2] if part.isdecimal()]
    if numbers and tuple(numbers) < OLDEST_VERSION:
        raise Unusable(f"RELAY_REDIS_URL: Redis {version} is too old; it has to be 6.2 or newer, or Valkey")
    policy = str(about.get("maxmemory_policy", ""))
    return Server(
        f"{name} {version}" if version else "", int(about.get("maxmemory", 0)), policy.startswith("allkeys")
    )


def _why(failure: BaseException) -> str | None:
    """Return a sentence for a failure that lasts until somebody changes the configuration; None for any other."""
    # The messages of Redis are not shown: they may contain the name of a user.
    said = str(failure)
    for cause in _causes(failure):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return (
                "RELAY_REDIS_URL: the certificate of Redis is not trusted, or is for another name; ssl_ca_certs is "
                "the file of the authority that signed it"
            )
        if isinstance(cause, ssl.SSLError):
            return (
                "RELAY_REDIS_URL: TLS with Redis fails; perhaps it has no TLS on this port, or wants a certificate "
                "(ssl_certfile)"
            )
    match failure:
        case AuthenticationError():
            return "RELAY_REDIS_URL: Redis refuses the user or the password, or wants one"
        case NoPermissionError():
            return f"RELAY_REDIS_URL: its user lacks rights in Redis; the relay needs {LEAST_RIGHTS}"
        case ResponseError() if "ACL failure" in said or "can't run this command or subcommand" in said:
            return f"RELAY_REDIS_URL: its user lacks rights in Redis; the relay needs {LEAST_RIGHTS}"
        case MovedError():
            return (
                "RELAY_REDIS_URL: this node of a Redis Cluster does not have the relay's keys; name the node that has "
                "the slot, or use a Redis that is not a cluster"
            )
        case InvalidResponse():
            return "RELAY_REDIS_URL: what answers there is not a Redis"
        case ReadOnlyError() | ClusterError():
            return None  # it may be promoted, or come up, at any moment
        case ResponseError() if "nknown command" in said or "yntax error" in said:
            return "RELAY_REDIS_URL: this server lacks commands of Redis 6.2"
        case ResponseError() if "DB index" in said:
            return "RELAY_REDIS_URL: Redis has no database with this number"
    return None


def _causes(failure: BaseException | None) -> Iterator[BaseException]:
    while failure is not None:
        yield failure
        failure = failure.__cause__ or failure.__context__
