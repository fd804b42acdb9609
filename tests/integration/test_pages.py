"""Pages of allowed origins may connect to a real relay, and pages of other origins may not."""

from __future__ import annotations

from typing import Any

import pytest
from support.polling_client import post
from support.raw_client import handshake, tcp_connection
from support.relay_fixture import running, settings_for, token
from support.relay_metrics import metric

from relay.cli.demo import mongod as embedded


async def status_of(url: str, origin: str) -> int:
    """The status that a page of this origin gets for a WebSocket handshake."""
    async with tcp_connection(url) as peer:
        peer.send(handshake("/ws", f"Origin: {origin}", f"Authorization: Bearer {token('alice')}"))
        return (await peer.answer())[0]


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("https://App.Example.com", "https://app.example.com"),
        ("https://app.example.com:443/", "https://app.example.com"),
        ("http://app.example.com:80", "http://app.example.com"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("https://[2001:DB8::0:1]:8443", "https://[2001:db8::1]:8443"),
        ("https://app.example.com\n", "https://app.example.com"),
    ],
)
async def test_an_origin_may_be_configured_in_any_equivalent_form(
    mongo_url: str, database_name: str, written: str, sent: str
) -> None:
    async with running(settings_for(mongo_url, database_name, relay_allowed_origins=written)) as relay:
        assert await status_of(relay.url, sent) == 101
        assert (await post(relay, {}, f"Origin: {sent}")).status != 403


async def test_the_origin_of_the_public_url_is_allowed(mongo_url: str, database_name: str) -> None:
    here = embedded.free_port()
    settings = settings_for(
        mongo_url, database_name, relay_port=here, relay_public_url="https://App.Example.com:443/live/"
    )
    async with running(settings) as relay:
        assert relay.url == "https://app.example.com/live"
        assert await status_of(f"http://127.0.0.1:{here}", "https://app.example.com") == 101


async def test_a_page_of_an_unknown_origin_is_logged_once_and_counted_each_time(
    mongo_url: str, database_name: str, caplog: Any
) -> None:
    async with running(settings_for(mongo_url, database_name)) as relay:
        # When a page of an unknown origin tries each carrier several times,
        for _ in range(3):
            assert await status_of(relay.url, "https://app.example.com") == 403
            assert (await post(relay, {}, "Origin: https://app.example.com")).status == 403
            async with tcp_connection(relay.url) as peer:
                peer.send(b"GET /config HTTP/1.1\r\nHost: x\r\nOrigin: https://app.example.com\r\n\r\n")
                assert (await peer.answer())[0] == 403
        # then the log names the origin once, and the setting that would allow it,
        warnings = [record for record in caplog.records if "unknown origin" in record.message]
        assert [vars(record)["origin"] for record in warnings] == ["https://app.example.com"]
        assert "RELAY_ALLOWED_ORIGINS" in warnings[0].message
        # and the metrics count each attempt.
        for transport in ("websocket", "poll", "config"):
            assert await metric(relay, f'relay_unknown_origins_total{{transport="{transport}"}}') == 3
