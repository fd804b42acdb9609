"""A reload with several workers: all of them have the new settings, those that start later too, or none has them."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

from support.polling_client import post
from support.relay_fixture import connected
from support.worker_clients import spread
from support.worker_processes import TAILER, WORKER, samples, workers
from websockets.exceptions import ConnectionClosed

OLD, NEW = "the-old-secret-that-is-long-enough", "the-new-secret-that-is-long-enough"
LIST = {"dashboard": {}}


async def test_all_workers_have_the_new_settings_and_later_ones_too(
    two_workers: dict[str, str], tmp_path: Path
) -> None:
    del two_workers["RELAY_JWT_SECRET"]
    (file := tmp_path / "relay.env").write_text(f"RELAY_JWT_SECRET='{NEW} {OLD}'\n")
    async with workers(tmp_path, RELAY_SETTINGS_FILE=str(file), **two_workers) as relay:
        # Given clients of both workers, some with tokens of the old secret,
        old = [connected(relay.url, sub=f"u{number}", secret=OLD) for number in range(12)]
        new = [connected(relay.url, sub=f"u{number}", secret=NEW) for number in range(12)]
        clients = [await one.__aenter__() for one in (*old, *new)]
        assert min(spread(await samples(relay.url))) > 0
        # when it is removed, with a signal to the parent; one to a child by mistake changes nothing,
        file.write_text(f"RELAY_JWT_SECRET={NEW}\nRELAY_LOG_FORMAT=json\nRELAY_WORKERS=3\n")
        for child in (*relay.children(WORKER), *relay.children(TAILER)):
            os.kill(child, signal.SIGHUP)
        relay.process.send_signal(signal.SIGHUP)
        said = await relay.says('"changed": ["RELAY_JWT_SECRET", "RELAY_LOG_FORMAT"]')
        assert "not reloaded" not in said
        # then all clients with its tokens are closed, and the others notice nothing,
        for client in clients[:12]:
            with suppress(ConnectionClosed):
                while True:
                    await client.next()
            assert client.socket.close_code == 4401
        assert [await client.quiet() for client in clients[12:]] == [[]] * 12
        for one in (*old, *new):
            await one.__aexit__(None, None, None)
        # and a worker that is started later refuses them too.
        for child in relay.children(WORKER):
            os.kill(child, signal.SIGKILL)
        await relay.says("will be started again", 2)
        await relay.ready(2)
        for _ in range(8):
            assert (await post(relay.url, LIST, secret=OLD)).status == 401
            assert (await post(relay.url, LIST, secret=NEW)).status == 200


async def test_no_worker_changes_if_one_of_them_cannot(two_workers: dict[str, str], tmp_path: Path) -> None:
    (file := tmp_path / "relay.env").write_text("")
    async with workers(tmp_path, RELAY_SETTINGS_FILE=str(file), **two_workers) as relay:
        file.write_text("FEATURE_WEBSOCKET_ENABLED=false\nRELAY_MAPPING=/nowhere.toml\n")
        for times in (1, 2):
            relay.process.send_signal(signal.SIGHUP)
            await relay.says("not reloaded: The mapping file /nowhere.toml cannot be read", times)
        for _ in range(8):
            async with connected(relay.url):
                pass
        # When it is repaired, the reload that was refused leaves nothing behind.
        file.write_text("FEATURE_WEBSOCKET_ENABLED=false\n")
        relay.process.send_signal(signal.SIGHUP)
        await relay.says("reloaded changed=['FEATURE_WEBSOCKET_ENABLED']")
        for _ in range(8):
            assert (await post(relay.url, LIST)).status == 403
