"""A reload with several workers: all of them have the new settings, those that start later too, or none has them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from support.polling_client import post
from support.relay_fixture import connected
from support.worker_clients import spread
from support.worker_processes import TAILER, WORKER, Workers, samples, workers
from websockets.exceptions import ConnectionClosed

OLD, NEW = "the-old-secret-that-is-long-enough", "the-new-secret-that-is-long-enough"
LIST = {"dashboard": {}}
FOLLOWING = "following the change stream"


RULE = '[[visibility.rules]]\nname = "{0}"\nfield = "{1}"\nclaim = "{2}"\n'
CREATOR, TEAM = RULE.format("creator", "createdBy", "sub"), RULE.format("team", "teamId", "teams")


class Written:
    """The settings file and the mapping of the relay of this module, as files."""

    def __init__(self, directory: Path) -> None:
        self.file, self.mapping = directory / "relay.env", directory / "mapping.toml"
        self.reset()

    def reset(self) -> None:
        self.mapping.write_text(CREATOR + TEAM)
        self.settings()

    def settings(self, *lines: str) -> None:
        self.file.write_text("".join(f"{line}\n" for line in (f"RELAY_MAPPING={self.mapping}", *lines)))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Written:
    return Written(tmp_path_factory.mktemp("settings"))


@pytest.fixture(scope="module")
def lasting_settings(files: Written) -> dict[str, str]:
    return {"RELAY_SETTINGS_FILE": str(files.file)}


@pytest.fixture
async def written(files: Written, relay: Workers) -> AsyncIterator[Written]:
    """The files of `relay`, which are afterwards as they were, and in use."""
    yield files
    files.reset()
    relay.forget()
    relay.process.send_signal(signal.SIGHUP)
    await relay.says("reloaded changed=")


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
        # Each line of theirs names them, in the new format.
        lines = [line for line in relay.said().splitlines() if line.startswith("{") and FOLLOWING in line]
        assert {"1", "2"} <= {json.loads(line)["worker"] for line in lines}
        for _ in range(8):
            assert (await post(relay.url, LIST, secret=OLD)).status == 401
            assert (await post(relay.url, LIST, secret=NEW)).status == 200


async def test_no_worker_changes_if_one_of_them_cannot(relay: Workers, written: Written) -> None:
    written.settings("FEATURE_WEBSOCKET_ENABLED=false", "RELAY_MAPPING=/nowhere.toml")
    for times in (1, 2):
        relay.process.send_signal(signal.SIGHUP)
        await relay.says("not reloaded: The mapping file /nowhere.toml cannot be read", times)
    for _ in range(8):
        async with connected(relay.url):
            pass
    # When it is repaired, the reload that was refused leaves nothing behind.
    written.settings("FEATURE_WEBSOCKET_ENABLED=false")
    relay.process.send_signal(signal.SIGHUP)
    await relay.says("reloaded changed=['FEATURE_WEBSOCKET_ENABLED']")
    for _ in range(8):
        assert (await post(relay.url, LIST)).status == 403


async def test_a_mapping_takes_rights_away_in_all_workers(
    relay: Workers, written: Written, relay_tasks: Any
) -> None:
    tasks, mapping = relay_tasks, written.mapping
    tasks.insert_one({"_id": "t", "createdBy": "alice", "teamId": "red", "log": [{"type": "a"}]})
    async with AsyncExitStack() as stack:
        clients = {}
        for sub in ("alice", "bob"):
            clients[sub] = [
                await stack.enter_async_context(connected(relay.url, sub=sub, teams=["red"]))
                for _ in range(12)
            ]
            for client in clients[sub]:
                await client.send("task:join", {"taskId": "t"})
                await client.until("task:state")
        assert min(spread(await samples(relay.url))) > 0
        # When the team loses its rights while events arrive through the tailer,
        mapping.write_text(CREATOR)
        relay.process.send_signal(signal.SIGHUP)
        numbers = iter(range(10**6))
        while "reloaded changed=['RELAY_MAPPING']" not in relay.said():
            event = {"type": "note", "n": next(numbers)}
            await asyncio.to_thread(tasks.update_one, {"_id": "t"}, {"$push": {"events": event}})
        last = {"type": "over"}
        await asyncio.to_thread(tasks.update_one, {"_id": "t"}, {"$push": {"events": last}})
        # then its members are told by each worker, and the creator is sent every event once.
        for client in clients["bob"]:
            await client.until("task:revoked", taskId="t")
            assert await client.quiet() == []
        for client in clients["alice"]:
            while (await client.next())["data"].get("event", {}).get("type") != "over":
                pass
            added = [one["data"] for one in client.frames if one["type"] == "task:event_added"]
            assert [one["index"] for one in added] == [*range(next(numbers) + 1)][: len(added)]
            assert len(added) == added[-1]["index"] + 1
            assert {one["type"] for one in client.frames[2:]} <= {"task:event_added", "task:updated"}
        # A mapping that reads another array sends it to everybody who looks at the task.
        mapping.write_text('events = "log"\n' + CREATOR)
        relay.process.send_signal(signal.SIGHUP)
        for client in clients["alice"]:
            state = await client.until("task:state")
            assert [one["type"] for one in state["data"]["events"]] == ["a"]
        tasks.update_one({"_id": "t"}, {"$push": {"log": {"type": "b"}}})
        for client in clients["alice"]:
            added = (await client.until("task:event_added"))["data"]
            assert (added["index"], added["event"]["type"]) == (1, "b")


async def test_a_reload_disturbs_no_worker_that_is_only_starting(relay: Workers, written: Written) -> None:
    # Given workers that are being replaced, when the settings change meanwhile, again and again,
    relay.process.send_signal(signal.SIGUSR1)
    numbers = iter(range(1, 10**6))
    while relay.said().count("a process of the relay was replaced") < 3:
        assert "was not replaced" not in relay.said()
        written.settings(f"RELAY_MAX_TASKS_PER_CONNECTION={next(numbers)}")
        relay.process.send_signal(signal.SIGHUP)
        await asyncio.sleep(0.1)
    # then all are replaced, no process has to be started again,
    assert "will be started again" not in relay.said()
    # and all have the settings of the last reload.
    written.settings("FEATURE_WEBSOCKET_ENABLED=false")
    relay.process.send_signal(signal.SIGHUP)
    await relay.says("'FEATURE_WEBSOCKET_ENABLED'")
    for _ in range(8):
        assert (await post(relay.url, LIST)).status == 403
