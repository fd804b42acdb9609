"""A relay that follows through Redis and cannot reach MongoDB itself."""

from __future__ import annotations

import secrets
from pathlib import Path

from checker import fetch, ready, until
from fleet import Instance
from proxy import Proxy
from support.valkey import Valkey


async def test_a_follower_that_cannot_reach_mongodb_itself_is_not_ready(
    mongo_url: str, database_name: str, tmp_path: Path
) -> None:
    port = int(mongo_url.partition("127.0.0.1:")[2].partition("/")[0])
    patches = {"relay.source.opening.LOOK_S": 0.1}
    with Valkey() as valkey:
        settings = {
            "RELAY_MONGO_DATABASE": database_name,
            "RELAY_REDIS_URL": valkey.url,
            "RELAY_REDIS_KEY": secrets.token_hex(32),
        }
        async with Proxy(port) as way:
            theirs = {"RELAY_MONGO_URL": f"mongodb://127.0.0.1:{way.port}/?directConnection=true"}
            leader = Instance(tmp_path / "leader.log", settings | {"RELAY_MONGO_URL": mongo_url}, patches)
            follower = Instance(tmp_path / "follower.log", settings | theirs, patches)
            try:
                # Given a relay that leads and one that follows it,
                leader.start()
                await ready(leader.url, 200)
                follower.start()
                await ready(follower.url, 200)
                await follower.becomes("following")
                # when only the follower loses MongoDB,
                way.refuse()
                # then it takes no new clients, although it still hears of every change.
                await ready(follower.url, 503)
                assert '"stale":false' in (await fetch(follower.url, "/readyz"))[1]
                assert await follower.is_("following")
                await ready(leader.url, 200)
                await until(lambda: "MongoDB does not answer" in follower.log.read_text(), "the reason")
                # When it has MongoDB back, it takes clients again.
                await way.accept()
                await ready(follower.url, 200)
            finally:
                follower.kill()
                leader.kill()
