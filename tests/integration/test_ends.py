"""How the process of a command starts and ends: signals at any moment, threads that never end, and few open files."""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from support.command_process import (
    Process,
    alive,
    crowding,
    full_disk,
    pipe_without_reader,
    port_of,
    run,
    started,
    unreadable_stderr,
    wait_until_alive,
)
from support.relay_fixture import SOON_S, connected

from relay.cli.demo import mongod as embedded
from relay.config import Settings

# A name server that does not answer


ASKING = "asking for its address"
NEVER_RESOLVED = f"""
import os, socket, time
real = socket.getaddrinfo
def ask(host, *rest, **options):
    if host in ("silent.example", b"silent.example"):
        os.write(2, b"{ASKING}\\n")
        time.sleep(600)
    return real(host, *rest, **options)
socket.getaddrinfo = ask
"""


@pytest.fixture
def unresolved(good: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """Return settings with a host name that takes ten minutes to resolve, in a thread."""
    (tmp_path / "sitecustomize.py").write_text(NEVER_RESOLVED)
    url = "mongodb://silent.example:27017/?replicaSet=rs0"
    return good | {"PYTHONPATH": str(tmp_path), "RELAY_MONGO_URL": url}


@pytest.mark.parametrize(
    ("numbers", "code"), [([signal.SIGTERM], 0), ([signal.SIGINT], 0), ([signal.SIGINT, signal.SIGINT], 130)]
)
def test_a_relay_with_a_silent_name_server_ends_on_a_signal(
    unresolved: dict[str, str], numbers: Sequence[signal.Signals], code: int
) -> None:
    with started("serve", until=ASKING, **unresolved) as (process, _):
        for number in numbers:
            process.send_signal(number)
        # A further signal changes nothing, also if the process has ended by then.
        assert process.wait(SOON_S) in {0, code}
        assert "Traceback" not in process.printed()


@pytest.mark.parametrize(("command", "code"), [(["check"], 1), (["tail", "--direct"], 3)])
def test_a_command_with_a_silent_name_server_says_so_and_ends(
    unresolved: dict[str, str], command: Sequence[str], code: int
) -> None:
    ended = run(*command, timeout=SOON_S * 2, **unresolved)
    assert ended.returncode == code
    assert "silent.example" in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr


# Ctrl-C before the command has begun


BLOCKED = "importing it"
SLOW_IMPORT = f"""
import os, sys, time
class Slow:
    def find_spec(self, name, *rest):
        if name == os.environ.get("SLOW_MODULE"):
            os.write(2, b"{BLOCKED}\\n")
            time.sleep(600)
sys.meta_path.insert(0, Slow())
"""


@pytest.mark.parametrize("module", ["asyncio", "typer", "relay.config", "relay.app", "pymongo", "uvicorn"])
def test_ctrl_c_during_imports_ends_the_command_without_output(
    good: dict[str, str], tmp_path: Path, module: str
) -> None:
    (tmp_path / "sitecustomize.py").write_text(SLOW_IMPORT)
    given = good | {"PYTHONPATH": str(tmp_path), "SLOW_MODULE": module}
    with started("serve", until=f"{BLOCKED}\n", **given) as (process, _):
        process.send_signal(signal.SIGINT)
        assert process.wait(SOON_S) == 130
        assert process.printed() == ""


IGNORES_INT = (
    "sh",
    "-c",
    'trap "" INT; exec "$@"',
    "sh",
)  # what a script does for a command that it starts with &


def test_ctrl_c_does_not_reach_a_relay_in_the_background_of_a_script(good: dict[str, str]) -> None:
    with started("serve", until="listening on", before=IGNORES_INT, **good) as (process, printed):
        for _ in range(2):
            process.send_signal(signal.SIGINT)
            for _ in range(20):
                assert alive(port_of(printed), path="/readyz")
        process.terminate()
        assert process.wait(SOON_S) == 0


def test_ctrl_c_does_not_reach_a_mongod_in_the_background_of_a_script(temporary: dict[str, str]) -> None:
    with started("mongod", until="replicaSet=rs0", before=IGNORES_INT, **temporary) as (process, printed):
        with MongoClient[dict[str, Any]](printed.strip()) as mongo:
            for _ in range(2):
                process.send_signal(signal.SIGINT)
                for _ in range(100):
                    assert mongo.admin.command("hello")["isWritablePrimary"]
        process.terminate()
        assert process.wait(SOON_S) == 0


def test_ctrl_c_does_not_reach_a_tail_in_the_background_of_a_script(
    good: dict[str, str], mongo: MongoClient[dict[str, Any]]
) -> None:
    tasks = mongo[good["RELAY_MONGO_DATABASE"]]["tasks"]
    given = (*("tail", "--direct"), *("--count", "1"))
    with started(*given, until="following", before=IGNORES_INT, **good) as (process, _):
        for _ in range(2):
            process.send_signal(signal.SIGINT)
        tasks.insert_one(
            {"title": "A task", "createdBy": "alice"}
        )  # the change that the tail waits for; after it, it ends
        assert process.wait(SOON_S) == 0
        assert "A task" in process.printed()


# Signals while it ends


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])  # one that asks for a reload until then
def test_repeated_signals_change_nothing_until_the_process_is_gone(
    good: dict[str, str], number: signal.Signals
) -> None:
    port = embedded.free_port()
    given = good | {"RELAY_PORT": str(port)}
    # Given a standard error that nobody reads, so that the end waits for its last lines,
    with (
        unreadable_stderr("full pipe") as unread,
        Process("serve", **unread, **given) as process,
    ):
        try:
            wait_until_alive(process, port)
            # when its end is asked for, and the signal is sent repeatedly until the process is gone,
            process.terminate()
            for _ in range(round(SOON_S / 0.01)):
                process.send_signal(number)
                try:
                    code = process.wait(0.01)
                except subprocess.TimeoutExpired:
                    continue
                break
            # then the process ends as it does after one signal.
            assert code == 0
        finally:
            process.kill()


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_repeated_ctrl_c_leaves_nothing_of_the_embedded_mongod(
    temporary: dict[str, str], first: signal.Signals
) -> None:
    with started("mongod", until="replicaSet=rs0", **temporary) as (process, printed):
        port = int(re.findall(r":(\d+)/", printed)[0])
        process.send_signal(first)
        ended = pressing_until_the_end(process)
        assert ended in {0, 130}
        assert "Traceback" not in process.printed()
    assert embedded.free_port(port) == port  # the port is free, so mongod is gone


@pytest.mark.parametrize("command", [["mongod"], ["demo", "--port", "0"], ["demo", "--once"]], ids=" ".join)
@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_signals_while_the_embedded_mongod_starts_leave_nothing_of_it(
    temporary: dict[str, str], command: Sequence[str], first: signal.Signals
) -> None:
    directory = Path(temporary["TMPDIR"])
    with Process(*command, **temporary) as process:
        try:
            while not list(directory.iterdir()):
                assert process.poll() is None
            process.send_signal(first)
            if first is signal.SIGINT:
                assert pressing_until_the_end(process) in {0, 130}
            else:
                assert process.wait(SOON_S) == 0
            assert "Traceback" not in process.printed()
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_the_demo_writes_its_task_is_a_normal_end(
    temporary: dict[str, str], number: signal.Signals
) -> None:
    with started("demo", "--once", until="task:created", **temporary) as (process, _):
        process.send_signal(number)
        assert process.wait(SOON_S) == 0
        assert "Traceback" not in process.printed()


def pressing_until_the_end(process: Process) -> int:
    """Send SIGINT every few milliseconds until the process ends, and return its exit code."""
    for _ in range(round(SOON_S / 0.02)):
        process.send_signal(signal.SIGINT)
        try:
            return process.wait(0.02)
        except subprocess.TimeoutExpired:
            continue
    raise AssertionError("it does not end")


async def test_a_relay_with_the_largest_settings_serves_and_ends_normally(good: dict[str, str]) -> None:
    most = {
        name.upper(): str(next(one.le for one in field.metadata if hasattr(one, "le")))
        for name, field in Settings.model_fields.items()
        if field.annotation is int and name not in ("relay_port", "relay_workers")
    }
    assert most["RELAY_DRAIN_MS"] == str(24 * 3600 * 1000)
    with started("serve", until="listening on", **good | most) as (process, printed):
        async with connected(f"http://127.0.0.1:{port_of(printed)}") as client:
            await client.send("dashboard:join", id="list")
            await client.until("dashboard:state")
            process.terminate()
            assert (await client.until("server:draining"))["data"]["reconnectAfterMs"] > 0
        assert await asyncio.to_thread(process.wait, SOON_S) == 0
        assert "Traceback" not in process.printed()


# Standard output that cannot be written


@pytest.mark.parametrize(
    "command",
    [
        ["--help"],
        ["serve", "--help"],
        ["mongod"],
        ["--version"],
        ["schema"],
        ["token", "--sub", "ada"],
        ["check"],
    ],
    ids=lambda command: command[0],
)
@pytest.mark.parametrize("buffered", [True, False])
def test_an_unwritable_standard_output_is_reported_in_one_sentence(
    good: dict[str, str], temporary: dict[str, str], command: Sequence[str], buffered: bool
) -> None:
    given = good | temporary | {"PYTHONUNBUFFERED": "" if buffered else "1"}
    with full_disk() as full, Process(*command, stdout=full, **given) as process:
        assert process.wait(SOON_S) == 3
        log_text = process.printed()
    assert re.fullmatch(r"relay: .* cannot be written: No space left on device\.\n", log_text)


@pytest.mark.parametrize(
    "command",
    [
        ["--help"],
        ["serve", "--help"],
        ["mongod"],
        ["--version"],
        ["schema"],
        ["token", "--sub", "ada"],
        ["check"],
    ],
    ids=lambda command: command[0],
)
def test_a_reader_that_closes_standard_output_is_a_normal_end(
    good: dict[str, str], temporary: dict[str, str], command: Sequence[str]
) -> None:
    with pipe_without_reader() as gone, Process(*command, stdout=gone, **good | temporary) as process:
        assert process.wait(SOON_S) == 0
        assert process.printed() == ""


# Few open files


@pytest.mark.parametrize("limit", [64, 256])
def test_a_full_port_leaves_room_for_the_admin_port(good: dict[str, str], limit: int) -> None:
    admin = embedded.free_port()
    limited = ("sh", "-c", f'ulimit -n {limit}; exec "$@"', "sh")
    given = good | {"RELAY_ADMIN_PORT": str(admin), "RELAY_HANDSHAKE_TIMEOUT_MS": "600000"}
    with started("serve", until="listening on", before=limited, **given) as (process, printed):
        # When more clients connect than there are descriptors, and stay connected,
        with crowding(port_of(printed), limit + 50):
            process.printed("out of file descriptors")
            # then the admin port answers,
            for path in ["/readyz", "/metrics"] * 5:
                assert alive(admin, path=path)
        # and the first port answers again when they are gone.
        wait_until_alive(process, port_of(printed))
        process.terminate()
        assert process.wait(SOON_S) == 0


@pytest.mark.parametrize("limit", [20, 32, 48])
def test_a_limit_without_room_for_any_connection_stops_the_start(good: dict[str, str], limit: int) -> None:
    with Process("serve", before=("sh", "-c", f'ulimit -n {limit}; exec "$@"', "sh"), **good) as process:
        assert process.wait(SOON_S) == 3
        log_text = process.printed()
    starting, sentence = log_text.splitlines()
    assert " relay starting " in starting
    assert sentence.startswith(
        f"relay: The limit on open files is {limit}, which leaves room for no connection"
    )


def test_the_smallest_limit_that_the_error_names_is_enough(good: dict[str, str]) -> None:
    with Process("serve", before=("sh", "-c", 'ulimit -n 20; exec "$@"', "sh"), **good) as process:
        (least,) = re.findall(r"at least (\d+)", process.printed())
    limited = ("sh", "-c", f'ulimit -n {least}; exec "$@"', "sh")
    with started("serve", until="listening on", before=limited, **good) as (_, printed):
        assert alive(port_of(printed))
