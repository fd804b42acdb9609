"""The stream on a terminal: describe and render messages, and the loop behind `relay tail`. Only `run` does I/O.

Rules of this file: stdout carries messages and nothing else; no character of somebody's text reaches a
terminal unless it is printable; an event of a timeline is printed once, whatever happens to the connection.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import io
import os
import signal
import types
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TextIO

import orjson
from rich.console import Console
from rich.text import Text

from relay.client import ABNORMAL, Client, Connected, ConnectionRefused, Disconnected, Message, TokenSource
from relay.protocol import Close, Kind

EXIT_DONE = 0
EXIT_BAD_ARGUMENTS = 2
EXIT_REFUSED = 3  # or no connection at all
TEXT_MAX_CHARS = 200  # of one untrusted text in a line; the rest becomes an ellipsis
SUMMARY_STATUSES_MAX = 5  # of a list's statuses in one line; the rest is counted together


@dataclass(frozen=True, slots=True)
class TailOptions:
    """What `relay tail` was asked for; `color` None means: where stdout is a terminal."""

    url: str
    token: TokenSource
    tasks: tuple[str, ...] = ()
    dashboard: bool = False
    since: int | None = None  # join from 0, print from this index
    json: bool = False
    duration: float | None = None  # seconds
    count: int | None = None  # printed lines; what keeps the conversation going is not counted
    color: bool | None = None


async def run(
    options: TailOptions,
    out: TextIO,
    err: TextIO,
    *,
    connect: Callable[[str, TokenSource], Client] = Client,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    now: Callable[[], datetime] = lambda: datetime.now().astimezone(),
) -> int:
    """Tail until the count, the duration, Ctrl-C or the end of the reader of `out`; the exit code: 0 after a
    normal end, 2 for arguments that make no sense, 3 if the first try found no relay or the relay refused."""
    try:
        _check(options)
        client = connect(options.url, options.token)
        for task_id in options.tasks:
            client.join_task(task_id)
    except ValueError as error:
        _say(err, f"relay tail: {error}")
        return EXIT_BAD_ARGUMENTS
    if options.dashboard or not options.tasks:
        client.join_dashboard()
    if isinstance(out, io.TextIOWrapper):
        # JSON is UTF-8 by definition; for people, what the terminal cannot show is escaped.
        if options.json:
            out.reconfigure(encoding="utf-8")
        else:
            out.reconfigure(errors="backslashreplace")

    interrupted = asyncio.Event()
    with _interrupt_sets(interrupted):
        async with client, asyncio.TaskGroup() as group:
            follow = group.create_task(_follow(client, options, out, err, now))
            ends = [follow, group.create_task(_until(interrupted.wait()))]
            if options.duration is not None:
                ends.append(group.create_task(_until(sleep(options.duration))))
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for end in ends:
                end.cancel()
    return EXIT_DONE if follow.cancelled() else follow.result()


class Renderer:
    """Messages in, lines out: for people, or with `json` the frames themselves. Pure but for `now`.

    It remembers as much of each timeline as it needs to print no event twice.
    """

    def __init__(
        self,
        *,
        json: bool = False,
        since: int | None = None,
        color: bool = False,
        escape_json: bool = False,
        now: Callable[[], datetime] = lambda: datetime.now().astimezone(),
    ) -> None:
        """`escape_json` also spells the controls that JSON allows in a string as \\u escapes."""
        self._json = json
        self._since = since
        self._color = color
        self._escape_json = escape_json
        self._now = now
        self._timelines: dict[str, _Timeline] = {}
        self._listed: list[Any] = []

    def lines(self, message: Message) -> Iterator[str]:
        """The lines of one message, without line ends; for people, none for what only keeps the conversation
        going."""
        if message.type in CONVERSATION:
            if self._json:
                yield self._frame(message)
            return
        entries = list(self._entries(message))
        if self._json:
            if entries:
                yield self._frame(message)
            return
        for entry in entries:
            yield self._line(entry)

    def _entries(self, message: Message) -> Iterator[_Entry]:
        """What there is to print. Where a page of a state only completes another, nothing for people."""
        task_id = _string(message.data.get("taskId"))
        at = _moment(message.at)
        match message.type:
            case Kind.TASK_STATE:
                yield from self._state_entries(message, task_id)
            case Kind.DASHBOARD_STATE:
                yield from self._list_entries(message)
            case Kind.EVENT_ADDED:
                index, event = _integer(message.data.get("index")), message.data.get("event")
                if self._since is not None:
                    self._timeline(task_id).append(index, event)
                if index >= (self._since or 0):
                    text = _event_text(index, event)
                    yield _Entry(message.type, task_id, text, at or _event_time(event), at)
            case _:
                if message.type in (Kind.DELETED, Kind.REVOKED):
                    self._timelines.pop(task_id, None)  # created again, it is another task
                yield _Entry(message.type, task_id, describe(message.type, message.data), at, at)

    def _state_entries(self, message: Message, task_id: str) -> Iterator[_Entry]:
        data = message.data
        events = data.get("events")
        events = events if isinstance(events, list) else []
        timeline = self._timeline(task_id)
        rewritten = data.get("reset") is True and timeline.held > 0
        if not timeline.unfinished:
            # A state that goes on where we are says what was missed, event by event; any other is a whole.
            timeline.as_events = self._since is not None or data.get("reset") is False
            timeline.shown = 0
        timeline.unfinished = data.get("more") is True
        start = _integer(data.get("from"))
        fresh = timeline.replace(start, events, remember=self._since is not None)
        at = _moment(message.at)
        if self._json and (self._since is None or rewritten):
            yield _Entry(message.type, task_id, "", at, at)
        elif timeline.as_events:
            for index in fresh:
                if index >= (self._since or 0):
                    timeline.shown += 1
                    event = events[index - start]
                    yield _Entry(message.type, task_id, _event_text(index, event), _event_time(event), None)
        if self._since is None and timeline.shown == 0 and not timeline.unfinished and not self._json:
            text = ("rewritten, " if rewritten else "") + describe(message.type, data)
            yield _Entry(message.type, task_id, text, at, at)

    def _list_entries(self, message: Message) -> Iterator[_Entry]:
        tasks = message.data.get("tasks")
        if message.data.get("reset") is True:
            self._listed = []
        self._listed += tasks if isinstance(tasks, list) else []
        at = _moment(message.at)
        if self._json or message.data.get("more") is not True:
            yield _Entry(message.type, "", describe(message.type, {"tasks": self._listed}), at, at)
            self._listed = []

    def _timeline(self, task_id: str) -> _Timeline:
        return self._timelines.setdefault(task_id, _Timeline())

    def _frame(self, message: Message) -> str:
        # Line ends can only stand between the tokens of a JSON text, where a space means the same.
        raw = message.raw.replace("\n", " ").replace("\r", " ")
        return _escaped(raw, _json_escape) if self._escape_json and not raw.isprintable() else raw

    def _line(self, entry: _Entry) -> str:
        now = self._now()
        when = (entry.time or now).astimezone(now.tzinfo)
        clock = when.strftime("%H:%M:%S.") + f"{when.microsecond // 1000:03}"
        if when.date() != now.date():
            clock = when.strftime("%m-%d %H:%M" if when.year == now.year else "%Y-%m-%d")
        late = "" if entry.caused is None else f"{(now - entry.caused).total_seconds() * 1000:+.0f} ms"
        text = Text(no_wrap=True)
        text.append(f"{clock:12}  {late:>8}  ", "dim")
        text.append(f"{visible(entry.type, TYPE_WIDTH):{TYPE_WIDTH}}", _STYLES.get(entry.type, ""))
        text.append(f"  {visible(entry.task_id):24}  {entry.text}")
        text.rstrip()
        return _ansi(text) if self._color else text.plain


def describe(kind: str, data: dict[str, Any]) -> str:
    """The essential of one message in one line of plain, printable text; without its time, type and task."""
    match kind:
        case Kind.EVENT_ADDED:
            return _event_text(_integer(data.get("index")), data.get("event"))
        case Kind.TASK_STATE:
            return _state_text(data)
        case Kind.DASHBOARD_STATE:
            return _list_text(data.get("tasks"))
        case Kind.LIST_UPDATED if data.get("change") != "upserted":
            return visible(_string(data.get("change")))
        case Kind.UPDATED if isinstance(data.get("task"), dict):
            return _summary(data["task"])
        case Kind.STREAM_STATUS:
            return f"{visible(_string(data.get('state')))}, {_integer(data.get('lagMs'))} ms behind"
        case Kind.ERROR:
            again = data.get("retryAfterMs")
            hint = f"(again in {_integer(again)} ms)" if again is not None else ""
            return _joined(f"{visible(_string(data.get('code')))}: {_one_line(data.get('message'))}", hint)
        case Kind.DELETED | Kind.REVOKED:
            return ""
        case _ if kind in _STYLES:
            return _summary(data)
        case _:
            return visible(_compact(data))


def visible(text: str, limit: int = TEXT_MAX_CHARS) -> str:
    """Somebody's text as printable characters only, at most `limit` of them before the escapes."""
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    return text if text.isprintable() else _escaped(text, _text_escape)


async def _follow(
    client: Client, options: TailOptions, out: TextIO, err: TextIO, now: Callable[[], datetime]
) -> int:
    color = _is_terminal(out) and "NO_COLOR" not in os.environ if options.color is None else options.color
    renderer = Renderer(
        json=options.json, since=options.since, color=color, escape_json=_is_terminal(out), now=now
    )
    open_tasks = set(options.tasks)
    dashboard = options.dashboard or not options.tasks
    was_connected = False
    printed = 0
    try:
        async for item in client:
            match item:
                case Connected():
                    _say(err, "resumed" if was_connected else f"connected to {client.url}")
                    was_connected = True
                case Disconnected():
                    if not was_connected and _nobody_there(item.code):
                        _say(err, f"relay tail: could not connect to {client.url}: {visible(item.reason)}")
                        return EXIT_REFUSED
                    _say(err, _lost(item))
                case Message():
                    for line in renderer.lines(item):
                        out.write(line + "\n")
                        printed += item.type not in CONVERSATION
                        if printed == options.count:
                            out.flush()
                            return EXIT_DONE
                    out.flush()
                    if item.type == Kind.DRAINING:
                        _say(err, "the relay is about to stop")
                    open_tasks -= _left(item, open_tasks)
                    if not open_tasks and not dashboard:
                        return _nothing_left(item, err)
    except ConnectionRefused as refusal:
        _say(err, f"relay tail: {_refusal(refusal)}")
        return EXIT_REFUSED
    except BrokenPipeError:
        _discard(out)
    return EXIT_DONE


@dataclass(frozen=True, slots=True)
class _Entry:
    """One line to print; `time` is what the clock column shows, `caused` what the delay is counted from."""

    type: str
    task_id: str
    text: str
    time: datetime | None
    caused: datetime | None


@dataclass(slots=True)
class _Timeline:
    """What has been seen of one task's events; digests of them only where every event is printed."""

    held: int = 0
    digests: list[bytes] = field(default_factory=list)
    replaced: Counter[bytes] = field(default_factory=Counter)
    unfinished: bool = False  # another page follows
    as_events: bool = False
    shown: int = 0  # lines printed for the pages so far

    def append(self, index: int, event: object) -> None:
        del self.digests[index:]
        self.digests.append(_digest(event))
        self.held = index + 1

    def replace(self, start: int, events: list[object], *, remember: bool) -> list[int]:
        """Keep the first `start` events, replace what follows (PROTOCOL.md 6.2); the indexes of those that
        were not there before, as a multiset."""
        self.held = start + len(events)
        if not remember:
            return list(range(start, self.held))
        self.replaced.update(self.digests[start:])
        del self.digests[start:]
        fresh = []
        for index, event in enumerate(events, start):
            digest = _digest(event)
            self.digests.append(digest)
            if self.replaced[digest] > 0:
                self.replaced[digest] -= 1
            else:
                fresh.append(index)
        if not self.unfinished:
            self.replaced.clear()
        return fresh


# What keeps the conversation going says nothing about tasks.
CONVERSATION = frozenset(
    {
        Kind.WELCOME, Kind.HEARTBEAT, Kind.PONG, Kind.AUTH_OK, Kind.AUTH_EXPIRING, Kind.DRAINING,
        Kind.TASK_LEFT, Kind.DASHBOARD_LEFT, Kind.RESYNC_DONE,
    }
)  # fmt: skip

_STYLES: dict[str, str] = {
    Kind.CREATED: "cyan",
    Kind.ANALYZING: "blue",
    Kind.CLARIFICATION_NEEDED: "yellow",
    Kind.DISPATCHED: "magenta",
    Kind.PR_OPENED: "green",
    Kind.PR_MERGED: "bold green",
    Kind.FAILED: "bold red",
    Kind.TASK_STATE: "bold",
    Kind.DASHBOARD_STATE: "bold",
    Kind.EVENT_ADDED: "",
    Kind.UPDATED: "dim",
    Kind.LIST_UPDATED: "dim",
    Kind.DELETED: "red",
    Kind.REVOKED: "red",
    Kind.STREAM_STATUS: "yellow",
    Kind.ERROR: "bold red",
}
TYPE_WIDTH = max(len(Kind.LIST_UPDATED), len(Kind.CLARIFICATION_NEEDED))

# Where writers put what an event has to say, first found wins.
_TEXT_KEYS = ("message", "text", "summary", "description", "title", "reason", "error", "note", "comment")
_PAYLOAD_KEYS = ("data", "payload", "metadata", "details")

_REFUSALS: dict[int, str] = {
    401: "the token is not accepted",
    403: "the relay does not let this client in",
    Close.UNAUTHENTICATED: "the token is not accepted or has expired",
    Close.BAD_HANDSHAKE: "the relay does not understand how this client introduced itself",
    Close.FEATURE_DISABLED: "live delivery is switched off for this user",
}


def _summary(task: dict[str, Any]) -> str:
    """Status, title and what else the moment is about, in one line."""
    questions = task.get("questions")
    asked = " / ".join(_one_line(question) for question in questions) if isinstance(questions, list) else ""
    sha = _string(task.get("mergeCommitSha"))
    error = task.get("error")
    return _joined(
        visible(_string(task.get("status"))),
        _quoted(task),
        f"by {visible(_string(task['creator']))}" if "creator" in task else "",
        asked,
        f"error: {_one_line(error)}" if error else "",
        _links(task),
        f"merged as {visible(sha, 40)}" if sha else "",
    )


def _state_text(state: dict[str, Any]) -> str:
    """How long the timeline is, and how the task stands."""
    task = state.get("task")
    task = task if isinstance(task, dict) else {}
    status = f", status {visible(_string(task['status']))}" if "status" in task else ""
    return _joined(_counted(_integer(state.get("next")), "event") + status, _quoted(task), _links(task))


def _list_text(tasks: object) -> str:
    """How many tasks, and how they stand."""
    listed = [task for task in tasks if isinstance(task, dict)] if isinstance(tasks, list) else []
    statuses = Counter(visible(_string(task.get("status")), 40) or "no status" for task in listed)
    named = statuses.most_common(SUMMARY_STATUSES_MAX)
    parts = [f"{count} {status}" for status, count in named]
    if others := len(listed) - sum(count for _, count in named):
        parts.append(f"{others} other")
    total = _counted(len(listed), "task")
    return f"{total}: {', '.join(parts)}" if parts else total


def _event_text(index: int, event: object) -> str:
    """Where in the timeline, its type, what it says and where it leads."""
    if not isinstance(event, dict):
        return f"#{index} (nothing)"
    type_, data = event.get("type"), event.get("data")
    name = visible(type_) if isinstance(type_, str) else "(no type)"
    said = ""
    links = ""
    if isinstance(data, dict):
        layers = [data, *(data[key] for key in _PAYLOAD_KEYS if isinstance(data.get(key), dict))]
        texts = (layer[key] for layer in layers for key in _TEXT_KEYS if isinstance(layer.get(key), str))
        said = _one_line(next((text for text in texts if text.strip()), ""))
        links = _joined(*(_links(layer) for layer in layers))
    elif data is not None:
        said = visible(_compact(data))
    return _joined(f"#{index} {name}", said, links)


def _links(document: dict[str, Any]) -> str:
    urls = (_string(value) for key, value in document.items() if key.lower().endswith("url"))
    return _joined(*(visible(url) for url in urls if url.startswith(("http://", "https://"))))


def _quoted(task: dict[str, Any]) -> str:
    return f"“{_one_line(task['title'])}”" if task.get("title") else ""


def _one_line(text: object) -> str:
    """The first line that says something."""
    lines = _string(text).strip().splitlines()
    return visible(lines[0] if lines else "")


def _joined(*parts: str) -> str:
    return "  ".join(part for part in parts if part)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _compact(value: object) -> str:
    return orjson.dumps(value).decode()


def _digest(event: object) -> bytes:
    return hashlib.blake2b(orjson.dumps(event, option=orjson.OPT_SORT_KEYS), digest_size=16).digest()


def _string(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else _compact(value)


def _integer(value: object) -> int:
    return value if isinstance(value, int) else 0


def _moment(text: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


def _event_time(event: object) -> datetime | None:
    return _moment(event.get("at")) if isinstance(event, dict) else None


def _escaped(text: str, escape: Callable[[str], str]) -> str:
    # The two joiners neither move the cursor nor turn the reading direction, and some scripts need them.
    return "".join(c if c.isprintable() or c in "\u200c\u200d" else escape(c) for c in text)


def _text_escape(character: str) -> str:
    return character.encode("unicode_escape").decode()


def _json_escape(character: str) -> str:
    units = character.encode("utf-16-be").hex()
    return "".join(f"\\u{units[i : i + 4]}" for i in range(0, len(units), 4))


def _ansi(text: Text) -> str:
    # Rendered there, written by us: a Console that writes itself ends the process on a broken pipe.
    console = _console()
    with console.capture() as capture:
        console.print(text, soft_wrap=True, end="", highlight=False, markup=False, emoji=False)
    return capture.get()


@functools.cache
def _console() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, color_system="standard", no_color=False)


def _check(options: TailOptions) -> None:
    if options.since is not None and options.since < 0:
        raise ValueError("--since must be 0 or more")
    if options.since is not None and not options.tasks:
        raise ValueError("--since needs a --task: a list of tasks has no positions")
    if options.count is not None and options.count < 1:
        raise ValueError("--count must be 1 or more")
    if options.duration is not None and not options.duration > 0:
        raise ValueError("--duration must be more than 0 seconds")


def _left(message: Message, open_tasks: set[str]) -> set[str]:
    """The tasks of which nothing will be heard after this message."""
    gone = message.type in (Kind.DELETED, Kind.REVOKED)
    turned_down = message.type == Kind.ERROR and message.data.get("temporary") is not True
    if not gone and not (turned_down and message.reply_to is not None):
        return set()
    task_id = message.data.get("taskId")
    # An error that names nobody can only mean the one who is left.
    return {task_id} if isinstance(task_id, str) else set(open_tasks) if len(open_tasks) == 1 else set()


def _nothing_left(last: Message, err: TextIO) -> int:
    if last.type != Kind.ERROR:
        _say(err, "nothing left to follow")
        return EXIT_DONE
    code = visible(_string(last.data.get("code")))
    _say(err, f"relay tail: the relay does not show what was asked for ({code})")
    return EXIT_REFUSED


def _nobody_there(code: int | None) -> bool:
    """No answer, an HTTP answer, or an end without a word: not a relay that asks to come again."""
    return code is None or code < Close.DONE or code == ABNORMAL


def _lost(item: Disconnected) -> str:
    code = "" if item.code is None else f"{item.code} "
    if item.retry_in is None:
        return f"the relay ended the conversation ({code}{visible(item.reason)})"
    return f"not connected ({code}{visible(item.reason)}): reconnecting in {item.retry_in:.1f} s"


def _refusal(refusal: ConnectionRefused) -> str:
    sentence = _REFUSALS.get(refusal.code, "the relay refused the connection")
    return f"{sentence} ({refusal.code} {visible(refusal.reason)})"


def _say(err: TextIO, notice: str) -> None:
    try:
        err.write(notice + "\n")
        err.flush()
    except BrokenPipeError:
        _discard(err)  # nobody listens to notices; the messages go on


def _discard(stream: TextIO) -> None:
    """Point a stream nobody reads at nothing, so that the flush at exit has nothing to complain about."""
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


def _is_terminal(stream: TextIO) -> bool:
    return stream.isatty() and os.environ.get("TERM") != "dumb"


async def _until(end: Awaitable[Any]) -> int:
    await end
    return EXIT_DONE


@contextmanager
def _interrupt_sets(event: asyncio.Event) -> Iterator[None]:
    """The first Ctrl-C ends the tail in good order. The second is the usual KeyboardInterrupt: a write into a
    full pipe holds the loop, and must not hold the user."""
    loop = asyncio.get_running_loop()
    pressed = False

    def press(_signal: int, _frame: types.FrameType | None) -> None:
        nonlocal pressed
        if pressed:
            raise KeyboardInterrupt
        pressed = True
        loop.call_soon_threadsafe(event.set)

    try:
        previous = signal.signal(signal.SIGINT, press)
    except ValueError:  # not in the main thread: Ctrl-C is somebody else's
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
