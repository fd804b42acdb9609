"""The settings of the dashboard reach its page, and follow a reload."""

from __future__ import annotations

import asyncio
import json
import re
import urllib.request
from collections.abc import Callable
from typing import Any

from support.relay_fixture import SOON_S, running

from relay.app import Relay
from relay.config import Settings


async def page_of(relay: Relay) -> tuple[str, dict[str, str]]:
    """Return the page, and the headers of its answer."""

    def get() -> tuple[str, dict[str, str]]:
        with urllib.request.urlopen(f"{relay.url}/", timeout=SOON_S) as answer:
            return answer.read().decode(), {name.lower(): value for name, value in answer.getheaders()}

    return await asyncio.to_thread(get)


def settings_in(page: str) -> Any:
    (block,) = re.findall(
        r'<script type="application/json" id="page-settings">(.*?)</script>', page, re.DOTALL
    )
    return json.loads(block)


async def test_the_page_holds_its_settings_and_follows_a_reload(with_: Callable[..., Settings]) -> None:
    given: dict[str, Any] = {}

    def read() -> Settings:
        return with_(**given)

    async with running(read(), read=read) as relay:
        page, headers = await page_of(relay)
        assert settings_in(page) == {}
        assert headers["content-type"] == "text/html; charset=utf-8"
        assert headers["cache-control"] == "no-cache"
        assert "'unsafe-inline'" not in headers["content-security-policy"]

        given |= {"relay_token_url": "/live-token", "relay_sign_in_url": "https://id.example.com/?a=b&c"}
        given |= {"relay_help_url": "mailto:help@example.com"}
        assert (await relay.reload()).need_restart == ()

        assert settings_in((await page_of(relay))[0]) == {
            "tokenUrl": "/live-token",
            "signInUrl": "https://id.example.com/?a=b&c",
            "helpUrl": "mailto:help@example.com",
        }


async def test_a_setting_cannot_end_the_block_it_is_in(with_: Callable[..., Settings]) -> None:
    odd = "/login?</script><script>alert(1)</script><!--"
    async with running(with_(relay_sign_in_url=odd)) as relay:
        page, _ = await page_of(relay)
        assert settings_in(page) == {"signInUrl": odd}
        assert "alert(1)</script>" not in page


async def test_the_page_may_be_framed_by_the_origins_of_the_moment(with_: Callable[..., Settings]) -> None:
    given: dict[str, Any] = {}

    def read() -> Settings:
        return with_(**given)

    async def ancestors(relay: Relay) -> str:
        _, headers = await page_of(relay)
        return headers["content-security-policy"].partition("frame-ancestors ")[2]

    async with running(read(), read=read) as relay:
        assert await ancestors(relay) == "'none'"
        given["relay_frame_ancestors"] = "https://app.example.com,https://B.example:8443"
        await relay.reload()
        assert await ancestors(relay) == "https://app.example.com https://b.example:8443"
