"""The commands, run as processes: what starts, what cannot start and says why, and that nothing is left behind."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from pymongo import MongoClient
from support.command_process import (
    Process,
    alive,
    port_of,
    run,
    standalone,
    started,
    unreadable_stderr,
    wait_until_alive,
)
from support.log_flood import send_bad_requests, talkative
from support.relay_fixture import SOON_S, connected, environment

from relay.cli.demo import mongod as embedded
from relay.protocol.schema import json_schema

LIFE = ["task:created", "task:analyzing", "task:dispatched", "task:pr_opened", "task:pr_merged"]


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
            "RELAY_MONGO_URL is not a MongoDB connection string: in its user",
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
    *before, sentence = ended.stderr.splitlines()
    assert sentence.startswith(f"relay: {says}")
    assert all(" relay starting " in line for line in before)
    assert "hunter2" not in ended.stderr


def test_a_port_in_use_is_reported(good: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = run("serve", "--port", str(taken.getsockname()[1]), **good)
    assert ended.returncode == 3
    assert "another program listens there" in ended.stderr


def test_a_standalone_mongod_is_reported_with_the_remedy(good: dict[str, str], tmp_path: Path) -> None:
    with standalone(tmp_path) as url:
        ended = run("serve", **good | {"RELAY_MONGO_URL": url})
    assert ended.returncode == 3
    assert "standalone" in ended.stderr
    assert "rs.initiate()" in ended.stderr


def test_ignored_options_are_reported_once(good: dict[str, str]) -> None:
    url = good["RELAY_MONGO_URL"] + "&timeoutMS=1&maxPoolSize=1&w=majority"
    with started("serve", until="listening on", **good | {"RELAY_MONGO_URL": url}) as (_, printed):
        assert printed.count("timeoutMS, maxPoolSize are the relay's own business and are ignored") == 1
        assert "UserWarning" not in printed


def test_the_demo_with_a_url_that_cannot_be_used_ends_with_one_sentence() -> None:
    ended = run("demo", "--once", RELAY_MONGO_URL="mongodb://localhost/?tls=true&tlsCAFile=/nowhere.pem")
    assert ended.returncode == 3
    assert (
        ended.stderr
        == "relay: RELAY_MONGO_URL: the file of tlsCAFile cannot be read: there is no such file.\n"
    )


def test_the_relay_waits_for_a_mongod_that_cannot_be_reached(good: dict[str, str]) -> None:
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


IGNORES_HUP = ("sh", "-c", 'trap "" HUP; exec "$@"', "nohup")  # what nohup does, without its output file


def test_a_relay_under_nohup_survives_its_terminal(good: dict[str, str]) -> None:
    with started("serve", until="listening on", before=IGNORES_HUP, **good) as (process, printed):
        process.send_signal(signal.SIGHUP)
        assert alive(port_of(printed), path="/readyz")
        process.terminate()
        assert process.wait(SOON_S) == 0


# Gives a process a controlling terminal, which closes when nobody has the other end open any more: its standard input.
IN_TERMINAL = (
    *(sys.executable, "-c"),
    "import fcntl, os, sys, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "os.execvp(sys.argv[1], sys.argv[1:])",
)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_relay_without_nohup_ends_when_its_terminal_closes(good: dict[str, str], workers: str) -> None:
    ours, theirs = os.openpty()
    try:
        with started(
            "serve",
            until="listening on",
            before=IN_TERMINAL,
            stdin=theirs,
            **good | {"RELAY_WORKERS": workers},
        ) as (process, _):
            # A signal while the terminal is there asks for a reload,
            process.send_signal(signal.SIGHUP)
            process.printed("reloaded")
            # and the one that the kernel sends for a terminal that has closed for the end.
            os.close(theirs)
            os.close(ours)
            assert process.wait(SOON_S) == 0
    finally:
        for end in (ours, theirs):
            with suppress(OSError):
                os.close(end)


async def test_a_second_sigterm_does_not_shorten_the_drain(good: dict[str, str]) -> None:
    with started("serve", until="listening on", **good | {"RELAY_DRAIN_MS": "60000"}) as (
        process,
        printed,
    ):
        port = port_of(printed)
        async with connected(f"http://127.0.0.1:{port}") as client:
            # Given a relay that drains,
            process.terminate()
            assert (await client.until("server:draining"))["data"]["reconnectAfterMs"] <= 60_000
            # when a second signal comes, as some process managers send it, and its terminal closes too,
            for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGTERM):
                process.send_signal(number)
            # then the clients that are still connected are served,
            assert await client.quiet() == []
            assert process.poll() is None
        # and the relay ends when no client is left.
        assert await asyncio.to_thread(process.wait, SOON_S) == 0


async def test_a_second_ctrl_c_ends_the_relay_at_once(good: dict[str, str]) -> None:
    with started("serve", until="listening on", **good | {"RELAY_DRAIN_MS": "60000"}) as (
        process,
        printed,
    ):
        async with connected(f"http://127.0.0.1:{port_of(printed)}") as client:
            process.send_signal(signal.SIGINT)
            await client.until("server:draining")
            process.send_signal(signal.SIGINT)
            assert await asyncio.to_thread(process.wait, SOON_S) == 130


NOT_READ = ["closed", "all closed", "full disk", "full pipe"]


@pytest.mark.parametrize(("how", "format"), [*((how, "console") for how in NOT_READ), ("full pipe", "json")])
def test_an_unread_standard_error_never_stops_the_relay(
    good: dict[str, str], tmp_path: Path, how: str, format: str
) -> None:
    port = embedded.free_port()
    given = good | talkative(tmp_path) | {"RELAY_PORT": str(port), "RELAY_LOG_FORMAT": format}
    with unreadable_stderr(how) as unread, Process("serve", **unread, **given) as process:
        try:
            # The relay starts, although it cannot print that it does;
            wait_until_alive(process, port)
            # and requests that each write lines to the log do not stop it.
            send_bad_requests(port, 1000 if how == "full pipe" else 100)
            assert alive(port)
            process.terminate()
            assert process.wait(SOON_S) == 0
        finally:
            process.kill()


@pytest.mark.parametrize("how", NOT_READ)
@pytest.mark.parametrize(("arguments", "code"), [(("serve",), 3), (("tail", "--nope"), 2)])
def test_a_command_that_cannot_start_ends_even_if_nobody_reads_why(
    how: str, arguments: tuple[str, ...], code: int
) -> None:
    with unreadable_stderr(how) as unread, Process(*arguments, **unread) as process:
        try:
            assert process.wait(SOON_S) == code
        finally:
            process.kill()


def test_the_last_lines_of_a_relay_are_written(good: dict[str, str]) -> None:
    """A thread writes them, and it ends with the process."""
    for _ in range(3):
        ended = run("serve", **good | {"RELAY_MAPPING": "/nowhere.toml"})
        assert ended.returncode == 3
        assert (
            ended.stderr
            == "relay: The mapping file /nowhere.toml cannot be read: No such file or directory.\n"
        )


SERVICE = {  # what Kubernetes sets for Services that are named relay and relay-admin
    "RELAY_PORT": "tcp://10.96.0.12:8080",
    "RELAY_SERVICE_HOST": "10.96.0.12",
    "RELAY_SERVICE_PORT": "8080",
    "RELAY_PORT_8080_TCP": "tcp://10.96.0.12:8080",
    "RELAY_PORT_8080_TCP_ADDR": "10.96.0.12",
    "RELAY_ADMIN_PORT": "tcp://10.96.0.13:9090",
}


def test_a_kubernetes_service_named_relay_is_reported_and_stops_nothing(good: dict[str, str]) -> None:
    with started("serve", "--port", "0", until="listening on", **good | SERVICE) as (_, printed):
        (warning,) = [line for line in printed.splitlines() if "enableServiceLinks: false" in line]
    assert "WARNING" in warning
    assert "RELAY_PORT and 5 more" in warning
    checked = run("check", **good | SERVICE)
    assert checked.returncode == 0
    assert checked.stderr.startswith("relay: RELAY_PORT and 5 more are not read")


def test_a_misspelt_variable_is_reported_by_every_command_that_reads_settings(good: dict[str, str]) -> None:
    given = good | {"RELAY_JWT_ISUER": "hunter2"}
    warning = "RELAY_JWT_ISUER is not a setting of the relay, and is not read; did you mean RELAY_JWT_ISSUER?"
    with started("serve", until="listening on", **given) as (_, printed):
        assert warning in printed
        assert "hunter2" not in printed
    checked = run("check", "--json", **given)
    assert checked.stderr == f"relay: {warning}\n"
    assert json.loads(checked.stdout)["works"]
    followed = run("tail", "--direct", "--duration", "0.01", **given)
    assert followed.returncode == 0
    assert f"relay: {warning}\n" in followed.stderr
    assert "hunter2" not in checked.stderr + followed.stderr


def test_a_missing_setting_and_a_misspelt_one_are_both_reported(good: dict[str, str]) -> None:
    given = {name: value for name, value in good.items() if name != "RELAY_MONGO_URL"}
    ended = run("serve", **given, RELAY_MONGO_URI=good["RELAY_MONGO_URL"])
    assert ended.returncode == 3
    assert "did you mean RELAY_MONGO_URL?" in ended.stderr
    assert ended.stderr.splitlines()[-1].startswith("relay: RELAY_MONGO_URL is not set")


def test_listening_on_all_ipv6_addresses_includes_all_ipv4_addresses(good: dict[str, str]) -> None:
    with started("serve", "--host", "::", until="listening on http://localhost", **good) as (_, printed):
        port = port_of(printed)
        assert alive(port, "127.0.0.1")
        assert alive(port, "::1")


async def test_a_websocket_is_served_over_ipv6_and_ipv4(good: dict[str, str]) -> None:
    """An IPv6 address of a socket has four parts, and not the two of an ASGI scope: no client could connect."""
    with started("serve", "--host", "::", until="listening on http://localhost", **good) as (_, printed):
        for host in ("[::1]", "127.0.0.1"):
            async with connected(f"http://{host}:{port_of(printed)}") as ear:
                assert await ear.quiet() == []


def test_the_version_is_that_of_the_package() -> None:
    ended = run("--version")
    assert (ended.returncode, ended.stdout) == (0, f"relay {version('task-relay')}\n")


COMMANDS = ["serve", "check", "config", "explain", "demo", "mongod", "tail", "conformance", "token", "schema"]


# All commands in one process, because each takes a second to start.
EVERY_HELP = """
import sys
from relay.cli import output
from relay.cli.commands import cli
output.prepare()
for command in ([], *([name] for name in sys.argv[1:])):
    try:
        cli([*command, "--help"])
    except SystemExit as end:
        assert not end.code, end
"""


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "ascii:strict"])
def test_every_command_prints_its_help_in_any_encoding(encoding: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", EVERY_HELP, *COMMANDS],
        capture_output=True,
        timeout=60,
        env=environment(PYTHONIOENCODING=encoding),
    )
    assert (ended.returncode, ended.stderr) == (0, b"")
    shown = ended.stdout.decode(encoding.partition(":")[0])
    assert shown.count("Usage: ") == 1 + len(COMMANDS)
    assert "RELAY_MAPPING, ..." in shown or "RELAY_MAPPING, …" in shown
    assert "\\u" not in shown


def test_the_schema_is_printed_in_any_encoding() -> None:
    printed = [run("schema", PYTHONIOENCODING=encoding).stdout for encoding in ("ascii", "utf-8")]
    assert printed[0] == printed[1]
    assert json.loads(printed[0]) == json_schema()


@pytest.mark.parametrize(
    ("encoding", "as_json"), [("ascii", False), ("latin-1", False), ("cp1252", False), ("ascii", True)]
)
def test_the_report_and_the_tail_print_in_any_encoding(
    good: dict[str, str], mongo: Any, database_name: str, encoding: str, as_json: bool
) -> None:
    # Given documents with text in other scripts,
    written = {"title": "“Zoë” → 日本", "teamId": "red"}
    mongo[database_name]["tasks"].insert_many(
        [written | {"status": "öffnen 日本"}, written | {"status": "failed"}]
    )
    given = good | {"PYTHONIOENCODING": encoding}
    options = ["--json"] if as_json else []
    checked = run("check", *options, **given)
    assert checked.returncode == 0, checked.stderr
    shown = checked.stdout
    assert "→" not in shown
    assert as_json or "->" in shown
    # when one changes,
    with started("tail", "--direct", "--count", "1", *options, until="no user's rights", **given) as (
        tail,
        _,
    ):
        mongo[database_name]["tasks"].insert_one({"title": "“Zoë” → 日本", "status": "öffnen 日本"})
        assert tail.wait(SOON_S) == 0
        data = tail.stdout.read()
    # then a line says so, in characters that the encoding has; what JSON escapes is the same for its parser.
    line = data.decode(encoding)
    assert "\\u65e5\\u672c" in line
    if as_json:
        assert json.loads(line)["messages"][0]["data"]["title"] == "“Zoë” → 日本"


def test_the_tail_does_not_use_a_proxy_of_the_environment_for_this_machine(
    good: dict[str, str],
) -> None:
    names = ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "ws_proxy", "socks_proxy")
    dead = dict.fromkeys(names, "http://127.0.0.1:9") | {"no_proxy": "", "NO_PROXY": ""}
    token = run("token", "--sub", "alice", **good).stdout
    with started("serve", until="listening on", **good | dead) as (_, printed):
        port = port_of(printed)
        # A token that was read from a file ends in a newline.
        given = {"RELAY_URL": f"http://127.0.0.1:{port}\n", "RELAY_TOKEN": token}
        ended = run("tail", "--duration", "0.01", **given | dead)
    assert ended.returncode == 0, ended.stderr


def test_the_demo_writes_one_task_and_leaves_nothing_behind(temporary: dict[str, str]) -> None:
    ended = run("demo", "--once", timeout=100, **temporary)
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    positions = [next(number for number, line in enumerate(lines) if f"  {kind} " in line) for kind in LIFE]
    assert positions == sorted(positions)
    for kind in (*LIFE, "task:event_added", "dashboard:task_list_updated"):
        assert re.search(rf"\+\d+ ms  {kind} ", ended.stdout), kind


@pytest.mark.parametrize(
    "foreign",
    [
        {"RELAY_PUBLIC_URL": "https://app.example.com/live"},
        {"RELAY_PUBLIC_URL": "https://app.example.com", "RELAY_LISTEN": "unix:/nowhere/relay.sock"},
        {
            "RELAY_JWT_ISSUER": "https://id.example.com",
            "RELAY_MAPPING": "/nowhere/mapping.toml",
            "FEATURE_WEBSOCKET_ENABLED": "false",
            "RELAY_JWKS_URL": "https://id.example.com/keys",
        },
    ],
    ids=lambda foreign: " ".join(foreign),
)
def test_the_demo_is_not_disturbed_by_the_settings_of_another_relay(
    temporary: dict[str, str], foreign: dict[str, str]
) -> None:
    """The demo hung without a word, because it asked for its relay where another one was said to be."""
    ended = run("demo", "--once", timeout=100, **temporary | foreign)
    assert ended.returncode == 0, ended.stderr
    assert "task:pr_merged" in ended.stdout


def leads_to(url: str) -> str:
    """Return where a redirect leads, which is not followed; nothing if the address does not exist."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=SOON_S)
    try:
        connection.request("GET", parts.path)
        answer = connection.getresponse()
        assert answer.status in (302, 404)
        return answer.getheader("location", "")
    finally:
        connection.close()


def test_ctrl_c_ends_the_demo_its_mongod_and_its_directory(temporary: dict[str, str]) -> None:
    arguments = ("demo", "--port", "0", "--pace", "0.05")
    with started(*arguments, until="Ctrl-C ends it all", **temporary) as (process, printed):
        pages = re.findall(r"http://\S+/as/\w+", printed)
        assert [page.rpartition("/")[2] for page in pages] == ["alice", "bob", "carol", "admin"]
        assert all(re.fullmatch(r"\.\./#token=\S+", leads_to(page)) for page in pages)
        assert leads_to(pages[0] + "x") == ""
        assert re.search(r"RELAY_URL=\S+ RELAY_TOKEN=\S+ /\S+ tail\n", printed)
        assert len(os.listdir(temporary["TMPDIR"])) == 1
        process.send_signal(signal.SIGINT)
        assert process.wait(SOON_S) == 0


def test_the_tail_prints_what_is_written(good: dict[str, str], mongo: Any, database_name: str) -> None:
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


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--sub", "bob"), "--sub needs --direct"),
        (("--direct", "--claim", "teams=red"), "--claim needs --sub"),
        (("--direct", "--sub", ""), "--sub must not be empty"),
    ],
)
def test_a_tail_for_a_user_needs_to_be_direct_and_a_name(arguments: tuple[str, ...], says: str) -> None:
    ended = run("tail", *arguments)
    assert ended.returncode == 2
    assert says in ended.stderr


def test_a_direct_tail_of_an_unreachable_database_says_so() -> None:
    ended = run("tail", "--direct", RELAY_MONGO_URL="mongodb://user:hunter2@127.0.0.1:9/?replicaSet=rs0")
    assert ended.returncode == 3
    assert ended.stderr.startswith("relay tail: could not follow MongoDB at 127.0.0.1:9")
    assert ended.stderr.count("\n") == 1
    assert "hunter2" not in ended.stderr
    assert run("tail", "--direct", "--url", "http://127.0.0.1:9").returncode == 2


def test_the_embedded_mongod_runs_alone_until_a_signal_stops_it(temporary: dict[str, str]) -> None:
    with started("mongod", until="replicaSet=rs0", **temporary) as (process, printed):
        with MongoClient[dict[str, Any]](printed.strip()) as mongo:
            assert mongo.admin.command("hello")["isWritablePrimary"]
        process.terminate()
        assert process.wait(SOON_S) == 0


def test_help_names_every_command() -> None:
    shown = run("--help").stdout
    for command in COMMANDS:
        assert command in shown


@pytest.mark.parametrize("arguments", [["no-such-command"], ["token", "--sub", "ada"]], ids=" ".join)
def test_python_m_relay_is_the_same_command(arguments: list[str]) -> None:
    as_module = subprocess.run(
        [sys.executable, "-m", "relay", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(),
    )
    as_script = run(*arguments)
    assert (as_module.returncode, as_module.stdout, as_module.stderr) == (
        as_script.returncode,
        as_script.stdout,
        as_script.stderr,
    )
