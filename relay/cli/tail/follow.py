"""`relay tail`: follow a relay with the Python client, and print its messages. Does I/O.

Rules of this file: standard output carries messages and nothing else; notices go to standard error, one line each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import TextIO

from relay.cli.printable import visible
from relay.cli.tail.descriptions import string
from relay.cli.tail.options import EXIT_BAD_ARGUMENTS, EXIT_DONE, EXIT_REFUSED, Selection, check
from relay.cli.tail.render import Renderer
from relay.cli.tail.terminal import discard, is_ascii_only, prepare, say, until_an_end, wants_color
from relay.client import (
    ABNORMAL,
    Client,
    Connected,
    ConnectionRefused,
    Disconnected,
    Message,
    Timeline,
    TokenSource,
)
from relay.protocol.types import Close, Kind

_REFUSALS: dict[int, str] = {
    200: "another server answers at this address",
    401: "the token is not accepted",
    403: "the relay does not let this client in",
    404: "there is no WebSocket at this path",
    426: "a proxy in between does not pass the upgrade to a WebSocket on",
    431: "the head of the request, with the token in it, is too large",
    Close.UNAUTHENTICATED: "the token is not accepted or has expired",
    Close.DISCONNECTED: "an administrator has disconnected this user",
    Close.BAD_HANDSHAKE: "the relay does not understand how this client introduced itself",
    Close.FEATURE_DISABLED: "live delivery is switched off for this user",
}


async def run(
    url: str,
    token: TokenSource,
    wanted: Selection,
    out: TextIO,
    err: TextIO,
    *,
    connect: Callable[[str, TokenSource], Client] = Client,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    now: Callable[[], datetime] = lambda: datetime.now().astimezone(),
) -> int:
    """Follow the relay until the count, the duration or Ctrl-C ends it, or the reader of `out` leaves.

    Return the exit code: 0 after a normal end, 1 after one before the message of `until`, 2 for wrong arguments, 3 if
    no relay answered the first try or the relay refused.
    """
    try:
        check(wanted)
        client = connect(url, token)
        views = [client.join_task(task_id) for task_id in wanted.tasks]
    except ValueError as error:
        say(err, f"relay tail: {error}")
        return EXIT_BAD_ARGUMENTS
    if wanted.dashboard or not wanted.tasks:
        client.join_dashboard()
    prepare(out)
    return await until_an_end(_connected(client, views, wanted, out, err, now), wanted, out, sleep)


async def _connected(
    client: Client,
    views: Sequence[Timeline],
    wanted: Selection,
    out: TextIO,
    err: TextIO,
    now: Callable[[], datetime],
) -> int:
    async with client:
        return await _follow(client, views, wanted, out, err, now)


async def _follow(
    client: Client,
    views: Sequence[Timeline],
    wanted: Selection,
    out: TextIO,
    err: TextIO,
    now: Callable[[], datetime],
) -> int:
    renderer = Renderer(
        json=wanted.json,
        since=wanted.since,
        color=wants_color(out, wanted.color),
        ascii_only=is_ascii_only(out),
        now=now,
    )
    dashboard = wanted.dashboard or not wanted.tasks
    was_connected = False
    printed = 0
    try:
        async for item in client:
            match item:
                case Connected():
                    say(err, "resumed" if was_connected else f"connected to {client.url}")
                    was_connected = True
                case Disconnected():
                    if not was_connected and _nobody_there(item.code):
                        say(err, f"relay tail: could not connect to {client.url}: {visible(item.reason)}")
                        return EXIT_REFUSED
                    say(err, _lost(item))
                case Message():
                    lines = list(renderer.lines(item))  # made in any case: the renderer counts the events
                    for line in lines if wanted.prints(item) else ():
                        out.write(line + "\n")
                        printed += 1
                        if printed == wanted.count:
                            break
                    out.flush()
                    if lines and wanted.ends_with(item):
                        return EXIT_DONE
                    if printed == wanted.count:
                        return wanted.ended_early
                    if item.type == Kind.DRAINING:
                        say(err, "the relay is about to stop")
                    if not dashboard and all(view.has_ended for view in views):
                        return _nothing_left(item, wanted, err)
    except ConnectionRefused as refusal:
        say(err, f"relay tail: {_refusal(refusal)}")
        return EXIT_REFUSED
    except BrokenPipeError:
        discard(out)
    return wanted.ended_early


def _nothing_left(last: Message, wanted: Selection, err: TextIO) -> int:
    if last.type != Kind.ERROR:
        say(err, "nothing left to follow")
        return wanted.ended_early
    code = visible(string(last.data.get("code")))
    say(err, f"relay tail: the relay does not show what was asked for ({code})")
    return EXIT_REFUSED


def _nobody_there(code: int | None) -> bool:
    """Did no relay answer: no connection, an HTTP response, or a close without a code of the relay? A relay that is
    only busy sends a code that asks to try again."""
    return code is None or code < Close.DONE or code == ABNORMAL


def _lost(item: Disconnected) -> str:
    code = "" if item.code is None else f"{item.code} "
    if item.retry_in is None:
        return f"the relay ended the conversation ({code}{visible(item.reason)})"
    return f"not connected ({code}{visible(item.reason)}): reconnecting in {item.retry_in:.1f} s"


def _refusal(refusal: ConnectionRefused) -> str:
    sentence = _REFUSALS.get(refusal.code, "the relay refused the connection")
    return f"{sentence} ({refusal.code} {visible(refusal.reason)})"
