"""The valkey-server that tests start: what they may do to it, and that it leaves nothing behind."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from support.certificates import Authority
from support.doc_snippets import ROOT
from support.relay_fixture import SOON_S
from support.valkey import Valkey

redis = pytest.importorskip("redis")


@contextmanager
def client(url: str, **options: Any) -> Iterator[Any]:
    """A client that tries everything once."""
    with redis.Redis.from_url(url, retry=None, decode_responses=True, **options) as connected:
        yield connected


@pytest.mark.parametrize("unix", [False, True], ids=["port", "socket"])
def test_a_server_answers_at_its_url_and_leaves_nothing_behind(
    unix: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    with Valkey(unix=unix) as server, client(server.url) as connected:
        connected.set("a", "1")
        assert connected.get("a") == "1"
        process = server.pid
        assert [*tmp_path.iterdir()]

    assert not [*tmp_path.iterdir()]
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_a_server_ends_with_a_block_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    with suppress(LookupError), Valkey() as server:
        server.pause()
        raise LookupError

    assert not [*tmp_path.iterdir()]
    with socket.socket() as connection, pytest.raises(ConnectionRefusedError):
        connection.connect(("127.0.0.1", server.port))


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_a_killed_server_refuses_connections_and_starts_again_empty_in_the_same_place(
    tls: bool, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    options = {"ssl_ca_certs": str(authority.file)} if tls else {}
    certificate = authority.issue("valkey") if tls else None

    with Valkey(certificate=certificate) as server, client(server.url, **options) as connected:
        connected.set("a", "1")
        server.kill()
        with pytest.raises(redis.ConnectionError):
            connected.get("a")
        with socket.socket() as connection, pytest.raises(ConnectionRefusedError):
            connection.connect(("127.0.0.1", server.port))
        server.restart()
        assert connected.get("a") is None


def test_a_paused_server_answers_nothing_until_it_is_resumed() -> None:
    with Valkey() as server, client(server.url, socket_timeout=0.2) as hasty, client(server.url) as patient:
        patient.set("a", "1")
        server.pause()
        with pytest.raises(redis.TimeoutError):
            hasty.get("a")
        server.resume()
        assert patient.get("a") == "1"


def test_a_server_with_little_memory_refuses_writes_when_it_is_full() -> None:
    with Valkey(maxmemory="2mb") as server, client(server.url) as connected:
        connected.set("small", "x")
        with pytest.raises(redis.OutOfMemoryError):
            connected.mset({f"{number}": "x" * 100_000 for number in range(100)})
        assert connected.get("small") == "x"


def test_a_server_with_an_acl_knows_its_users_only() -> None:
    users = ["user default off", "user relay on >secret:/@ ~relay:* +@read +@connection"]

    with Valkey(acl=users) as server:
        with client(server.url) as nobody, pytest.raises(redis.AuthenticationError):
            nobody.get("relay:a")
        with client(server.url_as("relay", "secret:/@")) as relay:
            assert relay.get("relay:a") is None
            with pytest.raises(redis.exceptions.NoPermissionError):
                relay.get("other")


def test_a_server_with_tls_is_reached_with_its_authority_and_with_a_certificate_if_it_wants_one(
    tmp_path: Path,
) -> None:
    authority, stranger = Authority(tmp_path), Authority(tmp_path, "stranger")
    trusted = {"ssl_ca_certs": str(authority.file)}

    with Valkey(certificate=authority.issue("valkey")) as server:
        with client(server.url, **trusted) as connected:
            large = "x" * 3_000_000
            connected.set("a", large)
            assert connected.get("a") == large
        with (
            client(server.url, ssl_ca_certs=str(stranger.file)) as deceived,
            pytest.raises(redis.ConnectionError),
        ):
            deceived.ping()

    with Valkey(certificate=authority.issue("valkey"), client_authority=authority.file) as server:
        own, foreign = str(authority.issue("own")), str(stranger.issue("foreign"))
        with client(server.url, **trusted, ssl_certfile=own, ssl_keyfile=own) as connected:
            assert connected.ping()
        with pytest.raises(redis.ConnectionError), client(server.url, **trusted) as anonymous:
            anonymous.ping()
        with (
            pytest.raises(redis.ConnectionError),
            client(server.url, **trusted, ssl_certfile=foreign, ssl_keyfile=foreign) as unknown,
        ):
            unknown.ping()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can kill a child together with its parent")
def test_a_server_ends_with_tests_that_are_killed(tmp_path: Path) -> None:
    code = (
        "from support.valkey import Valkey\nwith Valkey() as server: print(server.pid, flush=True); input()"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    given = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}

    with subprocess.Popen([sys.executable, "-c", code], env=given, **pipes) as parent:
        assert parent.stdout is not None
        server = parent.stdout.readline().strip()
        parent.kill()

    subprocess.run(["tail", f"--pid={server}", "-f", "/dev/null"], timeout=SOON_S, check=True)
