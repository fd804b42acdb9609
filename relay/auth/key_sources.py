"""Where the keys come from: the settings, or a JWKS that is fetched in the background.

Rules of this file: nobody who asks ever waits; the last good keys stay until better ones are here,
however long that takes; no question makes for more than one fetch in COOLDOWN_S.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from relay.auth.fetch import FetchFailed, fetch
from relay.auth.keys import BadKey, KeySet, from_jwks, from_pem, from_secret
from relay.config import Settings
from relay.errors import StartupError

log = logging.getLogger(__name__)

REFRESH_S = 600.0
COOLDOWN_S = 30.0  # between two fetches, once there are keys
RETRY_S = 1.0  # while there are none; doubled up to COOLDOWN_S
MAX_UNANSWERED = 2048  # tokens no key verified yet; of the oldest is forgotten that they were here
MAX_PEM_BYTES = 64 * 1024


class FixedKeys:
    """The keys of the settings, for as long as the relay runs."""

    def __init__(self, keys: KeySet) -> None:
        self._keys = keys

    def current(self) -> KeySet:
        return self._keys

    def awaits_newer(self, token_digest: bytes) -> bool:
        return False

    async def run(self) -> None:
        """There is nothing to do."""

    async def first(self, timeout_s: float) -> None:
        """They are here."""


class RemoteKeys:
    """The keys of a JWKS. `run` keeps them fresh."""

    def __init__(
        self,
        url: str,
        algorithms: Sequence[str],
        *,
        fetch: Callable[[str], Awaitable[bytes]] = fetch,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._host = urlsplit(url).netloc
        self._algorithms = algorithms
        self._fetch = fetch
        self._clock = clock
        self._keys: KeySet | None = None
        self._document = b""
        self._good_at = -float("inf")  # when the fetch that brought the keys began
        self._began_at = -float("inf")
        self._failures = 0
        self._unanswered: OrderedDict[bytes, float] = OrderedDict()  # token digest -> first shown
        self._here = asyncio.Event()
        self._sooner = asyncio.Event()
        self.due_at = clock()  # when the next fetch begins

    def current(self) -> KeySet | None:
        return self._keys

    def awaits_newer(self, token_digest: bytes) -> bool:
        """A token is answered for good by keys that were fetched after it was first shown."""
        now = self._clock()
        first_shown = self._unanswered.setdefault(token_digest, now)
        if len(self._unanswered) > MAX_UNANSWERED:
            self._unanswered.popitem(last=False)
        soon = self._began_at + COOLDOWN_S
        if soon < self.due_at:
            self.due_at = soon
            self._sooner.set()
        return first_shown >= self._good_at

    async def run(self) -> None:
        """Fetch when it is due, for the life of the relay."""
        while True:
            self._sooner.clear()
            wait_s = self.due_at - self._clock()
            if wait_s > 0:
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await self._sooner.wait()
            await self.refresh_if_due()

    async def first(self, timeout_s: float) -> None:
        """Wait for the first keys, but not longer than this."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._here.wait()

    async def refresh_if_due(self) -> None:
        began_at = self._clock()
        if began_at < self.due_at:
            return
        self._began_at = began_at
        self.due_at = began_at + REFRESH_S
        try:
            document = await self._fetch(self._url)
            if document != self._document:
                self._take(document)
        except (FetchFailed, BadKey) as failure:
            self._failures += 1
            self.due_at = self._clock() + self._retry_s()
            reason = f"the {failure}" if isinstance(failure, BadKey) else str(failure)
            log.warning(
                "the JWKS cannot be fetched; trying again",
                extra={"host": self._host, "error": reason, "keysHere": self._keys is not None},
            )
        else:
            self._failures = 0
            self._good_at = began_at
            self._here.set()

    def _take(self, document: bytes) -> None:
        keys, ignored = from_jwks(document, self._algorithms)
        self._keys, self._document = keys, document
        log.info("the JWKS was fetched", extra={"host": self._host, "keys": len(keys), "ignored": ignored})

    def _retry_s(self) -> float:
        times = 2.0 ** min(self._failures - 1, 16)
        if self._keys is None:
            return min(RETRY_S * times, COOLDOWN_S)
        return min(COOLDOWN_S * times, REFRESH_S)


def key_source(settings: Settings) -> FixedKeys | RemoteKeys:
    """The source the settings name. Raises StartupError."""
    algorithms = settings.relay_jwt_algorithms
    if settings.relay_jwt_secret is not None:
        return FixedKeys(from_secret(settings.relay_jwt_secret.get_secret_value(), algorithms))
    if settings.relay_jwt_public_key is not None:
        try:
            return FixedKeys(from_pem(_pem(settings.relay_jwt_public_key.get_secret_value()), algorithms))
        except BadKey as failure:
            raise StartupError(f"RELAY_JWT_PUBLIC_KEY: the key {failure}.") from None
    if settings.relay_jwks_url is not None:
        return RemoteKeys(
            settings.relay_jwks_url, algorithms, fetch=partial(fetch, context=ssl.create_default_context())
        )
    raise StartupError(
        "RELAY_JWT_SECRET is not set: the relay needs the shared secret its tokens are signed with, at least "
        "32 bytes, or in its place RELAY_JWT_PUBLIC_KEY or RELAY_JWKS_URL."
    )


def _pem(given: str) -> str:
    """PEM text, or the content of the file it names. Neither is ever shown."""
    if "-BEGIN" in given:
        return given
    try:
        with Path(given.strip()).open("rb") as file:
            return file.read(MAX_PEM_BYTES).decode()
    except (OSError, ValueError) as failure:
        reason = getattr(failure, "strerror", None) or "it is not text"
        raise StartupError(
            f"RELAY_JWT_PUBLIC_KEY: must be PEM text or the path of a PEM file ({reason})."
        ) from None
