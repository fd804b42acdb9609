"""What operators are answered about a relay with several workers: /readyz, /metrics and /healthz."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from support.relay_fixture import SOON_S
from support.worker_clients import clients, spread
from support.worker_processes import TAILER, WORKER, fetch, readiness, ready_in, runs, samples, until, workers

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
        state = await readiness(at)
        assert (state["status"], state["ready"], state["stale"]) == (200, True, False)
        assert [one["worker"] for one in state["workers"]] == [1, 2]
        assert all(one["ready"] and not one["stale"] for one in state["workers"])
        assert state["lastReplyMs"] == max(one["lastReplyMs"] for one in state["workers"])
        assert await asyncio.to_thread(fetch, f"{at}/healthz") == (200, b'{"alive":true}')

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


async def test_with_a_port_for_operators_clients_cannot_ask(
    two_workers: dict[str, str], tmp_path: Path
) -> None:
    port = embedded.free_port()
    async with workers(tmp_path, **two_workers | {"RELAY_ADMIN_PORT": str(port)}) as relay:
        for path in ("readyz", "metrics"):
            assert (await asyncio.to_thread(fetch, f"{relay.url}/{path}"))[0] == 404
            assert (await asyncio.to_thread(fetch, f"http://127.0.0.1:{port}/{path}"))[0] == 200
        assert (await asyncio.to_thread(fetch, f"{relay.url}/healthz"))[0] == 200
        assert (await asyncio.to_thread(fetch, f"http://127.0.0.1:{port}/"))[0] == 404


async def test_what_workers_counted_is_not_lost_when_they_end(
    operated: dict[str, str], tmp_path: Path
) -> None:
    async with workers(tmp_path, **operated) as relay:
        at = operators(relay, operated)
        async with clients(relay.url, 20):
            before = await samples(at)
            assert before["relay_connections"] == 20
            # When a worker is killed, its clients no longer count, and all that was counted so far stays.
            os.kill(relay.children()[0], signal.SIGKILL)
            await relay.says("a process of the relay ended and will be started again")
            after = await until(lambda: samples(at), lambda found: found["relay_workers"] == 2)
            assert 0 < after["relay_connections"] < 20
            counters = [name for name in before if "_total" in name and "_worker_" not in name]
            assert len(counters) >= 8
            assert all(after[name] >= before[name] for name in counters)
            assert sum(after[f'relay_worker_restarts_total{{worker="{one}"}}'] for one in (1, 2)) == 1
        # A worker that ends as it was asked to says at the end what it counted: here the clients that it sent away.
        async with clients(relay.url, 20):
            relay.process.send_signal(signal.SIGUSR1)
            await relay.says("a process of the relay was replaced", times=3)
            after = await samples(at)
            assert after['relay_closed_total{code="1001"}'] == 20
            assert after["relay_connections"] == 0


async def test_the_connections_of_a_worker_that_is_being_replaced_are_counted_until_it_has_ended(
    operated: dict[str, str], tmp_path: Path
) -> None:
    given = operated | {"RELAY_DRAIN_MS": "60000"}
    async with workers(tmp_path, **given) as relay, clients(relay.url, 10) as members:
        at = operators(relay, operated)
        await relay.ready(2, at)
        # Given a worker that has told its clients that it will stop, and has a successor,
        relay.process.send_signal(signal.SIGUSR1)
        draining = [asyncio.create_task(one.until("server:draining")) for one in members]
        await asyncio.wait(draining, return_when=asyncio.FIRST_COMPLETED, timeout=SOON_S)
        # when operators ask,
        said, processes = await samples(at), relay.children()
        for waiting in draining:
            waiting.cancel()
        await asyncio.gather(*draining, return_exceptions=True)
        # then its clients count, and so do the places of its successor in place of its own.
        assert len(processes) == 3
        assert said["relay_connections"] == sum(spread(said)) == 10
        assert said["relay_connections_limit"] == 3001


async def test_a_worker_that_hangs_is_not_ready_and_left_out(
    operated: dict[str, str], tmp_path: Path
) -> None:
    given = operated | {"RELAY_WORKERS": "3"}
    async with workers(tmp_path, "--worker-ports", f"unix:{tmp_path}", **given) as relay:
        # Given a worker that hangs,
        hanging, *_ = relay.children()
        os.kill(hanging, signal.SIGSTOP)
        at = operators(relay, operated)
        # when operators ask (again, if they met the worker that hangs),
        state = await until(lambda: soon(at), lambda found: found is not None and ready_in(found) == 2)
        # then the relay is not ready, because clients may be with that worker.
        assert (state["status"], state["ready"]) == (503, False)
        if "RELAY_ADMIN_PORT" in given:  # otherwise the worker that hangs may be asked
            assert (await samples(at))["relay_ready"] == 0
        (silent,) = [one for one in state["workers"] if not one["ready"]]
        assert silent == {"worker": silent["worker"], "ready": False}
        os.kill(hanging, signal.SIGCONT)
        assert (await relay.ready(3, at))["ready"]
        assert await relay.end() == 0


@pytest.mark.parametrize("module", [WORKER, TAILER])
async def test_a_process_that_hangs_for_long_is_replaced(
    two_workers: dict[str, str], tmp_path: Path, module: str
) -> None:
    patches = {"relay.workers.slot.ASK_EVERY_S": 0.7}
    async with workers(tmp_path, patches=patches, **two_workers) as relay:
        hanging, *_ = relay.children(module)
        os.kill(hanging, signal.SIGSTOP)
        said = await relay.says("a process of the relay ended and will be started again")
        assert said.count("a process of the relay hangs and is killed") == 1
        assert not runs(hanging)
        await relay.ready(2)
        assert await relay.end() == 0


async def soon(at: str) -> dict[str, Any] | None:
    """The body of /readyz; None if the worker that was asked does not answer."""
    with suppress(OSError):
        return await readiness(at, within_s=5)
    return None


async def test_a_relay_whose_database_is_away_is_not_ready(
    two_workers: dict[str, str], tmp_path: Path
) -> None:
    given = two_workers | {
        "RELAY_MONGO_URL": f"mongodb://127.0.0.1:{embedded.free_port()}/",
        "RELAY_ADMIN_PORT": str(port := embedded.free_port()),
    }
    async with workers(tmp_path, until="trying again", **given):
        state = await readiness(f"http://127.0.0.1:{port}")
        assert state["status"] == 503
        assert (state["ready"], state["stale"], ready_in(state)) == (False, True, 0)
        assert len(state["workers"]) == 2
