"""The admin API of a relay with one process and with two workers: who may ask, and what is answered."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import pytest_asyncio
from pymongo import MongoClient
from support.administrators import ADMIN, Administered, administered, request
from support.jwks_issuer import Issuer
from support.polling_client import Answer, Poller, post
from support.relay_fixture import SOON_S, WORKER_LIMITS, connected, settings_to_serve, token
from support.token_forgery import jwk, jwks, signed
from support.worker_processes import until, workers
from websockets.exceptions import ConnectionClosed

from relay.client import Connected, Disconnected, connect

PROCESSES = {"one process": "1", "two workers": "2"}


@pytest.fixture(scope="module")
def database_name(mongo: MongoClient[dict[str, Any]]) -> Iterator[str]:
    """A database for all tests of this file, so that most of them can ask one relay."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    yield name
    mongo.drop_database(name)


@pytest.fixture
def tasks(mongo: MongoClient[dict[str, Any]], database_name: str) -> Iterator[Any]:
    """The collection of tasks, which is empty afterwards."""
    tasks = mongo[database_name]["tasks"]
    yield tasks
    tasks.delete_many({})


@pytest.fixture(scope="module", params=PROCESSES)
def processes(request: pytest.FixtureRequest) -> str:
    """The value of RELAY_WORKERS."""
    return PROCESSES[request.param]


@pytest.fixture
def given(processes: str, two_workers: dict[str, str]) -> dict[str, str]:
    """Settings for a relay of one process or of two."""
    return two_workers | {"RELAY_WORKERS": processes, "RELAY_LOG_LEVEL": "DEBUG"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(
    processes: str, mongo_url: str, database_name: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Administered]:
    """A relay with a port for administrators, which many tests ask."""
    given = settings_to_serve(mongo_url, database_name) | WORKER_LIMITS
    given |= {"RELAY_WORKERS": processes, "RELAY_LOG_LEVEL": "DEBUG"}
    async with administered(tmp_path_factory.mktemp("relay"), **given) as made:
        yield made


@pytest.fixture
async def asked(shared: Administered) -> Administered:
    """A relay with a port for administrators, to which nobody is connected."""
    await shared.counts(0)
    return shared


def bearer(sub: str = "eve", **claims: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {token(sub, **claims)}"}


ROOT = f"Bearer {token(**ADMIN, ttl_s=86_400)}"
OTHER_SECRET = "another secret, which is long enough, too"
DENIED: dict[str, tuple[int, dict[str, str]]] = {
    "no token": (401, {}),
    "an empty token": (401, {"Authorization": "Bearer "}),
    "no JWT": (401, {"Authorization": "Bearer admin"}),
    "a password": (401, {"Authorization": "Basic cm9vdDpyb290"}),
    "another secret": (401, bearer(secret=OTHER_SECRET, roles=["admin"])),
    "an expired token": (401, bearer(ttl_s=-1, roles=["admin"])),
    "a cookie": (401, {"Cookie": f"token={ROOT.removeprefix('Bearer ')}"}),
    "no claim": (403, bearer(ttl_s=86_400)),
    "other roles": (403, bearer(ttl_s=86_400, roles=["Admin", "administrator", "admin "])),
    "roles in a string": (403, bearer(ttl_s=86_400, roles="viewer,admin")),
    "a role as a name": (403, bearer(ttl_s=86_400, roles={"admin": True})),
    "roles in a list of lists": (403, bearer(ttl_s=86_400, roles=[["admin"]])),
    "true": (403, bearer(ttl_s=86_400, roles=True)),
    "the claim elsewhere": (403, bearer(ttl_s=86_400, app={"roles": ["admin"]}, role="admin")),
    "a foreign page": (403, {"Authorization": ROOT, "Origin": "https://evil.example.com"}),
    "a page without an origin": (403, {"Authorization": ROOT, "Origin": "null"}),
}
REQUESTS = {
    "/admin/connections": "GET",
    "/admin/tasks/t": "GET",
    "/admin/stats": "GET",
    "/admin/users/alice": "DELETE",
    "/admin/reload": "POST",
}


async def test_whoever_is_no_administrator_learns_nothing_and_changes_nothing(asked: Administered) -> None:
    async with connected(asked.relay.url, "/ws/tasks/t") as alice:
        assert (await asked.ask(f"/admin/users/{ROOT.removeprefix('Bearer ')}", "DELETE")).status == 401
        for path, method in REQUESTS.items():
            for name, (status, headers) in DENIED.items():
                refused = await asked.ask(path, method, **headers)
                assert refused.status == status, (path, name)
                assert refused.headers["cache-control"] == "no-store"
                assert refused.body["type"] == "error"
                assert refused.body["data"].keys() == {"code", "message", "temporary"}
                assert "alice" not in str(refused.body)
            # A token in the query is refused, even if the header has a good one.
            queried = f"{path}?token={ROOT.removeprefix('Bearer ')}"
            for headers in ({}, {"Authorization": ROOT}):
                assert (await asked.ask(queried, method, **headers)).status == 401, path
            # No other method reads or changes anything.
            for other in {"GET", "DELETE", "POST", "PUT", "PATCH", "OPTIONS"} - {method}:
                assert (await asked.ask(path, other, Authorization=ROOT)).status == 405, (path, other)
        assert [one["type"] for one in await alice.quiet()] in ([], ["error"])  # there is no task t
    # Refusals are logged, but not without end, and no token is.
    said = asked.relay.said()
    refusals = [line for line in said.splitlines() if " WARNING " in line and "admin request refused" in line]
    assert 40 <= len(refusals) <= 80  # 20 of this address and 20 of the user, in at most two minutes
    assert any("user='eve'" in line and "reason='no administrator' method='GET'" in line for line in refusals)
    assert any("address='127.0.0.1' status=401 reason='token_in_query' method=" in line for line in refusals)
    assert ROOT.removeprefix("Bearer ") not in said
    assert "path='/admin/users/[hidden]'" in said
    assert "reloaded" not in said


async def test_the_clients_port_has_no_admin_api(asked: Administered) -> None:
    for path, method in REQUESTS.items():
        found = await asyncio.to_thread(request, asked.relay.url + path, method, {"Authorization": ROOT})
        assert found.status == 404, path


async def test_without_a_port_for_operators_there_is_no_admin_api(
    given: dict[str, str], tmp_path: Path
) -> None:
    async with workers(tmp_path, **given) as relay:
        for path, method in REQUESTS.items():
            found = await asyncio.to_thread(request, relay.url + path, method, {"Authorization": ROOT})
            assert found.status == 404, path


@pytest.mark.parametrize(
    ("number", "claim", "claims"),
    [
        ("2", "realm_access.roles = operator", {"realm_access": {"roles": ["operator"]}}),
        ("1", "https://example.com/level=7", {"https://example.com/level": 7}),
        ("1", "sub=root", {}),
    ],
)
async def test_a_setting_says_which_claim_an_administrator_has(
    two_workers: dict[str, str], tmp_path: Path, number: str, claim: str, claims: dict[str, Any]
) -> None:
    given = two_workers | {"RELAY_WORKERS": number, "RELAY_ADMIN_CLAIM": claim}
    async with administered(tmp_path, **given) as asked:
        assert (await asked.ask("/admin/stats", **bearer("root", **claims))).status == 200
        assert (await asked.ask("/admin/stats", **bearer("eve", roles=["admin"]))).status == 403


async def test_a_page_of_the_port_itself_may_ask(asked: Administered) -> None:
    for origin in (asked.admin_url, asked.admin_url.replace("http:", "https:")):  # behind a proxy with TLS
        answered = await asked.ask("/admin/stats", Authorization=ROOT, Origin=origin)
        assert answered.status == 200


async def test_an_administrator_sees_who_is_connected(
    given: dict[str, str], tmp_path: Path, tasks: Any
) -> None:
    tasks.insert_one({"_id": "seen", "createdBy": "alice", "events": []})
    async with administered(tmp_path, **given) as asked:
        await the_connections_are_shown(asked)


async def the_connections_are_shown(asked: Administered) -> None:
    url = asked.relay.url
    async with connected(url, "/ws/dashboard") as first:
        await first.until("dashboard:state")
        async with connected(url, "/ws/tasks/seen") as second, connected(url, sub="alicea"):
            await second.until("task:state")
            assert await first.quiet() == []
            polling = await waiting_poll(url, "bob")  # the last, because it waits for 25 s at most
            try:
                assert await asked.counts(4) == ["alice", "alice", "alicea", "bob"]
                found = await asked.answer("/admin/connections")
                assert found["total"] == 4
                assert found.keys() == {"connections", "total"}
                rows = found["connections"]
                assert [one["since"] for one in rows] == sorted(one["since"] for one in rows)
                by_path = {one["path"]: one for one in rows}
                ids = {"/ws/dashboard": first, "/ws/tasks/seen": second}
                for path, client in ids.items():
                    assert by_path[path]["id"] == client.frames[0]["data"]["connectionId"]
                its = {"list": True, "tasks": 0, "transport": "websocket", "user": "alice", "messagesIn": 1}
                assert its.items() <= by_path["/ws/dashboard"].items()
                assert by_path["/ws/dashboard"]["messagesOut"] == len(first.frames)
                assert {"list": False, "tasks": 1}.items() <= by_path["/ws/tasks/seen"].items()
                its = {"list": True, "tasks": 0, "transport": "poll", "user": "bob", "lagging": False}
                assert its.items() <= by_path["/poll"].items()
                assert {one["address"] for one in rows} == {"127.0.0.1"}
                # The filter by user is exact, and the limit leaves out the newest.
                for user, count in {"alice": 2, "alicea": 1, "Alice": 0, "bob": 1, "": 4}.items():
                    one = await asked.answer(f"/admin/connections?user={user}")
                    assert (len(one["connections"]), one["total"]) == (count, count), user
                oldest = await asked.answer("/admin/connections?limit=2")
                assert ([one["id"] for one in oldest["connections"]], oldest["total"]) == (
                    [one["id"] for one in rows[:2]],
                    4,
                )
                for wrong in ("0", "1001", "-1", "x", "", "1e2", "99999999999"):
                    refused = await asked.ask(f"/admin/connections?limit={wrong}", Authorization=ROOT)
                    assert (refused.status, refused.body["data"]["code"]) == (400, "bad_request")
                await the_figures_fit(asked)
            finally:
                polling.cancel()
                await asyncio.gather(polling, return_exceptions=True)
        assert await asked.counts(1) == ["alice"]


async def waiting_poll(url: str, sub: str) -> asyncio.Task[Answer]:
    """Begin a poll of this user for the list, which waits, because its client has what there is."""
    first = await post(url, {"dashboard": {"limit": 5}}, sub=sub)
    held = {"limit": 5, "etag": first.body["dashboard"]["etag"]}
    return asyncio.create_task(post(url, {"moment": first.body["moment"], "dashboard": held}, sub=sub))


async def the_figures_fit(asked: Administered) -> None:
    """Four connections of three users are counted, each user once, however many workers serve them."""
    stats = await asked.answer("/admin/stats")
    counted = {"connections": 3, "polls": 1, "users": 3, "ready": True, "stale": False}
    assert counted.items() <= stats.items()
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", stats["version"])
    assert stats["uptimeS"] <= SOON_S * 2
    assert stats["lagMs"] >= 0
    if "workers" in stats:
        assert [one["worker"] for one in stats["workers"]] == [1, 2]
        for name in ("connections", "polls", "rooms", "knownTasks"):
            assert sum(one[name] for one in stats["workers"]) == stats[name]
        assert all(one["ready"] for one in stats["workers"])
    else:
        assert stats["rooms"] == 1


async def test_an_administrator_sees_who_listens_to_a_task(
    two_workers: dict[str, str], tmp_path: Path, tasks: Any
) -> None:
    names = ["t", "a/b", "..", "%2e%2e/x?y#z", "日本\n", " "]
    tasks.insert_many(
        {"_id": task, "createdBy": "alice", "title": "a secret title", "events": []} for task in names
    )
    async with administered(tmp_path, **two_workers) as asked, AsyncExitStack() as stack:
        await stack.enter_async_context(connected(asked.relay.url, "/ws/dashboard", sub="bob"))
        for task in names:
            await the_listeners_are_shown(asked, task)
        assert await asked.answer("/admin/tasks/nobody") == {
            "taskId": "nobody",
            "listeners": [],
            "total": 0,
        }


async def the_listeners_are_shown(asked: Administered, task: str) -> None:
    """Six connections listen to the task, and an administrator sees exactly these."""
    async with AsyncExitStack() as stack:
        mine = [
            await stack.enter_async_context(connected(asked.relay.url, f"/ws/tasks/{quote(task, safe='')}"))
            for _ in range(6)
        ]
        for client in mine:
            await client.until("task:state")
        path = f"/admin/tasks/{quote(task, safe='').replace('.', '%2E')}"
        found = await asked.answer(path)
        assert (found["taskId"], found["total"]) == (task, 6)
        assert {one["connection"] for one in found["listeners"]} == {
            client.frames[0]["data"]["connectionId"] for client in mine
        }
        its = {"user": "alice", "state": "live", "transport": "websocket"}
        assert all(its.items() <= one.items() for one in found["listeners"])
        assert {one["worker"] for one in found["listeners"]} <= {1, 2}
        assert "secret" not in str(found)


async def test_a_poll_that_waits_for_a_task_listens_to_it(
    given: dict[str, str], tmp_path: Path, tasks: Any
) -> None:
    tasks.insert_one({"_id": "polled", "createdBy": "alice", "events": []})
    poller = Poller("alice", ["polled"])
    async with administered(tmp_path, **given) as asked:
        await poller.poll(asked.relay.url)
        polling = asyncio.create_task(poller.poll(asked.relay.url))
        its = {"user": "alice", "transport": "poll", "state": "live"}
        await until(
            lambda: asked.answer("/admin/tasks/polled"),
            lambda found: any(its.items() <= one.items() for one in found["listeners"]),
        )
        tasks.update_one({"_id": "polled"}, {"$push": {"events": {"type": "x"}}})
        await polling
    assert len(poller.timelines["polled"]) == 1


async def test_a_user_is_disconnected_everywhere_and_nobody_else_is(asked: Administered, tasks: Any) -> None:
    url = asked.relay.url
    user = "alice/é ?#%2F.."
    async with AsyncExitStack() as stack:
        # Given some connections and a poll of a user, and of others,
        theirs = [await stack.enter_async_context(connected(url, sub=user)) for _ in range(8)]
        others = [
            await stack.enter_async_context(connected(url, "/ws/dashboard", sub=other))
            for other in ("alice", "bob", "alice/é ?#%2F.", "root")
        ]
        polling, beside = await waiting_poll(url, user), await waiting_poll(url, "bob")
        await asked.counts(14)
        # when an administrator disconnects the user,
        answer = await asked.answer(
            f"/admin/users/{quote(user, safe='').replace('.', '%2E')}", method="DELETE"
        )
        # then all of them are closed,
        assert answer == {"disconnected": 9}
        for client in theirs:
            with pytest.raises(ConnectionClosed):
                await client.until("never")
            assert (client.socket.close_code, client.socket.close_reason) == (4403, "disconnected")
        refused = await polling
        data = refused.body["data"]
        assert (refused.status, data["code"], data["message"]) == (403, "forbidden", "disconnected")
        # nobody else is,
        tasks.insert_one({"_id": "while connected", "createdBy": "bob", "events": []})
        assert (await beside).types == ["dashboard:state"]
        for client in others:
            await client.quiet()
        assert await asked.counts(4) == sorted(["alice", "bob", "alice/é ?#%2F.", "root"])
        # and the user is not kept out.
        async with connected(url, sub=user) as back:
            assert await back.quiet() == []
            assert len(await asked.counts(5)) == 5
    lines = [line for line in asked.relay.said().splitlines() if "a user was disconnected" in line]
    (line,) = [line for line in lines if f"user={user!r}" in line]
    assert " INFO " in line
    assert f"by='root' user={user!r} connections=9" in line


async def test_a_python_client_comes_back_with_another_token_only(asked: Administered) -> None:
    now, later = token("alice"), token("alice", session="another")
    tokens = [now, now, later]

    def source() -> str:
        return tokens.pop(0) if len(tokens) > 1 else tokens[0]

    async with connect(asked.relay.url, source) as client, asyncio.timeout(SOON_S):
        events = aiter(client)
        while not isinstance(await anext(events), Connected):
            pass
        assert await asked.answer("/admin/users/alice", "DELETE") == {"disconnected": 1}
        while not isinstance(lost := await anext(events), Disconnected):
            pass
        assert (lost.code, lost.reason) == (4403, "disconnected")
        while not isinstance(await anext(events), Connected):
            pass
        assert tokens == [later]


async def test_disconnecting_a_user_who_is_not_connected_changes_nothing(asked: Administered) -> None:
    async with connected(asked.relay.url) as alice:
        assert await asked.answer("/admin/users/bob", "DELETE") == {"disconnected": 0}
        assert await asked.answer("/admin/users/", "DELETE") == {"disconnected": 0}
        assert await alice.quiet() == []


async def test_a_worker_that_does_not_answer_is_named(two_workers: dict[str, str], tmp_path: Path) -> None:
    async with (
        administered(tmp_path, answers_within_s=5.0, **two_workers) as asked,
        AsyncExitStack() as stack,
    ):
        for _ in range(20):
            await stack.enter_async_context(connected(asked.relay.url))
        whole = await asked.answer("/admin/connections")
        # Given a worker that hangs,
        hanging, _ = asked.relay.children()
        os.kill(hanging, signal.SIGSTOP)
        # when an administrator asks,
        found, stats, listeners = await asyncio.gather(
            *(asked.answer(f"/admin/{what}") for what in ("connections", "stats", "tasks/t"))
        )
        # then its connections are missing, and it is named.
        (silent,) = found["unanswered"]
        assert {one["worker"] for one in found["connections"]} == {3 - silent}
        assert 0 < found["total"] < whole["total"] == 20
        assert stats["unanswered"] == listeners["unanswered"] == [silent]
        answer = await asked.answer("/admin/users/alice", "DELETE")
        assert answer == {"disconnected": found["total"], "unanswered": [silent]}
        # When it goes on, it has closed the rest.
        os.kill(hanging, signal.SIGCONT)
        assert await asked.counts(0) == []
        assert "unanswered" not in await asked.answer("/admin/connections")


async def test_the_parent_of_workers_fetches_the_keys_of_administrators(
    two_workers: dict[str, str], tmp_path: Path
) -> None:
    claims = {**ADMIN, "exp": int(time.time()) + 600}
    good = {"Authorization": f"Bearer {signed(claims, 'RSA', 'RS256', kid='one')}"}
    foreign = {"Authorization": f"Bearer {signed(claims, 'RSA-other', 'RS256', kid='one')}"}
    async with Issuer() as issuer:
        given = two_workers | {"RELAY_JWT_SECRET": "", "RELAY_JWKS_URL": issuer.url}
        starting = asyncio.create_task(anext(started := opened(tmp_path, given)))
        issuer.document = jwks(jwk("RSA", "one"))
        asked = await starting
        try:
            answer = await until(lambda: asked.ask("/admin/stats", **good), lambda one: one.status != 503)
            assert answer.status == 200
            assert (await asked.ask("/admin/stats", **foreign)).status == 401
        finally:
            await started.aclose()


async def opened(tmp_path: Path, given: dict[str, str]) -> AsyncIterator[Administered]:
    async with administered(tmp_path, **given) as asked:
        yield asked


async def test_processes_that_are_being_replaced_are_asked_too(
    two_workers: dict[str, str], tmp_path: Path
) -> None:
    given = two_workers | {"RELAY_DRAIN_MS": "60000"}
    async with administered(tmp_path, **given) as asked, AsyncExitStack() as stack:
        members = [await stack.enter_async_context(connected(asked.relay.url)) for _ in range(10)]
        # Given a worker that has told its clients that it will stop,
        asked.relay.process.send_signal(signal.SIGUSR1)
        draining = [asyncio.create_task(one.until("server:draining")) for one in members]
        await asyncio.wait(draining, return_when=asyncio.FIRST_COMPLETED, timeout=SOON_S)
        # when its clients are asked for and disconnected, then they are there and are closed.
        assert len(await asked.users()) == 10
        assert await asked.answer("/admin/users/alice", "DELETE") == {"disconnected": 10}
        for one, waiting in zip(members, draining, strict=True):
            await asyncio.wait([waiting])
            await asyncio.wait_for(one.socket.wait_closed(), SOON_S)
            assert one.socket.close_code == 4403
        await asyncio.gather(*draining, return_exceptions=True)
