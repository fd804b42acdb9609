"""A replica set of several embedded mongods whose members can be stepped down, killed and stopped."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from checker import LONG_S
from pymongo import MongoClient
from pymongo.errors import AutoReconnect, OperationFailure, PyMongoError

from relay.cli.demo import mongod

POLL_S = 0.02
BRIEF_S = 0.5  # for a question to a member that may be away, which is asked again
TEST_COMMANDS = ("--setParameter", "enableTestCommands=1")
SETTINGS = {
    # As in production, so that a busy machine causes no election. A test that needs one does not wait: see `primary`.
    "electionTimeoutMillis": 10_000,
    "heartbeatIntervalMillis": 200,
    "catchUpTimeoutMillis": 1000,
    "chainingAllowed": False,  # a member that lags on purpose must not hold up the others
}
HANDOVER_S = 0.3  # for a primary that steps down to make another one its successor


class Node:
    """One mongod of the set. Starting it again after `kill` uses the same data and port."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        self.port = mongod.free_port()
        self.host = f"127.0.0.1:{self.port}"
        self._directory = directory
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None
        directory.mkdir()

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        log = self._directory / "mongod.log"
        self._process = mongod.spawn(mongod.locate(), self.port, self._directory, log, self._arguments)

    def kill(self) -> None:
        """End the process like a power failure, without a shutdown."""
        self._signal(signal.SIGKILL)
        assert self._process is not None
        self._process.wait(LONG_S)
        if self._process.stderr is not None:
            self._process.stderr.close()

    def pause(self) -> None:
        """Suspend the process until `go_on`. It answers nothing and closes no connection."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Resume the process after `pause`."""
        self._signal(signal.SIGCONT)

    def client(self, within_s: float = LONG_S) -> MongoClient[dict[str, Any]]:
        """Return a client that is connected directly to this member, and waits so long for its answer."""
        wait_ms = int(within_s * 1000)
        return MongoClient("127.0.0.1", self.port, directConnection=True, serverSelectionTimeoutMS=wait_ms)

    def ask_for_election(self) -> None:
        """Ask this member to become the primary. It does not if it may not, or lacks a majority."""
        with suppress(PyMongoError), self.client(BRIEF_S) as client:
            client.admin.command("replSetStepUp")

    def is_primary(self) -> bool:
        return self._is("isWritablePrimary")

    def is_secondary(self) -> bool:
        return self._is("secondary")

    def lag(self, *, lags: bool = True) -> None:
        """Make this secondary receive no more writes, or receive them again. Needs TEST_COMMANDS."""
        point, mode = "stopReplProducer", "alwaysOn" if lags else "off"
        with self.client() as client:
            before = client.admin.command({"configureFailPoint": point, "mode": mode})["count"]
            if lags:  # the next batch of writes may be on its way
                entered = {"waitForFailPoint": point, "timesEntered": before + 1}
                client.admin.command(entered | {"maxTimeMS": int(LONG_S * 1000)})

    def _is(self, role: str) -> bool:
        with suppress(PyMongoError), self.client(BRIEF_S) as client:
            return bool(client.admin.command("hello").get(role))
        return False

    def _signal(self, number: signal.Signals) -> None:
        assert self.runs
        assert self._process is not None
        os.kill(self._process.pid, number)


class ReplicaSet:
    """A replica set that runs until its context ends. Its methods block, so call them in a thread.

    With an `arbiter` the last member holds no data. If the other secondary is down, the arbiter still gives the primary
    a majority of votes, but no write is majority-committed. Each member has a tag: its own `number`. `arguments` are
    passed to every mongod.
    """

    def __init__(self, *arguments: str, members: int = 3, arbiter: bool = False) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="relay-mongod-"))
        self._arbiter = arbiter
        self.members = [Node(self._directory / str(number), *arguments) for number in range(members)]
        self.url = f"mongodb://{','.join(member.host for member in self.members)}/?replicaSet=rs0"

    def __enter__(self) -> Self:
        try:
            for member in self.members:
                member.start()
            self._initiate()
            self.primary()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        for member in self.members:
            if member.runs:
                member.kill()
        shutil.rmtree(self._directory, ignore_errors=True)

    def primary(self) -> Node:
        """Return the current primary. If there is none, let the members elect one."""
        began = time.monotonic()
        while time.monotonic() < began + LONG_S:
            running = [member for member in self.members if member.runs]
            for member in running:
                if member.is_primary():
                    return member
            time.sleep(POLL_S)
            if time.monotonic() > began + HANDOVER_S:
                for member in running:
                    member.ask_for_election()
        raise AssertionError("no member became primary")

    def secondaries(self) -> list[Node]:
        """Return the secondaries. Waits until every member but the primary is one."""
        deadline = time.monotonic() + LONG_S
        while time.monotonic() < deadline:
            found = [member for member in self.members if member.runs and member.is_secondary()]
            if len(found) == len(self.members) - 1:
                return found
            time.sleep(POLL_S)
        raise AssertionError("not every member became a secondary")

    def step_down(self) -> Node:
        """Make another member the primary."""
        old = new = self.primary()
        while new is old:  # one that stands still on a busy machine does not step down, or comes back at once
            with suppress(PyMongoError), old.client(BRIEF_S) as client:
                client.admin.command({"replSetStepDown": 3, "secondaryCatchUpPeriodSecs": 2, "force": True})
            new = self.primary()
        return new

    def _initiate(self) -> None:
        members: list[dict[str, Any]] = [
            {"_id": number, "host": member.host, "tags": {"number": str(number)}}
            for number, member in enumerate(self.members)
        ]
        if self._arbiter:
            members[0]["priority"] = 2
            members[-1]["arbiterOnly"] = True
            del members[-1]["tags"]
        config = {"_id": "rs0", "members": members, "settings": SETTINGS}
        deadline = time.monotonic() + LONG_S
        while True:
            # The command fails until all members accept connections.
            with suppress(AutoReconnect, OperationFailure), self.members[0].client(BRIEF_S) as client:
                client.admin.command("replSetInitiate", config)
                self.members[0].ask_for_election()
                return
            assert time.monotonic() < deadline, "the set was not initiated"
            time.sleep(POLL_S)
