"""Fetches public keys from a JSON Web Key Set (JWKS) in the background, and keeps the last keys that were usable.

Rules of this file: no request of a client ever waits for a fetch; the last usable keys stay in use until newer usable
keys arrive, however long that takes; however many tokens ask for newer keys, at most one fetch begins in COOLDOWN_S
seconds, beside those that an operator asks for.

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

TIMEOUT_S = 5.0  # for one whole fetch, from the DNS lookup to the last byte
MAX_BODY_BYTES = 256 * 1024
MAX_CHUNKS = 1_000  # of the transfer encoding
REFRESH_S = 600.0  # after a fetch that succeeded
COOLDOWN_S = 30.0  # the shortest time between two fetches, once there are keys
RETRY_S = 1.0  # before the second attempt while there are no keys; doubled each time, up to COOLDOWN_S
MAX_UNANSWERED = 2048  # tokens that no key verified, and that are remembered; then the oldest is forgotten
_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "relay"}


class FetchFailed(Exception):
    """The JWKS document could not be fetched. The message of the exception is the reason, to be logged."""


async def fetch(url: str, context: ssl.SSLContext) -> bytes:
    """Fetch this URL and return the body of the response.

    Redirects are not followed, proxies named by environment variables are not used, and a compressed body is not
    unpacked. Raises FetchFailed if the status is not 200, if the whole fetch takes longer than TIMEOUT_S seconds, if
    the body is longer than MAX_BODY_BYTES, or if the connection fails."""
    try:
        # Use one timeout for the whole fetch. The timeouts of the HTTP client apply to each single read, so a server
        # that sends a byte now and then could keep a fetch open forever.
        async with (
            asyncio.timeout(TIMEOUT_S),
            httpx2.AsyncClient(verify=context, trust_env=False, timeout=None, headers=_HEADERS) as client,
            client.stream("GET", url, follow_redirects=False) as response,
        ):
            if response.status_code != 200:
                raise FetchFailed(f"the answer is {response.status_code}, not 200")
            body, chunks = bytearray(), 0
            async for chunk in response.aiter_raw():  # raw: a small compressed body may unpack to any size
                body += chunk
                chunks += 1
                if len(body) > MAX_BODY_BYTES:
                    raise FetchFailed(f"the answer has more than {MAX_BODY_BYTES // 1024} KiB")
                # Each chunk costs time and may carry extensions that are no part of the body.
                if chunks > MAX_CHUNKS:
                    raise FetchFailed(f"the answer comes in more than {MAX_CHUNKS} chunks")
            return bytes(body)
    except TimeoutError:
        raise FetchFailed(f"no whole answer within {TIMEOUT_S:g} s") from None
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as failure:
        raise FetchFailed(f"{type(failure).__name__}: {failure}") from failure


class RemoteKeys:
    """Provides the verifier of tokens with the keys of a JWKS (a JSON Web Key Set that is fetched from a URL).

    `run` must be running as a task: it fetches the document again and again. Only keys that can be used with one of
    `algorithms` are kept. `fetch` and `clock` (in seconds) can be replaced by tests.
    """

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
        self._good_at = -float("inf")  # when the last fetch that succeeded began
        self._began_at = -float("inf")  # when the latest fetch began
        self._failures = 0  # in a row
        self._unanswered: OrderedDict[bytes, float] = OrderedDict()  # digest of a token -> when it first came
        self._has_keys = asyncio.Event()
        self._sooner = asyncio.Event()  # set when the next fetch became due earlier than `run` waits for
        self.due_at = clock()  # when the next fetch begins

    def current(self) -> KeySet | None:
        """Return the keys to verify tokens with now, or None before the first fetch has succeeded."""
        return self._keys

    def awaits_newer(self, token_digest: bytes) -> bool:
        """Request newer keys, because no current key verified a token. `token_digest` is a digest of that token.

        Return True while keys that verify the token may still come. Return False once a fetch has succeeded that began
        after this method was first called for the token: then the token can be refused for good. The next fetch becomes
        due as soon as COOLDOWN_S permits.
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
        """Fetch the JWKS document each time a fetch is due. Ends only by cancellation."""
        while True:
            self._sooner.clear()
            wait_s = self.due_at - self._clock()
            if wait_s > 0:
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await self._sooner.wait()
            await self.refresh_if_due()

    async def first(self, timeout_s: float) -> None:
        """Wait until the first keys have been fetched, but for at most `timeout_s` seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._has_keys.wait()

    async def refresh(self) -> None:
        """Fetch the JWKS document now, as `refresh_if_due` does, because an operator wishes it."""
        self.due_at = self._clock()
        await self.refresh_if_due()

    async def refresh_if_due(self) -> None:
        """If a fetch is due, fetch the JWKS document, and use its keys from now on. If this fails, log the reason, keep
        the previous keys, and try again later."""
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
        """Return after how many seconds to try again after a failure: twice as long after each failure, up to a
        limit."""
        times = 2.0 ** min(self._failures - 1, 16)
        if self._keys is None:
            return min(RETRY_S * times, COOLDOWN_S)
        return min(COOLDOWN_S * times, REFRESH_S)


def _fetch_over_tls() -> Callable[[str], Awaitable[bytes]]:
    # Loading the certificate authorities takes some 20 ms, so it is done once, at the start.
    return partial(fetch, context=ssl.create_default_context())
