"""Hardening: logs, metrics, errors and rights give nothing away, and one user cannot stop the others.

Each docstring begins with the rows of the security checklist (S1 to S38) that its test covers.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import signal
import statistics
import time
import tomllib
from contextlib import AsyncExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version
from pymongo import MongoClient, UpdateOne
from pymongo.errors import OperationFailure
from support.command_process import Process, started
from support.hostile_client import bearer, ending_of, get, status_of, text_frame
from support.raw_client import CLOSE, TEXT, frame, handshake, tcp_connection, upgraded
from support.relay_fixture import SOON_S, SocketClient, connected, running, token
from support.relay_metrics import becomes

from relay.cli.demo import mongod as embedded
from relay.gateway import session
from relay.gateway.http import CONTENT_SECURITY_POLICY


async def test_the_host_header_decides_nothing(with_: Any) -> None:
    """S29: Host: x/admin?, @evil.test and the like: the same decision as for the plain request."""
    async with running(with_()) as relay:
        good, foreign = bearer(token("alice")), "Origin: http://evil.test"
        hosts = (
            "x",
            "x/admin?",
            "evil.test",
            "x@evil.test",
            "127.0.0.1:1/ws/tasks/t?",
            "",
            "a" * 5_000,
            "[::1",
            "\xff",
        )
        for host in hosts:
            assert await status_of(relay.url, "/ws", good, host=host) == 101, host
            assert await status_of(relay.url, "/ws", foreign, good, host=host) == 403, host
            assert await status_of(relay.url, "/admin", good, host=host) == 404, host
        forwarded = ["X-Forwarded-Host: evil.test", "X-Forwarded-Proto: https", "X-Forwarded-Prefix: /admin"]
        assert await status_of(relay.url, "/ws", foreign, good, *forwarded, host="evil.test") == 403
        for path in (
            "/config/",
            "/client",
            "/dashboard",
            "//evil.test/",
            "//evil.test/%2e%2e",
            "/ws",
            "/admin",
        ):
            async with tcp_connection(relay.url) as peer:
                peer.send(f"GET {path} HTTP/1.1\r\nHost: evil.test\r\n\r\n".encode())
                status, head_ = await peer.answer()
                assert (status, b"evil.test" in head_) == (426 if path == "/ws" else 404, False), path
        for target in ("@evil.test", "evil.test:80"):
            async with tcp_connection(relay.url) as peer:
                peer.send(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                assert (await peer.answer())[0] == 400
        # The addresses that /config gives to clients are the relay's own.
        _, _, body = await get(f"{relay.url}/config", Authorization=good.partition(": ")[2], Host="evil.test")
        assert b"evil" not in body


ESCAPES = "\x1b[31mred\x07"


@pytest.mark.parametrize("format", ["console", "json"])
def test_clients_cannot_forge_log_lines(environment: dict[str, str], format: str) -> None:
    """S30: %0d%0a and ANSI escapes in paths, headers and close reasons: no forged lines, no control characters."""

    async def write(url: str) -> None:
        forged = "%0d%0a2026-01-01T00:00:00.000Z%20INFO%20all%20is%20well%1b%5b31m"
        headers = [f"User-Agent: {ESCAPES}\xff", f"X-Forwarded-For: {ESCAPES}", f"Cookie: {ESCAPES}"]
        for path in (
            f"/ws/tasks/{forged}",
            f"/nowhere/{forged}",
            f"/ws?{forged}",
            f"/ws/dashboard?limit={forged}",
        ):
            async with tcp_connection(url) as peer:
                peer.send(handshake(path, bearer(token("alice")), *headers))
                await peer.answer()
                peer.send(
                    text_frame(ESCAPES), text_frame("task:join", {"taskId": ESCAPES}), frame(TEXT, b"\x1b")
                )
                peer.send(frame(CLOSE, b"\x0f\xa0" + ESCAPES.encode()))
                await peer.ending()
        for sent in (ESCAPES.encode() + b"\r\n\r\n", b"GET /\x1b[31m HTTP/1.1\r\n\r\n", b"\x16\x03\x01" * 50):
            async with tcp_connection(url) as peer:
                peer.send(sent)
                await peer.answer()
        for path in ("/client/" + forged, "/config"):
            await get(url + path, User_Agent="x", Authorization=f"Bearer {ESCAPES}".replace("\x07", ""))

    until = '"event": "listening"' if format == "json" else "listening on"
    with started("serve", until=until, **environment | {"RELAY_LOG_FORMAT": format}) as (process, before):
        url = re.search(r'http://[^\s"]+', before)
        assert url is not None
        asyncio.run(write(url[0]))
        process.send_signal(signal.SIGTERM)
        logged = before + process.printed()
        assert process.wait(SOON_S) == 0
    assert "all is well" not in logged
    assert "Traceback" not in logged
    lines = [line for line in logged.splitlines() if format == "json" or not line.startswith("relay: ")]
    assert lines
    for line in lines:
        assert line.isprintable()
        assert "at" in json.loads(line) if format == "json" else re.match(r"\d{4}-\d\d-\d\dT[\d:.]+Z ", line)


class Broken(Exception):
    """An exception whose message a client must not see."""

    def __init__(self, *_: Any) -> None:
        super().__init__("mongodb://user:hunter2@db /srv/relay")


async def test_the_cause_of_an_error_is_logged_and_not_sent(
    with_: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """S31: an exception in a handler: the client gets 1011 internal error or 500, and nothing of the cause."""

    def fail(*_: Any, **__: Any) -> None:
        raise Broken

    async with running(with_()) as relay:
        with monkeypatch.context() as patch:
            patch.setattr(session.Session, "_execute", fail)
            async with upgraded(relay.url) as peer:
                peer.send(text_frame("ping"))
                await peer.frame()
                assert await peer.frame() == (CLOSE, b"\x03\xf3internal error")
        with monkeypatch.context() as patch:
            patch.setattr(session.Session, "authenticate", fail)
            assert await ending_of(relay.url, "/ws", bearer(token("alice"))) == (1011, "internal error")
        with monkeypatch.context() as patch:
            patch.setattr("relay.gateway.websocket.endpoints._opening", fail)
            assert await ending_of(relay.url) == (1011, "internal error")
        with monkeypatch.context() as patch:
            patch.setattr("relay.auth.admission.Admission.identify", fail)
            status, headers, body = await get(f"{relay.url}/config")
            assert (status, body) == (500, b"Internal Server Error")
            assert headers["content-security-policy"] == CONTENT_SECURITY_POLICY
        # The log has the cause, and the relay goes on.
        assert caplog.text.count("hunter2") >= 3
        async with connected(relay) as client:
            assert await client.quiet() == []
        await becomes(relay, "relay_connections ", lambda count: count == 0)


async def test_metrics_and_readiness_can_have_a_port_of_their_own(tasks: Any, with_: Any) -> None:
    """S32: metrics and readiness on the clients' port: 404; no label contains a user or a task."""
    tasks.insert_one({"_id": "the-task", "createdBy": "the-user"})
    async with running(with_(relay_admin_port=0)) as relay:
        async with connected(relay, "/ws/tasks/the-task", sub="the-user") as client:
            await client.until("task:state")
            for path in ("/metrics", "/readyz", "/metrics/", "/%6detrics", "//metrics", "/client/../metrics"):
                assert (await get(relay.url + path))[0] == 404, path
            status, _, body = await get(f"{relay.admin_url}/metrics")
            assert (status, b"relay_connections 1.0" in body) == (200, True)
            assert b"the-" not in body
        async with upgraded(relay.url) as peer:
            peer.send(frame(CLOSE, b"\x13\x87"))  # 4999: a private code, chosen by the client
            await peer.ending()
        body = (await get(f"{relay.admin_url}/metrics"))[2].decode()
        assert set(re.findall(r"(\w+)=\"", body)) == {
            *(
                "cause",
                "code",
                "kind",
                "le",
                "python",
                "reason",
                "result",
                "transport",
                "type",
                "version",
                "what",
            )
        }
        assert 'code="4999"' not in body
        assert (await get(f"{relay.admin_url}/readyz"))[0] == 200
        # The admin port has no endpoint for clients.
        for path in ("/", "/config", "/client/index.js", "/poll"):
            assert (await get(relay.admin_url + path))[0] == 404, path
        assert await status_of(relay.admin_url, "/ws", bearer(token("alice"))) == 404


async def test_the_right_to_read_one_collection_is_enough(with_: Any, tmp_path: Path) -> None:
    """S33: `find` and `changeStream` on its one collection. Writes and other collections are denied to its user."""
    key = tmp_path / "key"
    key.write_bytes(base64.b64encode(os.urandom(96)))
    key.chmod(0o600)
    with embedded.start(extra_args=["--auth", "--keyFile", str(key)]) as server:
        with MongoClient[dict[str, Any]](port=server.port, directConnection=True) as first:
            first.admin.command("createUser", "root", pwd="hunter2", roles=["root"])
        with MongoClient[dict[str, Any]](server.url, username="root", password="hunter2") as admin:
            where = {"db": "app", "collection": "tasks"}
            rights = [{"resource": where, "actions": ["find", "changeStream"]}]
            admin.app.command("createRole", "relay", privileges=rights, roles=[])
            admin.app.command("createUser", "relay", pwd="hunter2", roles=["relay"])
            admin.app.tasks.insert_one({"_id": "t", "createdBy": "alice"})
            url = server.url.replace("://", "://relay:hunter2@") + "&authSource=app"
            async with (
                running(with_(relay_mongo_url=url, relay_mongo_database="app")) as relay,
                connected(relay, "/ws/dashboard") as client,
            ):
                await client.send("task:join", {"taskId": "t"})
                await client.until("task:state")
                admin.app.tasks.update_one({"_id": "t"}, {"$push": {"events": 1}})
                await client.until("task:event_added")
        with MongoClient[dict[str, Any]](url) as user:
            for what in (
                lambda: user.app.tasks.insert_one({}),
                lambda: user.app.other.find_one(),
                lambda: list(user.app.tasks.aggregate([{"$out": "copy"}])),
            ):
                with pytest.raises(OperationFailure, match="not authorized"):
                    what()


@pytest.mark.parametrize(
    "url",
    [
        "mongodb://user:hunter2@127.0.0.1:{port}/?authSource=admin&serverSelectionTimeoutMS=300",
        "mongodb://user:hunter2@127.0.0.1:99999/",
        "mongodb://user:hun/hunter2@127.0.0.1/",
        "mongodb://user:hunter2@[::1/",
        "mongodb://user:p@hunter2:5@127.0.0.1:{port}/",
        "mongodb://127.0.0.1:{port}/?password=hunter2",
        "mongodb://user:hunter2@127.0.0.1:{port}/?authMechanism=hunter2",
        "mongodb+srv://user:hunter2@",
    ],
)
def test_a_failure_never_shows_the_password_of_the_database(
    environment: dict[str, str], mongo_url: str, url: str
) -> None:
    """S33: the password in RELAY_MONGO_URL is never printed, in exceptions neither."""
    port = re.search(r":(\d+)", mongo_url)
    assert port is not None
    with Process("serve", **environment | {"RELAY_MONGO_URL": url.format(port=port[1])}) as process:
        assert process.stdout is not None
        printed = b""
        until = re.compile(b"trying again|listening on")
        while not until.search(printed) and (more := os.read(process.stdout.fileno(), 65_536)):
            printed += more
        process.terminate()
        printed += process.stdout.read()
    assert printed
    assert b"hunter2" not in printed


FLOORS = {
    "pyjwt": ("2.15.1", "CVE-2026-102275, CVE-2026-102268"),
    "pymongo": ("4.18.2", "CVE-2026-96749"),
    "starlette": ("1.3.1", "PYSEC-2026-249"),
    "uvicorn": ("0.52.1", "no back-pressure before"),
}


def test_no_dependency_is_older_than_its_last_security_fix() -> None:
    """S36: pyjwt, pymongo, starlette or uvicorn below the versions with fixes: this test fails."""
    root = Path(__file__).parents[2]
    asked = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    for name, (floor, why) in FLOORS.items():
        assert Version(version(name)) >= Version(floor), why
        wanted = next(re.search(r">=([\d.]+)", one) for one in asked if re.match(rf"{name}\b", one))
        assert wanted is not None
        assert Version(wanted[1]) >= Version(floor), why
        for lock in (root / "requirements").glob("*.txt"):
            locked = re.search(rf"(?m)^{name}==([\d.]+)", lock.read_text("utf-8"))
            assert locked is None or Version(locked[1]) >= Version(floor), (lock.name, why)


async def test_one_user_with_many_sockets_does_not_stop_the_others(tasks: Any, with_: Any) -> None:
    """S38: one user has the permitted number of sockets on a busy task, and sends requests all the time. The messages
    of another user still arrive after little work for the first one.

    The work is measured as the CPU time of the thread in which relay and clients run. The time on a clock is only
    printed, because it also depends on what else the machine does.
    """
    tasks.insert_many([{"_id": "hot", "createdBy": "mallory"}, {"_id": "mine", "createdBy": "alice"}])
    over = asyncio.Event()
    busy: list[int] = []

    async def pester(peer: Any) -> None:
        ids = [f"none-{number}" for number in range(100)]
        while not over.is_set():
            peer.send(text_frame("resync_requested", {"taskIds": ids}))
            await peer.writer.drain()
            await asyncio.sleep(0.05)  # the permitted rate of a connection

    async def follow(peer: Any) -> None:
        try:
            while True:
                busy.append(len((await peer.frame())[1]))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass

    async def write_hot() -> None:
        batch = [UpdateOne({"_id": "hot"}, {"$push": {"events": {"$each": ["x"], "$slice": -50}}})] * 20
        while not over.is_set():
            await asyncio.to_thread(tasks.bulk_write, batch)

    async def round_trip(client: SocketClient, number: int) -> tuple[float, float]:
        """The seconds from a write to its message, and on to the answer to a request: of CPU time, and on the clock."""
        began = time.thread_time(), time.perf_counter()
        await asyncio.to_thread(tasks.update_one, {"_id": "mine"}, {"$push": {"events": number}})
        await client.until("task:event_added", index=number)
        await client.quiet()
        return time.thread_time() - began[0], time.perf_counter() - began[1]

    async with AsyncExitStack() as stack:
        relay = await stack.enter_async_context(
            running(with_(relay_messages_per_second=20, relay_max_connections_per_user=50))
        )
        alice = await stack.enter_async_context(connected(relay, "/ws/tasks/mine"))
        await alice.until("task:state")
        alone = [await round_trip(alice, number) for number in range(10)]
        peers = [
            await stack.enter_async_context(upgraded(relay.url, "/ws/tasks/hot", sub="mallory"))
            for _ in range(50)
        ]
        assert await ending_of(relay.url, "/ws", bearer(token("mallory"))) == (4430, "at_capacity")
        noise = [asyncio.create_task(follow(peer)) for peer in peers[5:]]  # the other five do not read at all
        noise += [asyncio.create_task(pester(peer)) for peer in peers[:10]]
        noise.append(asyncio.create_task(write_hot()))
        together = [await round_trip(alice, number) for number in range(10, 70)]
        async with connected(relay, "/ws/tasks/mine") as late:
            await late.until("task:state")
        over.set()
        for one in noise[:45]:
            one.cancel()
        await asyncio.gather(*noise, return_exceptions=True)
    assert len(busy) > 100
    for which, trips in (("alone", alone), ("beside a user with 50 busy sockets", together)):
        cpu_s, clock_s = (statistics.median(trip[part] for trip in trips) for part in (0, 1))
        print(
            f"\n  a round trip {which}: {1000 * cpu_s:.1f} ms of CPU time, {1000 * clock_s:.0f} ms in all",
            end="",
        )
    # In a relay that is not fair, every trip costs much. On a busy machine some take longer, and so there is more work
    # in them for the first user, who sends all the time.
    cpu_alone, cpu_together = ([cpu for cpu, _ in trips] for trips in (alone, together))
    assert min(cpu_together) < 5 * statistics.median(cpu_alone) + 0.05


async def test_each_response_has_the_security_headers(with_: Any) -> None:
    async with running(with_(relay_admin_port=0)) as relay:
        for url in (
            *(relay.url + path for path in ("/", "/config", "/healthz", "/client/index.js", "/nowhere")),
            *(relay.url + path for path in ("/dashboard/../../app.py", "/client/%2e%2e/%2e%2e/app.py")),
            *(relay.admin_url + path for path in ("/readyz", "/metrics", "/nowhere")),
        ):
            _, headers, body = await get(url)
            assert headers["content-security-policy"] == CONTENT_SECURITY_POLICY
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "no-referrer"
            assert headers["server"] is None
            assert b"composition root" not in body
        _, _, page = await get(f"{relay.url}/")
        # The page contains nothing that its policy forbids.
        forbidden = (
            rb'<script(?![^>]* (?:src=|type="application/json"))|<style|\son\w+=|\sstyle='
            rb"|https?://(?!www\.w3\.org)"
        )
        assert not re.search(forbidden, page)
    for part in ("unsafe", "*", "http:"):
        assert part not in CONTENT_SECURITY_POLICY
