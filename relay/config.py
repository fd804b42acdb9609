"""Settings, from the environment. Inert data: nothing is opened or read here but the environment.

A bad value names the variable, what is wrong with it and what is accepted, and never shows a secret.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from relay import variables
from relay.auth.origins import origin_of, public_url
from relay.errors import StartupError

# The smallest secret of each, in bytes: as long as its hash (RFC 7518, 3.2).
SHARED_SECRET_ALGORITHMS = {"HS256": 32, "HS384": 48, "HS512": 64}
PUBLIC_KEY_ALGORITHMS = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA"),
)
KEY_SETTINGS = ("relay_jwt_secret", "relay_jwt_public_key", "relay_jwks_url")  # one of them
MIN_SECRET_BYTES = 32

# What a public key looks like when it is put where the secret belongs: everyone knows it, so
# everyone could sign with it.
_KEY_TEXT = re.compile(
    r"-\s?BEGIN [A-Z0-9 ]*(KEY|CERTIFICATE)|^\W*(ssh-|ecdsa-sha2-|sk-ssh-)|\"(kty|keys)\"\s*:", re.IGNORECASE
)
_KEY_OBJECTS = (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01", b"\x2a\x86\x48\xce\x3d\x02\x01", b"\x06\x03\x2b\x65\x70")


def _a_secret(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    if _KEY_TEXT.search(text) or _is_der_key(text):
        raise ValueError(
            "must be a random secret, and this is the text of a key; a public key goes into RELAY_JWT_PUBLIC_KEY"
        )
    if len(text.encode()) < MIN_SECRET_BYTES:
        raise ValueError(f"must be at least {MIN_SECRET_BYTES} bytes long; openssl rand -hex 32 makes one")
    return secret


def _is_der_key(text: str) -> bool:
    """Is it a key as PEM holds it, without the lines around it? (RSA, elliptic curves, Ed25519)"""
    try:
        der = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return False
    return der[:1] == b"\x30" and any(name in der[:40] for name in _KEY_OBJECTS)


def _one_family(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names or not (
        set(names) <= SHARED_SECRET_ALGORITHMS.keys() or set(names) <= {*PUBLIC_KEY_ALGORITHMS}
    ):
        raise ValueError(
            f"must name some of {', '.join(SHARED_SECRET_ALGORITHMS)}, or some of "
            f"{', '.join(PUBLIC_KEY_ALGORITHMS)}, separated by commas, and not of both"
        )
    return names


def _default_algorithms(given: dict[str, Any]) -> tuple[str, ...]:
    public = given.get("relay_jwt_public_key") is not None or given.get("relay_jwks_url") is not None
    return ("RS256", "ES256") if public else ("HS256",)


def _trustworthy(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("must be an address such as https://id.example.com/.well-known/jwks.json")
    if "@" in parts.netloc:
        raise ValueError("must not carry a user or a password")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(host)):
        raise ValueError("must begin with https:// (http:// is for this machine itself only)")
    return url


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _origins(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(origin_of(name) for name in names)


def _public(url: str) -> str:
    return public_url(url) if url else ""  # not set


def _bare_address(host: str) -> str:
    """Without the brackets that an IPv6 address has in a URL."""
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def _networks(names: tuple[str, ...]) -> tuple[str, ...]:
    try:
        trusted = [ipaddress.ip_network(name) for name in names]
    except ValueError:
        raise ValueError("must be addresses or networks such as 10.0.0.0/8, separated by commas") from None
    if any(network.prefixlen == 0 for network in trusted):
        raise ValueError("must not trust every address: anyone could write the header")
    return names


def _split(value: object) -> object:
    return (
        tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value
    )


# The most of a number is far beyond what is of use, and small enough for whatever is computed from it.
Milliseconds = Annotated[int, Field(le=24 * 3600 * 1000)]
Bytes = Annotated[int, Field(le=2**30)]
Count = Annotated[int, Field(le=10_000_000)]

# Lists are comma-separated in the environment.
CommaSeparated = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]


class Settings(BaseSettings):
    """Everything an operator can set; each name is the environment variable in capitals."""

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True
    )

    relay_mongo_url: SecretStr = SecretStr("")
    relay_mongo_database: str = Field("app", min_length=1)
    relay_tasks_collection: str = Field("tasks", min_length=1)
    relay_mapping: Path | None = None
    relay_host: Annotated[str, AfterValidator(_bare_address)] = Field("127.0.0.1", min_length=1)
    relay_port: int = Field(8080, ge=0, le=65535)  # 0: any free port
    relay_public_url: Annotated[str, AfterValidator(_public)] = ""
    relay_admin_port: int | None = Field(None, ge=0, le=65535)  # readiness and metrics there instead

    relay_jwt_secret: Annotated[SecretStr, AfterValidator(_a_secret)] | None = None
    relay_jwt_public_key: SecretStr | None = None  # PEM, or where it is; hidden, lest it be a private one
    relay_jwks_url: Annotated[str, AfterValidator(_trustworthy)] | None = None
    relay_jwt_algorithms: Annotated[CommaSeparated, AfterValidator(_one_family)] = Field(
        default_factory=_default_algorithms
    )
    relay_jwt_issuer: str | None = None
    relay_jwt_audience: str | None = None
    relay_allowed_origins: Annotated[CommaSeparated, AfterValidator(_origins)] = ()

    relay_max_message_bytes: Bytes = Field(65_536, ge=1024)  # a longer frame closes with 1009
    relay_max_connections: Count = Field(20_000, ge=1)  # one more closes with 4430, as with the next two
    relay_max_connections_per_user: Count = Field(50, ge=1)
    relay_max_connections_per_address: Count = Field(1_000, ge=1)
    relay_trusted_proxies: Annotated[
        CommaSeparated, AfterValidator(_networks)
    ] = ()  # whose X-Forwarded-For counts
    relay_max_tasks_per_connection: Count = Field(200, ge=1)  # one more gets error too_many_tasks
    relay_outbox_max_bytes: Bytes = Field(1_048_576, ge=65_536)  # past it the connection lags
    relay_stall_timeout_ms: Milliseconds = Field(
        30_000, ge=100
    )  # a socket that takes nothing for so long: close 4408
    relay_list_update_min_interval_ms: Milliseconds = Field(100, ge=0)  # between two list updates of one task
    relay_drain_ms: Milliseconds = Field(5_000, ge=0)  # between the notice of a planned stop and its closes
    relay_handshake_timeout_ms: Milliseconds = Field(
        10_000, ge=100
    )  # no request by then: the connection is cut
    relay_auth_timeout_ms: Milliseconds = Field(5_000, ge=100)  # no token by then: close 4408
    relay_heartbeat_ms: Milliseconds = Field(25_000, ge=100)
    relay_ping_interval_ms: Milliseconds = Field(20_000, ge=100)
    relay_ping_timeout_ms: Milliseconds = Field(8_000, ge=100)
    relay_poll_wait_ms: int = Field(25_000, ge=0, le=25_000)  # a poll with nothing new is answered then
    relay_messages_per_second: Count = Field(20, ge=1)
    relay_known_tasks_max: Count = Field(100_000, ge=1)  # the least recently changed are read again
    relay_max_text_length: Count = Field(1_000, ge=10)  # characters of a summary's text; the rest is cut
    relay_max_event_bytes: Bytes = Field(65_536, ge=1024)  # of a larger event only the size is sent

    feature_websocket_enabled: bool = True  # false: no live connection for anyone
    feature_websocket_percent: int = Field(100, ge=0, le=100)  # a stable share of the users
    feature_websocket_users: CommaSeparated = ()  # always in, by their sub

    relay_log_format: Literal["console", "json"] = "console"
    relay_log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @model_validator(mode="before")
    @classmethod
    def _as_meant(cls, given: dict[str, Any]) -> dict[str, Any]:
        """What is read from a file often ends in a newline, which is no part of it; what is empty then is not set.
        Kubernetes sets RELAY_PORT for a Service of the name relay, and means no setting of ours."""
        meant = {
            name: _stripped(name, value) if isinstance(value, str) else value for name, value in given.items()
        }
        return {
            name: value
            for name, value in meant.items()
            if not (isinstance(value, str) and (not value or variables.is_service_link(name, value)))
        }

    @field_validator("*", mode="before")
    @classmethod
    def _in_utf8(cls, value: object) -> object:
        # Python keeps bytes of the environment that are no UTF-8 as surrogates, which nothing can encode: the driver,
        # the hash of a password and the log would each fail in their own way, later.
        if isinstance(value, str) and any("\ud800" <= char <= "\udfff" for char in value):
            raise ValueError("must be text in UTF-8")
        return value

    @field_validator(*KEY_SETTINGS)
    @classmethod
    def _only_one_key(cls, value: object, info: ValidationInfo) -> object:
        others = [name.upper() for name in KEY_SETTINGS if info.data.get(name) is not None]
        if value is not None and others:
            raise ValueError(f"cannot be set together with {others[0]}; tokens are signed with one of them")
        return value

    @field_validator("relay_jwt_algorithms")
    @classmethod
    def _fit_the_key(cls, names: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        shared = set(names) <= SHARED_SECRET_ALGORITHMS.keys()
        secret = info.data.get("relay_jwt_secret")
        public = [name for name in KEY_SETTINGS[1:] if info.data.get(name) is not None]
        if public and shared:
            raise ValueError(f"must name some of {', '.join(PUBLIC_KEY_ALGORITHMS)} with {public[0].upper()}")
        if secret is not None and not shared:
            raise ValueError(f"must name some of {', '.join(SHARED_SECRET_ALGORITHMS)} with RELAY_JWT_SECRET")
        if secret is not None:
            length = len(secret.get_secret_value().encode())
            for name in names:
                if length < SHARED_SECRET_ALGORITHMS[name]:
                    needed = SHARED_SECRET_ALGORITHMS[name]
                    raise ValueError(
                        f"must not name {name} unless RELAY_JWT_SECRET has {needed} bytes or more"
                    )
        return names


def _stripped(name: str, value: str) -> str:
    # A secret is any text, and may begin or end with a space; only the end of its line is not meant.
    return value.rstrip("\r\n") if name == "relay_jwt_secret" else value.strip()


def warnings() -> list[str]:
    """A sentence for each variable of this environment that looks like a setting and is not read as one."""
    return variables.warnings(os.environ, [name.upper() for name in Settings.model_fields])


def load(**overrides: object) -> Settings:
    """The settings of this environment, single ones overridden by keyword (None: not given).

    Raises StartupError, one sentence for the first value that will not do.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    if given.keys() & set(KEY_SETTINGS):
        given = dict.fromkeys(KEY_SETTINGS) | given  # a key replaces whichever the environment names
    try:
        return Settings(**given)  # type: ignore[arg-type]
    except ValidationError as failure:
        problem = failure.errors(include_url=False, include_input=False, include_context=False)[0]
        name = str(problem["loc"][0]).upper()
        reason = problem["msg"].removeprefix("Value error, ")
        raise StartupError(f"{name}: {reason[:1].lower()}{reason[1:]}.") from None
