"""What a reload of the settings changes: which settings take effect at once, which need a restart, and what the log
says about it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from relay.config import Settings
from relay.errors import StartupError

log = logging.getLogger(__name__)

# Of these, something is opened, counted or started once, at the start: ports, connections to databases, processes, and
# the file descriptors and the memory that all connections share.
NEED_RESTART = frozenset(
    {
        *("relay_settings_file", "relay_mongo_url", "relay_mongo_database", "relay_tasks_collection"),
        *("relay_redis_url", "relay_redis_key", "relay_redis_encryption", "relay_redis_max_bytes"),
        *("relay_bus_fallback", "relay_host", "relay_port", "relay_public_url", "relay_admin_port"),
        *("relay_listen", "relay_workers", "relay_worker_ports"),
        *("relay_max_message_bytes", "relay_max_connections", "relay_known_tasks_max"),
    }
)
_OF_TLS = frozenset({"relay_tls_cert", "relay_tls_key", "relay_tls_key_password"})


@dataclass(frozen=True, slots=True)
class Reloaded:
    """The result of a reload: the names of the settings that have changed, as variables of the environment. Those in
    `changed` are in force, those in `need_restart` are not until the relay is restarted."""

    changed: tuple[str, ...]
    need_restart: tuple[str, ...]

    def answer(self) -> dict[str, Any]:
        """Return the body of the answer to `POST /admin/reload`."""
        return {"reloaded": True, "changed": [*self.changed], "needRestart": [*self.need_restart]}


def in_force(old: Settings, new: Settings) -> Settings:
    """Return the settings that are in force after a reload: the new ones, except those that need a restart."""
    return new.model_copy(update={name: getattr(old, name) for name in _needing_restart(old, new)})


def _needing_restart(old: Settings, new: Settings) -> frozenset[str]:
    """Return the names of the settings that cannot change: those of NEED_RESTART, and also those of TLS if ports would
    get it or lose it. Another certificate is served at once."""
    same = (old.relay_tls_cert is None) == (new.relay_tls_cert is None)
    return NEED_RESTART if same else NEED_RESTART | _OF_TLS


def differences(old: Settings, new: Settings) -> list[str]:
    """Return the names of the settings whose values differ."""
    return [name for name in Settings.model_fields if getattr(old, name) != getattr(new, name)]


def result(old: Settings, new: Settings, *, also: Iterable[str] = ()) -> Reloaded:
    """Return what a reload from the old to the new settings changes. `also` are settings with the same value, of which
    a file that they name has changed."""
    found = {*differences(old, new), *also}
    names = [name for name in Settings.model_fields if name in found]
    later = _needing_restart(old, new)
    return Reloaded(
        tuple(name.upper() for name in names if name not in later),
        tuple(name.upper() for name in names if name in later),
    )


class Reloads:
    """Executes the reloads of one process, one after the other, and logs what came of each.

    `read` returns the settings again, as `relay.config.load` does. `use` takes them, and uses all of them or, if it
    raises StartupError, none.
    """

    def __init__(self, read: Callable[[], Settings], use: Callable[[Settings], Awaitable[Reloaded]]) -> None:
        self._read = read
        self._use = use
        self._turn = asyncio.Lock()

    async def reload(self) -> Reloaded:
        """Read the settings again, use them, and return what has changed. Raises StartupError, which has been logged,
        if something cannot be used: then everything stays as it was."""
        async with self._turn:
            try:
                reloaded = await self._use(await asyncio.to_thread(self._read))
            except StartupError as failure:
                log.error(f"not reloaded: {failure}")
                raise
            log.info("reloaded", extra={"changed": [*reloaded.changed]})
            if reloaded.need_restart:
                log.warning(
                    "settings have changed that need a restart",
                    extra={"needRestart": [*reloaded.need_restart]},
                )
            return reloaded

    async def answer(self) -> dict[str, Any]:
        """Reload, and return the body of the answer to `POST /admin/reload`. Raises StartupError like `reload`."""
        return (await self.reload()).answer()
