"""A collection as one user sees it, read by the parts of the relay and followed by its changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from bson import CodecOptions
from bson.raw_bson import RawBSONDocument

from relay.source.change import Change, Deleted, key_of
from relay.source.decoder import Decoder
from relay.source.events import read_change
from relay.tasks.mapping import Mapping
from relay.tasks.summary import Summary
from relay.tasks.task import Task
from relay.tasks.translate import Translator
from relay.tasks.visibility import Audience, Principal

RAW = CodecOptions(document_class=RawBSONDocument)


FENCE = "fence"


class Views:
    """One collection as a principal sees it in lists, joins and live messages."""

    def __init__(self, tasks: Any, mapping: Mapping, claims: dict[str, Any]) -> None:
        audience = Audience(mapping.visibility)
        principal = Principal(claims["sub"], claims, 0)
        self._tasks = tasks
        self._decoder = Decoder(mapping.events, names=mapping.names())
        self.translator = Translator(mapping, audience.keys_of, max_text=50)
        self._filter = audience.filter_for(principal)
        self._held = audience.keys_for(principal)

    def _read(self, filter: Any, projection: Any = None) -> Iterator[dict[str, Any]]:
        for document in self._tasks.find(filter, projection):
            yield self._decoder.document(bytes(document.raw))

    def listed(self) -> dict[bytes, Summary]:
        documents = self._read(self._filter, self.translator.list_projection())
        return {key_of(one["_id"]): self.translator.summarise(one) for one in documents}

    def all(self) -> dict[bytes, Task]:
        return {key_of(one["_id"]): self.translator.read(one) for one in self._read({})}

    def outlined(self) -> dict[bytes, Task]:
        projection = self.translator.outline_projection
        read = self._read({}, projection) if projection else ()
        outlines = ((key_of(one["_id"]), self.translator.outline(one)) for one in read)
        return {key: task for key, task in outlines if task is not None}

    def visible(self, tasks: dict[bytes, Task]) -> dict[bytes, Summary]:
        return {key: task.summary for key, task in tasks.items() if self._held & task.keys}

    def followed(self, tasks: dict[bytes, Task], changes: Sequence[bytes]) -> dict[bytes, Task]:
        """The tasks after these changes of the stream."""
        now: dict[bytes, Task] = dict(tasks)
        for one in changes:
            change = read_change(one, self._decoder)
            assert isinstance(change, Change), change
            if isinstance(change.operation, Deleted):
                continue
            step = self.translator.translate(now.get(change.key), change)
            assert step is not None
            assert step.messages is not None
            if step.after is not None:
                now[change.key] = step.after
        return now


def by_id(summaries: Iterable[Summary]) -> dict[str, Summary]:
    return {one["taskId"]: one for one in summaries}
