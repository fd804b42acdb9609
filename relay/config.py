"""The settings of the relay, read from environment variables, the settings file, and files of secrets that these name.

Rules of this file: nothing is opened or read but the environment, the settings file (`relay/settings_file.py`), the
files of secrets (`relay/secret_files.py`), and for RELAY_WORKERS=auto the number of cores; the error for a bad value
names the variable, what is wrong, what is accepted and the value, unless that may be a secret.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from relay import jwt_secrets, secret_files, setting_values, settings_file, variables
from relay.errors import StartupError, but_is, first_problem
from relay.jwt_secrets import SHARED_SECRET_ALGORITHMS
from relay.setting_values import (
    MAX_PORT,
    PUBLIC_KEY_ALGORITHMS,
    UNIX_SOCKETS,
    Bytes,
    CommaSeparated,
    Count,
    Milliseconds,
)

KEY_SETTINGS = ("relay_jwt_secret", "relay_jwt_public_key", "relay_jwks_url")  # exactly one is set


class Settings(BaseSettings):
    """Everything an operator can set; each name is the environment variable in capitals."""

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True
    )

    _from_file: frozenset[str] = PrivateAttr(
        frozenset()
    )  # the fields whose values come from the settings file

    # The string below a setting is its entry in docs/reference/settings.md; `scripts/generate` copies it there.

    relay_settings_file: Path | None = None
    """A file with further settings: lines of `NAME=value` as in `deploy/relay.env`. A variable of the environment wins
    over the file. It is read when the relay starts and when it reloads: see
    [operating](../guides/operating.md#change-settings-without-a-restart)."""

    relay_mongo_url: SecretStr = SecretStr("")
    """The connection string of a replica set, MongoDB 6.0 or newer. Its options for hosts, credentials, TLS,
    compression, idle connections and the read preference are used. With `readPreference=secondaryPreferred`, the change
    stream and all reads go to a secondary: see [operating](../guides/operating.md#reading-from-secondaries). Options
    for timeouts, pools, read concern and decoding belong to the relay and are ignored with a warning."""
    relay_mongo_database: str = Field("app", min_length=1)
    """The database that holds the tasks."""
    relay_tasks_collection: str = Field("tasks", min_length=1)
    """The collection that holds the tasks."""
    relay_mapping: Path | None = None
    """A TOML file that says how to read your documents: see [mapping](../guides/mapping.md)."""

    relay_redis_url: SecretStr = SecretStr("")
    """A Redis (6.2 or newer) or Valkey through which any number of relays share one change stream of MongoDB:
    `redis://user:password@host:6379/0`, or `rediss://` with TLS (`?ssl_ca_certs=…`). See
    [operating](../guides/operating.md#several-machines). Without it each relay follows MongoDB itself."""
    relay_redis_key: SecretStr = SecretStr("")
    """The key with which changes are encrypted in Redis: 32 bytes in base64 or hexadecimal, the same for all relays.
    `openssl rand -base64 32` makes one. Several are separated by commas: the first encrypts, each decrypts."""
    relay_redis_encryption: Literal["on", "off"] = "on"
    """`off` writes changes to Redis without encryption. Everyone who can read Redis can then read the documents."""
    relay_redis_max_bytes: int = Field(268_435_456, ge=1_048_576, le=2**40)
    """Bytes of changes to keep in Redis. They are kept for at most a minute; past this, the oldest go earlier, and a
    relay that still needs them reads them from MongoDB."""
    relay_bus_fallback: Literal["tail", "wait"] = "tail"
    """What a relay does while the shared change stream cannot be used. `tail` follows MongoDB itself. `wait` lets it
    wait, and clients are told that it is `stale`: for many relays, which MongoDB could not serve all at once."""

    relay_host: Annotated[str, AfterValidator(setting_values.bare_address)] = Field("127.0.0.1", min_length=1)
    """The address to listen on. `::` accepts IPv6 and IPv4."""
    relay_port: int = Field(8080, ge=0, le=65535)
    """The port to listen on. 0 takes any free port."""
    relay_public_url: Annotated[str, AfterValidator(setting_values.public)] = ""
    """The relay's address as browsers see it, with `https://` or `http://`. Pages of its origin may always connect.
    Without it the relay uses the address it listens on."""
    relay_admin_port: int | None = Field(None, ge=0, le=65535)
    """Serve `/readyz` and `/metrics` on this port instead: one that only operators can reach. `/admin` is on this port
    only."""
    relay_admin_claim: Annotated[str, AfterValidator(setting_values.claim)] = "roles=admin"
    """The claim that a token needs for `/admin` on `RELAY_ADMIN_PORT`: a name or a path, as in
    `realm_access.roles=operator`, and the value that the claim has, or has in its list."""

    relay_listen: Annotated[str, AfterValidator(setting_values.unix_socket)] = ""
    """Listen on a Unix socket instead of `RELAY_HOST` and `RELAY_PORT`: `unix:/run/relay/relay.sock`, for a proxy on
    the same machine. Everyone who may enter its directory may connect, and with `unix:` in `RELAY_TRUSTED_PROXIES` also
    claim any client address, so let only the proxy enter it. Without `unix:`, all users together count as one address.
    It needs `RELAY_PUBLIC_URL`, because browsers cannot reach it."""

    relay_workers: Annotated[int, BeforeValidator(setting_values.workers)] = Field(1, ge=1, le=256)
    """Processes that serve clients, each on a core of its own. `auto` starts one for each core that the relay may use.
    See [operating](../guides/operating.md#every-core-of-a-machine)."""
    relay_worker_ports: Annotated[str, AfterValidator(setting_values.worker_ports)] = ""
    """Also give each worker an address of its own, for proxies that spread connections themselves: `9001` gives worker
    1 the port 9001, worker 2 the port 9002 and so on; `unix:/run/relay` the sockets `/run/relay/worker-1.sock` and so
    on."""

    relay_tls_cert: Path | None = None
    """Serve TLS with this certificate: a PEM file, with the certificates between it and the authority below it. It
    holds for all ports, also `RELAY_ADMIN_PORT`. See [operating](../guides/operating.md#tls)."""
    relay_tls_key: Path | None = None
    """The PEM file of the key of `RELAY_TLS_CERT`. Without it, the key is in the same file."""
    relay_tls_key_password: SecretStr = SecretStr("")
    """The password of an encrypted `RELAY_TLS_KEY`."""

    relay_jwt_secret: Annotated[SecretStr, AfterValidator(jwt_secrets.checked)] | None = None
    """The secret that tokens are signed with, at least 32 bytes. Up to three while it is being replaced, separated by
    blanks or in one line each: tokens of each are valid. Set exactly one of this and the next two."""
    relay_jwt_public_key: SecretStr | None = None  # a SecretStr, because somebody may paste the private key
    """The public key that tokens are verified with: PEM, or the path of a PEM file. Up to four while it is being
    replaced: further PEM blocks, or paths separated by blanks."""
    relay_jwks_url: Annotated[str, AfterValidator(setting_values.trustworthy)] | None = None
    """Where to fetch the public keys as a JSON Web Key Set: `https://…`, or `http://` on this machine."""
    relay_jwt_algorithms: Annotated[CommaSeparated, AfterValidator(setting_values.one_family)] = Field(
        default_factory=setting_values.default_algorithms
    )
    """Accepted algorithms, separated by commas: of HS256, HS384 and HS512, or of RS256, RS384, RS512, PS256, PS384,
    PS512, ES256, ES384, ES512 and EdDSA. The default is `HS256` with a secret and `RS256,ES256` with public keys."""
    relay_jwt_issuer: str | None = None
    """The `iss` that tokens must have. Not checked when unset."""
    relay_jwt_audience: str | None = None
    """The `aud` that tokens must have. Not checked when unset."""
    relay_jwt_max_age_s: int | None = Field(None, ge=1, le=366 * 24 * 3600)
    """The longest life of a token, in seconds from its `iat` to its `exp`. A token with a longer one, or without `iat`,
    is refused as `unauthenticated`. Not checked when unset."""
    relay_allowed_origins: Annotated[CommaSeparated, AfterValidator(setting_values.origins)] = ()
    """Further origins whose pages may connect, such as `https://app.example.com`, separated by commas. There is no
    wildcard."""

    relay_token_url: Annotated[str, AfterValidator(setting_values.address)] = ""
    """Where the dashboard asks your application for a token, with its cookies: a path such as `/live-token`, or a URL
    of the origin of `RELAY_PUBLIC_URL`. See [embedding](../guides/embedding.md#the-dashboard). Without it, users need a
    link with `#token=`."""
    relay_sign_in_url: Annotated[str, AfterValidator(setting_values.address)] = ""
    """Where the dashboard leads somebody who is signed out: a path, or a URL of any origin. The dashboard adds its own
    address as `return_to`."""
    relay_help_url: Annotated[str, AfterValidator(setting_values.help_address)] = ""
    """Where the dashboard leads somebody who sees no tasks or may not use it: a path, a URL, or an address such as
    `mailto:help@example.com`."""
    relay_frame_ancestors: Annotated[CommaSeparated, AfterValidator(setting_values.origins)] = ()
    """Origins whose pages may show the dashboard in a frame, such as `https://app.example.com`, separated by commas.
    Without it none may, not even those of the dashboard's own origin."""

    relay_max_message_bytes: Bytes = Field(65_536, ge=1024)
    """The largest frame a client may send. A larger one closes the connection with 1009."""
    relay_max_connections: Count = Field(20_000, ge=1)
    """Open connections in total. The next one is closed with 4430. The limit on open files may leave room for fewer:
    see [operating](../guides/operating.md#limits)."""
    relay_max_connections_per_user: Count = Field(50, ge=1)
    """Open connections of one user (`sub`). The next one is closed with 4430."""
    relay_max_connections_per_address: Count = Field(1_000, ge=1)
    """Open connections from one client address. The next one is closed with 4430."""
    relay_trusted_proxies: Annotated[CommaSeparated, AfterValidator(setting_values.networks)] = ()
    """Addresses or networks of proxies whose `X-Forwarded-For` names the client, separated by commas; `unix:` stands
    for the proxies on Unix sockets. Whoever connects from one of them may claim any client address. Without it, every
    user behind a proxy counts as the proxy's address."""
    relay_max_tasks_per_connection: Count = Field(200, ge=1)
    """Tasks that one connection may join. The next join is answered with `too_many_tasks`."""
    relay_messages_per_second: Count = Field(20, ge=1)
    """Requests per second of one connection; bursts may have twice as many. All connections and polls of one user
    together may ask as often for what is read from the database, with bursts of five times as many: enough for ten tabs
    that come back at once. A request above it is answered with `rate_limited`, a connection is closed with 4429."""
    relay_outbox_max_bytes: Bytes = Field(1_048_576, ge=65_536)
    """Bytes of live messages that may wait for one slow reader. Past this they are dropped, and states replace them
    when the connection reads again."""
    relay_stall_timeout_ms: Milliseconds = Field(30_000, ge=100)
    """A connection that reads nothing for this time is closed with 4408."""
    relay_list_update_min_interval_ms: Milliseconds = Field(100, ge=0)
    """The shortest time between two list updates of one task. The first is sent at once and the newest always follows;
    those in between are skipped."""

    relay_drain_ms: Milliseconds = Field(5_000, ge=0)
    """The time between the notice of a planned stop and the closing of connections. 0 closes at once."""
    relay_handshake_timeout_ms: Milliseconds = Field(10_000, ge=100)
    """A connection whose request has not arrived completely by then is cut."""
    relay_auth_timeout_ms: Milliseconds = Field(5_000, ge=100)
    """A WebSocket that has sent no token by then is closed with 4408."""
    relay_heartbeat_ms: Milliseconds = Field(25_000, ge=100)
    """The time between two `heartbeat` messages."""
    relay_ping_interval_ms: Milliseconds = Field(20_000, ge=100)
    """The time between two WebSocket pings."""
    relay_ping_timeout_ms: Milliseconds = Field(8_000, ge=100)
    """A client that has not answered a ping by then is disconnected."""
    relay_poll_wait_ms: int = Field(25_000, ge=0, le=25_000)
    """How long a poll waits when there is nothing new. Lower it where a proxy ends requests sooner."""

    relay_known_tasks_max: Count = Field(100_000, ge=1)
    """Tasks to keep in memory. A task outside it is read from the database when it changes."""
    relay_max_text_length: Count = Field(1_000, ge=10)
    """Characters of a string in a task's summary. The rest is cut, of a traceback of Python its middle."""
    relay_max_event_bytes: Bytes = Field(65_536, ge=1024)
    """The largest event, as JSON. Of a larger one, only type, time and size are sent."""

    feature_websocket_enabled: bool = True
    """`false` switches the live connection off for everyone."""
    feature_websocket_percent: int = Field(100, ge=0, le=100)
    """The share of users the live connection is on for. A larger share only adds users."""
    feature_websocket_users: CommaSeparated = ()
    """The `sub` of users it is on for whatever the share, separated by commas."""

    relay_log_format: Literal["console", "json"] = "console"
    """`json` writes one JSON object per line, for machines."""
    relay_log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """The lowest level to log. Tokens and documents are never logged, at any level."""

    @model_validator(mode="before")
    @classmethod
    def _without_accidents(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Remove values that are not meant as settings.

        A value that comes from a file often ends in a newline; a value that is empty without it counts as unset.
        Kubernetes sets RELAY_PORT to the address of a Service named "relay".
        """
        stripped = {
            name: _stripped(name, value) if isinstance(value, str) else value for name, value in given.items()
        }
        return {
            name: value
            for name, value in stripped.items()
            if not (isinstance(value, str) and (not value or variables.is_service_link(name, value)))
        }

    @field_validator("*", mode="before")
    @classmethod
    def _in_utf8(cls, value: object) -> object:
        # Python decodes bytes of the environment that are not UTF-8 as surrogates, which cannot be encoded again. The
        # driver, the hash of a password and the log would each fail later, in their own way.
        if isinstance(value, str) and any("\ud800" <= char <= "\udfff" for char in value):
            raise ValueError("must be UTF-8")
        return value

    @field_validator("relay_listen")
    @classmethod
    def _reachable(cls, text: str, info: ValidationInfo) -> str:
        if text and not info.data.get("relay_public_url", True):
            raise ValueError(
                "needs RELAY_PUBLIC_URL, the address of the proxy: browsers cannot reach a Unix socket"
            )
        return text

    @field_validator("relay_token_url")
    @classmethod
    def _of_the_same_origin(cls, text: str, info: ValidationInfo) -> str:
        """Return the path of a URL whose origin is that of RELAY_PUBLIC_URL. Any other one would be sent no cookies."""
        if not text or text.startswith("/"):
            return text
        origin = setting_values.origin(info.data.get("relay_public_url", ""))
        if not text.startswith(f"{origin}/") or not origin:
            raise ValueError("must be a path such as /live-token, or a URL of the origin of RELAY_PUBLIC_URL")
        return text.removeprefix(origin)

    @field_validator("relay_tls_cert")
    @classmethod
    def _not_on_unix_sockets(cls, path: Path | None, info: ValidationInfo) -> Path | None:
        for name in ("relay_listen", "relay_worker_ports"):
            if path is not None and info.data.get(name, "").startswith(UNIX_SOCKETS):
                raise ValueError(f"cannot be set together with {name.upper()}: a Unix socket has no TLS")
        return path

    @field_validator("relay_tls_key", "relay_tls_key_password")
    @classmethod
    def _of_a_certificate(
        cls, value: Path | SecretStr | None, info: ValidationInfo
    ) -> Path | SecretStr | None:
        if value and not info.data.get("relay_tls_cert", True):
            raise ValueError("needs RELAY_TLS_CERT, the certificate that it belongs to")
        return value

    @field_validator("relay_worker_ports")
    @classmethod
    def _one_port_for_each_worker(cls, text: str, info: ValidationInfo) -> str:
        workers = info.data.get("relay_workers", 1)
        if text.isdigit() and int(text) + workers - 1 > MAX_PORT:
            raise ValueError(f"must leave a port for each of the {workers} workers, up to {MAX_PORT}")
        return text

    @field_validator(*KEY_SETTINGS)
    @classmethod
    def _only_one_key(cls, value: object, info: ValidationInfo) -> object:
        others = [name.upper() for name in KEY_SETTINGS if info.data.get(name) is not None]
        if value is not None and others:
            raise ValueError(
                f"cannot be set together with {others[0]}: the relay verifies tokens with exactly one key"
            )
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
            for name in names:
                short = jwt_secrets.too_short(secret.get_secret_value(), name)
                if short is not None:
                    needed = SHARED_SECRET_ALGORITHMS[name]
                    raise ValueError(f"must not name {name} unless {short} has {needed} bytes or more")
        return names


# Settings whose value may be or contain a secret. It is never shown whole, and belongs in no file of open settings.
# The address of a key server may have a token in its path.
SECRETS = frozenset(
    name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)
) | {"relay_jwks_url"}


Source = Literal["default", "environment", "file"]


def source_of(settings: Settings, name: str) -> Source:
    """Return where the value of this setting comes from. `file` is the settings file, or one that NAME_FILE names."""
    if name not in settings.model_fields_set:
        return "default"
    return "file" if name in settings._from_file else "environment"


def secrets_of(settings: Settings) -> list[str]:
    """Return the values of SECRETS that are set, so that no sentence for the operator shows a part of them."""
    return _secrets_in({name: getattr(settings, name) for name in SECRETS})


def _secrets_in(values: dict[str, object]) -> list[str]:
    given = [values[name] for name in sorted(SECRETS) if values.get(name)]
    return [one.get_secret_value() if isinstance(one, SecretStr) else str(one) for one in given]


def _stripped(name: str, value: str) -> str:
    # A secret may begin or end with a space; only the line ending of a file is never part of it.
    keeps_blanks = name in ("relay_jwt_secret", "relay_tls_key_password")
    return value.rstrip("\r\n") if keeps_blanks else value.strip()


class _WithoutEnvironment(Settings):
    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


def unknown(settings: Settings | None = None) -> list[str]:
    """Return a sentence for each environment variable that looks like a setting but is not one, and for each name in
    the file of these settings that is none."""
    names = [name.upper() for name in Settings.model_fields]
    names += map(secret_files.variable, sorted(SECRETS))
    found = variables.warnings(os.environ, names)
    return found + (unknown_in_file(settings) if settings is not None else [])


def unknown_in_file(settings: Settings) -> list[str]:
    """Return a sentence for each name in the file of these settings that is not a setting."""
    if settings.relay_settings_file is None:
        return []
    names = [name.upper() for name in Settings.model_fields]
    names += map(secret_files.variable, sorted(SECRETS))
    return variables.warnings_of_file(settings_file.read(settings.relay_settings_file), names)


def warnings(settings: Settings | None = None) -> list[str]:
    """Return the sentences of `unknown`, and one for each of these settings that has no effect without another one."""
    found = unknown(settings)
    if settings is not None and UNIX_SOCKETS not in settings.relay_trusted_proxies:
        for name in ("relay_listen", "relay_worker_ports"):
            if getattr(settings, name).startswith(UNIX_SOCKETS):
                found.append(
                    f"All users who come through the Unix socket of {name.upper()} together count as one address: "
                    f"RELAY_TRUSTED_PROXIES does not name {UNIX_SOCKETS}"
                )
    return found


def load(**overrides: object) -> Settings:
    """Read the settings from the environment, those that it does not have from the settings file, and secrets from
    files that these name. Keywords override single settings; None overrides nothing.

    Raises StartupError with one sentence about the first value or file that cannot be used.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    if given.keys() & set(KEY_SETTINGS):
        given = dict.fromkeys(KEY_SETTINGS) | given  # this key replaces any in the environment
    of_file = _from_settings_file(given.get("relay_settings_file"))
    environment = {**of_file, **os.environ}
    secrets = secret_files.read(environment, SECRETS - given.keys())
    try:
        jwt_secrets.check_lines(secrets.get("relay_jwt_secret", ""))
    except ValueError as failure:
        raise StartupError(f"{secret_files.variable('relay_jwt_secret')}: {failure}.") from None
    plain = {name: of_file[name.upper()] for name in Settings.model_fields if name.upper() in of_file}
    settings = _made(Settings, plain | secrets | given, secrets)
    settings._from_file = frozenset((plain.keys() | secrets.keys()) - given.keys())
    return settings


def _from_settings_file(path: object) -> dict[str, str]:
    """Return the variables of the settings file that the environment does not have. `path` is its path, None for the
    one that the environment names, if any. Raises StartupError if it cannot be read."""
    # Ignore what Settings would ignore: then the value of the file counts.
    given = {
        name.upper(): value.strip()
        for name, value in os.environ.items()
        if value.strip() and not variables.is_service_link(name, value)
    }
    path = path or given.get(settings_file.VARIABLE)
    if not path:
        return {}
    of_file = settings_file.read(Path(str(path)))
    # A secret that the environment has, or names the file of, has neither in the settings file.
    pairs = [{name.upper(), secret_files.variable(name)} for name in Settings.model_fields]
    hidden = {one for pair in pairs if pair & given.keys() for one in pair}
    return {name: value for name, value in of_file.items() if value and name not in hidden}


def defaults(**given: object) -> Settings:
    """Return the default settings with these in their place, whatever the environment is. Raises like `load`."""
    return _made(_WithoutEnvironment, given)


def _made(kind: type[Settings], given: dict[str, object], from_files: Collection[str] = ()) -> Settings:
    try:
        return kind(**given)  # type: ignore[arg-type]
    except ValidationError as failure:
        _, location, reason = first_problem(failure)
        name = str(location[0])
        read: dict[str, object] = {key.lower(): value for key, value in os.environ.items()}
        secrets = _secrets_in(read | given)
        wrong = "" if name in SECRETS else but_is(failure.errors()[0]["input"], secrets)
        variable = secret_files.variable(name) if name in from_files else name.upper()
        raise StartupError(f"{variable}: {reason}{wrong}.") from None
