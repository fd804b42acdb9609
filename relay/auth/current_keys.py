"""The keys that verify tokens at present: those of a source that a reload of the settings may replace."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Union

from relay.auth.keys import FixedKeys, KeySet, key_source
from relay.config import Settings
from relay.errors import StartupError

if TYPE_CHECKING:
    from relay.auth.jwks import RemoteKeys  # its HTTP client costs time and memory

Source = Union["FixedKeys", "RemoteKeys"]

# The settings that say where the keys come from, and which of them may be used.
_OF_KEYS = ("relay_jwt_secret", "relay_jwt_public_key", "relay_jwks_url", "relay_jwt_algorithms")


class CurrentKeys:
    """Provides the verifier of tokens with the keys of the source that these settings name, and after a reload with
    those of another one (`relay.auth.tokens.KeySource`).

    `run` must be running as a task. The constructor raises StartupError like `key_source`.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._source: Source = key_source(settings)
        self._replaced = asyncio.Event()

    def current(self) -> KeySet | None:
        """Return the keys to verify tokens with now, or None before the first ones have been fetched."""
        return self._source.current()

    def awaits_newer(self, token_digest: bytes) -> bool:
        """Return whether newer keys may still come that verify a token which no current key verifies."""
        return self._source.awaits_newer(token_digest)

    async def first(self, timeout_s: float) -> None:
        """Wait until the first keys are there, but for at most `timeout_s` seconds."""
        await self._source.first(timeout_s)

    async def run(self) -> None:
        """Let the source fetch its keys, if it does. Ends only by cancellation."""
        while True:
            self._replaced.clear()
            async with asyncio.TaskGroup() as group:
                fetching = group.create_task(self._source.run())
                await self._replaced.wait()
                fetching.cancel()

    async def read(self, settings: Settings) -> Source:
        """Read the keys that these settings name, and return their source, for `use`.

        Raises StartupError if they cannot be read or fetched. If they are fetched from the same URL as before, they are
        only fetched now; that may fail, and the keys of the last fetch stay.
        """
        is_same = settings.relay_jwks_url is not None and all(
            getattr(settings, name) == getattr(self._settings, name) for name in _OF_KEYS
        )
        source = self._source if is_same else await asyncio.to_thread(key_source, settings)
        await source.refresh()
        if source.current() is None and not is_same:
            raise StartupError("RELAY_JWKS_URL: no keys can be fetched from there; the log has the reason.")
        return source

    def use(self, source: Source, settings: Settings) -> bool:
        """Use the keys of this source, which `read` has returned for these settings, from now on. Return whether they
        are others than those before."""
        before, keys = self._source.current(), source.current()
        self._settings = settings
        if source is not self._source:
            self._source = source
            self._replaced.set()
        return keys is not None and not keys.is_like(before)
