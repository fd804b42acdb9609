"""Parse `RELAY_REDIS_URL` and `RELAY_REDIS_KEY`, and make a client of that Redis. Connects to nothing.

Rule of this file: errors are in the relay's own words, because the client's messages may quote a password.
"""

from __future__ import annotations

import base64
import binascii
import ssl
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from relay.config import Settings
from relay.errors import StartupError
from relay.source.shared.seal import KEY_BYTES

NO_URL = "RELAY_REDIS_URL is not a URL of Redis"
_ESCAPED = "in a user or a password, / is written as %2F, ? as %3F, # as %23, @ as %40 and % as %25"
CONNECT_S, ANSWER_S = 1.0, 2.0  # time limits; the second is longer than a read of the stream waits
DEFAULT_PORT = 6379
_CHOICES = {"ssl_check_hostname": ("true", "false"), "ssl_cert_reqs": ("required", "none")}
_OPTIONS = ("db", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_password", *_CHOICES)


def client_of(settings: Settings) -> Redis:
    """Make a client of the configured Redis. It connects when it is first used, and never repeats a command.

    Raises StartupError if the URL cannot be used.
    """
    url = settings.relay_redis_url.get_secret_value()
    _check(url)
    # RESP2, because RESP3 would let the server send messages that the relay has no use for.
    options: dict[str, Any] = {"protocol": 2, "retry": Retry(NoBackoff(), 0)}
    try:
        return Redis.from_url(
            url, socket_timeout=ANSWER_S, socket_connect_timeout=CONNECT_S, max_connections=4, **options
        )
    except Exception:
        raise StartupError(f"{NO_URL}.") from None


def place_of(settings: Settings) -> str:
    """Return where the configured Redis is, for logs: host and port, or the path of its socket."""
    try:
        parts = urlsplit(settings.relay_redis_url.get_secret_value())
        shown = parts.path if parts.scheme == "unix" else f"{parts.hostname}:{parts.port or DEFAULT_PORT}"
    except ValueError:
        shown = ""
    return shown if shown.isprintable() else "the host of RELAY_REDIS_URL"


def keys_of(settings: Settings) -> list[bytes]:
    """Return the keys for the entries, the one that encrypts first; none if they are not to be encrypted.

    Raises StartupError if a key is missing or is not one.
    """
    if settings.relay_redis_encryption == "off":
        return []
    given = [text.strip() for text in settings.relay_redis_key.get_secret_value().split(",")]
    keys = [_key(text) for text in given if text]
    if not keys:
        raise StartupError(
            "RELAY_REDIS_KEY is not set: the relays keep changes of documents in Redis for a minute, and encrypt them "
            "with it. `openssl rand -base64 32` makes one; RELAY_REDIS_ENCRYPTION=off does without."
        )
    return keys


def _key(text: str) -> bytes:
    for decode in (binascii.unhexlify, lambda text: base64.b64decode(text, validate=True)):
        try:
            key = decode(text)
        except (binascii.Error, ValueError):
            continue
        if len(key) == KEY_BYTES:
            return key
    raise StartupError(
        "RELAY_REDIS_KEY: each key is 32 random bytes in base64 or hexadecimal; `openssl rand -base64 32` makes one. "
        "Several are separated by commas."
    )


def _check(url: str) -> None:
    """Raise StartupError if the URL is malformed, or has an option that the relay does not know."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise StartupError(f"{NO_URL}: its port is not a number from 1 to 65535; {_ESCAPED}.") from None
    if parts.scheme not in ("redis", "rediss", "unix"):
        raise StartupError(f"{NO_URL}: it begins with redis://, rediss:// (with TLS) or unix://.")
    if parts.fragment or port == 0 or (not parts.path if parts.scheme == "unix" else not parts.hostname):
        raise StartupError(f"{NO_URL}, such as redis://user:password@redis.example.com:6379/0; {_ESCAPED}.")
    if parts.username and not parts.password:
        raise StartupError(f"{NO_URL}: it names a user without a password.")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if parts.scheme != "unix" and parts.path.strip("/"):
        options.setdefault("db", unquote(parts.path.strip("/")))
    for name, value in options.items():
        if name not in _OPTIONS:
            raise StartupError(f"RELAY_REDIS_URL has an unknown option. It may have {', '.join(_OPTIONS)}.")
        if name in _CHOICES and value not in _CHOICES[name]:
            raise StartupError(f"RELAY_REDIS_URL: {name} is {' or '.join(_CHOICES[name])}.")
        if name.startswith("ssl_") and parts.scheme != "rediss":
            raise StartupError(f"RELAY_REDIS_URL: {name} is for TLS, so the URL begins with rediss://.")
    if not options.get("db", "0").isdecimal():
        raise StartupError("RELAY_REDIS_URL: the database of Redis is a number, such as 0.")
    _check_files(options)


def _check_files(options: dict[str, str]) -> None:
    """Raise StartupError if a file that an option names is not what the option needs."""
    if "ssl_keyfile" in options and "ssl_certfile" not in options:
        raise StartupError("RELAY_REDIS_URL: ssl_keyfile needs ssl_certfile.")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if "ssl_ca_certs" in options:
            context.load_verify_locations(options["ssl_ca_certs"])
        if "ssl_certfile" in options:
            # Without a password OpenSSL would ask for one on the terminal.
            context.load_cert_chain(
                options["ssl_certfile"], options.get("ssl_keyfile"), options.get("ssl_password", "")
            )
    except ssl.SSLError:
        raise StartupError(
            "RELAY_REDIS_URL: ssl_ca_certs is a file with certificates, ssl_certfile one with a certificate; its "
            "private key is in ssl_keyfile or in the same file, and ssl_password opens it. All are PEM."
        ) from None
    except (OSError, ValueError):
        raise StartupError("RELAY_REDIS_URL: a file that it names cannot be read.") from None
