"""A relay with a JWKS that is unavailable at first."""

from __future__ import annotations

import asyncio
import time
import urllib.error
import urllib.request

import pytest
from support.jwks_issuer import Issuer
from support.relay_fixture import SOON_S, running, settings_for
from support.token_forgery import jwk, jwks, signed
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from relay import app
from relay.app import Relay


def ready(relay: Relay) -> bool:
    try:
        with urllib.request.urlopen(f"{relay.url}/readyz", timeout=SOON_S) as answer:
            return answer.status == 200
    except urllib.error.HTTPError as answer:
        with answer:
            assert answer.code == 503
        return False


async def ending(relay: Relay, token: str) -> tuple[int, str] | None:
    """The code and reason with which the relay closes a connection, or None if it accepts it."""
    headers = {"Authorization": f"Bearer {token}"}
    try:
        async with connect(
            relay.url.replace("http", "ws", 1) + "/ws", additional_headers=headers, proxy=None
        ) as ws:
            await ws.recv()
            return None
    except ConnectionClosed as closed:
        assert closed.rcvd is not None
        return closed.rcvd.code, closed.rcvd.reason


async def test_a_relay_is_ready_and_verifies_tokens_once_it_has_keys(
    monkeypatch: pytest.MonkeyPatch, mongo_url: str, database_name: str
) -> None:
    """S10: a token that cannot be verified yet must not be refused for good."""
    monkeypatch.setattr(app, "FIRST_KEYS_S", 0.1)
    claims = {"sub": "alice", "exp": int(time.time()) + 600}
    token = signed(claims, "RSA", "RS256", kid="one")
    async with Issuer() as issuer:
        settings = settings_for(mongo_url, database_name, relay_jwt_secret=None, relay_jwks_url=issuer.url)
        async with running(settings) as relay:
            assert await ending(relay, token) == (1011, "keys_unavailable")
            assert not await asyncio.to_thread(ready, relay)
            issuer.document = jwks(jwk("RSA", "one"))
            async with asyncio.timeout(SOON_S):
                while await ending(relay, token) is not None:
                    await asyncio.sleep(0.1)
                while not await asyncio.to_thread(ready, relay):
                    await asyncio.sleep(0.1)
            foreign = signed(claims, "RSA-other", "RS256", kid="one")
            assert await ending(relay, foreign) == (4401, "unauthenticated")
            unknown = signed(claims, "RSA-other", "RS256", kid="two")
            assert await ending(relay, unknown) == (1011, "keys_unavailable")
