"""Public keys from a JSON Web Key Set (JWKS): fetch them in the background, and keep the last good ones.

Rules of this file: no request of a client ever waits for a fetch; the last good keys stay in use until better ones
arrive, however long that takes; however many tokens ask for newer keys, at most one fetch begins in COOLDOWN_S.

`key_source` imports this module only where RELAY_JWKS_URL is set, because the HTTP client costs every process that
imports it some 80 ms and 3 MB.
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
from urllib.parse import urlsplit

import httpx2

from relay.auth.keys import BadKey, KeySet, from_jwks

log = logging.getLogger(__name__)

TIMEOUT_S = 5.0  # for one whole fetch, from looking up the name to the last byte
MAX_BODY_BYTES = 256 * 1024
REFRESH_S = 600.0  # between two fetches that succeed
COOLDOWN_S = 30.0  # between two fetches, once there are keys
RETRY_S = 1.0  # before the second attempt while there are no keys; doubled each time, up to COOLDOWN_S
MAX_UNANSWERED = 2048  # remembered tokens that no key verified; beyond it the oldest is forgotten
_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "relay"}


class FetchFailed(Exception):
    """The document could not be fetched; the message is the reason, for the log."""


async def fetch(url: str, context: ssl.SSLContext) -> bytes:
    """Fetch the body of a 200 response, within TIMEOUT_S and MAX_BODY_BYTES.

    Redirects, proxies of the environment, cookies and compressed bodies are not followed, used, kept or unpacked.
    Raises FetchFailed.
    """
    try:
        # One timeout for everything: those of the client hold for each read, so a server that sends a byte now and
        # then could keep a fetch open forever.
        async with (
            asyncio.timeout(TIMEOUT_S),
            httpx2.AsyncClient(verify=context, trust_env=False, timeout=None, headers=_HEADERS) as client,
            client.stream("GET", url, follow_redirects=False) as response,
        ):
            if response.status_code != 200:
                raise FetchFailed(f"the answer is {response.status_code}, not 200")
            body = bytearray()
            async for chunk in response.aiter_raw():  # raw: a small compressed body may unpack to any size
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    raise FetchFailed(f"the answer has more than {MAX_BODY_BYTES // 1024} KiB")
            return bytes(body)
    except TimeoutError:
        raise FetchFailed(f"no whole answer within {TIMEOUT_S:g} s") from None
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as failure:
        raise FetchFailed(f"{type(failure).__name__}: {failure}") from failure


class RemoteKeys:
    """The keys of a JWKS, as a source of keys for the verifier of tokens. `run` keeps them fresh."""

    def __init__(
        self,
        url: str,
        algorithms: Sequence[str],
        *,
        fetch: Callable[[str], Awaitable[bytes]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._host = urlsplit(url).netloc  # for the log; a path or a query may hold something secret
        self._algorithms = algorithms
        self._fetch = fetch or _fetch_over_tls()
        self._clock = clock
        self._keys: KeySet | None = None
        self._document = b""
        self._good_at = -float("inf")  # when the fetch that brought the current keys began
        self._began_at = -float("inf")  # when the latest fetch began
        self._failures = 0  # in a row
        self._unanswered: OrderedDict[bytes, float] = OrderedDict()  # digest of a token -> when it first came
        self._has_keys = asyncio.Event()
        self._sooner = asyncio.Event()  # set when the next fetch became due earlier than `run` waits for
        self.due_at = clock()  # when the next fetch begins

    def current(self) -> KeySet | None:
        """The keys to verify tokens with now, or None before the first fetch succeeded."""
        return self._keys

    def awaits_newer(self, token_digest: bytes) -> bool:
        """Ask for newer keys for a token that no current key verified.

        True while keys that verify it may still come; False once a fetch that began after the token first came has
        succeeded, so that its refusal is final. Makes the next fetch due as soon as COOLDOWN_S allows.
        """
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
        """Fetch the document whenever it is due, until cancelled."""
        while True:
            self._sooner.clear()
            wait_s = self.due_at - self._clock()
            if wait_s > 0:
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await self._sooner.wait()
            await self.refresh_if_due()

    async def first(self, timeout_s: float) -> None:
        """Wait until there are keys, for at most `timeout_s` seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._has_keys.wait()

    async def refresh_if_due(self) -> None:
        """Fetch the document if it is due, and take its keys. A failure is logged and tried again later."""
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
            self._has_keys.set()

    def _take(self, document: bytes) -> None:
        keys, ignored = from_jwks(document, self._algorithms)
        self._keys, self._document = keys, document
        log.info("the JWKS was fetched", extra={"host": self._host, "keys": len(keys), "ignored": ignored})

    def _retry_s(self) -> float:
        """The time until the next attempt after a failure: doubled each time, up to a limit."""
        times = 2.0 ** min(self._failures - 1, 16)
        if self._keys is None:
            return min(RETRY_S * times, COOLDOWN_S)
        return min(COOLDOWN_S * times, REFRESH_S)


def _fetch_over_tls() -> Callable[[str], Awaitable[bytes]]:
    # Loading the certificate authorities takes some 20 ms, so it is done once, at the start.
    return partial(fetch, context=ssl.create_default_context())
