"""With RELAY_LOG_FORMAT=json, each line that `relay serve` writes to standard error is one JSON object."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest
from support.command_process import Process, run
from support.doc_snippets import ROOT
from support.log_flood import send_bad_requests, talkative
from support.log_lines import JSON, lines_of, logged, matching
from support.raw_client import upgraded
from support.relay_fixture import SOON_S
from support.worker_processes import workers

FAILING = """
from relay.hub import hub

class Broken(Exception):
    pass

def fail(*_, **__):
    raise Broken("it broke")

hub.Hub.move_to = fail
"""


@pytest.mark.parametrize(
    ("arguments", "given", "says"),
    [
        ((), {"RELAY_MONGO_URL": ""}, "RELAY_MONGO_URL is not set"),
        ((), {"RELAY_LOG_LEVEL": "LOUD"}, "RELAY_LOG_LEVEL"),
        (
            ("--workers", "2"),
            {"RELAY_MONGO_URL": "mongodb://127.0.0.1:1/?directConnection=maybe"},
            "directConnection",
        ),
    ],
)
def test_a_relay_that_cannot_start_says_why_in_one_line(
    good: dict[str, str], arguments: tuple[str, ...], given: dict[str, str], says: str
) -> None:
    ended = run("serve", *arguments, **good | JSON | given)
    assert ended.returncode == 3
    lines = lines_of(ended.stderr)
    (line,) = matching(lines, "the relay cannot start")
    assert says in line["reason"]
    assert line["level"] == "critical"


def test_the_settings_file_names_the_format_also_of_the_line_about_what_is_wrong_in_it(
    good: dict[str, str], tmp_path: Path
) -> None:
    (file := tmp_path / "relay.env").write_text("RELAY_LOG_FORMAT=json\nRELAY_PORT=no\n")
    given = {name: value for name, value in good.items() if name != "RELAY_PORT"}
    ended = run("serve", **given, RELAY_SETTINGS_FILE=str(file))
    assert ended.returncode == 3
    (line,) = matching(lines_of(ended.stderr), "the relay cannot start")
    assert "RELAY_PORT: must be a valid integer" in line["reason"]


def test_wrong_arguments_are_reported_in_lines_of_json(good: dict[str, str]) -> None:
    ended = run("serve", "--bogus", **good | {"RELAY_LOG_FORMAT": " json\n"})
    assert ended.returncode == 2
    texts = [line["text"] for line in matching(lines_of(ended.stderr), "text was written to standard error")]
    assert any("--bogus" in text for text in texts)


def test_a_format_that_cannot_be_read_is_reported_as_for_people(good: dict[str, str]) -> None:
    ended = run("serve", **good | {"RELAY_LOG_FORMAT": "jsonl"})
    assert ended.stderr.startswith("relay: RELAY_LOG_FORMAT")


def test_other_commands_are_for_people(good: dict[str, str]) -> None:
    ended = run("check", **good | JSON | {"RELAY_MONGO_URL": ""})
    assert ended.stderr.startswith("relay: RELAY_MONGO_URL is not set")


@pytest.mark.parametrize("count", [1, 2])
async def test_whatever_a_process_writes_is_a_line_of_json(
    good: dict[str, str], tmp_path: Path, count: int
) -> None:
    """Records of libraries, warnings, printed text and stacks; also a misspelt setting, and that the relay listens."""
    site = tmp_path / "site"
    site.mkdir()
    given = good | JSON | talkative(site) | {"RELAY_PROT": "1", "RELAY_DRAIN_MS": "0"}
    async with workers(tmp_path, "--workers", str(count), **given) as relay:
        await asyncio.to_thread(send_bad_requests, relay.port, 5)
        await logged(relay, "text was written to standard error", text="a line about a bad request")
        await logged(relay, "listening", url=relay.url)
        assert await relay.end() == 0
    lines = lines_of(relay.said())
    for name in ("relay.gateway", "uvicorn.error", "asyncio"):
        assert [line for line in lines if line["logger"] == name and "has bad request" in line["event"]]
    warned = [line for line in lines if line["logger"] == "py.warnings"]
    assert any("a warning about bad request" in line["event"] for line in warned)
    assert any("RELAY_PROT is not a setting" in line["event"] for line in lines)
    workers_named = {line.get("worker") for line in matching(lines, "following the change stream")}
    assert workers_named == ({"1", "2"} if count == 2 else {None})


@pytest.mark.parametrize("count", [1, 2])
def test_a_failure_of_a_process_is_one_line_with_its_traceback(
    good: dict[str, str], tmp_path: Path, count: int
) -> None:
    (tmp_path / "sitecustomize.py").write_text(FAILING)
    given = good | JSON | {"PYTHONPATH": f"{tmp_path}:{ROOT}"}
    with Process("serve", "--workers", str(count), **given) as process:
        try:
            said = process.printed("it broke")
            process.send_signal(signal.SIGINT)
            said += process.printed()
            process.wait(SOON_S)
        finally:
            process.kill()
    lines = lines_of(said)
    event = "the relay failed" if count == 1 else "a process of the relay failed"
    found = matching(lines, event, level="critical", exception=...)
    assert "Broken: it broke" in found[0]["exception"]


async def test_a_second_ctrl_c_leaves_only_lines_of_json(good: dict[str, str], tmp_path: Path) -> None:
    async with (
        workers(tmp_path, **good | JSON | {"RELAY_DRAIN_MS": "60000"}) as relay,
        upgraded(relay.url) as peer,
    ):
        await peer.frame()
        relay.process.send_signal(signal.SIGINT)
        while b'"server:draining"' not in (await peer.frame())[1]:
            pass
        assert await relay.end(signal.SIGINT) == 130
    assert lines_of(relay.said())


async def test_the_level_hides_no_line_that_programs_wait_for(good: dict[str, str], tmp_path: Path) -> None:
    async with workers(tmp_path, **good | JSON | {"RELAY_LOG_LEVEL": "ERROR"}) as relay:
        assert await relay.end() == 0
    events: list[Any] = [line["event"] for line in lines_of(relay.said())]
    assert events == ["listening"]
