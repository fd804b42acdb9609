"""Settings, from the environment. Inert data: nothing is opened or read here but the environment.

A bad value names the variable, what is wrong with it and what is accepted, and never shows a secret.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from relay.errors import StartupError

SHARED_SECRET_ALGORITHMS = ("HS256", "HS384", "HS512")
MIN_SECRET_BYTES = 32


def _long_enough(secret: SecretStr) -> SecretStr:
    if len(secret.get_secret_value().encode()) < MIN_SECRET_BYTES:
        raise ValueError(f"must be at least {MIN_SECRET_BYTES} bytes long")
    return secret


def _shared_secret_only(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names or not set(names) <= set(SHARED_SECRET_ALGORITHMS):
        raise ValueError(f"must name some of {', '.join(SHARED_SECRET_ALGORITHMS)}, separated by commas")
    return names


def _origins(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if "://" not in name or name.endswith("/") or "*" in name:
            raise ValueError("must be exact origins such as https://app.example.com, without a path")
    return names


def _split(value: object) -> object:
    return (
        tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value
    )


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
    relay_host: str = Field("127.0.0.1", min_length=1)
    relay_port: int = Field(8080, ge=0, le=65535)  # 0: any free port
    relay_public_url: str = ""

    relay_jwt_secret: Annotated[SecretStr, AfterValidator(_long_enough)] | None = None
    relay_jwt_algorithms: Annotated[CommaSeparated, AfterValidator(_shared_secret_only)] = ("HS256",)
    relay_jwt_issuer: str | None = None
    relay_jwt_audience: str | None = None
    relay_allowed_origins: Annotated[CommaSeparated, AfterValidator(_origins)] = ()

    relay_max_message_bytes: int = Field(65_536, ge=1024)  # a longer frame closes with 1009
    relay_max_tasks_per_connection: int = Field(200, ge=1)  # one more gets error too_many_tasks
    relay_outbox_max_bytes: int = Field(1_048_576, ge=65_536)  # past it the connection lags
    relay_stall_timeout_ms: int = Field(30_000, ge=100)  # a socket that takes nothing for so long: close 4408
    relay_list_update_min_interval_ms: int = Field(100, ge=0)  # between two list updates of one task
    relay_drain_ms: int = Field(5_000, ge=0)  # between the notice of a planned stop and its closes
    relay_auth_timeout_ms: int = Field(5_000, ge=100)  # no token by then: close 4408
    relay_heartbeat_ms: int = Field(25_000, ge=100)
    relay_ping_interval_ms: int = Field(20_000, ge=100)
    relay_ping_timeout_ms: int = Field(8_000, ge=100)
    relay_messages_per_second: int = Field(20, ge=1)
    relay_known_tasks_max: int = Field(100_000, ge=1)  # the least recently changed are read again
    relay_max_text_length: int = Field(1_000, ge=10)  # characters of a summary's text; the rest is cut

    relay_log_format: Literal["console", "json"] = "console"
    relay_log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"


def load(**overrides: object) -> Settings:
    """The settings of this environment, single ones overridden by keyword (None: not given).

    Raises StartupError, one sentence for the first value that will not do.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(**given)  # type: ignore[arg-type]
    except ValidationError as failure:
        problem = failure.errors(include_url=False, include_input=False, include_context=False)[0]
        name = str(problem["loc"][0]).upper()
        reason = problem["msg"].removeprefix("Value error, ")
        raise StartupError(f"{name}: {reason[:1].lower()}{reason[1:]}.") from None
