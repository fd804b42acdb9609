"""What the parent tells a new child to be: its settings, and the descriptors that it has inherited."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from relay.config import Settings


@dataclass(frozen=True, slots=True)
class WorkerAssignment:
    """The assignment of one worker, as it travels over the control channel.

    `settings` are those of the parent (see `plain`). `sockets` are the descriptors of the listening sockets that the
    worker serves; the first is that of the clients' port. `counts` is the descriptor of the memory in which the workers
    count together, and `counts_slot` the slot of this worker there. `feed` is the path of the Unix socket from which it
    receives the change stream.
    """

    settings: dict[str, Any]
    name: str  # the number of the worker, from 1 on
    sockets: list[int]
    counts: int
    counts_slot: int
    feed: str


@dataclass(frozen=True, slots=True)
class TailerAssignment:
    """The assignment of the tailer, as it travels over the control channel.

    `settings` are those of the parent (see `plain`). `listening` is the descriptor of the listening Unix socket through
    which the tailer passes the change stream on. `directory` is the private directory of that socket, which the tailer
    removes if it finds the parent dead.
    """

    settings: dict[str, Any]
    name: str
    listening: int
    directory: str


def plain(settings: Settings) -> dict[str, Any]:
    """Return all settings by name, secrets included, as values that JSON can carry."""
    return {name: _plain(getattr(settings, name)) for name in Settings.model_fields}


def restored(settings: dict[str, Any]) -> Settings:
    """Return the settings from which `plain` made these values, whatever the environment of this process contains."""
    return Settings(**settings)


def _plain(value: object) -> object:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return str(value) if isinstance(value, Path) else value
