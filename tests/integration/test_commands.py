"""The command line, as processes: what starts, what cannot and says why, what stays behind."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from running import COMMAND, SECRET, SOON_S, environment

from relay.demo import mongod as embedded

LIFE = ["task:created", "task:analyzing", "task:dispatched", "task:pr_opened", "task:pr_merged"]


def run(*arguments: str, timeout: float = 60, **given: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, timeout=timeout, env=environment(**given)
    )


class Process(subprocess.Popen[bytes]):
    """A command of the relay, both its outputs in one."""

    def __init__(self, *arguments: str, **given: str) -> None:
        super().__init__(
            [*COMMAND, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            env=environment(**given),
        )

    def printed(self, until: str | None = None) -> str:
        """What it prints, up to and with `until`, or to its end."""
        assert self.stdout is not None
        text, deadline = b"", time.monotonic() + 30
        while until is None or until.encode() not in text:
            assert select.select([self.stdout], [], [], max(0, deadline - time.monotonic()))[0], text
            more = os.read(self.stdout.fileno(), 65_536)
            if not more:
                assert until is None, text
                break
            text += more
        return text.decode()


@contextmanager
def started(*arguments: str, until: str, **given: str) -> Iterator[tuple[Process, str]]:
    """A running command, and what it printed up to and with `until`."""
    with Process(*arguments, **given) as process:
        try:
            yield process, process.printed(until)
        finally:
            if process.poll() is None:
                process.kill()


@pytest.fixture
def good(mongo_url: str, database_name: str) -> dict[str, str]:
    return {
        "RELAY_MONGO_URL": mongo_url,
        "RELAY_MONGO_DATABASE": database_name,
        "RELAY_JWT_SECRET": SECRET,
        "RELAY_PORT": "0",
    }


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"RELAY_MONGO_URL": ""}, "RELAY_MONGO_URL is not set"),
        (
            {"RELAY_MONGO_URL": "postgres://user:hunter2@x"},
            "RELAY_MONGO_URL is not a MongoDB connection string",
        ),
        (
            {"RELAY_MONGO_URL": "mongodb://u:hunter2@x/?tlsCAFile=/nowhere.pem"},
            "RELAY_MONGO_URL: the file of tls",
        ),
        (
            {"RELAY_MONGO_URL": "mongodb://u:hunt@er2@x/"},
            "RELAY_MONGO_URL is not a MongoDB connection string: in a user",
        ),
        ({"RELAY_MONGO_DATABASE": "my.db"}, "RELAY_MONGO_DATABASE: "),
        ({"RELAY_TASKS_COLLECTION": "system.x"}, "RELAY_TASKS_COLLECTION: "),
        ({"RELAY_JWT_SECRET": ""}, "RELAY_JWT_SECRET is not set"),
        ({"RELAY_JWT_SECRET": "hunter2"}, "RELAY_JWT_SECRET: must be at least 32 bytes long"),
        ({"RELAY_MAPPING": "/nowhere.toml"}, "The mapping file /nowhere.toml cannot be read"),
    ],
)
def test_a_wrong_setting_stops_the_start_with_one_sentence(
    good: dict[str, str], given: dict[str, str], says: str
) -> None:
    ended = run("serve", **good | given)
    assert ended.returncode == 3
    assert ended.stderr.startswith(f"relay: {says}")
    assert ended.stderr.count("\n") == 1
    assert "hunter2" not in ended.stderr


def test_a_port_in_use_is_said(good: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = run("serve", "--port", str(taken.getsockname()[1]), **good)
    assert ended.returncode == 3
    assert "another program listens there" in ended.stderr


def test_a_standalone_mongod_is_said_with_the_remedy(good: dict[str, str], tmp_path: Path) -> None:
    with standalone(tmp_path) as url:
        ended = run("serve", **good | {"RELAY_MONGO_URL": url})
    assert ended.returncode == 3
    assert "standalone" in ended.stderr
    assert "rs.initiate()" in ended.stderr


def test_options_that_do_not_count_are_said_once(good: dict[str, str]) -> None:
    url = good["RELAY_MONGO_URL"] + "&timeoutMS=1&maxPoolSize=1&w=majority"
    with started("serve", until="listening on", **good | {"RELAY_MONGO_URL": url}) as (_, printed):
        assert printed.count("timeoutMS, maxPoolSize are the relay's own business and are ignored") == 1
        assert "UserWarning" not in printed


def test_the_demo_with_a_url_that_will_not_do_ends_with_one_sentence() -> None:
    ended = run("demo", "--once", RELAY_MONGO_URL="mongodb://localhost/?tls=true&tlsCAFile=/nowhere.pem")
    assert ended.returncode == 3
    assert (
        ended.stderr
        == "relay: RELAY_MONGO_URL: the file of tlsCAFile cannot be read: there is no such file.\n"
    )


@contextmanager
def standalone(directory: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [embedded.locate(), "--dbpath", str(directory), "--port", str(port), "--bind_ip", "127.0.0.1"],
        stdout=subprocess.DEVNULL,
    )
    try:
        yield f"mongodb://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.wait(SOON_S)


def test_a_mongod_that_cannot_be_reached_is_waited_for(good: dict[str, str]) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        closed = f"mongodb://user:hunter2@127.0.0.1:{probe.getsockname()[1]}/?serverSelectionTimeoutMS=200"
        with started("serve", until="trying again", **good | {"RELAY_MONGO_URL": closed}) as (
            process,
            printed,
        ):
            assert process.poll() is None
            process.terminate()
            assert process.wait(SOON_S) == 0
    assert "127.0.0.1" in printed
    assert "hunter2" not in printed


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_relay_cleanly(good: dict[str, str], number: signal.Signals) -> None:
    with started("serve", until="listening on", **good) as (process, _):
        process.send_signal(number)
        assert process.wait(SOON_S) == 0
        assert "Traceback" not in process.printed()


@pytest.fixture
def temporary(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A directory for temporary files that has to be empty afterwards."""
    yield {"TMPDIR": str(tmp_path)}
    assert list(tmp_path.iterdir()) == []


def test_the_demo_plays_one_life_and_leaves_nothing_behind(temporary: dict[str, str]) -> None:
    ended = run("demo", "--once", timeout=100, **temporary)
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    positions = [next(number for number, line in enumerate(lines) if f"  {kind} " in line) for kind in LIFE]
    assert positions == sorted(positions)
    for kind in (*LIFE, "task:event_added", "dashboard:task_list_updated"):
        assert re.search(rf"\+\d+ ms  {kind} ", ended.stdout), kind


def test_ctrl_c_ends_the_demo_its_mongod_and_its_directory(temporary: dict[str, str]) -> None:
    arguments = ("demo", "--port", "0", "--pace", "0.05")
    with started(*arguments, until="Ctrl-C ends it all", **temporary) as (process, printed):
        assert len(re.findall(r"http://\S+/#token=\S+", printed)) >= 3
        assert re.search(r"RELAY_URL=\S+ RELAY_TOKEN=\S+ /\S+ tail\n", printed)
        assert len(os.listdir(temporary["TMPDIR"])) == 1
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0


def test_the_tail_follows_what_is_written(good: dict[str, str], mongo: Any, database_name: str) -> None:
    token = run("token", "--sub", "alice", "--claim", "teams=red,blue", **good).stdout.strip()
    with started("serve", until="listening on", **good) as (_, printed):
        url = re.search(r"http://\S+", printed)
        assert url is not None
        given = {"RELAY_URL": url[0], "RELAY_TOKEN": token}
        with started("tail", "--count", "3", until="dashboard:state", **given) as (tail, _):
            mongo[database_name]["tasks"].insert_one({"title": "Red\x1b[31m", "teamId": "red"})
            rest = tail.printed()
            assert tail.wait(SOON_S) == 0
    assert "task:created" in rest
    assert "\x1b[31m" not in rest


def test_a_tail_without_a_token_or_a_relay_says_so() -> None:
    assert run("tail", "--url", "http://127.0.0.1:9").returncode == 2
    refused = run("tail", "--url", "http://127.0.0.1:9", RELAY_TOKEN="a.b.c")
    assert refused.returncode == 3
    assert refused.stdout == ""
    assert refused.stderr.count("\n") == 1


def test_a_direct_tail_needs_a_database_and_no_token(
    good: dict[str, str], mongo: Any, database_name: str
) -> None:
    given = {name: good[name] for name in ("RELAY_MONGO_URL", "RELAY_MONGO_DATABASE")}
    with started("tail", "--direct", "--count", "1", until="no user's rights", **given) as (tail, _):
        mongo[database_name]["tasks"].insert_one({"title": "Direct"})
        rest = tail.printed()
        assert tail.wait(SOON_S) == 0
    assert re.search(r"insert .* with title .*\n.*→ task:created .*“Direct”", rest)


def test_a_direct_tail_of_a_database_that_is_not_there_says_so() -> None:
    ended = run("tail", "--direct", RELAY_MONGO_URL="mongodb://user:hunter2@127.0.0.1:9/?replicaSet=rs0")
    assert ended.returncode == 3
    assert ended.stderr.startswith("relay tail: could not follow MongoDB at 127.0.0.1:9")
    assert ended.stderr.count("\n") == 1
    assert "hunter2" not in ended.stderr
    assert run("tail", "--direct", "--url", "http://127.0.0.1:9").returncode == 2


def test_the_embedded_mongod_runs_alone_until_it_is_asked_to_stop(temporary: dict[str, str]) -> None:
    with started("mongod", until="replicaSet=rs0", **temporary) as (process, printed):
        with MongoClient[dict[str, Any]](printed.strip()) as client:
            assert client.admin.command("hello")["isWritablePrimary"]
        process.terminate()
        assert process.wait(20) == 0


def test_help_names_every_command() -> None:
    shown = run("--help").stdout
    for command in ("serve", "check", "demo", "mongod", "tail", "token", "schema"):
        assert command in shown
