"""What is different in a sharded cluster, whose shards are reached through `mongos`, the router. Does I/O.

A shard is a replica set that holds a part of the documents, and has an oplog of its own. The router merges the change
streams of all shards in the order of cluster time, and gives out a change only after every shard has shown that it will
add none before it. A shard shows that with any entry of its oplog that is later; a shard on which nothing is written
adds a no-op every `periodicNoopIntervalSecs` seconds.
"""

from __future__ import annotations

from typing import Any

from bson import Timestamp
from pymongo import AsyncMongoClient, ReadPreference
from pymongo.read_preferences import _ServerMode

# For how many seconds an idle shard may hold the stream back. `periodicNoopIntervalSecs` is 10 at most, and 10 if it
# was not set. At the end of each interval the shard adds a no-op only if nothing was written in that interval, so its
# oplog may be without an entry for two intervals. The rest is for the way of the changes.
IDLE_SHARD_S = 25


def is_routed(client: AsyncMongoClient[Any]) -> bool:
    """Return whether this client has found a router. Asks nothing: false until the first server has answered."""
    seen = client.topology_description
    # With directConnection=true the topology is "Single", whatever the server is.
    return seen.topology_type_name == "Sharded" or any(
        server.server_type_name == "Mongos" for server in seen.server_descriptions().values()
    )


async def latest_time(
    client: AsyncMongoClient[Any],
    database: str,
    collection: str,
    *,
    preference: _ServerMode = ReadPreference.PRIMARY,
    max_time_ms: int,
) -> Timestamp | None:
    """Return the cluster time of the latest operation, so that it includes every write to the collection that was
    acknowledged before this call.

    `preference` says which member of a replica set is asked. The time of a secondary may be earlier than that. Returns
    None if the server has no cluster time: a standalone server. `max_time_ms` limits the time on the server.
    Raises PyMongoError if the server refuses or does not answer.
    """
    reply: Any = None
    if not is_routed(client):
        reply = await client.admin.command("ping", read_preference=preference)
    if is_routed(client):
        # A router answers `ping` by itself, with the latest time that it has heard of. A write that went through
        # another router may be later. So ask all shards that hold documents of the collection: this read has no filter,
        # and the router answers with the latest of their times. It goes to the primaries, which have all acknowledged
        # writes.
        reply = await client[database].command(
            {
                "find": collection,
                "projection": {"_id": 1},
                "limit": 1,
                "singleBatch": True,
                "readConcern": {"level": "local"},
                "maxTimeMS": max_time_ms,
            }
        )
    moment = reply.get("operationTime")
    return moment if isinstance(moment, Timestamp) else None
