"""A shared change stream in Redis: its entries, and the lease of the process that writes them. Does I/O.

Two keys, in one slot of a cluster: `relay:v1:{<database>.<collection>}:changes` is a Redis Stream. The id of an entry
is the position at which it ends, "seconds-increment", so an id means the same in every copy of the stream, and after
the stream was lost. `…:lease` names the process that may write; it expires when that process does not renew it.

Rule of this file: an entry is written only if it begins where the newest one ends. So two processes that both believe
they hold the lease do no harm.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable
from enum import Enum
from typing import Any, NamedTuple

from bson import Timestamp
from redis.asyncio import Redis
from redis.exceptions import OutOfMemoryError, RedisError

from relay.source.cancellation import raise_if_cancelled
from relay.source.cursor import Witness
from relay.source.shared.entry import Entry
from relay.source.shared.seal import Seal

LEASE_MS = 3_000
KEPT_S = 60  # seconds for which entries are kept, by the clock of the database
KEPT_ENTRIES = 100_000
READ_ENTRIES = 128  # entries that are fetched at once: all that a busy process has missed during a pause
APART_BYTES = 256 * 1024  # a larger entry is sealed and opened in a thread, because that takes milliseconds
REDIS_ERRORS = (RedisError, OSError)  # TimeoutError is an OSError
_CURRENT, _NOT_CURRENT = "+", "-"

# Renews the lease, and appends an entry if one is given. `total` counts all bytes that were ever appended, so the
# difference of two entries is the size of what lies between them. At a limit, an eighth is removed: rarely and quickly.
# Redis without memory refuses only the first write of a script. So that one is SET: after a PEXPIRE, which needs no
# memory, the entry would be appended beyond `maxmemory`.
_HOLD = """
local holder, state, lease_ms, begins = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local start, finish, sealed = ARGV[5], ARGV[6], ARGV[7]
local oldest, most_bytes, most_entries = ARGV[8], tonumber(ARGV[9]), tonumber(ARGV[10])
local lease = redis.call('GET', KEYS[1])
if lease and string.sub(lease, 1, #holder) ~= holder then return 'lost' end
redis.call('SET', KEYS[1], holder .. state, 'PX', lease_ms)
if sealed == '' then return 'held' end
local top = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
local total = #sealed
if begins == '1' or not top then
  redis.call('DEL', KEYS[2])
elseif top[1] ~= start then
  return 'behind'
else
  total = total + (tonumber(top[2][4]) or 0)
end
redis.call('XADD', KEYS[2], finish, 'entry', sealed, 'total', string.format('%.0f', total))
redis.call('XTRIM', KEYS[2], 'MINID', '~', oldest)
for _ = 1, 32 do
  local entries = redis.call('XLEN', KEYS[2])
  local first = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1]
  local kept = total - (tonumber(first[2][4]) or 0) + #first[2][2]
  if entries < 2 or (entries <= most_entries and kept <= most_bytes) then break end
  redis.call('XTRIM', KEYS[2], 'MAXLEN', entries - math.ceil(entries / 8))
end
return 'held'
"""
_RELEASE = """
local lease = redis.call('GET', KEYS[1])
if lease and string.sub(lease, 1, #ARGV[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
"""


class Answer(Enum):
    """What became of an attempt to renew the lease, or to append an entry."""

    HELD = b"held"  # the lease is ours, and the entry was appended
    LOST = b"lost"  # another process holds the lease
    BEHIND = b"behind"  # the lease is ours, and the newest entry does not end where this one begins


class Lease(NamedTuple):
    """The lease, as it is held at present. `is_current` says that the holder is up to date with the database."""

    is_ours: bool
    is_current: bool


class RedisStream:
    """The change stream `name` ("database.collection") in Redis, as one process sees it.

    `kept_bytes` limits the sealed entries that are kept. Each method may raise one of REDIS_ERRORS.
    """

    def __init__(self, client: Redis, name: str, seal: Seal, *, kept_bytes: int) -> None:
        self._client: Any = client
        self._seal = seal
        self._kept_bytes = kept_bytes
        self._us = secrets.token_hex(8)
        prefix = f"relay:v1:{{{name}}}"
        self.changes, self.lease = f"{prefix}:changes", f"{prefix}:lease"

    async def held(self) -> Lease | None:
        """Return the lease, None if nobody holds it."""
        value = await _done(self._client.get(self.lease))
        if value is None:
            return None
        return Lease(value.startswith(self._us.encode()), value.endswith(_CURRENT.encode()))

    async def top(self) -> tuple[Entry, Witness | None] | None:
        """Return the newest entry and its witness, None if there is none. Raises ValueError if it cannot be opened."""
        found = await _done(self._client.xrevrange(self.changes, count=1))
        return await self._opened(*found[0]) if found else None

    async def read(self, after: Timestamp, wait_ms: int) -> list[Entry]:
        """Return the next entries after a position; wait at most `wait_ms` for the first.

        Raises ValueError if the first of them cannot be opened. A later one that cannot be opened ends the list.
        """
        found = await _done(self._client.xread({self.changes: _id(after)}, count=READ_ENTRIES, block=wait_ms))
        entries: list[Entry] = []
        for id, fields in found[0][1] if found else ():
            try:
                entries.append((await self._opened(id, fields))[0])
            except ValueError:
                if not entries:
                    raise
                break
        return entries

    async def hold(self, *, is_current: bool) -> Answer:
        """Take or renew the lease. `is_current` says that this process is up to date with the database.

        Raises OutOfMemoryError if Redis has no memory left, even without half of the entries.
        """
        return await self._hold(is_current, Timestamp(0, 0), Timestamp(0, 0), b"", begins=False)

    async def append(self, entry: Entry, witness: Witness | None, *, begins: bool) -> Answer:
        """Append an entry, and renew the lease. With `begins`, all earlier entries are removed first.

        An entry that would take a large part of the room is not kept: the stream then begins at its end, and a process
        that lacks it reads it from the database. If Redis has no memory left, half of the entries are removed, and the
        entry is appended then. Raises OutOfMemoryError if there is still none.
        """
        seal = self._seal.close
        is_large = len(entry.events) > APART_BYTES
        sealed = await asyncio.to_thread(seal, entry, witness) if is_large else seal(entry, witness)
        if len(sealed) > self._kept_bytes // 4:
            entry, begins = entry._replace(start=entry.end, events=b""), True
            sealed = seal(entry, witness)
        return await self._hold(entry.is_current, entry.start, entry.end, sealed, begins=begins)

    async def release(self) -> None:
        """Give the lease up, if it is ours."""
        await self._client.eval(_RELEASE, 1, self.lease, self._us)

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def _hold(
        self, is_current: bool, start: Timestamp, end: Timestamp, sealed: bytes, *, begins: bool
    ) -> Answer:
        state = _CURRENT if is_current else _NOT_CURRENT
        oldest = _id(Timestamp(max(0, end.time - KEPT_S), 0))
        what = (self._us, state, LEASE_MS, int(begins), _id(start), _id(end), sealed)
        limits = (oldest, self._kept_bytes, KEPT_ENTRIES)

        async def hold() -> Answer:
            return Answer(await _done(self._client.eval(_HOLD, 2, self.lease, self.changes, *what, *limits)))

        try:
            return await hold()
        except OutOfMemoryError:
            # Also to take or renew the lease alone: if the entries are what has filled Redis, nobody else removes them.
            entries = await _done(self._client.xlen(self.changes))
            if not entries:
                raise
            await _done(self._client.xtrim(self.changes, maxlen=entries // 2))
            return await hold()

    async def _opened(self, id: bytes, fields: dict[bytes, bytes]) -> tuple[Entry, Witness | None]:
        seconds, _, increment = id.partition(b"-")
        sealed = fields.get(b"entry")
        if sealed is None:
            raise ValueError("an entry has an unknown layout")
        end = Timestamp(int(seconds), int(increment))
        if len(sealed) > APART_BYTES:
            return await asyncio.to_thread(self._seal.open, end, sealed)
        return self._seal.open(end, sealed)


async def _done(command: Awaitable[Any]) -> Any:
    """Wait for the answer to a command."""
    answer = await command
    raise_if_cancelled()
    return answer


def _id(position: Timestamp) -> str:
    return f"{position.time}-{position.inc}"
