"""What operators are answered about a relay with several workers: /readyz, /metrics and /healthz."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from support.relay_fixture import SOON_S
from support.worker_clients import clients, free_ports, spread
from support.worker_processes import TAILER, WORKER, fetch, gone, readiness, ready_in, samples, until, workers

from relay.cli.demo import mongod as embedded


@pytest.fixture(params=["an admin port", "the clients' port"])
def operated(request: pytest.FixtureRequest, two_workers: dict[str, str]) -> dict[str, str]:
    """Settings with a port for operators, or without."""
    admin = {"RELAY_ADMIN_PORT": str(embedded.free_port())} if request.param == "an admin port" else {}
    return two_workers | admin | {"RELAY_MAX_CONNECTIONS": "3001"}


def operators(relay: Any, given: dict[str, str]) -> str:
    """The address for operators."""
    port = given.get("RELAY_ADMIN_PORT")
    return f"http://127.0.0.1:{port}" if port else str(relay.url)


async def test_operators_are_answered_for_all_workers(
    operated: dict[str, str], tasks: Any, tmp_path: Path
) -> None:
    before_s = time.time() - 1.0
    async with workers(tmp_path, **operated) as relay, clients(relay.url, 20, "/ws/dashboard") as members:
        at = operators(relay, operated)
        state = await until(lambda: readiness(at), lambda state: state["ready"] and not state["stale"])
        assert state["status"] == 200
        assert [one["worker"] for one in state["workers"]] == [1, 2]
        assert all(one["ready"] and not one["stale"] for one in state["workers"])
        assert state["lastReplyMs"] == max(one["lastReplyMs"] for one in state["workers"])
        for url in (at, relay.url):
            assert await asyncio.to_thread(fetch, f"{url}/healthz") == (200, b'{"alive":true}')
        if at != relay.url:  # then clients cannot ask, and operators are not served as clients
            for url in (f"{relay.url}/readyz", f"{relay.url}/metrics", f"{at}/"):
                assert (await asyncio.to_thread(fetch, url))[0] == 404

        for client in members:
            await client.until("dashboard:state")
        tasks.insert_one({"_id": "t", "createdBy": "alice", "events": []})
        for client in members:
            await client.until("task:created")
        # Each worker has read the change, and a client is counted by one of them.
        said = await until(lambda: samples(at), lambda found: found["relay_changes_total"] == 2)
        assert (said["relay_connections"], said["relay_workers"]) == (20, 2)
        assert sum(spread(said)) == 20
        assert min(spread(said)) > 0
        for child in ("1", "2", "tailer"):
            assert said[f'relay_worker_restarts_total{{worker="{child}"}}'] == 0
        # Counts add up, and what is no sum is said of all together.
        assert said["relay_delivery_queued_seconds_count"] == 2
        assert said['relay_join_seconds_count{what="list"}'] == 20
        assert said["relay_connections_limit"] == 3001
        assert (said["relay_ready"], said["relay_stale"]) == (1, 0)
        assert 0 <= said["relay_lag_seconds"] < 30
        assert [said[one] for one in said if one.startswith("relay_build_info")] == [1]
        assert before_s <= said["process_start_time_seconds"] <= time.time()
        assert await relay.end() == 0


async def test_what_workers_counted_is_not_lost_when_they_end(
    two_workers: dict[str, str], tmp_path: Path
) -> None:
    async with workers(tmp_path, **two_workers) as relay:
        async with clients(relay.url, 20):
            before = await samples(relay.url)
            assert before["relay_connections"] == 20
            # When a worker is killed, its clients no longer count, and all that was counted so far stays.
            os.kill(relay.children()[0], signal.SIGKILL)
            await relay.says("a process of the relay ended and will be started again")
            after = await until(lambda: samples(relay.url), lambda found: found["relay_workers"] == 2)
            assert 0 < after["relay_connections"] < 20
            counters = [name for name in before if "_total" in name and "_worker_" not in name]
            assert len(counters) >= 8
            assert all(after[name] >= before[name] for name in counters)
            assert sum(after[f'relay_worker_restarts_total{{worker="{one}"}}'] for one in (1, 2)) == 1
        # A worker that ends as it was asked to says at the end what it counted: here the clients that it sent away.
        async with clients(relay.url, 20):
            relay.process.send_signal(signal.SIGUSR1)
            await relay.says("a process of the relay was replaced", times=3)
            after = await samples(relay.url)
            assert after['relay_closed_total{code="1001"}'] == 20
            assert after["relay_connections"] == 0


async def test_the_connections_of_a_worker_that_is_being_replaced_are_counted_until_it_has_ended(
    two_workers: dict[str, str], tmp_path: Path
) -> None:
    given = two_workers | {"RELAY_DRAIN_MS": "60000", "RELAY_MAX_CONNECTIONS": "3001"}
    async with workers(tmp_path, **given) as relay, clients(relay.url, 10) as members:
        # Given a worker that has told its clients that it will stop, and has a successor,
        relay.process.send_signal(signal.SIGUSR1)
        draining = [asyncio.create_task(one.until("server:draining")) for one in members]
        await asyncio.wait(draining, return_when=asyncio.FIRST_COMPLETED, timeout=SOON_S)
        # when operators ask,
        said = await until(lambda: samples(relay.url), lambda found: found["relay_connections"] == 10)
        processes = relay.children()
        for waiting in draining:
            waiting.cancel()
        await asyncio.gather(*draining, return_exceptions=True)
        # then its clients count, and so do the places of its successor in place of its own.
        assert len(processes) == 3
        assert said["relay_connections"] == sum(spread(said))
        assert said["relay_connections_limit"] == 3001


async def test_a_worker_that_hangs_is_not_ready_and_left_out(
    two_workers: dict[str, str], tmp_path: Path
) -> None:
    first = free_ports(2)
    patches = {"relay.workers.operations.ANSWER_WITHIN_S": 1.0}
    async with workers(tmp_path, "--worker-ports", str(first), patches=patches, **two_workers) as relay:
        # Given a worker that hangs,
        hanging, _ = relay.children()
        os.kill(hanging, signal.SIGSTOP)
        # when operators ask each of the two, then the other one answers
        each = [f"http://127.0.0.1:{first + number}" for number in (0, 1)]
        asking = [asyncio.create_task(readiness(at)) for at in each]
        await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
        (other,) = [at for at, one in zip(each, asking, strict=True) if one.done()]
        # that the relay is not ready, because clients may be with the worker that hangs.
        state = await until(lambda: readiness(other), lambda state: ready_in(state) == 1)
        assert (state["status"], state["ready"]) == (503, False)
        silent = 2 - each.index(other)
        assert state["workers"][silent - 1] == {"worker": silent, "ready": False}
        said = await samples(other, silent=1)
        assert (said["relay_ready"], len(spread(said))) == (0, 1)
        os.kill(hanging, signal.SIGCONT)
        await asyncio.gather(*asking, return_exceptions=True)  # the one of the worker that hung may be over
        assert (await relay.ready(2))["ready"]


async def test_processes_that_hang_for_long_are_replaced(two_workers: dict[str, str], tmp_path: Path) -> None:
    patches = {"relay.workers.slot.ASK_EVERY_S": 0.7}
    async with workers(tmp_path, patches=patches, **two_workers) as relay:
        hanging = [relay.children(module)[0] for module in (WORKER, TAILER)]
        for process in hanging:
            os.kill(process, signal.SIGSTOP)
        await gone(hanging)
        # On a busy machine, others may have been killed too.
        await relay.says("a process of the relay hangs and is killed", times=2)
        await relay.says("a process of the relay ended and will be started again", times=2)
        await relay.ready(2)
        assert await relay.end() == 0
