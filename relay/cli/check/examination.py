"""One run of `relay check` over one database: what its topics share. Does I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pymongo.errors import OperationFailure

from relay.cli.check.report import Finding, Report
from relay.cli.check.role import least_role
from relay.cli.check.survey import Survey
from relay.cli.printable import visible
from relay.config import Settings
from relay.pipeline import Pipeline
from relay.source.client import hosts_of
from relay.source.diagnosis import LEAST_RIGHTS, Diagnosis, is_replicated

if TYPE_CHECKING:
    from relay.source.shared.redis_bus import RedisBus

ANSWER_MS = 5_000  # after which the database gives up on one question

LIST = ""  # the key for the order of the list in `indexed`; no field has this name


@dataclass(slots=True)
class Examination:
    """The database under examination, the report, and what one topic finds out for those after it."""

    settings: Settings
    pipeline: Pipeline
    sample: int  # how many of the newest documents to read
    bus: RedisBus | None = None  # the change stream in Redis, if it is to be shared
    report: Report = field(init=False)
    hello: Mapping[str, Any] = field(default_factory=dict)  # the server's answer; empty before there is one
    may_follow: bool = False
    may_read: bool = False
    is_silent: bool = False  # a question had no answer in time, so no more are asked
    # Does an index begin with each path that the relay filters by? None until that was asked.
    indexed: Mapping[str, bool] | None = None
    large: int | None = None  # about how many documents there are, where that is many
    survey: Survey | None = None  # of the newest documents

    def __post_init__(self) -> None:
        self.report = Report(f"{visible(hosts_of(self.settings))}, {self.name}")

    @property
    def database(self) -> str:
        """The name of the database."""
        return self.settings.relay_mongo_database

    @property
    def collection(self) -> str:
        """The name of the collection."""
        return self.settings.relay_tasks_collection

    @property
    def name(self) -> str:
        """The full name of the collection, to be shown."""
        return visible(f"{self.database}.{self.collection}")

    def is_reached(self) -> bool:
        """Has the server said what it is, and does it still answer?"""
        return bool(self.hello) and not self.is_silent

    def is_replicated(self) -> bool:
        """Can this server have change streams, and does it still answer?"""
        return self.is_reached() and is_replicated(self.hello)

    def is_shared(self) -> bool:
        """Is the change stream to be shared through Redis?"""
        return self.bus is not None

    def is_readable(self) -> bool:
        """May the relay's user read the collection, and does the server still answer?"""
        return self.may_read and not self.is_silent

    def wants_documents(self) -> bool:
        """Are documents to be read, and has the index topic answered, so that an indexed order can be used?"""
        return self.sample > 0 and self.indexed is not None and self.is_readable()

    async def ask_admin(self, **command: Any) -> Mapping[str, Any]:
        """Run a command on the database `admin`. Raises PyMongoError."""
        return await self._ask("admin", command)

    async def ask_database(self, **command: Any) -> Mapping[str, Any]:
        """Run a command on the database of the tasks. Raises PyMongoError."""
        return await self._ask(self.database, command)

    async def _ask(self, database: str, command: dict[str, Any]) -> Mapping[str, Any]:
        client = self.pipeline.client
        reply: Mapping[str, Any] = await client[database].command(
            {**command, "maxTimeMS": ANSWER_MS}, read_preference=client.read_preference
        )
        return reply

    async def parameter(self, name: str) -> int | None:
        """Ask for a parameter of the server. None where it cannot be seen: the user may not, or a mongos answers."""
        try:
            value = (await self.ask_admin(getParameter=1, **{name: 1})).get(name)
        except OperationFailure:
            return None
        return int(value) if isinstance(value, int | float) else None

    def add(self, *findings: Finding) -> None:
        """Add these lines to the report."""
        self.report.add(*findings)

    def fail(self, name: str, text: str, remedy: str) -> None:
        """Add a problem, which says that the relay will not work here."""
        self.add(Finding(name, "problem", text, remedy))

    def show_role(self) -> None:
        """Print the least role with the report."""
        self.report.role = least_role(self.database, self.collection)

    def fail_with(self, diagnosis: Diagnosis) -> None:
        """Add the problem that a diagnosis names, unless the report has one about its subject already: several
        topics may meet the same cause."""
        if diagnosis.remedy == LEAST_RIGHTS:
            self.show_role()
        if all(
            finding.mark != "problem" or finding.name != diagnosis.about for finding in self.report.findings
        ):
            self.add(problem(diagnosis))


def problem(diagnosis: Diagnosis) -> Finding:
    """Return the line of the report for what keeps the relay from working, in the words of `relay serve`."""
    remedy = f"{diagnosis.remedy[:1].upper()}{diagnosis.remedy[1:]}."
    return Finding(diagnosis.about, "problem", diagnosis.reason, remedy)
