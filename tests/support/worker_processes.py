"""A `relay serve --workers N` as processes: the parent, its workers, and what all of them log."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from support.command_process import start
from support.relay_fixture import SOON_S

STARTED_S = (
    3 * SOON_S
)  # a limit for what waits until processes have been started, three of them one after the other
LOOK_S = 0.02  # seconds between two looks at something that another process does
WORKER, TAILER = "relay.workers.worker", "relay.workers.tailer"
ANY = "relay.workers"
# A busy machine may keep a worker for a second from answering the parent. A worker waits 3 s for the parent's answer.
PATIENT = {"relay.workers.operations.ANSWER_WITHIN_S": 2.5}


class Workers:
    """A parent process with its workers. The log of all of them is in the file `log`. `patches` are for the parent, as
    for `command`."""

    def __init__(self, log: Path, *arguments: str, patches: Mapping[str, float] = {}, **given: str) -> None:
        self._log = log
        self._forgotten = 0  # bytes of the log
        with log.open("ab") as stderr, open(os.devnull, "r+b") as null:
            self.process = start(
                ["serve", *arguments],
                stdin=null.fileno(),
                stdout=null.fileno(),
                stderr=stderr.fileno(),
                patches=PATIENT | {**patches},
                given=given,
            )

    def said(self) -> str:
        """Everything that any of the processes has logged since its start, or since the last `forget`."""
        return self._log.read_bytes()[self._forgotten :].decode()

    def whole_log(self) -> str:
        """Everything that any of the processes has logged since its start."""
        return self._log.read_text("utf-8")

    def forget(self) -> None:
        """Leave out of `said` what has been logged until now."""
        self._forgotten = self._log.stat().st_size

    async def says(self, wanted: str, times: int = 1) -> str:
        """Wait until something was logged so many times, and return the whole log."""
        async with asyncio.timeout(STARTED_S):
            while (said := self.said()).count(wanted) < times:
                assert self.process.poll() is None, said
                await asyncio.sleep(LOOK_S)
        return said

    @property
    def url(self) -> str:
        """The address of the clients' port."""
        # The second form is that of RELAY_LOG_FORMAT=json.
        wanted, log = (
            r'^relay: listening on (?=http)|"event": "listening", "url": "',
            self._log.read_text("utf-8"),
        )
        found = re.search(rf'(?:{wanted})(http[^\s"]+)', log, re.MULTILINE)
        assert found is not None, log
        return found[1]

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def children(self, module: str = WORKER) -> list[int]:
        """The process ids of all children that run this module, the oldest first."""
        return children(self.process.pid, module)

    async def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send this signal to the parent, wait until it has ended, and return its exit code."""
        self.process.send_signal(number)
        return await asyncio.to_thread(self.process.wait, SOON_S)

    async def ready(self, count: int, at: str = "") -> dict[str, Any]:
        """Wait until so many workers are ready, and return the body of /readyz. `at` is the address for operators, if
        it is not that of clients."""
        return await until(lambda: readiness(at or self.url), lambda state: ready_in(state) == count)


@asynccontextmanager
async def workers(
    tmp_path: Path,
    *arguments: str,
    until: str = "",
    patches: Mapping[str, float] = {},
    **given: str,
) -> AsyncIterator[Workers]:
    """Start a relay with workers, and wait until this was logged: by default, that it listens. In the end, no process
    of it is left."""
    if not until:
        as_json = given.get("RELAY_LOG_FORMAT") == "json"
        until = '"event": "listening"' if as_json else "relay: listening on"
    started = Workers(tmp_path / "relay.log", *arguments, patches=patches, **given)
    children: list[int] = []
    try:
        await started.says(until)
        yield started
    finally:
        if started.process.poll() is None:
            children = started.children(ANY)
            started.process.kill()
            await asyncio.to_thread(started.process.wait)
            for child in children:  # one that a failed test has stopped cannot end
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGCONT)
        await gone(children)


def children(parent: int, module: str = ANY) -> list[int]:
    """The process ids of all children of this process that run this module, the oldest first."""
    listed = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid=,stat=,args="], capture_output=True, text=True, check=True
    ).stdout
    found = [line.split(None, 3) for line in listed.splitlines()]
    return sorted(
        int(pid)
        for pid, its_parent, state, command in found
        if int(its_parent) == parent and not state.startswith("Z") and module in command
    )


async def gone(processes: list[int]) -> None:
    """Wait until none of these processes is running."""
    async with asyncio.timeout(STARTED_S):
        while any(map(runs, processes)):
            await asyncio.sleep(LOOK_S)


def runs(process: int) -> bool:
    """Whether this process has not ended yet."""
    with suppress(ProcessLookupError):
        os.kill(process, 0)
        state = subprocess.run(
            ["ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True
        ).stdout.strip()
        return bool(state) and not state.startswith("Z")  # a zombie has ended
    return False


def fetch(url: str, within_s: float = SOON_S) -> tuple[int, bytes]:
    """The status and the body of the answer to a GET request, on a connection of its own."""
    try:
        with urllib.request.urlopen(url, timeout=within_s) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read()


async def readiness(url: str, within_s: float = SOON_S) -> dict[str, Any]:
    """The body of /readyz, with its status under the key `status`. Raises OSError if there is no answer in time."""
    status, body = await asyncio.to_thread(fetch, f"{url}/readyz", within_s)
    return {**json.loads(body), "status": status}


def ready_in(state: dict[str, Any]) -> int:
    """How many workers are ready by this body of /readyz."""
    return sum(one["ready"] for one in state.get("workers", ()))  # a silent parent says nothing of workers


async def samples(url: str, *, silent: int = 0) -> dict[str, float]:
    """All samples of /metrics, by their name and labels as in the text: `relay_closed_total{code="1001"}`.

    Asks until every worker that is running has answered the parent in time, except for so many silent ones.
    """

    def is_whole(found: dict[str, float]) -> bool:
        heard = sum(name.startswith("relay_worker_connections{") for name in found)
        return bool(found) and heard + silent >= found.get("relay_workers", 0)

    return await until(lambda: _samples(url), is_whole)


async def _samples(url: str) -> dict[str, float]:
    status, body = await asyncio.to_thread(fetch, f"{url}/metrics")
    found: dict[str, float] = {}
    if status != 200:
        return found
    for family in text_string_to_metric_families(body.decode()):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


async def until(ask: Callable[[], Any], holds: Callable[[Any], bool]) -> Any:
    """Ask again and again until `holds` is true of the answer, and return it."""
    async with asyncio.timeout(STARTED_S):
        while not holds(answer := await ask()):
            await asyncio.sleep(LOOK_S)
    return answer
