"""The sentences of `relay serve`, `relay check` and `relay tail --direct` about one database, to compare them."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from unittest.mock import patch

from relay.app import Relay
from relay.cli.check import reachable, run
from relay.cli.check.report import to_json
from relay.cli.check.run import examine
from relay.cli.tail import Selection, direct
from relay.config import Settings
from relay.errors import StartupError
from relay.source import interview, opening
from relay.source.opening import Opening
from relay.source.reach import reach
from support.relay_fixture import settings_for

# Limits of the relay that a server reaches only if the machine is so busy that nothing moves for this time.
ROOM_MS = 20_000


@dataclass(frozen=True)
class Sentences:
    """The sentence of each command, and whether `serve` keeps trying."""

    serve: str
    check: str
    tail: str
    keeps_trying: bool


@contextmanager
def roomy(*, ask_ms: int = ROOM_MS, primary_ms: int = ROOM_MS) -> Iterator[None]:
    """Change how long the relay waits for the first answer of a server, and for a primary, when it starts. `relay
    check` has no other limit on the way."""
    with ExitStack() as stack:
        stack.enter_context(patch.object(interview, "ASK_MS", ask_ms))
        stack.enter_context(patch.object(opening, "FIRST_MS", primary_ms))
        for function in (Opening.once, reach):
            defaults = function.__kwdefaults__ or {}
            stack.enter_context(patch.dict(defaults, wait_ms=primary_ms))
        for command in (reachable, direct):
            stack.enter_context(patch.object(command, "AGAIN_MS", primary_ms))
        stack.enter_context(patch.object(run, "TOPIC_S", 4 * ROOM_MS / 1000))
        yield


def sentences_about(
    url: str,
    database: str = "app",
    collection: str = "tasks",
    *,
    ask_ms: int = ROOM_MS,
    primary_ms: int = ROOM_MS,
) -> Sentences:
    """Run all three commands. Each must give a reason, and none may show the password hunter2. What the limits mean
    is written at `roomy`."""
    settings = settings_for(
        url, database, relay_tasks_collection=collection, relay_host="127.0.0.1", relay_admin_port=0
    )
    with roomy(ask_ms=ask_ms, primary_ms=primary_ms):
        found = asyncio.run(_sentences(settings))
    assert "hunter2" not in repr(found)
    return found


async def _sentences(settings: Settings) -> Sentences:
    async with asyncio.timeout(4 * ROOM_MS / 1000):
        (serve, keeps_trying), check, tail = await asyncio.gather(
            _serve(settings), _check(settings), _tail(settings)
        )
    return Sentences(serve, check, tail, keeps_trying)


class _Waits(logging.Handler):
    """Keeps the reason that `serve` logs when it tries again."""

    def __init__(self) -> None:
        super().__init__()
        self.reason = ""
        self.logged = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.reason = vars(record)["reason"]
        self.logged.set()


async def _serve(settings: Settings) -> tuple[str, bool]:
    waits, logger = _Waits(), logging.getLogger("relay.source.opening")
    logger.addHandler(waits)
    try:
        relay = Relay(settings)
        serving, waiting = asyncio.create_task(relay.run()), asyncio.create_task(waits.logged.wait())
        await asyncio.wait((serving, waiting), return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        relay.stop()
        await serving
    except StartupError as refused:
        return str(refused), False
    finally:
        logger.removeHandler(waits)
    return waits.reason, True


async def _check(settings: Settings) -> str:
    try:
        report = await examine(settings, sample=0)
    except StartupError as refused:
        return str(refused)
    assert "hunter2" not in to_json(report)
    found = next(found for found in report.findings if found.mark == "problem")
    return f"{found.text}: {found.remedy}"


async def _tail(settings: Settings) -> str:
    out, err = io.StringIO(), io.StringIO()
    try:
        assert await direct.run(settings, Selection(), out=out, err=err) == 3
    except StartupError as refused:
        assert out.getvalue() + err.getvalue() == ""
        return str(refused)
    assert out.getvalue() == ""
    (notice,) = err.getvalue().splitlines()
    before, _, rest = notice.partition(": could not follow MongoDB at ")
    assert before == "relay tail"
    return rest.partition(": ")[2]
