"""`relay conformance`: our own clients have no fault, and a wrong one has those that it has."""

from __future__ import annotations

import asyncio
import io
import json
import sys
import urllib.request
from contextlib import suppress

import pytest
from support.clients import python_client
from support.clients.node_clients import node_clients
from support.clients.verdicts import PATIENCE_S, faults
from support.clients.wrong_client import FaultName, wrong
from support.command_process import run

from relay.cli.conformance.exam import Exam
from relay.cli.conformance.listener import listening
from relay.cli.conformance.run import choose
from relay.cli.conformance.run import run as conformance
from relay.cli.conformance.scenarios import ALL
from relay.cli.conformance.scenarios.endings import hammers
from relay.errors import StartupError


@pytest.mark.parametrize("kind", ["browser", "react"])
async def test_the_clients_in_javascript_have_no_fault(kind: str) -> None:
    async with node_clients(kind) as launch:
        assert await faults(launch) == []


async def test_the_python_client_has_no_fault() -> None:
    assert await faults(python_client.launch, without=["polling"]) == []


# Each fault, a scenario in which it shows, and how it is named there.
NAMED: list[tuple[FaultName, str, str]] = [
    ("ignores gaps", "gap", "ignored a gap: it applied an event whose index is not the next one (6.1)"),
    ("applies twice", "duplicate", "applied an event twice (6.1)"),
    ("never returns", "come_back", "did not come back after a close 4408 stalled (7)"),
    ("always returns", "stay_away_4500", "came back after a close 4500 bad_handshake (7)"),
    ("keeps its token", "renewal", "did not send a fresh token after auth:expiring (2)"),
    ("forgets", "resume", "joined the task again without the position that it had (6.2)"),
]
SHOWN_BY = [scenario for _, scenario, _ in NAMED]


async def test_a_client_without_a_fault_has_none_named() -> None:
    assert await faults(wrong(), SHOWN_BY) == []


async def test_each_fault_of_a_client_with_several_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    # This client does not stay away, so the exam can wait longer for it at no cost.
    monkeypatch.setattr(Exam.stays_away, "__defaults__", (PATIENCE_S,))
    found = await faults(wrong(*(fault for fault, _, _ in NAMED)), SHOWN_BY, patience_s=10.0)
    assert {f"{scenario}: {sentence}" for _, scenario, sentence in NAMED} <= set(found)
    assert "did not connect" not in "".join(found)


async def test_what_is_no_request_ends_its_connection_and_nothing_else() -> None:
    loop, failures = asyncio.get_running_loop(), []
    loop.set_exception_handler(lambda _, context: failures.append(context))
    exam = Exam(PATIENCE_S, loop.time)
    async with listening(exam, "127.0.0.1") as url:
        host, port = url.removeprefix("http://").split(":")
        for sent in (b"nonsense\r\n\r\n", b"POST /poll HTTP/1.1\r\nContent-Length: many\r\n\r\n"):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(sent)
            with suppress(ConnectionError):
                assert await reader.read() == b""
            writer.close()
        token = await asyncio.to_thread(lambda: urllib.request.urlopen(f"{url}/token").read())
    assert (token.decode(), failures) == (exam.token, [])


@pytest.mark.parametrize(("pauses_s", "named"), [([0.001, 0.02, 0.002], True), ([0.0, 0.04, 0.0], False)])
def test_three_attempts_without_a_pause_are_no_backoff(pauses_s: list[float], named: bool) -> None:
    assert hammers(pauses_s) == named


def test_a_program_that_ends_is_a_fault_and_what_it_said_is_shown() -> None:
    program = "import os, sys; print(os.environ['RELAY_TASK'], sys.argv[1]); sys.exit('no idea')"
    ended = run("conformance", "--only", "welcome", "--trace", "--", sys.executable, "-c", program, "{url}")
    assert ended.returncode == 1
    assert "the client ended by itself (PROTOCOL.md 7)" in ended.stdout
    assert "stderr: no idea" in ended.stdout
    assert "1 scenario, 1 with faults; left out: conversation" in ended.stdout


async def examined(*command: str, as_json: bool = False) -> tuple[int, str]:
    """The exit code and the report of a client in the first scenario."""
    out = io.StringIO()
    code = await conformance(
        command, choose(["welcome"], ()), out, patience_s=PATIENCE_S, at_once=1, trace=False, as_json=as_json
    )
    return code, out.getvalue()


async def test_the_report_can_be_one_json_object() -> None:
    code, printed = await examined("true", as_json=True)
    report = json.loads(printed)
    assert (code, report["passes"], len(report["skipped"])) == (1, False, len(ALL) - 1)
    assert report["scenarios"][0]["faults"] == [{"sentence": "ended by itself", "section": "7"}]


async def test_a_program_that_does_not_exist_cannot_be_examined() -> None:
    with pytest.raises(StartupError, match="The client /nowhere/client cannot be started: No such file"):
        await examined("/nowhere/client")


def test_a_scenario_that_does_not_exist_is_refused_with_the_list_of_them() -> None:
    for names in (["nothing"], []), ([], ["nothing"]):
        with pytest.raises(ValueError, match="no scenario 'nothing': choose from welcome, conversation, "):
            choose(*names)


def test_leaving_out_every_scenario_is_refused_because_nothing_would_be_examined() -> None:
    for names in (["gap"], ["gap"]), ([], [one.name for one in ALL]):
        with pytest.raises(ValueError, match="No scenario is left to play"):
            choose(*names)
