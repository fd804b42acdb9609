"""Brings the summaries of the tasks of a list as JSON ("fragments"): those that are known, and the others from the
database. A task that several lists lack at the same time is read once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from time import monotonic

import orjson

from relay.hub.fragments import Fragments, Load, number_of
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

    async def of(self, keys: Sequence[bytes], reading: Reading) -> Sequence[bytes] | None:
        """Return the JSON of the summaries of the tasks with these keys, in their order, as they were at the position
        of this reading, in which the tasks exist. Tasks without a summary are left out.

        Return None if the reading was moved to another position meanwhile. Raises what `FairReads.read` raises if it
        reads once.
        """
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
                    made = await self._read(load, reading)
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

    async def _read(self, load: Load, reading: Reading) -> Mapping[bytes, bytes]:
        """Return the JSON of the summaries that this read is for, by key: empty where there is none."""
        projection = self._translator.list_projection()
        ids = among(map(RawId, load.keys))
        documents = await self._reads.read(reading, ids, once=True, projection=projection)
        made = dict.fromkeys(load.keys, b"")
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
