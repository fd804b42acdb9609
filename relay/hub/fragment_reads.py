"""Brings the summaries of the tasks of a list as JSON ("fragments"): those that are known, and the others from the
database. A task that several lists lack at the same time is read once.

Rule of this file: in a sharded cluster, the rights and the content of a row come from one read of its document. So no
list takes a fragment that was read for others, or that a step has brought.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any

import orjson

from relay.hub.fragments import PAGE, Fragments, Load, number_of
from relay.hub.reads import FairReads, Reading
from relay.source.change import key_of
from relay.source.identity import RawId, among
from relay.tasks.paths import Document
from relay.tasks.translate import Translator

log = logging.getLogger(__name__)

PATIENCE_S = 1.0  # a read of another list that takes longer keeps nobody else waiting
SLICE_S = 0.005  # for so long the making of summaries may hold the event loop


class FragmentReads:
    """Keeps `fragments` (the summaries of tasks as JSON), and reads those that a list lacks.

    A read is made for one user, who waits for a slot in turn with the others before each PAGE of tasks.
    """

    def __init__(self, reads: FairReads, translator: Translator) -> None:
        self._reads = reads
        self._translator = translator
        self.fragments = Fragments()

    async def of(
        self, keys: Sequence[bytes], reading: Reading, rights: Mapping[str, Any]
    ) -> Sequence[bytes] | None:
        """Return the JSON of the summaries of the tasks with these keys, in their order, as they were at the position
        of this reading, in which the tasks exist. Tasks without a summary are left out.

        `rights` is the filter with which the keys were read. Return None if the reading was moved to another position
        meanwhile. Raises what `FairReads.read` raises if it reads once.
        """
        if self._reads.is_routed:
            return await self._permitted(keys, reading, rights)
        position = reading.position
        known = self.fragments.valid(keys, number_of(position))
        if None not in known:
            return list(filter(None, known))
        missing = [key for key, json in zip(keys, known, strict=True) if json is None]
        found: dict[bytes, bytes] = {}
        is_patient = True
        while missing:
            own, shared = self.fragments.begin(missing, number_of(position), share=is_patient)
            try:
                for load in own:
                    made = await self._read(load.keys, reading)
                    if reading.position != position:
                        return None
                    found |= made
                    self.fragments.finish(load, made)
            finally:
                for load in own:  # those that were not finished: others who wait for them read by themselves
                    self.fragments.end(load)
            is_patient = await _ended(set(shared.values()))
            found |= {key: load.made[key] for key, load in shared.items() if load.made is not None}
            if reading.position != position:
                return None
            missing = [key for key in missing if key not in found]
        items = (json if json is not None else found[key] for key, json in zip(keys, known, strict=True))
        return list(filter(None, items))

    async def _permitted(
        self, keys: Sequence[bytes], reading: Reading, rights: Mapping[str, Any]
    ) -> Sequence[bytes] | None:
        """Do what `of` does, and share nothing. Leave out the tasks that do not match `rights` any more.

        In a sharded cluster, a transaction may become visible between the read of the keys and that of the documents,
        although both are made at one position.
        """
        position = reading.position
        found: list[bytes] = []
        for first in range(0, len(keys), PAGE):
            page = keys[first : first + PAGE]
            found += (await self._read(page, reading, rights)).values()
            if reading.position != position:
                return None
        return list(filter(None, found))

    async def _read(
        self, keys: Collection[bytes], reading: Reading, rights: Mapping[str, Any] | None = None
    ) -> Mapping[bytes, bytes]:
        """Return the JSON of the summaries of the tasks with these keys, in their order, by key: empty where there is
        none, or where the document does not match the filter `rights`."""
        projection = self._translator.list_projection()
        ids: Mapping[str, Any] = among(map(RawId, keys))
        wanted = {"$and": [ids, rights]} if rights else ids
        documents = await self._reads.read(reading, wanted, once=True, projection=projection)
        made = dict.fromkeys(keys, b"")
        began = monotonic()
        for document in documents:
            if monotonic() - began > SLICE_S:
                await asyncio.sleep(0)
                began = monotonic()
            made[key_of(document["_id"])] = self._json(document)
        return made

    def _json(self, document: Document) -> bytes:
        try:
            return orjson.dumps(self._translator.summarise(document))
        except Exception:  # one broken document must not hide the other tasks of the list
            log.exception("a task could not be summarised")
            return b""


async def _ended(loads: Collection[Load]) -> bool:
    """Wait until these reads have ended, but at most PATIENCE_S seconds. Return whether they have."""
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            for load in loads:
                await load.ended.wait()
            return True
    return False
