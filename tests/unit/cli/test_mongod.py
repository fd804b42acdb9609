"""The embedded replica set: how it starts and ends, and the errors that say why it cannot start."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from pymongo import MongoClient
from support.relay_fixture import SOON_S

from relay.cli.demo import mongod
from relay.cli.demo.binary import here
from relay.errors import StartupError


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A process that has ended but was not waited for (a zombie) does not count.
    status = Path(f"/proc/{pid}/status")
    return not status.exists() or "State:\tZ" not in status.read_text()


def test_the_embedded_mongod_outlives_the_thread_that_started_it_and_leaves_nothing_behind() -> None:
    """Linux kills a child together with the thread that spawned it: mongod ended with that thread."""
    started: list[mongod.Mongod] = []
    thread = threading.Thread(target=lambda: started.append(mongod.start()))
    thread.start()
    thread.join()
    with started[0] as server, MongoClient(server.url) as client:
        directory = server._temporary
        assert directory is not None
        assert directory.exists()
        assert client.admin.command("hello")["setName"] == "rs0"
        client.demo.tasks.insert_one({})
        assert alive(server.pid)
    server.stop()  # a second call does nothing
    assert not alive(server.pid)
    assert not directory.exists()


def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    binary = tmp_path / "mongod"
    binary.write_text(f"#!/bin/sh\n{script}\n")
    binary.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")


@pytest.mark.parametrize(
    ("script", "says"),
    [
        (
            "echo 'mongod: error while loading shared libraries: libssl.so.9: cannot open' >&2; exit 127",
            "needs the library libssl.so.9",
        ),
        ('echo "mongod: libc.so.6: version \\`GLIBC_9.9\' not found" >&2; exit 1', "needs GLIBC_9.9"),
        ("kill -ILL $$", f"a CPU with {here().cpu}"),
        ("exit 5", "status 5"),
    ],
)
def test_a_mongod_that_cannot_start_names_the_cause_and_the_remedies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, says: str
) -> None:
    fake(tmp_path, monkeypatch, script)
    with pytest.raises(StartupError, match=says) as failure:
        mongod.start()
    assert "RELAY_MONGO_URL" in str(failure.value)


def test_an_error_in_the_log_of_mongod_is_passed_on() -> None:
    with pytest.raises(StartupError, match="unknown storage engine: abacus"):
        mongod.start(extra_args=["--storageEngine", "abacus"])


def test_a_port_that_is_taken_during_the_start_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(tmp_path, monkeypatch, "exit 48")
    with pytest.raises(StartupError, match=r"Port \d+ is taken"):
        mongod.start()


def test_a_data_directory_is_kept_and_used_by_one_mongod_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "db"
    with mongod.start(data=data) as first, MongoClient(first.url) as client:
        client.demo.tasks.insert_one({})
        with pytest.raises(StartupError, match="Another mongod"):
            mongod.start(data=data)
    with mongod.start(data=data) as second, MongoClient(second.url) as client:
        client.demo.tasks.insert_one({})
        assert client.demo.tasks.count_documents({}) == 2
    fake(tmp_path, monkeypatch, "exit 5")
    with pytest.raises(StartupError, match="status 5"):  # the log still has the error of the refused start
        mongod.start(data=data)


def test_a_data_path_that_is_a_file_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StartupError, match="no directory for the data"):
        mongod.start(data=tmp_path / "file")


def test_a_port_in_use_is_reported() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(StartupError, match=f"Port {port} is taken"):
            mongod.start(port=port)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can kill a child together with its parent")
def test_the_embedded_mongod_ends_with_a_parent_that_is_killed() -> None:
    code = (
        "from relay.cli.demo import mongod; s = mongod.start(); "
        "print(s.pid, s.port, s._temporary, flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid, port, directory = parent.stdout.readline().split()
        parent.kill()
    subprocess.run(["tail", f"--pid={pid}", "-f", "/dev/null"], timeout=SOON_S, check=True)
    assert not alive(int(pid))
    subprocess.run(["rm", "-r", directory], check=True)
    assert not list(Path(tempfile.gettempdir()).glob(f"mongodb-{port}.sock"))
