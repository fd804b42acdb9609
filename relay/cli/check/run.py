"""Ask every topic of `relay check`, and print the report. Does I/O.

Rules of this folder: nothing is written to the database; every question has a time limit; a missing answer, and one of
an unknown shape, becomes a finding; of the connection string only the hosts are shown.
"""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import Awaitable, Callable
from typing import NamedTuple, TextIO

from pymongo.errors import OperationFailure, PyMongoError

from relay.cli.check import (
    certificate,
    change_stream,
    collection,
    documents,
    indexes,
    journal,
    oplog,
    options,
    reachable,
    reads,
    rights,
    shared_stream,
    snapshots,
    topology,
    version,
)
from relay.cli.check.examination import ANSWER_MS, Examination
from relay.cli.check.report import Report, to_json, to_text
from relay.cli.check.role import least_role
from relay.cli.output import READABLE
from relay.config import Settings
from relay.errors import SourceError, StartupError
from relay.metrics import Metrics
from relay.pipeline import Pipeline, bus_of, mapping_of

EXIT_WORKS, EXIT_PROBLEM = 0, 1
TOPIC_S = 12.0  # the time limit of one topic; when it is over, no further questions are asked


class Topic(NamedTuple):
    """A part of the report. `ask` adds its findings, if `applies` is true; `name` is for the finding that says that
    asking failed."""

    name: str
    ask: Callable[[Examination], Awaitable[None]]
    applies: Callable[[Examination], bool]


TOPICS = (
    Topic(
        "certificate", certificate.ask, lambda examination: examination.settings.relay_tls_cert is not None
    ),
    Topic("options", options.ask, lambda examination: True),
    Topic("reachable", reachable.ask, lambda examination: True),
    Topic("replica set", topology.ask, Examination.is_reached),
    Topic("version", version.ask, Examination.is_reached),
    Topic("collection", collection.ask, Examination.is_replicated),
    Topic("change stream", change_stream.ask, Examination.is_replicated),
    Topic("reads", reads.ask, Examination.is_replicated),
    Topic("rights", rights.ask, Examination.is_replicated),
    Topic("oplog window", oplog.ask, Examination.is_replicated),
    Topic("snapshot window", snapshots.ask, Examination.is_replicated),
    Topic("journal", journal.ask, Examination.is_replicated),
    Topic("redis", shared_stream.ask, Examination.is_shared),
    Topic("indexes", indexes.ask, Examination.is_readable),
    # What the documents have decides how a missing index is judged.
    Topic("documents", documents.ask, Examination.wants_documents),
    Topic("indexes", indexes.conclude, lambda examination: examination.indexed is not None),
    Topic("documents", documents.conclude, lambda examination: examination.survey is not None),
)


async def run(settings: Settings, out: TextIO, *, sample: int, role: bool, as_json: bool) -> int:
    """Examine the database and print the report; return the exit code. Raises StartupError for settings or a mapping
    that cannot be used."""
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
        # Otherwise the flush at exit would fail once more, and print a traceback.
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
        if not isinstance(failure, BrokenPipeError):  # on a broken pipe, the reader has seen enough
            raise StartupError(f"The report cannot be written: {failure.strerror}.") from failure
    return EXIT_WORKS if report.works else EXIT_PROBLEM


async def examine(settings: Settings, *, sample: int) -> Report:
    """Ask every topic about the database. Raises StartupError for settings or a mapping that cannot be used."""
    bus = bus_of(settings)
    async with Pipeline(
        settings, mapping_of(settings), Metrics(), read_ms=ANSWER_MS, reads_whole=True
    ) as pipeline:
        examination = Examination(settings, pipeline, sample, bus)
        for topic in TOPICS:
            if topic.applies(examination):
                await _ask(topic, examination)
        return examination.report


async def _ask(topic: Topic, examination: Examination) -> None:
    """Ask one topic. A failure becomes a finding, and a timeout also ends all further questions."""
    try:
        async with asyncio.timeout(TOPIC_S):
            await topic.ask(examination)
    except TimeoutError:
        examination.is_silent = True
        examination.fail(
            topic.name,
            f"no answer within {TOPIC_S:.0f} s, and nothing more was asked",
            "Look at the server's load and the network, and check again.",
        )
    except OperationFailure as failure:
        examination.fail(
            topic.name,
            f"MongoDB refuses with code {failure.code}",
            "Look for the code among MongoDB's error codes.",
        )
    except (PyMongoError, SourceError) as failure:
        examination.fail(
            topic.name, f"the answer did not come ({type(failure).__name__})", "Try again when it is calm."
        )
    except Exception as failure:  # a server that imitates MongoDB may answer anything
        examination.fail(
            topic.name,
            f"an answer that cannot be understood ({type(failure).__name__})",
            "The relay needs a MongoDB, not something that speaks like one.",
        )
