"""`relay check`: will this database and this mapping work? Does I/O: asks the database, prints the report.

Rules of this file: nothing is written to the database; every question has an end in time; an answer that
does not come, or is of an unknown shape, becomes a finding; of the URL no more is shown than its hosts.
"""

from __future__ import annotations

import asyncio
import io
import os
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, TextIO

from bson import Timestamp
from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure, PyMongoError

from relay.cli.check.report import Finding, Report, to_json, to_text
from relay.cli.check.survey import Survey, survey
from relay.cli.check.verdicts import (
    NAME_CHARS,
    OPLOG_UNSEEN,
    database_in_shell,
    judge_journal,
    judge_oplog,
    judge_rights,
    judge_sample,
    judge_snapshots,
    judge_topology,
    judge_version,
    least_role,
    listed,
    problem,
    quoted,
    sample_json,
)
from relay.cli.output import READABLE
from relay.cli.printable import visible
from relay.config import Settings
from relay.errors import SourceError, StartupError
from relay.source.client import client_of, hosts_of, names_of, warning_of
from relay.source.diagnosis import FOLLOW, LEAST_RIGHTS, NOBODY, Diagnosis, is_replicated, of_kind
from relay.source.raw_bson import Decoder
from relay.source.reach import is_silence, kinds_of, of_reads, of_refusal, reach
from relay.source.reader import Reader
from relay.source.stream import Tail
from relay.tasks.mapping import Mapping as TaskMapping
from relay.tasks.mapping import load
from relay.tasks.translate import Translator
from relay.tasks.visibility import Audience

EXIT_WORKS, EXIT_PROBLEM = 0, 1

ANSWER_MS = 5_000  # the database gives up on one question
PATIENT_MS = 2_500  # for a server that may only be slow
STEP_S = 12.0  # we give up on one line of the report
LARGE = 1_000  # documents; below it a missing index costs nothing
EVENTS_READ = 200  # of one document's timeline, its last ones


async def run(settings: Settings, out: TextIO, *, sample: int, role: bool, as_json: bool) -> int:
    """Examine and print; the exit code. Raises StartupError for settings or a mapping that will not do."""
    report = await examine(settings, sample=sample)
    if role and not report.role:
        report.role = least_role(settings.relay_mongo_database, settings.relay_tasks_collection)
    terminal = out.isatty() and os.environ.get("TERM") != "dumb"
    text = to_json(report) if as_json else to_text(report, terminal=terminal)
    if isinstance(out, io.TextIOWrapper):
        out.reconfigure(errors=READABLE)
    try:
        out.write(text)
        out.flush()
    except OSError as failure:
        # The flush at exit shall have nothing to complain about.
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
        if not isinstance(failure, BrokenPipeError):  # otherwise, who read it has seen enough
            raise StartupError(f"The report cannot be written: {failure.strerror}.") from failure
    return EXIT_WORKS if report.works else EXIT_PROBLEM


async def examine(settings: Settings, *, sample: int) -> Report:
    """Ask the database everything. Raises StartupError for settings or a mapping that will not do."""
    mapping = load(settings.relay_mapping) if settings.relay_mapping else TaskMapping()
    names_of(settings)
    client = client_of(settings)
    try:
        examination = _Examination(settings, mapping, client)
        await examination.run(sample)
        return examination.report
    finally:
        await client.close()


class _Examination:
    """One run over one database; each method is a few lines of the report."""

    def __init__(self, settings: Settings, mapping: TaskMapping, client: AsyncMongoClient[Any]) -> None:
        self._settings = settings
        self._mapping = mapping
        self._client = client
        self._database = client[settings.relay_mongo_database]
        self._collection = settings.relay_tasks_collection
        self._name = visible(f"{settings.relay_mongo_database}.{settings.relay_tasks_collection}")
        decoder = Decoder(mapping.events, names=mapping.names())
        self._where = (settings.relay_mongo_database, self._collection, decoder)
        self._reader = Reader(client, *self._where, max_time_ms=ANSWER_MS)
        self._audience = Audience(mapping.visibility)
        self._translator = Translator(
            mapping, self._audience.keys_of, max_text=settings.relay_max_text_length
        )
        self._hello: Mapping[str, Any] = {}
        self._may_follow = self._may_read = False
        self._silent = False  # did an answer not come at all?
        self._indexed: dict[str, bool] = {}
        self._large: int | None = None  # how many documents, where those are many
        self._survey: Survey | None = None
        self.report = Report(f"{visible(hosts_of(settings))}, {self._name}")

    async def run(self, sample: int) -> None:
        warning = warning_of(self._settings)
        if warning is not None:
            self.report.add(Finding("options", "warning", warning.removesuffix("."), "Take them out of it."))
        if not await self._step("reachable", self._reachable) or not self._hello:
            return
        self.report.add(judge_topology(self._hello))
        await self._step("version", self._version)
        if not is_replicated(self._hello):
            return
        await self._step("collection", self._exists)
        await self._step("change stream", self._follows)
        await self._step("reads", self._reads)
        await self._step("rights", self._rights)
        await self._step("oplog window", self._oplog)
        await self._step("snapshot window", self._snapshots)
        await self._step("journal", self._journal)
        if not self._may_read:
            return
        if await self._step("indexes", self._look_for_indexes):
            if sample:
                await self._step("documents", lambda: self._read_sample(sample))
            self.report.add(*self._indexes())
        if self._survey is not None and self._survey.documents:
            self.report.add(*judge_sample(self._survey, self._mapping))
            self.report.sample = sample_json(self._survey, self._mapping)

    async def _step(self, name: str, ask: Callable[[], Awaitable[None]]) -> bool:
        """Ask; what goes wrong becomes a finding. Was it answered, and well?"""
        if self._silent:
            return False
        before = len(self.report.findings)
        try:
            async with asyncio.timeout(STEP_S):
                await ask()
        except TimeoutError:
            self._silent = True
            self._failed(
                name,
                f"no answer within {STEP_S:.0f} s, and nothing more was asked",
                "Look at the server's load and the network, and check again.",
            )
        except OperationFailure as failure:
            self._failed(
                name,
                f"MongoDB refuses with code {failure.code}",
                "Look for the code among MongoDB's error codes.",
            )
        except (PyMongoError, SourceError) as failure:
            self._failed(
                name, f"the answer did not come ({type(failure).__name__})", "Try again when it is calm."
            )
        except Exception as failure:  # an imitation of MongoDB may answer anything
            self._failed(
                name,
                f"an answer that cannot be understood ({type(failure).__name__})",
                "The relay needs a MongoDB, not something that speaks like one.",
            )
        return all(finding.mark != "problem" for finding in self.report.findings[before:])

    def _failed(self, name: str, text: str, remedy: str) -> None:
        self.report.add(Finding(name, "problem", text, remedy))

    async def _admin(self, **command: Any) -> Mapping[str, Any]:
        reply: Mapping[str, Any] = await self._client.admin.command({**command, "maxTimeMS": ANSWER_MS})
        return reply

    # Reachable, and what it is.

    async def _reachable(self) -> None:
        found = await reach(self._settings, self._client)
        if isinstance(found, Diagnosis) and is_silence(found):
            found = await reach(self._settings, self._client, wait_ms=PATIENT_MS)
        if isinstance(found, Diagnosis):
            self.report.add(problem(found))
            return
        begin = time.monotonic()
        self._hello = await self._admin(hello=1)
        took = (time.monotonic() - begin) * 1000
        self.report.add(Finding("reachable", "ok", f"answers in {took:.0f} ms"))

    async def _version(self) -> None:
        info = await self._admin(buildInfo=1)
        self.report.add(judge_version(info))

    async def _exists(self) -> None:
        kinds = await kinds_of(self._client, self._settings.relay_mongo_database, {})
        if kinds is not None and self._collection not in kinds:
            others = [name for name in sorted(kinds) if not name.startswith("system.")]
            there = f"; there are {listed(others)}" if others else ""
            self.report.add(
                Finding(
                    "collection",
                    "warning",
                    f"{self._name} does not exist{there}",
                    "The relay waits for it to come; if it has another name, set RELAY_MONGO_DATABASE and "
                    "RELAY_TASKS_COLLECTION.",
                )
            )
        wrong = of_kind((kinds or {}).get(self._collection), self._name)
        if wrong is not None:
            self._add_problem(wrong)

    # Rights: by doing what the relay does.

    async def _follows(self) -> None:
        tail = Tail(self._client, *self._where, jitter=lambda: 0.0)
        try:
            await tail.open()
        except (StartupError, SourceError) as failure:
            cause = failure.__cause__
            if isinstance(cause, OperationFailure):
                self._add_problem(await of_refusal(self._client, cause, FOLLOW, self._name))
                return
            self._failed(
                "change stream",
                f"the relay cannot open a change stream of {self._name} ({type(cause or failure).__name__})",
                "It needs a MongoDB 6.0 or newer, a majority of whose members answer.",
            )
        else:
            self._may_follow = True
            self.report.add(Finding("change stream", "ok", f"the change stream of {self._name} opens"))

    async def _reads(self) -> None:
        wrong = await of_reads(self._client, self._reader, self._name)
        if wrong is not None:
            self._add_problem(wrong)
        else:
            self._may_read = True
            self.report.add(Finding("reads", "ok", f"{self._name} can be read as it was at a given moment"))

    def _add_problem(self, wrong: Diagnosis) -> None:
        """Add it once, where two questions have one answer."""
        if wrong.remedy == LEAST_RIGHTS:
            self._name_the_role()
        if all(finding.mark != "problem" or finding.name != wrong.about for finding in self.report.findings):
            self.report.add(problem(wrong))

    async def _rights(self) -> None:
        info = (await self._admin(connectionStatus=1, showPrivileges=True))["authInfo"]
        if not info["authenticatedUsers"]:
            if self._may_read:
                self.report.add(
                    Finding(
                        "rights",
                        "warning",
                        "MongoDB does not ask who connects: whoever reaches it may read and write everything",
                        "Switch its access control on wherever others can reach it.",
                    )
                )
            else:
                self._add_problem(NOBODY)
            return
        finding = judge_rights(
            info["authenticatedUserPrivileges"], self._settings.relay_mongo_database, self._collection
        )
        if finding.mark == "warning":
            self._name_the_role()
        if finding.mark != "ok" or (self._may_follow and self._may_read):
            self.report.add(finding)

    def _name_the_role(self) -> None:
        self.report.role = least_role(self._settings.relay_mongo_database, self._collection)

    # Windows.

    async def _oplog(self) -> None:
        self.report.add(await self._oplog_from_its_ends() or await self._oplog_from_status() or OPLOG_UNSEEN)

    async def _oplog_from_its_ends(self) -> Finding | None:
        oplog = self._client.local["oplog.rs"]
        ends: list[Mapping[str, Any]] = []
        try:
            for direction in (1, -1):
                found = oplog.find({}, {"ts": 1, "o.msg": 1}, max_time_ms=ANSWER_MS)
                ends += await found.sort("$natural", direction).limit(1).to_list()
        except OperationFailure:
            return None
        if len(ends) != 2:
            return None
        # The first entry a set ever writes: nothing has been dropped yet.
        whole = (ends[0].get("o") or {}).get("msg") == "initiating set"
        return judge_oplog(_seconds_between(ends[0]["ts"], ends[1]["ts"]), whole=whole)

    async def _oplog_from_status(self) -> Finding | None:
        try:
            oplog = (await self._admin(serverStatus=1, oplog=1))["oplog"]
        except (OperationFailure, KeyError):
            return None
        return judge_oplog(_seconds_between(oplog["earliestOptime"], oplog["latestOptime"]), whole=False)

    async def _snapshots(self) -> None:
        self.report.add(judge_snapshots(await self._parameter("minSnapshotHistoryWindowInSeconds")))

    async def _journal(self) -> None:
        interval = await self._parameter("journalCommitInterval")
        waits: bool | None = None
        try:
            config = (await self._admin(replSetGetConfig=1))["config"]
            waits = config.get("writeConcernMajorityJournalDefault", True)
        except OperationFailure:
            pass
        self.report.add(judge_journal(interval, waits))

    async def _parameter(self, name: str) -> int | None:
        """None where it cannot be seen: not allowed, or not there as behind a mongos."""
        try:
            value = (await self._admin(getParameter=1, **{name: 1})).get(name)
        except OperationFailure:
            return None
        return int(value) if isinstance(value, int | float) else None

    # Indexes. Explained and not listed: that needs no right but find, and tells what MongoDB really uses.

    async def _look_for_indexes(self) -> None:
        count = int((await self._database.command({"count": self._collection, "maxTimeMS": ANSWER_MS}))["n"])
        self._large = count if count > LARGE else None
        for path in self._filtered():
            self._indexed[path] = await self._uses_index(path, {"filter": {path: {"$in": ["x"]}}})
        order = self._mapping.list_order
        if order != "_id":
            listing = {"filter": {}, "sort": {order: -1, "_id": -1}, "limit": 1}
            self._indexed[LIST] = await self._uses_index(order, listing)

    def _filtered(self) -> dict[str, list[str]]:
        """The fields that visibility filters ask for, and the names of the rules that do."""
        rules: dict[str, list[str]] = {}
        for rule in self._mapping.visibility.rules:
            for path in rule.field:
                rules.setdefault(path, []).append(rule.name)
        return rules

    async def _uses_index(self, path: str, question: Mapping[str, Any]) -> bool:
        # The collation is that of the relay's reads: an index of another one is of no use to them.
        find = {"find": self._collection, **question, "collation": {"locale": "simple"}}
        reply = await self._database.command(
            {"explain": find, "verbosity": "queryPlanner", "maxTimeMS": ANSWER_MS}
        )
        return any(_first_name(pattern) == path for pattern in _index_patterns(reply))

    def _indexes(self) -> Iterator[Finding]:
        for path, rules in self._filtered().items():
            name = visible(path, NAME_CHARS)
            what = f"{name} ({'rule' if len(rules) == 1 else 'rules'} {listed(rules)})"
            if self._indexed[path]:
                yield Finding("index", "ok", f"one begins with {what}")
                continue
            if self._served(path):
                text = (
                    f"none begins with {what}, which none of the documents needs: all have an earlier field"
                )
                yield Finding("index", "ok", text)
                continue
            seen = self._survey is None or not self._survey.documents or path in self._survey.present
            remedy = "Create the one below"
            if not seen:
                remedy += ", or leave the field out of the mapping if your documents do not have it"
            yield self._missing_index(f"none begins with {what}", f"{remedy}.", {path: 1})
        order = visible(self._mapping.list_order, NAME_CHARS)
        if self._mapping.list_order == "_id":
            yield Finding("index", "ok", "the list's order is that of _id, which always has one")
        elif self._indexed[LIST]:
            yield Finding("index", "ok", f"one has the list's order, {order}")
        else:
            keys = {self._mapping.list_order: -1, "_id": -1}
            yield self._missing_index(
                f"none has the list's order, {order} and _id", "Create the one below.", keys
            )

    def _served(self, path: str) -> bool:
        """Is this field only looked at in documents without an earlier candidate, found by its index, and
        does every document that was read have that one?"""
        survey = self._survey
        return (
            survey is not None
            and survey.documents > 0
            and all(
                any(
                    self._indexed[earlier] and survey.present[earlier] == survey.documents
                    for earlier in rule.field[: rule.field.index(path)]
                )
                for rule in self._mapping.visibility.rules
                if path in rule.field
            )
        )

    def _missing_index(self, text: str, remedy: str, keys: Mapping[str, int]) -> Finding:
        if self._large is None:
            return Finding("index", "note", f"{text}; the collection is small enough to do without")
        paste = (
            f"{database_in_shell(self._settings.relay_mongo_database)}"
            f".getCollection({quoted(self._collection)}).createIndex({quoted(keys)})"
        )
        return Finding("index", "warning", f"{text}, over about {self._large:,} documents", remedy, paste)

    # Documents.

    async def _read_sample(self, sample: int) -> None:
        order = self._mapping.list_order if self._indexed.get(LIST) else "_id"
        documents = await self._reader.read_at(
            await self._reader.now(),
            {},
            projection={self._mapping.events: {"$slice": -EVENTS_READ}},
            sort={order: -1},
            limit=sample,
        )
        self._survey = await asyncio.to_thread(survey, documents, self._translator, self._audience.looked_at)
        if not documents:
            self.report.add(Finding("documents", "note", "there are none to read through the mapping"))


LIST = ""  # the index of the list's order; no field has this name


def _seconds_between(first: Timestamp, last: Timestamp) -> float:
    return float(last.time - first.time)


def _index_patterns(explained: Any) -> Iterator[Mapping[str, Any]]:
    """The keys of every index that any plan uses, wherever versions and clusters put them."""
    if isinstance(explained, Mapping):
        pattern = explained.get("keyPattern")
        if isinstance(pattern, Mapping):
            yield pattern
        for value in explained.values():
            yield from _index_patterns(value)
    elif isinstance(explained, list):
        for value in explained:
            yield from _index_patterns(value)


def _first_name(pattern: Mapping[str, Any]) -> str | None:
    # A wildcard index is explained with the path it is used for.
    return next((name for name in pattern if name != "$_path"), None)
