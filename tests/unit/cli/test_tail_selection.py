"""What `relay tail` leaves out and ends with, and lines of JSON that programs read. Real sockets on loopback."""

from __future__ import annotations

import asyncio
import io
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, TextIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.background_tail import Tail
from support.fake_relay import FakeRelay, close, event
from support.relay_fixture import SOON_S

from relay.cli.printable import json_line
from relay.cli.tail import Renderer, Selection, run
from relay.client import Message

PR = {"taskId": "t1", "prUrl": "https://git/pr/7\tx"}
REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "cli.md"


def types(tail: Tail) -> list[str]:
    return [json.loads(line)["type"] for line in tail.out.lines]


async def test_a_count_is_the_number_of_lines_in_both_forms() -> None:
    async with FakeRelay({"t1": []}, page=1) as relay:
        for as_json in (False, True):
            tail = Tail(relay.url, tasks=("t1",), json=as_json, count=2)
            await tail.out.has_lines(1)
            await relay.send("heartbeat", {})
            await relay.append("t1", event("a"))
            assert await tail.ending == 0
            assert len(tail.out.lines) == 2
            relay.tasks["t1"].clear()


async def test_a_type_selects_messages_also_those_of_the_conversation() -> None:
    async with FakeRelay({"t1": []}) as relay:
        tail = Tail(relay.url, dashboard=True, tasks=("t1",), json=True, count=3,
                    types=("task:pr_opened", "welcome", "event:own_type"))  # fmt: skip
        await relay.has_received("task:join")
        await relay.append("t1", event("not this", "analyzing"))
        await relay.append("t1", event("this", "own_type"))
        await relay.send("task:pr_opened", PR)
        assert await tail.ending == 0
    assert types(tail) == ["welcome", "task:event_added", "task:pr_opened"]


async def test_until_prints_the_first_message_of_its_type_and_ends_with_0() -> None:
    async with FakeRelay() as relay:
        tail = Tail(relay.url, json=True, types=("task:failed",), until="task:pr_opened")
        await relay.has_received("dashboard:join")
        for _ in range(2):
            await relay.send("task:pr_opened", PR)
        assert await tail.ending == 0
    assert types(tail) == ["task:pr_opened"]


async def test_until_an_event_ends_at_once_if_the_task_has_it() -> None:
    async with FakeRelay({"t1": [event("a", "merged"), event("b")]}) as relay:
        tail = Tail(relay.url, tasks=("t1",), until="event:merged")
        assert await tail.ending == 0
    assert len(tail.out.lines) == 1


@pytest.mark.parametrize(
    ("end", "options"),
    [("duration", {"duration": 5.0}), ("count", {"count": 1}), ("deleted", {"tasks": ("t1",)}), ("done", {})],
)
async def test_an_end_before_the_message_of_until_is_code_1(end: str, options: dict[str, Any]) -> None:
    fault = [close(1000, "done", after=2)] if end == "done" else []
    async with FakeRelay({"t1": []}, *fault) as relay:
        tail = Tail(relay.url, until="task:pr_opened", **options)
        await tail.out.written.wait()
        match end:
            case "duration":
                tail.time.advance(5)
            case "deleted":
                await relay.send("task:deleted", {"taskId": "t1"})
        assert await tail.ending == 1


@pytest.mark.parametrize(
    "option", [{"types": ("task:pr_opend",)}, {"until": "pr_opened"}, {"until": "event:"}]
)
async def test_a_type_that_does_not_exist_is_code_2_with_the_list_of_types(option: dict[str, Any]) -> None:
    tail = Tail("http://relay", **option)
    assert await tail.ending == 2
    (sentence,) = tail.err.lines
    assert "task:pr_opened, task:pr_merged" in sentence
    assert "event:TYPE" in sentence


async def test_a_reader_that_leaves_ends_the_tail_before_the_next_message() -> None:
    reading, writing = os.pipe()
    async with FakeRelay() as relay:
        with open(writing, "w") as out:
            tail = asyncio.ensure_future(run(relay.url, "t0ken", Selection(), out=out, err=io.StringIO()))
            await asyncio.to_thread(os.read, reading, 1)
            os.close(reading)
            async with asyncio.timeout(SOON_S):
                assert await tail == 0


@given(st.text(st.characters(codec=None, exclude_categories=()), max_size=8), st.booleans())
def test_a_line_of_json_has_nothing_to_obey_and_the_same_value(text: str, ascii_only: bool) -> None:
    frame = json.dumps({"a": text}, ensure_ascii=False, indent="\t")
    line = json_line(frame, ascii_only=ascii_only)
    assert line.replace("\u200c", "").replace("\u200d", "").isprintable()
    assert line.isascii() or not ascii_only
    assert json.loads(line) == json.loads(frame)


@pytest.mark.parametrize("hostile", ["\x7f", "\x9b31m", "\u2028", "\u2029", "\u202e", "\ud800", "\U000e0001"])
def test_what_a_terminal_obeys_is_escaped(hostile: str) -> None:
    (line,) = Renderer(json=True).lines(Message("x", {}, raw='{"a":"' + hostile + 'é"}'))
    assert line.isprintable()
    assert json.loads(line) == {"a": hostile + "é"}


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8", "utf-16"])
async def test_json_is_legal_in_the_encoding_of_the_output(encoding: str) -> None:
    written = io.BytesIO()
    out: TextIO = io.TextIOWrapper(written, encoding=encoding, write_through=True)
    async with FakeRelay() as relay:
        wanted = Selection(json=True, until="task:created")
        tail = asyncio.ensure_future(run(relay.url, "t0ken", wanted, out=out, err=io.StringIO()))
        await relay.has_received("dashboard:join")
        await relay.send_raw('{"type":"task:created","data":{"title":"日本é🙂"}}')
        assert await tail == 0
    line = written.getvalue().decode(encoding).splitlines()[-1]
    assert json.loads(line)["data"]["title"] == "日本é🙂"
    assert ("日本" in line) == encoding.startswith("utf")


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
async def test_the_example_of_the_help_works() -> None:
    (command,) = [
        line.partition(" | jq ")[2] for line in REFERENCE.read_text("utf-8").splitlines()
        if line.startswith("relay tail --json --type task:pr_opened | jq ")
    ]  # fmt: skip
    async with FakeRelay() as relay:
        tail = Tail(relay.url, json=True, types=("task:pr_opened",), count=1)
        await relay.has_received("dashboard:join")
        await relay.send("task:pr_opened", PR)
        assert await tail.ending == 0
    shown = subprocess.run(
        ["sh", "-c", f"jq {command}"], input=tail.out.getvalue(), text=True, capture_output=True
    )
    assert shown.stdout == "t1\thttps://git/pr/7\\tx\n", shown.stderr
