"""`relay admin` against a running relay: what it prints, and its one sentence for each failure."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from support.administrators import ADMIN, Administered, administered
from support.certificates import Authority
from support.command_process import run, started
from support.relay_fixture import SOON_S, connected, running, token

from relay.cli.demo import mongod as embedded

PROCESSES = {"one process": "1", "two workers": "2"}
NOBODY = "http://127.0.0.1:1"  # an address at which nothing listens


@pytest.fixture(params=PROCESSES)
async def asked(
    request: pytest.FixtureRequest, two_workers: dict[str, str], tmp_path: Path, tasks: Any
) -> AsyncIterator[Administered]:
    """A relay of one process or of two, with a port for administrators, and a task of alice."""
    tasks.insert_one({"_id": "a/b", "createdBy": "alice", "events": []})
    given = two_workers | {"RELAY_WORKERS": PROCESSES[request.param]}
    async with administered(tmp_path, **given) as made:
        yield made


async def admin(*arguments: str, **given: str) -> subprocess.CompletedProcess[str]:
    """Run a command of `relay admin` with the token of an administrator."""
    return await asyncio.to_thread(run, "admin", *arguments, **{"RELAY_TOKEN": token(**ADMIN)} | given)


async def test_the_commands_print_what_the_relay_answers(asked: Administered) -> None:
    at = {"RELAY_ADMIN_URL": f"{asked.admin_url}\n"}
    odd = "bob\x1b[31m\n"
    async with (
        connected(asked.relay.url, "/ws/tasks/a%2Fb") as alice,
        connected(asked.relay.url, sub=odd) as bob,
    ):
        await alice.until("task:state")
        # The list has a line for each connection, and no control character of a user's name.
        listed = await admin("ls", **at)
        assert (listed.returncode, listed.stderr) == (0, "")
        head, *lines, count = listed.stdout.splitlines()
        assert head.split()[:4] == ["USER", "VIA", "SINCE", "TASKS"]
        assert re.match(r"alice +websocket +\d+ seconds? +1 +no ", lines[0])
        assert lines[1].startswith(r"bob\x1b[31m\n  ")
        assert count == "2 connections"
        # The filter takes the name as it is.
        one = json.loads((await admin("ls", "--user", odd, "--json", **at)).stdout)
        assert ([row["user"] for row in one["connections"]], one["total"]) == ([odd], 1)
        assert (await admin("ls", "--limit", "1", **at)).stdout.endswith("1 of 2 connections\n")
        # Who listens to a task.
        shown = await admin("show", "a/b", **at)
        assert re.search(r"^alice  websocket  live   \w+", shown.stdout, re.MULTILINE)
        assert shown.stdout.endswith("1 listener\n")
        assert (await admin("show", "..", **at)).stdout == "0 listeners\n"
        # Figures, by the address of the admin page, too.
        stats = await admin("stats", "--url", f"{asked.admin_url}/admin/")
        assert re.search(r"^connections +2$", stats.stdout, re.MULTILINE)
        assert ("WORKER" in stats.stdout) == (len(asked.relay.children()) == 2)
        # A user is disconnected.
        kicked = await admin("kick", odd, **at)
        assert (kicked.returncode, kicked.stdout) == (0, "bob\\x1b[31m\\n: 1 connection closed\n")
        await bob.socket.wait_closed()
        assert bob.socket.close_code == 4403
        assert json.loads((await admin("kick", odd, "--json", **at)).stdout) == {"disconnected": 0}
        assert await alice.quiet() == []


async def test_the_address_follows_from_the_settings_of_the_relay(
    good: dict[str, str], tmp_path: Path
) -> None:
    async with administered(tmp_path, **good) as asked:
        port = asked.admin_url.rpartition(":")[2]
        given = good | {"RELAY_HOST": "0.0.0.0", "RELAY_ADMIN_PORT": port}
        for host in ("0.0.0.0", "127.0.0.1"):
            ended = await admin("stats", **given | {"RELAY_HOST": host})
            assert ended.returncode == 0, ended.stderr


async def test_the_admin_port_of_a_relay_with_tls_is_asked_over_tls(
    good: dict[str, str], with_: Any, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    certificate = authority.issue("relay")
    async with running(with_(relay_admin_port=0, relay_tls_cert=certificate)) as relay:
        port = relay.admin_url.rpartition(":")[2]
        given = good | {"RELAY_ADMIN_PORT": port, "RELAY_TLS_CERT": str(certificate)}
        trusting = await admin("stats", **given, SSL_CERT_FILE=str(authority.file))
        assert trusting.returncode == 0, trusting.stderr
        # Nothing is asked of somebody whose certificate is not trusted.
        refused = await admin("stats", **given)
        assert (refused.returncode, refused.stdout) == (3, "")
        assert refused.stderr.startswith(
            f"relay: Nobody answers administrators at https://127.0.0.1:{port}: "
        )
        assert "certificate verify failed" in refused.stderr


@pytest.mark.parametrize("asked", ["one process"], indirect=True)
async def test_a_tail_whose_user_is_disconnected_says_so_and_ends(asked: Administered) -> None:
    given = {"RELAY_URL": asked.relay.url, "RELAY_TOKEN": token("alice")}
    with started("tail", until="dashboard:state", **given) as (tail, _):
        assert (
            await admin("kick", "alice", "--url", asked.admin_url)
        ).stdout == "alice: 1 connection closed\n"
        said = await asyncio.to_thread(tail.printed)
        assert "an administrator has disconnected this user" in said
        assert await asyncio.to_thread(tail.wait, SOON_S) == 3


async def test_a_worker_that_does_not_answer_is_named_on_standard_error(
    two_workers: dict[str, str], tmp_path: Path
) -> None:
    async with administered(tmp_path, answers_within_s=5.0, **two_workers) as asked:
        hanging, _ = asked.relay.children()
        os.kill(hanging, signal.SIGSTOP)
        try:
            ended = await admin("ls", "--url", asked.admin_url)
        finally:
            os.kill(hanging, signal.SIGCONT)
        assert ended.returncode == 1
        assert re.fullmatch(r"relay admin: no answer from worker [12], so .*\n", ended.stderr)


@pytest.mark.parametrize("processes", PROCESSES)
async def test_the_settings_are_reloaded(two_workers: dict[str, str], tmp_path: Path, processes: str) -> None:
    file = tmp_path / "relay.env"
    file.write_text("RELAY_HEARTBEAT_MS=20000\n")
    given = two_workers | {"RELAY_WORKERS": PROCESSES[processes], "RELAY_SETTINGS_FILE": str(file)}
    del given["RELAY_HEARTBEAT_MS"]  # the environment would win over the file
    async with administered(tmp_path, **given) as asked:
        at = ("--url", asked.admin_url)
        assert (await admin("reload", *at)).stdout == "reloaded; nothing has changed that takes effect now\n"
        # One setting takes effect at once, the other does not.
        file.write_text("RELAY_HEARTBEAT_MS=30000\nRELAY_MAX_CONNECTIONS=77\n")
        assert (await admin("reload", *at)).stdout.splitlines() == [
            "reloaded; changed: RELAY_HEARTBEAT_MS",
            "these take effect after a restart: RELAY_MAX_CONNECTIONS",
        ]
        # What cannot be used changes nothing.
        file.write_text("RELAY_HEARTBEAT_MS=often\n")
        refused = await admin("reload", *at)
        assert (refused.returncode, refused.stdout) == (3, "")
        begins = f"relay: The relay at {asked.admin_url} was not reloaded, and goes on as before: RELAY_HEARTBEAT_MS"
        assert refused.stderr.startswith(begins)
        # The administrators are those of the new settings.
        file.write_text("RELAY_ADMIN_CLAIM=roles=operator\n")
        assert (await admin("reload", *at)).returncode == 0
        denied = await admin("stats", *at)
        assert denied.returncode == 3
        assert "does not have the claim" in denied.stderr
        operator = token("root", roles="operator")
        assert (await admin("stats", *at, RELAY_TOKEN=operator)).returncode == 0


@pytest.mark.parametrize("asked", ["one process"], indirect=True)
async def test_there_is_one_sentence_for_each_failure(asked: Administered) -> None:
    nobody = f"http://127.0.0.1:{embedded.free_port()}"
    refusals = {
        "Nobody answers administrators at http": {"RELAY_ADMIN_URL": nobody},
        "There is no admin API at http": {"RELAY_ADMIN_URL": asked.relay.url},
        "RELAY_ADMIN_PORT is not set": {},
        "does not accept the token (token_expired)": {"RELAY_TOKEN": token(**ADMIN, ttl_s=-9)},
        "does not accept the token (unauthenticated)": {"RELAY_TOKEN": "x.y.z"},
        "The token does not have the claim that RELAY_ADMIN_CLAIM asks for": {"RELAY_TOKEN": token("eve")},
        "The token has characters that no token has": {"RELAY_TOKEN": "schlüssel"},
    }
    for sentence, given in refusals.items():
        at = {} if given == {} else {"RELAY_ADMIN_URL": asked.admin_url}
        ended = await admin("ls", **at | given)
        assert (ended.returncode, ended.stdout) == (3, ""), sentence
        assert sentence in ended.stderr
        assert ended.stderr.startswith("relay: ")
        assert ended.stderr.count("\n") == 1
        as_json = await admin("ls", "--json", **at | given)
        (problem,) = json.loads(as_json.stdout)["problems"]
        assert (as_json.returncode, as_json.stderr) == (3, f"relay: {problem}\n")


@pytest.mark.parametrize(
    ("arguments", "given", "says"),
    [
        (["ls"], {"RELAY_TOKEN": ""}, "A token is needed"),
        (["ls", "--url", "ftp://x"], {}, "must begin with https:// or http://"),
        (["ls", "--limit", "0"], {}, "greater than or equal to 1"),
        (["kick", ""], {}, "SUB must not be empty"),
        (["ls", "--user", ""], {}, "--user must not be empty"),
        (["kick"], {}, "Missing argument 'SUB'"),
    ],
)
async def test_wrong_arguments_are_refused(arguments: list[str], given: dict[str, str], says: str) -> None:
    ended = await admin(*arguments, **{"RELAY_TOKEN": token("root"), "RELAY_ADMIN_URL": NOBODY} | given)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert says in " ".join(re.sub("[│╭╮╰╯─]", "", ended.stderr).split())


async def test_an_answer_that_is_not_the_relays_is_no_traceback() -> None:
    """Another program may listen at the address, and answer with a page, or with JSON of another form."""
    for body in (b"<html>", b"[]", b'{"type": "error"}', b"\xff"):

        async def answer(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes = body
        ) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 500 No\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
            writer.close()

        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            ended = await admin("stats", "--url", url)
        assert (ended.returncode, ended.stderr) == (
            3,
            f"relay: The relay at {url} could not answer, with status 500.\n",
        )
