"""The secret of tokens is replaced while users are connected: nobody is signed out."""

from __future__ import annotations

from support.relay_fixture import SECRET, SOON_S, connected, running, settings_for, token
from websockets.asyncio.client import connect

NEW = "another secret that is long enough for HS256"


async def test_a_rotation_signs_nobody_out(mongo_url: str, database_name: str) -> None:
    """The relay is given the new secret beside the old one; then the application begins to sign with the new one."""
    settings = settings_for(mongo_url, database_name, relay_jwt_secret=f"{NEW}\n{SECRET}")
    async with running(settings) as relay, connected(relay) as client:
        await client.send("auth", {"token": token("alice", secret=NEW)})
        await client.until("auth:ok")
        await client.send("auth", {"token": token("alice")})
        await client.until("auth:ok")
        headers = {"Authorization": f"Bearer {token('bob', secret=NEW)}"}
        address = relay.url.replace("http", "ws", 1) + "/ws"
        async with connect(
            address, additional_headers=headers, proxy=None, open_timeout=SOON_S
        ) as by_new_secret:
            assert '"welcome"' in str(await by_new_secret.recv())
