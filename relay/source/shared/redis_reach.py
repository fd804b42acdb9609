"""Ask the configured Redis, at the start, whether relays can share a change stream through it. Does I/O."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.connection import SSLConnection
from redis.exceptions import (
    AuthenticationError,
    ClusterError,
    ConnectionError,
    InvalidResponse,
    MovedError,
    NoPermissionError,
    ReadOnlyError,
    ResponseError,
    TimeoutError,
)

from relay.source.diagnosis import Diagnosis, printable
from relay.source.shared.redis_stream import REDIS_ERRORS
from relay.source.shared.redis_url import CONNECT_S, DEFAULT_PORT

OLDEST_VERSION = (6, 2)
LEAST_RIGHTS = (
    "~relay:v1:* +get +set +del +xadd +xread +xrange +xrevrange +xlen +xtrim +eval +ping +info +select"
)
_REFUSED = Diagnosis(
    "redis",
    "Redis does not accept the user or the password of RELAY_REDIS_URL, or wants one",
    "correct them: redis://user:password@host, or redis://:password@host for the default user",
)
_NO_RIGHTS = Diagnosis(
    "redis", "the user of RELAY_REDIS_URL lacks rights in Redis", f"give it {LEAST_RIGHTS} with ACL SETUSER"
)
_UNTRUSTED = Diagnosis(
    "redis",
    "the certificate of Redis is not trusted, has expired or is for another name",
    "name the file of the authority that signed it with ?ssl_ca_certs= in RELAY_REDIS_URL",
)
_NO_TLS = Diagnosis(
    "redis",
    "TLS with Redis fails",
    "begin RELAY_REDIS_URL with redis:// if it has no TLS on this port, or name a certificate with ?ssl_certfile= if "
    "it wants one",
)
_PLAIN = Diagnosis(
    "redis", "Redis has no TLS on this port", "begin RELAY_REDIS_URL with redis://, or correct the port"
)
_WANTS_TLS = Diagnosis(
    "redis", "Redis wants TLS on this port", "begin RELAY_REDIS_URL with rediss://, or correct the port"
)
_CLUSTER = Diagnosis(
    "redis",
    "this node of a Redis Cluster does not have the relay's keys",
    "name in RELAY_REDIS_URL the node that has them, or better a Redis that is not a cluster",
)
_NO_REDIS = Diagnosis(
    "redis", "what answers at RELAY_REDIS_URL is not a Redis", "correct the host and the port"
)
_LACKS_COMMANDS = Diagnosis("redis", "this Redis lacks commands", "use 6.2 or newer, or Valkey")
_NO_DATABASE = Diagnosis("redis", "Redis has no database with this number", "correct it in RELAY_REDIS_URL")
_TRIAL_MS = 1_000
# What the scripts of `redis_stream.py` do, on a key that nothing else uses.
_TRIAL = """
redis.call('SET', KEYS[1], 'x', 'PX', ARGV[1])
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
    """This Redis cannot be used as it is configured. `diagnosis` says why, and what the operator can do."""

    def __init__(self, diagnosis: Diagnosis) -> None:
        super().__init__(str(diagnosis))
        self.diagnosis = diagnosis


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
        diagnosis = _why(failure) or await _about_tls(client, failure)
        if diagnosis is None:
            raise
        raise Unusable(diagnosis) from failure
    return server


def _server(about: dict[str, Any]) -> Server:
    name = "Valkey" if "valkey_version" in about else "Redis"
    version = str(about.get("valkey_version") or about.get("redis_version") or "")
    numbers = [int(part) for part in version.split(".")[:2] if part.isdecimal()]
    if numbers and tuple(numbers) < OLDEST_VERSION:
        raise Unusable(
            Diagnosis("redis", f"Redis {printable(version)} is too old", "use 6.2 or newer, or Valkey")
        )
    policy = str(about.get("maxmemory_policy", ""))
    return Server(
        f"{name} {version}" if version else "", int(about.get("maxmemory", 0)), policy.startswith("allkeys")
    )


def _why(failure: BaseException) -> Diagnosis | None:
    """Explain a failure that lasts until somebody changes the configuration; None for any other."""
    for cause in _causes(failure):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _UNTRUSTED
        if isinstance(cause, ssl.SSLError):
            return _NO_TLS
    # The messages of Redis are looked at and not shown: they may contain the name of a user.
    said = str(failure)
    match failure:
        case AuthenticationError():
            return _REFUSED
        case NoPermissionError():
            return _NO_RIGHTS
        case ResponseError() if "ACL failure" in said or "can't run this command or subcommand" in said:
            return _NO_RIGHTS
        case MovedError():
            return _CLUSTER
        case InvalidResponse():
            return _NO_REDIS
        case ReadOnlyError() | ClusterError():
            return None  # it may be promoted, or come up, at any moment
        case ResponseError() if "nknown command" in said or "yntax error" in said:
            return _LACKS_COMMANDS
        case ResponseError() if "DB index" in said:
            return _NO_DATABASE
    return None


async def _about_tls(client: Redis, failure: BaseException) -> Diagnosis | None:
    """Return what is wrong with TLS if the server answers in another way than the client has tried.

    A server without TLS waits for the end of a line that never comes; one with TLS closes the connection, also that of
    a client whose certificate it lacks. All of them look as if the server were away.
    """
    pool = client.connection_pool
    options = pool.connection_kwargs
    if not isinstance(failure, ConnectionError | TimeoutError) or "host" not in options:
        return None
    place = options["host"], options.get("port", DEFAULT_PORT)
    anyone = ssl.create_default_context()
    anyone.check_hostname, anyone.verify_mode = False, ssl.CERT_NONE
    if not issubclass(pool.connection_class, SSLConnection):
        return None if await _first_byte(*place, anyone) is None else _WANTS_TLS
    if await _first_byte(*place, None) in (b"+", b"-"):
        return _PLAIN
    is_cut_off = "ssl_certfile" not in options and await _first_byte(*place, anyone) == b""
    return _NO_TLS if is_cut_off else None


async def _first_byte(host: str, port: int, context: ssl.SSLContext | None) -> bytes | None:
    """Return the first byte of the answer to PING: empty if the server closes the connection; None if it does not
    accept one, with this TLS or without, or is silent."""
    try:
        async with asyncio.timeout(CONNECT_S):
            reader, writer = await asyncio.open_connection(host, port, ssl=context)
            try:
                writer.write(b"PING\r\n")
                return await reader.read(1)
            except ConnectionResetError:
                return b""
            finally:
                writer.transport.abort()
    except OSError:  # also a TimeoutError, or an error of TLS
        return None


def _causes(failure: BaseException | None) -> Iterator[BaseException]:
    while failure is not None:
        yield failure
        failure = failure.__cause__ or failure.__context__
