"""Change without a restart: what a reload of the settings changes for clients that are connected, and what it does
not."""

from __future__ import annotations

import asyncio
import http.client
import json
import logging
import os
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from support.command_process import started
from support.polling_client import post
from support.relay_fixture import SOON_S, SocketClient, connected, running, token
from support.token_forgery import pem
from websockets.exceptions import ConnectionClosed

from relay import file_content
from relay.app import Relay
from relay.config import Settings
from relay.errors import StartupError
from relay.reload import NEED_RESTART

OLD, NEW = "the-old-secret-that-is-long-enough", "the-new-secret-that-is-long-enough"
LIST: dict[str, Any] = {"dashboard": {}}


class Written:
    """The settings as they are written at present: `read` returns what a reload reads."""

    def __init__(self, with_: Callable[..., Settings], **given: Any) -> None:
        self._with = with_
        self.given = given

    def read(self) -> Settings:
        return self._with(**self.given)

    def __call__(self, **given: Any) -> None:
        self.given = self.given | given


async def closed_with(client: SocketClient) -> int:
    """Wait until this connection is closed, and return the close code."""
    with suppress(ConnectionClosed):
        while True:
            await client.next()
    assert client.socket.close_code is not None
    return client.socket.close_code


async def test_a_secret_is_rotated_while_fifty_clients_are_connected(with_: Callable[..., Settings]) -> None:
    written = Written(with_, relay_jwt_secret=OLD)
    async with running(written.read(), read=written.read) as relay, AsyncExitStack() as stack:
        # Given clients with tokens of the old secret, when the new one comes in front of it,
        old = [
            await stack.enter_async_context(connected(relay, sub=f"u{number}", secret=OLD))
            for number in range(25)
        ]
        written(relay_jwt_secret=f"{NEW} {OLD}")
        reloaded = await relay.reload()
        # then tokens of both are accepted, and nobody notices anything.
        assert (reloaded.changed, reloaded.need_restart) == (("RELAY_JWT_SECRET",), ())
        new = [
            await stack.enter_async_context(connected(relay, sub=f"u{number}", secret=NEW))
            for number in range(25)
        ]
        assert [await client.quiet() for client in (*old, *new)] == [[]] * 50
        assert (await post(relay, LIST, secret=OLD)).status == 200
        # When the old one is removed,
        written(relay_jwt_secret=NEW)
        await relay.reload()
        # then only those with its tokens are closed, and have to bring another one.
        assert {await closed_with(client) for client in old} == {4401}
        assert [await client.quiet() for client in new] == [[]] * 25
        async with connected(relay, sub="u1", secret=NEW):
            pass
        assert (await post(relay, LIST, secret=OLD)).status == 401
        assert (await post(relay, LIST, secret=NEW)).status == 200


async def test_a_poll_that_waits_is_refused_when_its_key_is_gone(with_: Callable[..., Settings]) -> None:
    written = Written(with_, relay_jwt_secret=f"{NEW} {OLD}")
    async with running(written.read(), read=written.read) as relay:
        # Given polls that wait for news,
        held = (await post(relay, {"dashboard": {}}, secret=OLD)).body
        body = {"moment": held["moment"], "dashboard": {"etag": held["dashboard"]["etag"]}}
        waiting = {name: asyncio.create_task(post(relay, body, secret=name)) for name in (OLD, NEW)}
        async with asyncio.timeout(SOON_S):
            while relay.metrics.polls._value.get() < 2:  # nothing tells that a poll waits
                await asyncio.sleep(0.01)
        # when the key of one of them is removed,
        written(relay_jwt_secret=NEW)
        await relay.reload()
        # then that one is refused, and the other one waits.
        assert (await waiting[OLD]).status == 401
        assert not waiting[NEW].done()
        waiting[NEW].cancel()
        await asyncio.gather(waiting[NEW], return_exceptions=True)


async def test_users_that_the_rollout_excludes_now_are_closed(with_: Callable[..., Settings]) -> None:
    written = Written(with_)
    async with running(written.read(), read=written.read) as relay, connected(relay, sub="bob") as bob:
        async with connected(relay, sub="alice") as alice:
            written(feature_websocket_percent=0, feature_websocket_users="bob")
            await relay.reload()
            assert await closed_with(alice) == 4502
        assert await bob.quiet() == []
        assert (await post(relay, LIST, sub="alice")).status == 403
        assert (await post(relay, LIST, sub="bob")).status == 200


def fetched(relay: Relay, origin: str, method: str = "GET") -> dict[str, str]:
    """Return the headers of the answer to a request of a page of this origin."""
    connection = http.client.HTTPConnection(urlsplit(relay.url).netloc, timeout=SOON_S)
    try:
        connection.request(
            method, "/healthz", headers={"origin": origin, "access-control-request-method": "GET"}
        )
        return {name.lower(): value for name, value in connection.getresponse().getheaders()}
    finally:
        connection.close()


async def test_origins_follow_the_settings_in_every_answer(with_: Callable[..., Settings]) -> None:
    old, new = "https://old.example.com", "https://new.example.com"
    written = Written(with_, relay_allowed_origins=old)
    async with running(written.read(), read=written.read) as relay:
        written(relay_allowed_origins=new)
        for allowed, refused in ((old, new), (new, old)):
            assert (await post(relay, LIST, f"Origin: {allowed}")).status == 200
            assert (await post(relay, LIST, f"Origin: {refused}")).status == 403
            for method in ("GET", "OPTIONS"):
                headers = await asyncio.to_thread(fetched, relay, allowed, method)
                assert headers["access-control-allow-origin"] == allowed
                headers = await asyncio.to_thread(fetched, relay, refused, method)
                assert "access-control-allow-origin" not in headers
            await relay.reload()
            old, new = new, old


async def test_limits_hold_for_connections_from_then_on(with_: Callable[..., Settings]) -> None:
    written = Written(with_)
    async with running(written.read(), read=written.read) as relay:
        async with connected(relay) as first, connected(relay) as second, AsyncExitStack() as stack:
            written(
                relay_max_connections_per_user=2,
                relay_max_tasks_per_connection=1,
                relay_heartbeat_ms=77_000,
                relay_poll_wait_ms=0,
            )
            assert set((await relay.reload()).changed) == {
                *("RELAY_MAX_CONNECTIONS_PER_USER", "RELAY_MAX_TASKS_PER_CONNECTION"),
                *("RELAY_HEARTBEAT_MS", "RELAY_POLL_WAIT_MS"),
            }
            # Those that are connected stay, with what their welcome said.
            await first.send("task:join", {"tasks": [{"taskId": "a"}, {"taskId": "b"}]})
            assert {(await first.next())["data"]["code"] for _ in range(2)} == {"forbidden"}
            assert await second.quiet() == []
            with pytest.raises(ConnectionClosed) as refused:
                await stack.enter_async_context(connected(relay))
            assert refused.value.rcvd is not None
            assert refused.value.rcvd.code == 4430
        async with connected(relay) as third:
            welcome = third.frames[0]["data"]
            assert (welcome["limits"]["maxTasks"], welcome["heartbeatMs"]) == (1, 77_000)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"relay_jwt_secret": "short"}, "RELAY_JWT_SECRET: must be at least"),
        ({"relay_mapping": "/nowhere.toml"}, "The mapping file /nowhere.toml cannot be read"),
        ({"relay_jwt_secret": None, "relay_jwt_public_key": "/nowhere.pem"}, "RELAY_JWT_PUBLIC_KEY: must be"),
        ({"relay_jwt_secret": None, "relay_jwks_url": "http://127.0.0.1:1/"}, "RELAY_JWKS_URL: no keys"),
    ],
)
async def test_nothing_changes_if_anything_cannot_be_used(
    with_: Callable[..., Settings], wrong: dict[str, Any], why: str, caplog: pytest.LogCaptureFixture
) -> None:
    written = Written(with_)
    caplog.set_level(logging.INFO)
    async with running(written.read(), read=written.read) as relay, connected(relay) as client:
        written(feature_websocket_enabled=False, **wrong)
        with pytest.raises(StartupError) as failure:
            await relay.reload()
        assert why in str(failure.value)
        assert [one.getMessage() for one in caplog.records if one.levelname == "ERROR"] == [
            f"not reloaded: {failure.value}"
        ]
        assert await client.quiet() == []
        async with connected(relay):
            pass


async def test_settings_that_need_a_restart_are_named_and_stay(
    with_: Callable[..., Settings], caplog: pytest.LogCaptureFixture
) -> None:
    written = Written(with_)
    caplog.set_level(logging.INFO)
    async with running(written.read(), read=written.read) as relay:
        written(relay_max_connections=17, relay_mongo_database="elsewhere", relay_drain_ms=7)
        for changed in (("RELAY_DRAIN_MS",), ()):
            reloaded = await relay.reload()
            assert reloaded.need_restart == ("RELAY_MONGO_DATABASE", "RELAY_MAX_CONNECTIONS")
            assert reloaded.changed == changed
    said = [(one.levelname, one.getMessage(), vars(one).get("needRestart")) for one in caplog.records]
    assert said.count(
        (
            "WARNING",
            "settings have changed that need a restart",
            ["RELAY_MONGO_DATABASE", "RELAY_MAX_CONNECTIONS"],
        )
    ) == len(("first", "second"))


async def test_a_key_file_is_read_again_although_its_path_is_the_same(
    with_: Callable[..., Settings], tmp_path: Path
) -> None:
    (path := tmp_path / "key.pem").write_text(pem("RSA"))
    written = Written(with_, relay_jwt_secret=None, relay_jwt_public_key=str(path))
    async with running(written.read(), read=written.read) as relay:
        assert (await relay.reload()).changed == ()
        path.write_text(pem("P-256"))
        assert (await relay.reload()).changed == ("RELAY_JWT_PUBLIC_KEY",)


@pytest.mark.parametrize("what", ["relay_mapping", "relay_jwt_public_key"])
async def test_clients_are_served_while_a_reload_waits_for_a_file(
    with_: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setattr(file_content, "PIPE_WITHIN_S", SOON_S)
    os.mkfifo(pipe := tmp_path / "pipe")
    written = Written(with_)
    async with running(written.read(), read=written.read) as relay, connected(relay) as alice:
        # Given a file that keeps a reload waiting: here a pipe that nobody writes to,
        written(**{what: str(pipe)} | ({"relay_jwt_secret": None} if what != "relay_mapping" else {}))
        reloading = asyncio.create_task(relay.reload())
        # when a client asks for something, then it is answered,
        for _ in range(3):
            await alice.send("ping")
            await alice.until("pong")
            assert not reloading.done()
        # and when there is something to read, the reload goes on.
        await asyncio.to_thread(pipe.write_text, "no mapping and no key")
        with pytest.raises(StartupError, match=r"mapping|PEM"):
            await reloading


async def test_sighup_reloads_the_settings_file_of_a_process(good: dict[str, str], tmp_path: Path) -> None:
    del good["RELAY_JWT_SECRET"]
    (file := tmp_path / "relay.env").write_text(f"RELAY_JWT_SECRET={OLD}\nRELAY_LOG_FORMAT=json\n")
    given = good | {"RELAY_SETTINGS_FILE": str(file)}
    with started("serve", until='"event": "listening"', **given) as (process, printed):
        if "http://" not in printed:
            printed += process.printed("\n")
        (listening,) = [line for line in printed.splitlines() if '"event": "listening"' in line]
        url = json.loads(listening)["url"]
        async with connected(url, secret=OLD) as client:
            file.write_text(f"RELAY_JWT_SECRET={NEW}\nRELAY_MAX_CONNECTIONS=7\nRELAY_FEE=2\n")
            process.send_signal(signal.SIGHUP)
            said = await asyncio.to_thread(process.printed, "needRestart")
            assert "RELAY_FEE in the settings file is not a setting of the relay" in said
            assert "reloaded changed=['RELAY_JWT_SECRET', 'RELAY_LOG_FORMAT']" in said
            assert await closed_with(client) == 4401
        file.write_text("RELAY_JWT_SECRET=short\n")
        process.send_signal(signal.SIGHUP)
        said = await asyncio.to_thread(process.printed, "openssl")
        assert "ERROR   not reloaded: RELAY_JWT_SECRET: must be at least 32 bytes long" in said
        async with connected(url, secret=NEW):
            pass
        process.terminate()
        assert await asyncio.to_thread(process.wait, SOON_S) == 0


def test_each_setting_that_needs_a_restart_is_named_in_the_guide() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "guides" / "operating.md").read_text("utf-8")
    section = guide.partition("\n## Change settings without a restart")[2].partition("\n## ")[0]
    (row,) = [line for line in section.splitlines() if line.endswith("| only after a restart |")]
    named = {name for name in Settings.model_fields if f"`{name.upper()}`" in row}
    assert named == NEED_RESTART


async def reload_by(url: str, secret: str, **claims: Any) -> tuple[int, Any]:
    """Ask for a reload as the administrator of this token, and return the status and the answer."""

    def ask() -> tuple[int, Any]:
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=SOON_S)
        headers = {"authorization": f"Bearer {token('root', secret=secret, **claims)}"}
        try:
            connection.request("POST", "/admin/reload", headers=headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    return await asyncio.to_thread(ask)


async def test_an_administrator_reloads_and_is_one_by_the_new_settings(
    with_: Callable[..., Settings],
) -> None:
    written = Written(with_, relay_admin_port=0, relay_jwt_secret=OLD)
    async with running(written.read(), read=written.read) as relay:
        written(relay_jwt_secret=NEW, relay_admin_claim="groups=ops", relay_workers=2)
        assert (await reload_by(relay.admin_url, OLD))[0] == 403
        changed = ["RELAY_JWT_SECRET", "RELAY_ADMIN_CLAIM"]
        assert await reload_by(relay.admin_url, OLD, roles=["admin"]) == (
            200,
            {"reloaded": True, "changed": sorted(changed, key=ORDER), "needRestart": ["RELAY_WORKERS"]},
        )
        assert (await reload_by(relay.admin_url, OLD, roles=["admin"], groups="ops"))[0] == 401
        assert (await reload_by(relay.admin_url, NEW, roles=["admin"]))[0] == 403
        written(relay_jwt_secret="short")
        status, answer = await reload_by(relay.admin_url, NEW, groups="ops")
        assert (status, answer["data"]["message"].partition(":")[0]) == (422, "RELAY_JWT_SECRET")


ORDER = [name.upper() for name in Settings.model_fields].index
