"""Ask the database what decides whether a user may see a task, and print it. Does I/O.

Rules of this folder: nothing is written; of the document only the fields of visibility rules are read, and of these
only values that can be ids are shown; a token is never shown.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TextIO

from bson import Timestamp
from pymongo.errors import PyMongoError

from relay.auth.rollout import Rollout
from relay.cli.check.examination import ANSWER_MS
from relay.cli.explain.explanation import Explanation, Found, Verdict
from relay.cli.explain.report import sentence, to_json, to_text
from relay.cli.explain.user import User, of_claims, of_token
from relay.cli.printable import visible
from relay.config import Settings
from relay.errors import PositionLost, SourceError, StartupError
from relay.metrics import Metrics
from relay.pipeline import Pipeline, mapping_of
from relay.source.change import key_of
from relay.source.client import hosts_of
from relay.source.identity import among
from relay.source.reach import AGAIN_MS, kinds_of
from relay.tasks.ids import values_of
from relay.tasks.needs import is_one_of
from relay.tasks.task_ids import candidate_ids, wire_id
from relay.tasks.visibility import Principal

EXIT_VISIBLE, EXIT_HIDDEN, EXIT_UNKNOWN = 0, 1, 3


@dataclass(frozen=True, slots=True)
class Asked:
    """The task, and who asks for it: the user of a token or, without one, of these claims."""

    task_id: str
    token: str | None
    claims: Mapping[str, Any]


async def run(settings: Settings, asked: Asked, out: TextIO, err: TextIO, *, as_json: bool) -> int:
    """Print the explanation, and return the exit code: 0 if the user may see the task, 3 if the keys that verify the
    token could not be fetched, otherwise 1. For 3, a sentence on `err` says so.

    Raises StartupError for settings or a mapping that cannot be used, and for a database that cannot be asked.
    """
    explanation = await explain(settings, asked)
    out.write(to_json(explanation) if as_json else to_text(explanation))
    out.flush()
    if explanation.verdict is Verdict.TOKEN_UNCHECKED:
        err.write(f"relay: {sentence(explanation)}\n")
        return EXIT_UNKNOWN
    return EXIT_VISIBLE if explanation.verdict is Verdict.VISIBLE else EXIT_HIDDEN


async def explain(settings: Settings, asked: Asked) -> Explanation:
    """Find out whether the user may see the task, and why. Raises StartupError as `run` does."""
    mapping = mapping_of(settings)
    async with Pipeline(settings, mapping, Metrics(), read_ms=ANSWER_MS, reads_whole=True) as pipeline:
        names = pipeline.audience.claims
        if asked.token is None:
            user = of_claims(asked.claims, names)
        else:
            user = await of_token(settings, asked.token, names)
        found, hint = None, ""
        if user.principal is not None:
            try:
                await pipeline.opening.examine(again_ms=AGAIN_MS)
                found = await _found(pipeline, asked.task_id, user.principal)
                hint = "" if found is not None else await _hint(pipeline, settings, asked.task_id)
            except (SourceError, PyMongoError) as failure:
                reason = str(failure) if isinstance(failure, SourceError) else type(failure).__name__
                raise StartupError(
                    f"MongoDB at {visible(hosts_of(settings))} could not be asked: {reason.removesuffix('.')}."
                ) from failure
        return Explanation(
            settings=settings,
            mapping=mapping,
            now=time.time(),
            task_id=asked.task_id,
            user=user,
            is_in_rollout=_is_in_rollout(settings, user),
            found=found,
            hint=hint,
        )


def _is_in_rollout(settings: Settings, user: User) -> bool:
    return user.principal is not None and Rollout.of(settings).is_in(user.principal.sub)


async def _found(pipeline: Pipeline, task_id: str, principal: Principal) -> Found | None:
    """Compare the document of this task with the principal; None if there is none. Raises SourceError."""
    try:
        return await _found_at(await pipeline.reader.now(), pipeline, task_id, principal)
    except PositionLost:  # the collection was created in between: ask again at a later time
        return await _found_at(await pipeline.reader.now(), pipeline, task_id, principal)


async def _found_at(
    position: Timestamp, pipeline: Pipeline, task_id: str, principal: Principal
) -> Found | None:
    audience, candidates = pipeline.audience, candidate_ids(task_id)
    # Only whole fields of the document: a projection of a path inside a field changes arrays on the way.
    rules = pipeline.mapping.visibility.rules
    paths = {*pipeline.mapping.need_paths(), *pipeline.mapping.fields.status}
    paths.update(path for rule in rules for path in rule.field)
    fields = {path.partition(".")[0]: 1 for path in paths}
    read = pipeline.reader.read_at
    documents = await read(position, among(candidates), projection={"_id": 1, **fields})
    stored = {key_of(document["_id"]): document for document in documents}
    existing = [stored[key] for one in candidates if (key := key_of(one)) in stored]
    if not existing:
        return None
    allowed = {"$and": [among([one["_id"] for one in existing]), audience.filter_for(principal)]}
    listed = {key_of(one["_id"]) for one in await read(position, allowed, projection={"_id": 1})}
    held = audience.keys_for(principal)
    found = [
        Found(
            comparisons=audience.compare(document, principal),
            roles=audience.roles_of(principal),
            live=not audience.keys_of(document).isdisjoint(held),
            listed=key_of(document["_id"]) in listed,
            waits_for=(waits := pipeline.translator.read(document).summary.get("waitsFor")),
            waits_for_user=is_one_of(waits or {}, audience.announced_to(principal).get("claims", {})),
            others=len(existing) - 1,
        )
        for document in existing
    ]
    # A join sends the first document that the user may see.
    return next((one for one in found if one.live and one.listed), found[0])


async def _hint(pipeline: Pipeline, settings: Settings, task_id: str) -> str:
    """Return a sentence about what may be meant by the id of a task that does not exist; empty if nothing is known.

    Raises SourceError or PyMongoError if the database does not answer.
    """
    database, collection = settings.relay_mongo_database, settings.relay_tasks_collection
    if await kinds_of(pipeline.client, database, {"name": collection}) == {}:
        return "This collection does not exist: see RELAY_MONGO_DATABASE and RELAY_TASKS_COLLECTION."
    alike = among(values_of(task_id.strip()))
    documents = await pipeline.reader.read_at(await pipeline.reader.now(), alike, projection={"_id": 1})
    if not documents:
        return ""
    return f"There is a task whose taskId is {visible(wire_id(documents[0]['_id']))}."
