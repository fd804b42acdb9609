"""A relay that serves TLS itself: its clients, connections that are no TLS, and a new certificate."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from support.certificates import Authority
from support.command_process import run
from support.key_updates import RawTls
from support.relay_fixture import SOON_S, SocketClient, connected, running, token
from support.relay_metrics import becomes
from support.worker_clients import free_ports
from support.worker_processes import workers

from relay.app import Relay
from relay.errors import StartupError


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """The authority whom clients of this process trust: they read SSL_CERT_FILE."""
    made = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.file))
    return made


@pytest.fixture
def secure(authority: Authority, with_: Callable[..., Any]) -> Callable[..., Any]:
    """A function that makes the settings of a relay with TLS."""
    return lambda **given: with_(relay_tls_cert=authority.issue("relay"), **given)


def asked(url: str, *, body: object = None, **headers: str) -> tuple[int, bytes]:
    """Send one request with a context of its own, and return the status and the body of the answer."""
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, content, headers)
    try:
        with urllib.request.urlopen(request, timeout=SOON_S, context=ssl.create_default_context()) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as answer:
        with answer:
            return answer.code, answer.read()


def address_of(relay: Relay) -> tuple[str, int]:
    at = urlsplit(relay.url)
    assert at.hostname is not None
    assert at.port is not None
    return at.hostname, at.port


async def test_websockets_polls_and_pages_work_over_tls(secure: Callable[..., Any], tasks: Any) -> None:
    tasks.insert_one({"_id": "t", "createdBy": "alice", "title": "Encrypted", "events": []})
    async with running(secure(relay_poll_wait_ms=0)) as relay:
        assert relay.url.startswith("https://127.0.0.1:")
        async with connected(relay, "/ws/dashboard") as client:
            state = await client.until("dashboard:state")
            assert [one["title"] for one in state["data"]["tasks"]] == ["Encrypted"]
            await asyncio.to_thread(tasks.update_one, {"_id": "t"}, {"$set": {"title": "Changed"}})
            await client.until("dashboard:task_list_updated", taskId="t")
        bearer = f"Bearer {token('alice')}"
        status, answer = await asyncio.to_thread(
            asked, f"{relay.url}/poll", body={"tasks": [{"taskId": "t"}]}, Authorization=bearer
        )
        assert (status, json.loads(answer)["messages"][0]["type"]) == (200, "task:state")
        status, page = await asyncio.to_thread(asked, f"{relay.url}/")
        assert (status, page[:15].lower()) == (200, b"<!doctype html>")
        # Pages of the relay's own origin may connect, and that begins with https:.
        for origin, expected in ((relay.url, 200), (relay.url.replace("https", "http"), 403)):
            status, told = await asyncio.to_thread(
                asked, f"{relay.url}/config", Origin=origin, Authorization=bearer
            )
            assert status == expected
            assert status == 403 or b'"wss://' in told


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_versions_of_tls_before_1_2_are_refused(
    secure: Callable[..., Any], authority: Authority
) -> None:
    def shaken(newest: ssl.TLSVersion, at: tuple[str, int]) -> str | None:
        client = ssl.create_default_context(cafile=str(authority.file))
        client.set_ciphers("ALL:@SECLEVEL=0")
        client.minimum_version, client.maximum_version = ssl.TLSVersion.TLSv1, newest
        with (
            socket.create_connection(at, SOON_S) as bare,
            client.wrap_socket(bare, server_hostname=at[0]) as wrapped,
        ):
            return wrapped.version()

    async with running(secure()) as relay:
        at = address_of(relay)
        assert await asyncio.to_thread(shaken, ssl.TLSVersion.TLSv1_3, at) == "TLSv1.3"
        assert await asyncio.to_thread(shaken, ssl.TLSVersion.TLSv1_2, at) == "TLSv1.2"
        with pytest.raises(ssl.SSLError, match=r"(?i)alert protocol version"):
            await asyncio.to_thread(shaken, ssl.TLSVersion.TLSv1_1, at)


@asynccontextmanager
async def bare(relay: Relay, sent: bytes) -> AsyncIterator[asyncio.StreamReader]:
    """Connect without TLS, and send these bytes."""
    reader, writer = await asyncio.open_connection(*address_of(relay))
    try:
        writer.write(sent)
        yield reader
    finally:
        writer.transport.abort()
        await asyncio.sleep(0)


async def ended(reader: asyncio.StreamReader) -> bytes:
    """Wait until the relay closes the connection, and return what it sent."""
    async with asyncio.timeout(SOON_S):
        try:
            return await reader.read()
        except ConnectionError:
            return b""


def client_hello() -> bytes:
    context = ssl.create_default_context()
    outgoing = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="relay").do_handshake()
    return outgoing.read()


async def test_what_is_no_tls_is_cut_and_not_answered(
    secure: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    async with running(secure()) as relay:
        for sent in (
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            b"\x16\x03\x01\xff\xff" + b"x" * 70_000,
            b"\0" * 64,
        ):
            async with bare(relay, sent) as reader:
                assert b"HTTP" not in await ended(reader)
    assert not [
        one for one in caplog.records if one.levelname in ("WARNING", "ERROR") and "expires" not in one.msg
    ]


@pytest.mark.parametrize("sent", [b"", client_hello()[:100], client_hello()], ids=["none", "half", "first"])
async def test_a_handshake_that_does_not_end_is_cut_in_time(secure: Callable[..., Any], sent: bytes) -> None:
    """The time for a request includes that for the handshake before it."""
    async with running(secure(relay_handshake_timeout_ms=300)) as relay:
        began = time.monotonic()
        async with bare(relay, sent) as reader:
            await ended(reader)
        assert time.monotonic() - began < SOON_S / 2


async def test_handshakes_that_have_not_ended_count_for_their_address(secure: Callable[..., Any]) -> None:
    async with running(secure(relay_max_connections_per_address=2)) as relay:
        async with bare(relay, client_hello()) as first, bare(relay, client_hello()) as second:
            for waiting in (first, second):
                assert await waiting.readexactly(1)  # the relay has answered, and waits
            with pytest.raises(OSError):
                await asyncio.to_thread(asked, f"{relay.url}/healthz")
        async with asyncio.timeout(SOON_S):
            while True:
                try:
                    status, _ = await asyncio.to_thread(asked, f"{relay.url}/healthz")
                except OSError:
                    continue
                assert status == 200
                break


async def test_a_client_that_cuts_off_in_a_handshake_leaves_no_connection(secure: Callable[..., Any]) -> None:
    async with running(secure(relay_max_connections_per_address=1)) as relay:
        for _ in range(5):
            async with bare(relay, client_hello()) as reader:
                await reader.readexactly(1)
        async with asyncio.timeout(SOON_S):
            while True:
                try:
                    assert (await asyncio.to_thread(asked, f"{relay.url}/healthz"))[0] == 200
                except OSError:
                    continue
                break


def serial_number(at: tuple[str, int]) -> int:
    return x509.load_pem_x509_certificate(ssl.get_server_certificate(at).encode()).serial_number


async def test_new_connections_have_the_new_certificate_and_open_ones_go_on(
    secure: Callable[..., Any], authority: Authority
) -> None:
    settings = secure()
    async with running(settings) as relay, connected(relay) as before:
        at = address_of(relay)
        old = await asyncio.to_thread(serial_number, at)
        authority.issue("relay")  # into the same file
        assert (await relay.reload()).changed == ("RELAY_TLS_CERT",)
        new = await asyncio.to_thread(serial_number, at)
        assert new != old
        async with connected(relay) as after:
            for client in (before, after):
                assert await client.quiet() == []
        # A file that cannot be used changes nothing.
        settings.relay_tls_cert.write_text("no certificate")
        with pytest.raises(StartupError, match="has no certificate in PEM"):
            await relay.reload()
        assert await asyncio.to_thread(serial_number, at) == new


async def test_whether_there_is_tls_changes_only_with_a_restart(
    secure: Callable[..., Any], with_: Callable[..., Any]
) -> None:
    read = [secure()]
    async with running(read[0], read=lambda: read[0]) as relay:
        read[0] = with_()
        assert (await relay.reload()).need_restart == ("RELAY_TLS_CERT",)
        assert (await asyncio.to_thread(asked, f"{relay.url}/healthz"))[0] == 200


async def test_workers_their_own_ports_and_the_port_for_operators_have_tls(
    two_workers: dict[str, str], authority: Authority, tmp_path: Path
) -> None:
    first, operators = free_ports(2), free_ports(1)
    given = two_workers | {
        "RELAY_TLS_CERT": str(authority.issue("relay")),
        "RELAY_WORKER_PORTS": str(first),
        "RELAY_ADMIN_PORT": str(operators),
    }
    async with workers(tmp_path, **given) as relay:
        assert relay.url.startswith("https://")
        for port in (urlsplit(relay.url).port, first, first + 1):
            async with connected(f"https://127.0.0.1:{port}") as client:
                assert isinstance(client, SocketClient)
        state = await relay.ready(2, f"https://127.0.0.1:{operators}")
        assert (state["status"], len(state["workers"])) == (200, 2)
        # A reload reaches the parent and all workers.
        ports = (operators, first, first + 1)
        old = {serial_number(("127.0.0.1", port)) for port in ports}
        authority.issue("relay")
        relay.process.send_signal(signal.SIGHUP)
        assert "RELAY_TLS_CERT" in await relay.says("reloaded changed=")
        (new,) = {serial_number(("127.0.0.1", port)) for port in ports}
        assert new not in old
        assert await relay.end() == 0
        assert "Traceback" not in relay.said()


async def test_an_unusable_certificate_stops_the_start_of_workers(
    two_workers: dict[str, str], tmp_path: Path
) -> None:
    for more in ({}, {"RELAY_ADMIN_PORT": "0"}):
        said = run("serve", **two_workers, RELAY_TLS_CERT=str(tmp_path / "away.pem"), **more)
        assert said.returncode == 3
        assert f"relay: RELAY_TLS_CERT: {tmp_path / 'away.pem'} cannot be read" in said.stderr
        assert "Traceback" not in said.stderr


async def test_tail_and_admin_trust_the_authority_that_ssl_cert_file_names(
    secure: Callable[..., Any], authority: Authority, tasks: Any
) -> None:
    tasks.insert_one({"_id": "t", "createdBy": "alice", "title": "Encrypted", "events": []})
    async with running(secure(relay_admin_port=0)) as relay:
        await becomes(relay_at(relay), "relay_connections", lambda count: count == 0)
        given = {"RELAY_URL": relay.url, "RELAY_TOKEN": token("alice"), "SSL_CERT_FILE": str(authority.file)}
        shown = await asyncio.to_thread(run, "tail", "--dashboard", "--json", "--count", "1", **given)
        assert '"dashboard:state"' in shown.stdout, shown.stderr
        admin = {
            "RELAY_ADMIN_URL": relay.admin_url,
            "RELAY_TOKEN": token("root", roles=["admin"]),
            "SSL_CERT_FILE": str(authority.file),
        }
        stats = await asyncio.to_thread(run, "admin", "stats", "--json", **admin)
        assert stats.returncode == 0, stats.stderr
        # Without it, they say why they do not connect.
        elsewhere = await asyncio.to_thread(
            run, "tail", "--duration", "60", **{**given, "SSL_CERT_FILE": "/dev/null"}
        )
        assert "certificate" in elsewhere.stdout + elsewhere.stderr


def relay_at(relay: Relay) -> Any:
    """What `becomes` needs of a relay whose metrics are on the port for operators."""

    class At:
        url = relay.admin_url

    return At


@pytest.mark.parametrize(("times", "is_served"), [(50, True), (5_000, False)])
async def test_a_client_that_asks_for_new_keys_without_end_is_cut_off(
    secure: Callable[..., Any], authority: Authority, times: int, is_served: bool
) -> None:
    """To make keys takes much longer than to ask for them, and meanwhile nobody else is served."""
    request = b"GET /healthz HTTP/1.1\r\nHost: relay\r\n\r\n"
    context = ssl.create_default_context(cafile=str(authority.file))

    def answer(at: tuple[str, int]) -> bytes:
        client = RawTls(at, context)
        with client.socket:
            client.ask_for_keys(times)
            client.write(request)
            with suppress(ConnectionError):
                client.flush()
            return client.received()

    async with running(secure()) as relay:
        found = await asyncio.to_thread(answer, address_of(relay))
        assert found.startswith(b"HTTP/1.1 200") == is_served
        # One record may be as large as TLS permits, and arrive in small pieces.
        at = address_of(relay)
        client = await asyncio.to_thread(RawTls, at, context)
        with client.socket:
            client.write(request[:-2] + b"X-Filler: " + b"x" * (16_384 - len(request) - 14) + b"\r\n\r\n")
            await asyncio.to_thread(client.flush)
            assert (await asyncio.to_thread(client.received))[:12] == b"HTTP/1.1 200"
