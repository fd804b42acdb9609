"""Choose the member of a replica set that the relay follows and reads, as `readPreference` allows. Does I/O.

A cursor exists only on the member that opened it, but the driver sends each command that the relay writes itself to any
member that fits. So every command of a stream or of a read has the same `Route`.

With the read preference `primary`, nothing is chosen in a replica set: each command goes to the member that is the
primary then. In a sharded cluster a router is chosen, because a cursor exists only on the router that opened it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from pymongo import AsyncMongoClient, ReadPreference
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import ConfigurationError
from pymongo.read_preferences import Nearest, Primary, PrimaryPreferred, SecondaryPreferred, _ServerMode
from pymongo.server_description import ServerDescription
from pymongo.topology_description import TopologyDescription

from relay.source.cluster import is_routed

# How many seconds the stream may be behind the time of the database before it counts as stale (if the replica set has
# no majority, the stream stays open and sends nothing, F14), and a member behind the others before it counts as slow.
# It has to be more than 10, because an idle primary writes a no-op only every 10 s: until then, what the driver knows
# of two equal members may differ by that much.
BEHIND_S = 15

# How long a choice waits for the answers of members from which the driver has not heard yet, and how often it looks.
KNOWN_S, KNOWN_STEPS = 1.0, 100

Address = tuple[str, int | None]
# The member to which the command that is being sent in this context has to go; None if the driver chooses.
_wanted: ContextVar[Address | None] = ContextVar("wanted", default=None)


def only_wanted(servers: list[ServerDescription]) -> list[ServerDescription]:
    """Leave the one server to which the present command has to go. The option `server_selector` of each client."""
    wanted = _wanted.get()
    return servers if wanted is None else [server for server in servers if server.address == wanted]


@dataclass(frozen=True, slots=True)
class Route:
    """Where commands are sent: to one member or, if `address` is None, wherever the preference allows.

    The client must have `only_wanted` as its server selector, as those of `client_of` have.
    """

    preference: _ServerMode
    address: Address | None = None

    async def command(
        self, database: AsyncDatabase[Any], command: str | dict[str, Any], **options: Any
    ) -> Any:
        """Send a command there, and return the reply. `options` are those of `AsyncDatabase.command`.

        If the driver refuses to send it, it is sent over a new connection (see `_connect_anew`).
        Raises PyMongoError if the member refuses or does not answer.
        """
        # The driver calls `only_wanted` in the same context, which is why this works for concurrent commands.
        token = _wanted.set(self.address)
        try:
            return await database.command(command, read_preference=self.preference, **options)
        except ConfigurationError:
            await _connect_anew(database.client)
            return await database.command(command, read_preference=self.preference, **options)
        finally:
            _wanted.reset(token)


async def _connect_anew(client: AsyncMongoClient[Any]) -> None:
    """Have the driver replace its connections. Commands that are being sent go on.

    The driver keeps what a member says about itself when a connection is opened. A member that is only starting says
    nothing of sessions. When it is the primary later, the driver would raise a ConfigurationError for every command in
    a session on that connection, for as long as the relay runs. It has no public method that gives up a connection.
    """
    for server in list(client._topology._servers.values()):
        await server.pool.reset_without_pause()


_Choice = tuple[_ServerMode, Callable[[ServerDescription], bool]]


class Members:
    """Chooses members by a read preference. One object serves the change stream and the reads of a relay.

    The stream stays on its member while the preference allows it (`allows`). Reads go to the member of the stream: it
    has what the stream has brought, so no read waits for another member to catch up. A member that is more than
    BEHIND_S seconds behind the others is chosen only if no other one fits: its stream would count as stale.
    """

    def __init__(self, preference: _ServerMode = ReadPreference.PRIMARY) -> None:
        self._preference = preference
        self._followed: Route | None = None
        # Whether the answering member may be behind what another one has already shown.
        self.may_lag = not isinstance(preference, Primary)

    async def clock(self, client: AsyncMongoClient[Any]) -> _ServerMode:
        """Return the preference with which to ask for the time of the latest write.

        Only the primary knows it. While the driver of `client` knows no primary, a secondary's time has to do, unless
        the preference is `primary`.
        """
        if not self.may_lag:
            return self._preference
        await _hear_all(client)
        return PrimaryPreferred()

    async def follow(self, client: AsyncMongoClient[Any]) -> Route:
        """Choose the member whose change stream is followed from now on.

        Raises PyMongoError if the driver finds no member that fits the preference.
        """
        self._followed = await self._choose(client)
        return self._followed

    async def read(self, client: AsyncMongoClient[Any]) -> Route:
        """Choose the member for one read: that of the stream or, if the preference forbids it by now, another.

        Raises PyMongoError if the driver finds no member that fits the preference.
        """
        if self._followed is not None and self.allows(client, self._followed):
            return self._followed
        return await self._choose(client)

    def allows(self, client: AsyncMongoClient[Any], route: Route) -> bool:
        """Return whether the preference still allows this member, as far as the driver of `client` knows.

        It does not if the member became the primary or a secondary, does not answer, or lags behind another that fits.
        """
        if route.address is None:
            return True
        known = client.topology_description
        preference, fits = self._choice(known)
        return bool(_fitting(known, preference, lambda one: one.address == route.address and fits(one)))

    async def _choose(self, client: AsyncMongoClient[Any]) -> Route:
        if not self.may_lag and not is_routed(client):
            return Route(self._preference)
        await _hear_all(client)
        if not self._fit(client):
            # The driver waits until it knows a member that fits, or raises the error that says that it found none.
            await client.admin.command("ping", read_preference=self._preference)
        fitting = self._fit(client)
        if not fitting:
            return Route(self._preference)
        # A router passes the preference on to its shards. A member gets any that lets it answer: if it changes its
        # role, the driver would no longer find it under the preference, and wait.
        preference = self._preference if is_routed(client) else Nearest()
        return Route(preference, random.choice(fitting).address)

    def _fit(self, client: AsyncMongoClient[Any]) -> Sequence[ServerDescription]:
        return _fitting(client.topology_description, *self._choice(client.topology_description))

    def _choice(self, known: TopologyDescription) -> _Choice:
        """Return which members are to be chosen from: those that this preference selects and this function accepts."""
        newest = max((one.last_write_date or 0.0 for one in known.readable_servers), default=0.0)

        def is_fresh(one: ServerDescription) -> bool:
            return one.last_write_date is None or newest - one.last_write_date <= BEHIND_S

        choices: list[_Choice] = [(self._preference, is_fresh)]
        if isinstance(self._preference, SecondaryPreferred):
            choices.append((ReadPreference.PRIMARY, _anyone))
        return next((one for one in choices if _fitting(known, *one)), (self._preference, _anyone))


async def _hear_all(client: AsyncMongoClient[Any]) -> None:
    """Wait until the driver has heard from each member or failed to reach it, at most KNOWN_S seconds.

    At its start the driver knows only the member that answered first. It would choose that one as if there were no
    other, although it is not a preferred one.
    """
    await client.aconnect()
    for _ in range(KNOWN_STEPS):
        members = client.topology_description.server_descriptions().values()
        if all(one.is_server_type_known or one.error is not None for one in members):
            return
        await asyncio.sleep(KNOWN_S / KNOWN_STEPS)


def _anyone(_: ServerDescription) -> bool:
    return True


def _fitting(
    known: TopologyDescription, preference: _ServerMode, fits: Callable[[ServerDescription], bool]
) -> Sequence[ServerDescription]:
    """Return the members that `preference` selects and `fits` accepts, and of these the ones that answer fastest."""
    return known.apply_selector(
        preference, custom_selector=lambda servers: [server for server in servers if fits(server)]
    )
