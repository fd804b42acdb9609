"""Processes and connections that end at any moment: a client that resumes from its position has lost nothing.

RELAY_TEST_KILLS sets how often they end, and RELAY_TEST_SEED repeats an earlier run.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from checker import (
    JOINED,
    LONG_S,
    POLL_S,
    Watcher,
    caught_up,
    check_received,
    figure,
    no_traceback,
    ready,
    until,
    watchers,
    watching,
    writing,
)
from proxy import Proxy
from support.relay_fixture import COMMAND, SECRET, environment, running, settings_for

from relay.app import Relay
from relay.auth.refusal_log import LINES_PER_NAME
from relay.cli.demo import mongod as embedded
from relay.source.tail import Tail

KILLS = int(os.environ.get("RELAY_TEST_KILLS", "5"))
SEED = int(os.environ.get("RELAY_TEST_SEED") or random.randrange(2**32))
pytestmark = pytest.mark.timeout(LONG_S * (2 + KILLS))  # the steps have limits of their own


class RelayProcess:
    """A `relay serve` that can be started repeatedly, always on the same port."""

    def __init__(self, mongo_url: str, database: str, log: Path, before: Sequence[str] = ()) -> None:
        self._before = before  # words to put before the command
        self._port = embedded.free_port()
        self._log = log
        self._environment = environment(
            RELAY_MONGO_URL=mongo_url,
            RELAY_MONGO_DATABASE=database,
            RELAY_JWT_SECRET=SECRET,
            RELAY_PORT=str(self._port),
            RELAY_KNOWN_TASKS_MAX="2",
            RELAY_DRAIN_MS="200",
            RELAY_MESSAGES_PER_SECOND="1000",
        )
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._before, *COMMAND, "serve"], stderr=log, env=self._environment
            )

    def end(self, number: signal.Signals = signal.SIGKILL) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        assert self._process.wait(LONG_S) in (0, -number)


async def test_a_relay_that_ends_at_any_moment_loses_nothing(
    mongo_url: str, database_name: str, tmp_path: Path, capsys: Any
) -> None:
    with capsys.disabled():
        print(f"\n  {KILLS} ends of the relay, RELAY_TEST_SEED={SEED}")
    chance = random.Random(SEED)
    log = tmp_path / "relay.log"
    process = RelayProcess(mongo_url, database_name, log)
    process.start()
    try:
        async with writing(mongo_url, database_name) as writer:
            await ready(process.url, 200)
            async with watching(lambda: process.url, *(two := watchers())):
                async with writer.busy():
                    for number in range(KILLS):
                        # When the relay is ended after this number of writes, whatever it is doing,
                        await writer.acknowledge(chance.randrange(1, 80))
                        how = chance.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM])
                        await asyncio.to_thread(process.end, how)
                        if number == KILLS // 2:
                            await writer.take("t0")
                        await writer.acknowledge(chance.randrange(1, 20))
                        process.start()
                        if chance.random() < 0.7:  # otherwise the next end may come while it starts
                            await caught_up(writer, *two)
                # then every client that resumed from a position was sent exactly what it missed.
                await check_received(writer, *two)
        # While a timeline only grows, every position in it stays valid.
        states = [frame["data"] for _, frame in two[0].frames if frame["type"] == "task:state"]
        assert sum(state["reset"] for state in states if state["taskId"] in JOINED) <= len(JOINED) + sum(
            not state["next"] for state in states
        )
    finally:
        process.end()
    log_text = log.read_text()
    assert "Traceback" not in log_text, log_text[log_text.index("Traceback") :][:5000]


async def test_a_database_that_is_killed_at_any_moment_loses_nothing(
    database_name: str, tmp_path: Path, caplog: Any, capsys: Any
) -> None:
    kills = max(2, KILLS // 2)
    with capsys.disabled():
        print(f"\n  {kills} kills of mongod, RELAY_TEST_SEED={SEED}")
    chance = random.Random(SEED)
    data = tmp_path / "db"
    server = await asyncio.to_thread(embedded.start, data=data)
    port = server.port
    try:
        async with (
            writing(server.url, database_name) as writer,
            running(settings_for(server.url, database_name, relay_known_tasks_max=2)) as relay,
            watching(relay, *(two := watchers())),
        ):
            async with writer.busy():
                for _ in range(kills):
                    await writer.acknowledge(chance.randrange(1, 80))
                    os.kill(server.pid, signal.SIGKILL)
                    await asyncio.to_thread(server.stop)
                    server = await asyncio.to_thread(embedded.start, port=port, data=data)
                    if chance.random() < 0.5:
                        await caught_up(writer, *two)
            await check_received(writer, *two)
            await ready(relay, 200)
    finally:
        server.stop()
    no_traceback(caplog)


async def test_clients_that_take_every_descriptor_disturb_no_connected_client(
    mongo_url: str, database_name: str, tmp_path: Path
) -> None:
    log = tmp_path / "relay.log"
    limited = ("sh", "-c", 'ulimit -n 64; exec "$@"', "sh")
    process = RelayProcess(mongo_url, database_name, log, limited)
    process.start()
    try:
        async with writing(mongo_url, database_name) as writer:
            await ready(process.url, 200)
            async with watching(lambda: process.url, *(two := watchers())):
                # When a few hundred clients connect at once, and then hundreds more,
                with ExitStack() as crowd:
                    for _ in range(2):
                        for _ in range(300):
                            one = crowd.enter_context(socket.socket())
                            one.setblocking(False)
                            one.connect_ex(("127.0.0.1", urlsplit(process.url).port))
                        # then the connected clients do not notice,
                        await writer.acknowledge(50)
                        await caught_up(writer, *two)
                await check_received(writer, *two)
                # and are not cut off,
                assert [one.connection for one in two] == [1, 1]
            # and a new client can connect when the others are gone.
            await ready(process.url, 200)
    finally:
        process.end()
    log_text = log.read_text()
    assert "Traceback" not in log_text, log_text[:5000]
    assert log_text.count("leaves room for fewer connections than RELAY_MAX_CONNECTIONS open_files=64") == 1
    assert log_text.count("out of file descriptors") == 1
    assert log_text.count("\n") < LINES_PER_NAME + 20  # and however many came, one address gets few lines


# The network between the relay and its clients


async def test_a_client_whose_network_breaks_in_every_way_receives_everything(
    mongo_url: str, database_name: str, caplog: Any
) -> None:
    chance = random.Random(SEED)
    async with (
        writing(mongo_url, database_name) as writer,
        running(settings_for(mongo_url, database_name)) as relay,
        Proxy(urlsplit(relay.url).port or 0) as proxy,
        watching(lambda: f"http://127.0.0.1:{proxy.port}", *(two := watchers())),
    ):
        async with writer.busy():
            for number in range(KILLS):
                proxy.delay(chance.choice([0, 0.005]))
                await writer.acknowledge(chance.randrange(1, 40))
                for break_it in (proxy.reset, proxy.half_close, proxy.refuse):
                    if chance.random() < 0.5:
                        break_it()
                        await writer.acknowledge(chance.randrange(1, 10))
                proxy.black_hole()
                await writer.acknowledge(20)
                if chance.random() < 0.5:
                    proxy.reset()
                await proxy.heal()
                if number == KILLS // 2:
                    await writer.take("t0")
                await caught_up(writer, *two)
        await check_received(writer, *two)
    no_traceback(caplog)


async def have_connections(relay: Relay, count: int) -> None:
    """Wait until the relay has so many connections: a client may be about to connect again."""
    async with asyncio.timeout(LONG_S):
        while await figure(relay, "relay_connections") != count:
            await asyncio.sleep(POLL_S)


async def test_a_client_that_falls_silent_is_disconnected_and_disturbs_no_other(
    mongo_url: str, database_name: str, caplog: Any
) -> None:
    settings = settings_for(
        mongo_url,
        database_name,
        relay_ping_interval_ms=200,
        relay_ping_timeout_ms=1_000,
        relay_heartbeat_ms=200,
    )
    async with (
        writing(mongo_url, database_name) as writer,
        running(settings) as relay,
        Proxy(urlsplit(relay.url).port or 0) as proxy,
        watching(relay, *(two := watchers())),
    ):
        async with watching(lambda: f"http://127.0.0.1:{proxy.port}", silent := Watcher(JOINED)):
            await have_connections(relay, 3)
            # When the network drops every packet of one client in both directions, without a FIN,
            proxy.black_hole()
            async with writer.busy():
                async with asyncio.timeout(LONG_S):
                    while await figure(relay, "relay_connections") > 2:
                        await writer.acknowledge(5)
                        await caught_up(writer, *two)  # then the other clients do not notice,
            # the client is disconnected, and reconnects when the network is back.
            await proxy.heal()
            await caught_up(writer, silent)
            await check_received(writer, silent)
        await check_received(writer, *two)
    no_traceback(caplog)


async def test_clients_that_connect_and_are_cut_off_leave_nothing_behind(
    mongo_url: str, database_name: str, caplog: Any
) -> None:
    async with (
        writing(mongo_url, database_name) as writer,
        running(settings_for(mongo_url, database_name)) as relay,
        Proxy(urlsplit(relay.url).port or 0) as proxy,
    ):
        await writer.write(20)
        before = len(tasks_of_ours())
        crowd = [Watcher(JOINED, dashboard=True) for _ in range(10)]
        async with writer.busy(), watching(lambda: f"http://127.0.0.1:{proxy.port}", *crowd):
            for number in range(1, 10):
                proxy.reset()
                # When more than half of them are connected again, whatever each is doing.
                back = len(crowd) * number + len(crowd) // 2
                await until(lambda back=back: proxy.connections > back, "the crowd")
            await caught_up(writer, *crowd)
            await have_connections(relay, len(crowd))
        async with asyncio.timeout(LONG_S):
            while await figure(relay, "relay_connections") or await figure(relay, "relay_rooms"):
                pass
        await until(lambda: len(tasks_of_ours()) <= before, "every task to end", within_s=10)
        assert proxy.connections > 5 * len(crowd)
    no_traceback(caplog)


def tasks_of_ours() -> list[str]:
    """Return the running tasks, except those of the driver, which keeps connections open, and the request to the change
    stream, which may or may not be running at any moment."""
    running = [task.get_coro() for task in asyncio.all_tasks()]
    return [
        str(one)
        for one in running
        if "pymongo" not in getattr(getattr(one, "cr_code", None), "co_filename", "")
        and getattr(one, "__qualname__", "") != Tail._more.__qualname__
    ]
