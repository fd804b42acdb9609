"""What `relay tail` prints, when it ends, and with which exit code. Real sockets on loopback, a fake clock."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
from collections.abc import Iterator
from typing import Any, TextIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.background_tail import NOON, Tail
from support.fake_relay import FakeRelay, close, drop, event, refuse

from relay.cli.printable import visible
from relay.cli.tail import TYPE_WIDTH, Renderer, Selection, describe, run
from relay.client import Message

AT = "2026-05-01T12:00:00.000Z"


def line_of(type_: str, data: dict[str, Any], at: str | None = AT, **options: Any) -> str:
    (line,) = Renderer(now=lambda: NOON, **options).lines(Message(type_, data, at))
    return line


# One message, one line


def test_a_line_shows_the_time_the_delay_the_type_and_the_task() -> None:
    data = {"taskId": "65f0c0ffee0123456789abcd", "status": "in_review", "prUrl": "https://git/pr/7"}
    assert line_of("task:pr_opened", data) == (
        "12:00:00.000   +250 ms  task:pr_opened               65f0c0ffee0123456789abcd  in_review  https://git/pr/7"
    )


@pytest.mark.parametrize(
    ("type_", "data", "text"),
    [
        ("task:created", {"title": "Fix it", "creator": "ada", "status": "new"}, "new  “Fix it”  by ada"),
        ("task:clarification_needed", {"status": "s", "questions": ["A?\nb", "C?"]}, "s  A? / C?"),
        ("task:dispatched", {"status": "s", "issueUrl": "https://git/1"}, "s  https://git/1"),
        ("task:pr_merged", {"status": "s", "mergeCommitSha": "abc"}, "s  merged as abc"),
        ("task:failed", {"status": "failed", "error": "no\nluck"}, "failed  error: no"),
        ("task:updated", {"task": {"status": "s", "title": "T"}}, "s  “T”"),
        ("task:updated", {"task": {"creator": "ada", "waitsFor": {"sub": ["ada"]}}}, "by ada"),
        (
            "task:updated",
            {"task": {"creator": "ada", "waitsFor": {"sub": ["ben"], "teams": ["red"]}}},
            "by ada  waits for ben, red",
        ),
        ("dashboard:task_list_updated", {"change": "upserted", "status": "s", "title": "T"}, "s  “T”"),
        ("dashboard:task_list_updated", {"change": "revoked"}, "revoked"),
        ("stream:status", {"state": "stale", "lagMs": 5300}, "stale, 5300 ms behind"),
        ("error", {"code": "forbidden", "message": "No."}, "forbidden: No."),
        ("task:event_added", {"index": 3, "event": event("Reading\nit")}, "#3 analyzing  Reading"),
        ("task:event_added", {"index": 3, "event": None}, "#3 (nothing)"),
        ("task:unheard_of", {"taskId": "t1"}, '{"taskId":"t1"}'),
    ],
)
def test_a_message_is_described_by_what_is_essential(type_: str, data: dict[str, Any], text: str) -> None:
    assert line_of(type_, {"taskId": "t1"} | data).endswith(f"t1{' ' * 24}{text}")


def test_an_event_shows_the_text_and_the_links_of_its_payload() -> None:
    data = {"type": "issue_created", "payload": {"text": "Filed", "issueUrl": "https://git/1"}}
    line = line_of("task:event_added", {"taskId": "t1", "index": 0, "event": {"type": "x", "data": data}})
    assert line.endswith("#0 x  Filed  https://git/1")


@pytest.mark.parametrize("type_", ["welcome", "heartbeat", "pong", "auth:ok", "server:draining", "task:left"])
def test_messages_that_only_keep_the_connection_alive_are_printed_only_where_their_type_is_named(
    type_: str,
) -> None:
    message = Message(type_, {}, raw="{}")
    assert not Selection().prints(message)
    assert not Selection(until="task:pr_opened").prints(message)
    assert Selection(types=(type_,)).prints(message)
    assert Selection(until=type_).prints(message)


def test_a_list_is_one_line_when_its_last_page_is_there() -> None:
    renderer = Renderer(now=lambda: NOON)
    one, two = {"status": "failed"}, {"status": "merged"}
    assert not list(renderer.lines(Message("dashboard:state", {"tasks": [one], "reset": True, "more": True})))
    (line,) = renderer.lines(Message("dashboard:state", {"tasks": [one, two], "reset": False, "more": False}))
    assert line.endswith("3 tasks: 2 failed, 1 merged")


@pytest.mark.parametrize(
    ("kind", "data", "text"),
    [
        ("task:state", {"next": 12, "task": {"status": "dispatched"}}, "12 events, status dispatched"),
        (
            "dashboard:state",
            {"tasks": [{"status": "new"}, {}, {"status": "new"}]},
            "3 tasks: 2 new, 1 no status",
        ),
        ("task:event_added", {"index": 3, "event": event("Reading")}, "#3 analyzing  Reading"),
        ("task:created", {"title": "Fix\x1b[2J", "status": "new"}, r"new  “Fix\x1b[2J”"),
        ("task:deleted", {"taskId": "t1"}, ""),
        ("task:state", {}, "0 events"),
    ],
)
def test_a_description_can_be_made_without_a_line(kind: str, data: dict[str, Any], text: str) -> None:
    assert describe(kind, data) == text


@pytest.mark.parametrize(
    ("at", "clock"), [("2026-04-30T09:05:00Z", "04-30 09:05 "), ("2025-05-01T12:00:00Z", "2025-05-01  ")]
)
def test_another_day_is_shown_with_its_date(at: str, clock: str) -> None:
    assert line_of("task:deleted", {"taskId": "t1"}, at).startswith(f"{clock}  ")


@pytest.mark.parametrize(
    ("at", "late"),
    [
        ("2026-05-01T12:00:00.246Z", "   +4 ms"),
        ("2026-05-01T12:00:00.251Z", "   -1 ms"),
        ("2026-05-01T11:59:51.250Z", "+9000 ms"),
        ("2026-05-01T11:59:40.250Z", "   +20 s"),
        ("2026-05-01T11:58:30.250Z", "    +1 m"),
        ("2026-05-01T01:00:00.250Z", "   +11 h"),
        ("2026-03-02T12:00:00.250Z", "   +60 d"),
    ],
)
def test_a_delay_below_ten_seconds_is_shown_in_milliseconds(at: str, late: str) -> None:
    assert line_of("task:deleted", {"taskId": "t1"}, at)[14:22] == late


@pytest.mark.parametrize(
    ("at", "age"),
    [
        ("2026-05-01T12:00:00.000Z", ""),
        ("2026-05-01T11:59:55.000Z", "5s ago"),
        ("2026-05-01T11:00:30.000Z", "59m ago"),
        ("2026-04-30T12:00:00.000Z", "1d ago"),
        (None, ""),
    ],
)
def test_an_event_from_the_past_is_shown_with_its_age(at: str | None, age: str) -> None:
    history = state(0, [event("a") | {"at": at}], reset=True)
    (line,) = Renderer(since=0, now=lambda: NOON).lines(history)
    assert line[14:22].strip() == age


def test_a_delay_people_notice_is_yellow() -> None:
    slow = line_of("task:deleted", {"taskId": "t1"}, "2026-05-01T11:59:59.750Z", color=True)
    assert "\x1b[33m +500 ms" in slow
    assert "\x1b[33m" not in line_of("task:deleted", {"taskId": "t1"}, color=True)


def test_lines_have_colours_only_when_asked_for() -> None:
    data = {"taskId": "t1", "status": "failed"}
    assert "\x1b[1;31mtask:failed" in line_of("task:failed", data, color=True)
    assert "\x1b" not in line_of("task:failed", data)


# Untrusted text


def test_a_terminal_escape_sequence_in_a_title_is_escaped() -> None:
    data = {"taskId": "\x1b[2Jt", "title": "\x1b]0;owned\x07\x9b31m\u202e", "status": "\r\n"}
    line = line_of("task:created", data)
    assert line.isprintable()
    assert r"“\x1b]0;owned\x07\x9b31m\u202e”" in line


@given(st.text())
def test_no_text_reaches_the_terminal_unprintable(text: str) -> None:
    shown = visible(text).replace("\u200c", "").replace("\u200d", "")
    assert shown.isprintable()


_json = st.recursive(st.none() | st.integers(-9, 9) | st.text(), lambda inner: st.lists(inner), max_leaves=3)


@given(
    st.sampled_from(["task:created", "task:updated", "task:failed", "task:event_added", "task:state",
                     "dashboard:state", "dashboard:task_list_updated", "stream:status", "error", "x"]),
    st.dictionaries(st.sampled_from(["taskId", "title", "status", "task", "tasks", "event", "events", "from",
                                     "index", "next", "questions", "prUrl", "change", "lagMs"]), _json),
    st.booleans(),
)  # fmt: skip
def test_any_message_becomes_a_printable_line(type_: str, data: dict[str, Any], color: bool) -> None:
    for line in Renderer(now=lambda: NOON).lines(Message(type_, data, "not a time")):
        assert line.replace("\u200c", "").replace("\u200d", "").isprintable()
    for since in (None, 0):
        list(Renderer(since=since, color=color, now=lambda: NOON).lines(Message(type_, data)))


# The loop


async def test_a_tail_without_arguments_follows_the_list() -> None:
    async with FakeRelay({"t1": []}) as relay:
        tail = Tail(relay.url, count=1)
        assert await tail.ending == 0
        assert tail.columns() == [("dashboard:state", "1 task: 1 dispatched")]
        assert tail.err.lines == [f"connected to {relay.url.replace('http', 'ws')}/ws"]


async def test_a_task_is_printed_as_a_summary_and_then_event_by_event() -> None:
    async with FakeRelay({"t1": [event("a"), event("b"), event("c")]}, page=2) as relay:
        tail = Tail(relay.url, tasks=("t1",), count=2)
        await tail.out.written.wait()
        await relay.append("t1", event("d"), AT)
        assert await tail.ending == 0
    assert tail.columns() == [
        ("task:state", "3 events, status dispatched  “Fix it”"),
        ("task:event_added", "#3 analyzing  d"),
    ]


async def test_since_prints_each_event_from_its_index_on() -> None:
    async with FakeRelay({"t1": [event("a"), event("b"), event("c")]}) as relay:
        tail = Tail(relay.url, tasks=("t1",), since=1, count=3)
        await tail.out.written.wait()
        await relay.append("t1", event("d"))
        assert await tail.ending == 0
    assert [text for _, text in tail.columns()] == [
        f"#{n} analyzing  {c}" for n, c in [(1, "b"), (2, "c"), (3, "d")]
    ]


@pytest.mark.parametrize("after", range(1, 7))
@pytest.mark.parametrize("as_json", [False, True])
async def test_no_event_is_printed_twice_wherever_the_connection_drops(after: int, as_json: bool) -> None:
    stored = [event(str(number)) for number in range(9)]
    faults = [drop(after), drop(after), drop(after)]
    async with FakeRelay({"t1": list(stored)}, *faults, page=2) as relay:
        tail = Tail(relay.url, tasks=("t1",), since=0, json=as_json, count=5 if as_json else 9)
        assert await tail.ending == 0
    if as_json:
        printed = [each for line in tail.out.lines for each in json.loads(line)["data"].get("events", [])]
        assert printed == stored
    else:
        assert [text for _, text in tail.columns()] == [f"#{n} analyzing  {n}" for n in range(9)]
    assert "resumed" in tail.err.lines or after > 5


async def test_after_a_rewrite_only_new_events_are_printed() -> None:
    async with FakeRelay({"t1": [event("a"), event("b")]}, page=1) as relay:
        tail = Tail(relay.url, tasks=("t1",), since=0, count=4)
        await tail.out.has_lines(2)
        await relay.rewrite("t1", [event("new"), event("b"), event("a"), event("a")])
        assert await tail.ending == 0
    assert [text[-3:] for _, text in tail.columns()] == ["  a", "  b", "new", "  a"]


def state(start: int, events: list[Any], reset: bool, more: bool = False) -> Message:
    page = {"taskId": "t1", "from": start, "events": events, "next": start + len(events)}
    return Message("task:state", page | {"task": {}, "reset": reset, "more": more})


def texts(renderer: Renderer, *messages: Message) -> list[str]:
    return [line[52 + TYPE_WIDTH :] for message in messages for line in renderer.lines(message)]


def test_missed_events_are_printed_one_by_one_without_since() -> None:
    lines = texts(Renderer(), state(0, [event("a")], reset=True), state(1, [event("b")], reset=False))
    assert lines == ["1 event", "#1 analyzing  b"]


def test_a_reconnect_that_missed_nothing_prints_a_summary() -> None:
    assert texts(Renderer(), state(0, [event("a")], True), state(1, [], False)) == ["1 event", "1 event"]
    assert texts(Renderer(since=0), state(0, [event("a")], True), state(1, [], False)) == ["#0 analyzing  a"]


def test_a_first_state_that_was_interrupted_is_still_one_summary() -> None:
    lines = texts(
        Renderer(), state(0, [event("a")], reset=True, more=True), state(1, [event("b")], reset=False)
    )
    assert lines == ["2 events"]


def test_a_rewrite_without_since_is_one_line() -> None:
    lines = texts(Renderer(), state(0, [event("a")], reset=True), state(0, [event("b")], reset=True))
    assert lines == ["1 event", "rewritten, 1 event"]


def test_a_rewrite_is_printed_as_json_even_below_since() -> None:
    renderer = Renderer(json=True, since=9)
    assert not list(renderer.lines(state(0, [{}], reset=True)))
    assert len(list(renderer.lines(state(0, [{}, {}], reset=True)))) == 1


async def test_json_is_the_frame_as_received() -> None:
    async with FakeRelay() as relay:
        tail = Tail(relay.url, json=True, count=2)
        await tail.out.has_lines(1)
        await relay.send_raw('{ "type": "task:created",  "data": {"title":"é\\u001b"} }')
        assert await tail.ending == 0
    assert json.loads(tail.out.lines[0])["type"] == "dashboard:state"
    assert tail.out.lines[1:] == ['{ "type": "task:created",  "data": {"title":"é\\u001b"} }']


async def test_the_duration_ends_the_tail() -> None:
    async with FakeRelay() as relay:
        tail = Tail(relay.url, duration=7.0)
        await tail.out.written.wait()
        tail.time.advance(7)
        assert await tail.ending == 0


async def test_ctrl_c_ends_the_tail_with_code_0() -> None:
    before = signal.getsignal(signal.SIGINT)
    async with FakeRelay() as relay:
        tail = Tail(relay.url)
        await tail.out.written.wait()
        os.kill(os.getpid(), signal.SIGINT)
        assert await tail.ending == 0
    assert signal.getsignal(signal.SIGINT) is before


@pytest.fixture
def pipe_without_reader() -> Iterator[TextIO]:
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w") as out:
        yield out


async def test_a_reader_that_leaves_ends_the_tail_without_an_error(pipe_without_reader: TextIO) -> None:
    err = io.StringIO()
    async with FakeRelay() as relay:
        assert await run(relay.url, "t0ken", Selection(), out=pipe_without_reader, err=err) == 0
    assert "relay tail:" not in err.getvalue()
    print("what is still to be flushed at exit", file=pipe_without_reader, flush=True)


async def test_a_notice_names_the_time_of_the_next_try() -> None:
    async with FakeRelay({}, close(4430, "at_capacity\x1b", after=2)) as relay:
        tail = Tail(relay.url, count=2)
        assert await tail.ending == 0
    assert tail.err.lines[1:] == [r"not connected (4430 at_capacity\x1b): reconnecting in 0.0 s", "resumed"]


# How it fails


@pytest.mark.parametrize(
    "options",
    [
        {"since": -1, "tasks": ("t1",)},
        {"since": 0},
        {"count": 0},
        {"duration": 0.0},
        {"tasks": ("",)},
        {"token": ""},
    ],
)
async def test_bad_arguments_are_code_2_and_one_sentence(options: dict[str, Any]) -> None:
    tail = Tail("http://relay", **options)
    assert await tail.ending == 2
    assert len(tail.err.lines) == 1
    assert tail.out.getvalue() == ""


async def test_an_invalid_address_is_code_2_and_is_not_printed() -> None:
    tail = Tail("http://relay/#token=secret")
    assert await tail.ending == 2
    assert "secret" not in tail.err.getvalue()


async def test_an_address_where_no_relay_answers_is_code_3_and_one_sentence() -> None:
    async with FakeRelay() as relay:
        url = relay.url
    tail = Tail(url)
    assert await tail.ending == 3
    assert len(tail.err.lines) == 1
    assert tail.err.getvalue().startswith("relay tail: could not connect to ws://127.0.0.1:")


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (drop(after=0), "/ws: connection lost"),
        (refuse(200), "another server answers at this address (200 not_found)"),
        (refuse(403), "the relay does not let this client in (403 HTTP 403)"),
        (refuse(404), "there is no WebSocket at this path (404 not_found)"),
        (refuse(426), "a proxy in between does not pass the upgrade to a WebSocket on (426 blocked)"),
        (refuse(431), "the head of the request, with the token in it, is too large (431 HTTP 431)"),
        (refuse(503), "HTTP 503"),
        (close(4401, "unauthenticated"), "the token is not accepted or has expired (4401 unauthenticated)"),
        (close(4403, "disconnected"), "an administrator has disconnected this user (4403 disconnected)"),
        (
            close(4502, "feature_disabled"),
            "live delivery is switched off for this user (4502 feature_disabled)",
        ),
        (close(1009), "the relay refused the connection (1009 closed)"),
    ],
)
async def test_a_refusal_is_code_3_and_one_sentence(fault: Any, sentence: str) -> None:
    async with FakeRelay({}, fault) as relay:
        tail = Tail(relay.url)
        assert await tail.ending == 3
    assert tail.err.lines[-1].endswith(sentence)


async def test_a_task_that_the_relay_does_not_show_is_code_3() -> None:
    async with FakeRelay() as relay:
        tail = Tail(relay.url, tasks=("nobody's",))
        assert await tail.ending == 3
    assert tail.columns() == [("error", "forbidden: No.")]
    assert tail.err.lines[-1] == "relay tail: the relay does not show what was asked for (forbidden)"


async def test_a_deleted_task_ends_its_tail() -> None:
    async with FakeRelay({"t1": []}) as relay:
        tail = Tail(relay.url, tasks=("t1",))
        await tail.out.written.wait()
        await relay.send("task:deleted", {"taskId": "t1"})
        assert await tail.ending == 0
    assert tail.err.lines[-1] == "nothing left to follow"


async def test_an_invalid_task_id_does_not_keep_the_tail_from_ending() -> None:
    async with FakeRelay({"t1": []}, bad=frozenset({"bad"})) as relay:
        tail = Tail(relay.url, tasks=("bad", "t1"))
        while len(tail.out.lines) < 3:  # two errors and a state
            await asyncio.sleep(0)
        await relay.send("task:deleted", {"taskId": "t1"})
        assert await tail.ending == 0
    assert tail.err.lines[-1] == "nothing left to follow"
