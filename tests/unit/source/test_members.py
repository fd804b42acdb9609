"""Which member of a replica set is chosen and kept, by what the driver knows of the members."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymongo import ReadPreference
from pymongo.errors import ServerSelectionTimeoutError
from pymongo.hello import Hello
from pymongo.read_preferences import Nearest, PrimaryPreferred, Secondary, SecondaryPreferred
from pymongo.server_description import ServerDescription
from pymongo.topology_description import TOPOLOGY_TYPE, TopologyDescription

from relay.source.members import BEHIND_S, Address, Members, Route, only_wanted

NEWEST = datetime(2030, 1, 1, tzinfo=UTC).replace(tzinfo=None)
PREFERENCES = [
    PrimaryPreferred(max_staleness=90),
    Secondary(max_staleness=90),
    SecondaryPreferred(max_staleness=90),
    Nearest(max_staleness=90),
]


def member(name: str, role: str, lag_s: float = 0, *, far: bool = False, **tags: str) -> ServerDescription:
    """Describe a member: its role, how far its last write is behind the newest, and whether it answers slowly."""
    address = name, 27017
    if role == "down":
        return ServerDescription(address, error=OSError("refused"))
    hello = {
        "ok": 1,
        "setName": "rs0",
        "maxWireVersion": 17,
        "isWritablePrimary": role == "primary",
        "secondary": role == "secondary",
        "lastWrite": {"lastWriteDate": NEWEST - timedelta(seconds=lag_s)},
        "tags": tags,
    }
    return ServerDescription(address, Hello(hello), round_trip_time=0.5 if far else 0.001)


class Client:
    """A client whose driver knows these members."""

    def __init__(self, *known: ServerDescription) -> None:
        self.know(*known)
        self.sent: list[Any] = []

    def know(self, *known: ServerDescription, kind: int | None = None) -> None:
        has_primary = any(one.is_writable for one in known)
        replicated = TOPOLOGY_TYPE.ReplicaSetWithPrimary if has_primary else TOPOLOGY_TYPE.ReplicaSetNoPrimary
        self.topology_description = TopologyDescription(
            replicated if kind is None else kind,
            {one.address: one for one in known},
            "rs0",
            None,
            None,
            SimpleNamespace(heartbeat_frequency=1, local_threshold_ms=15, _srv_max_hosts=0),
        )

    async def aconnect(self) -> None: ...

    @property
    def admin(self) -> Any:
        return self

    async def command(self, command: str, *, read_preference: Any) -> dict[str, Any]:
        """Behave as the driver does: fail if it knows no member that fits."""
        self.sent.append(command)
        if not self.topology_description.apply_selector(read_preference):
            raise ServerSelectionTimeoutError("none")
        return {}


async def chosen(preference: Any, *known: ServerDescription) -> set[str]:
    """Return the names of the members that are chosen among these, in many attempts."""
    routes = [await Members(preference).follow(Client(*known)) for _ in range(40)]  # type: ignore[arg-type]
    return {route.address[0] for route in routes if route.address is not None}


P, A, B = member("p", "primary"), member("a", "secondary"), member("b", "secondary")
OLD = member("old", "secondary", BEHIND_S + 1)
OLDER = member("older", "secondary", 95)


@pytest.mark.parametrize(
    ("preference", "known", "expected"),
    [
        (SecondaryPreferred(max_staleness=90), (P, A, B), {"a", "b"}),
        (SecondaryPreferred(max_staleness=90), (P,), {"p"}),
        (SecondaryPreferred([{"use": "relay"}], 90), (P, A, member("c", "secondary", use="relay")), {"c"}),
        (SecondaryPreferred([{"use": "relay"}], 90), (P, A), {"p"}),
        (PrimaryPreferred(max_staleness=90), (P, A, B), {"p"}),
        (PrimaryPreferred(max_staleness=90), (A, B), {"a", "b"}),
        (Nearest(max_staleness=90), (P, A, member("far", "secondary", far=True)), {"p", "a"}),
        # A member that lags is left to the end,
        (SecondaryPreferred(max_staleness=90), (P, A, OLD), {"a"}),
        (SecondaryPreferred(max_staleness=90), (P, OLD), {"p"}),
        (Nearest(max_staleness=90), (OLD, member("far", "primary", far=True)), {"far"}),
        # but followed if nothing else is allowed, up to the bound of the operator.
        (Secondary(max_staleness=90), (P, OLD), {"old"}),
        (Secondary(max_staleness=90), (P, OLD, OLDER), {"old"}),
        (SecondaryPreferred(max_staleness=90), (P, OLDER), {"p"}),
        (Secondary(max_staleness=200), (P, OLDER), {"older"}),
    ],
)
async def test_a_member_is_chosen_that_is_preferred_and_does_not_lag(
    preference: Any, known: tuple[ServerDescription, ...], expected: set[str]
) -> None:
    assert await chosen(preference, *known) == expected


async def test_a_member_that_answers_first_is_not_chosen_before_the_preferred_one_has_answered() -> None:
    silent = [ServerDescription((name, 27017)) for name in ("a", "b")]
    client = Client(P, *silent)
    choosing = asyncio.create_task(Members(SecondaryPreferred(max_staleness=90)).follow(client))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    client.know(P, A, silent[1])
    await asyncio.sleep(0)
    assert not choosing.done()
    client.know(P, A, member("b", "down"))
    assert (await choosing).address == A.address
    # A member that does not answer at all is not waited for very long.
    client.know(P, *silent)
    route = await Members(SecondaryPreferred(max_staleness=90)).follow(client)  # type: ignore[arg-type]
    assert route.address == P.address


async def test_the_time_is_asked_of_a_secondary_only_if_the_primary_cannot_be_reached() -> None:
    """Regression: at the start of the driver it was the time of the secondary that had answered first."""
    members, client = Members(Secondary(max_staleness=90)), Client(ServerDescription(("p", 27017)), A)
    asking = asyncio.create_task(members.clock(client))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    assert not asking.done()
    client.know(P, A)
    assert client.topology_description.apply_selector(await asking) == [P]
    client.know(member("p", "down"), A)
    clock = await members.clock(client)  # type: ignore[arg-type]
    assert client.topology_description.apply_selector(clock) == [A]


async def test_with_the_preference_primary_nothing_is_chosen() -> None:
    members, client = Members(), Client(P, A)
    assert await members.follow(client) == await members.read(client) == Route(ReadPreference.PRIMARY)  # type: ignore[arg-type]
    client.know()
    assert members.allows(client, Route(ReadPreference.PRIMARY))  # type: ignore[arg-type]
    assert not client.sent


@pytest.mark.parametrize("known", [(), (P,), (P, OLDER), (P, member("a", "down"))])
async def test_no_member_is_an_error_of_the_driver(known: tuple[ServerDescription, ...]) -> None:
    with pytest.raises(ServerSelectionTimeoutError):
        await Members(Secondary(max_staleness=90)).follow(Client(*known))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("later", "stays"),
    [
        ((P, A, B), True),
        ((P, member("a", "secondary", far=True), B), True),  # how fast a member answers changes all the time
        ((P, member("a", "secondary", BEHIND_S), B), True),
        ((P, member("a", "secondary", BEHIND_S + 1), B), False),
        ((P, member("a", "secondary", BEHIND_S + 1)), False),
        ((member("a", "primary"), member("p", "secondary")), False),
        ((member("a", "primary"),), True),
        ((member("a", "secondary"), B), True),  # while there is no primary
        ((P, member("a", "down"), B), False),
        ((P, B), False),
        ((), False),
    ],
)
async def test_the_stream_and_the_reads_stay_on_a_member_while_it_fits(
    later: tuple[ServerDescription, ...], stays: bool
) -> None:
    members, client = Members(SecondaryPreferred(max_staleness=90)), Client(P, A)
    route = await members.follow(client)  # type: ignore[arg-type]
    assert route.address == ("a", 27017)
    client.know(*later)
    assert members.allows(client, route) is stays  # type: ignore[arg-type]
    if later:
        read = await members.read(client)  # type: ignore[arg-type]
        assert (read == route) is stays


@given(
    st.sampled_from(PREFERENCES),
    st.sampled_from(["primary", "down"]),
    st.lists(st.tuples(st.sampled_from(["secondary", "secondary", "down"]), st.integers(0, 120)), max_size=4),
)
def test_the_chosen_member_is_one_of_the_best_and_stays_allowed(
    preference: Any, first: str, others: list[tuple[str, int]]
) -> None:
    known = [member("p", first), *(member(f"m{number}", *other) for number, other in enumerate(others))]
    members, client = Members(preference), Client(*known)
    newest = max((one.last_write_date for one in known if one.last_write_date is not None), default=0.0)
    lags = {one.address: newest - (one.last_write_date or 0.0) for one in known if one.is_readable}
    primary = {one.address for one in known if one.is_writable}
    secondaries = {address for address, lag in lags.items() if lag + 1 <= 90} - primary
    match preference:
        case Secondary():
            fit = secondaries
        case SecondaryPreferred():
            fit = {one for one in secondaries if lags[one] <= BEHIND_S} or primary or secondaries
        case PrimaryPreferred():
            fit = primary or secondaries
        case _:
            fit = primary | secondaries
    best = {one for one in fit if lags[one] <= BEHIND_S} or fit
    if best:
        route = asyncio.run(members.follow(client))  # type: ignore[arg-type]
        assert route.address in best
        assert members.allows(client, route)  # type: ignore[arg-type]
    else:
        with pytest.raises(ServerSelectionTimeoutError):
            asyncio.run(members.follow(client))  # type: ignore[arg-type]


ROUTERS = [
    ServerDescription(
        (name, 27017), Hello({"ok": 1, "msg": "isdbgrid", "maxWireVersion": 17}), round_trip_time=0.001
    )
    for name in ("r", "s")
]


@pytest.mark.parametrize("preference", [ReadPreference.PRIMARY, Secondary([{"use": "relay"}], 90)])
async def test_a_cursor_stays_on_one_of_several_routers(preference: Any) -> None:
    client = Client()
    client.know(*ROUTERS, kind=TOPOLOGY_TYPE.Sharded)
    members = Members(preference)
    route = await members.follow(client)  # type: ignore[arg-type]
    assert route.address in {one.address for one in ROUTERS}
    assert members.allows(client, route)  # type: ignore[arg-type]
    assert all([await members.read(client) == route for _ in range(20)])  # type: ignore[arg-type]
    # When that router is gone, another is chosen.
    other = next(one for one in ROUTERS if one.address != route.address)
    client.know(other, kind=TOPOLOGY_TYPE.Sharded)
    assert not members.allows(client, route)  # type: ignore[arg-type]
    assert (await members.read(client)).address == other.address  # type: ignore[arg-type]


async def test_a_router_is_told_the_preference_and_a_member_is_not() -> None:
    preference = Secondary([{"use": "relay"}], 90)
    for kind, known in ((TOPOLOGY_TYPE.Sharded, ROUTERS), (TOPOLOGY_TYPE.Single, ROUTERS[:1])):
        client = Client()
        client.know(*known, kind=kind)
        route = await Members(preference).follow(client)  # type: ignore[arg-type]
        assert route.preference == preference
        assert route.address in {one.address for one in known}
    client = Client(member("c", "secondary", use="relay"))
    assert await Members(preference).follow(client) == Route(Nearest(), ("c", 27017))  # type: ignore[arg-type]


async def test_concurrent_commands_each_go_to_their_own_member() -> None:
    seen: list[tuple[Address, list[Address]]] = []

    class Database:
        async def command(self, command: Any, **_: Any) -> None:
            await asyncio.sleep(0)
            seen.append((command["to"], [one.address for one in only_wanted([P, A, B])]))

    routes = [Route(Nearest(), one.address) for one in (P, A, B) * 5]
    async with asyncio.TaskGroup() as group:
        for route in routes:
            group.create_task(route.command(Database(), {"to": route.address}))  # type: ignore[arg-type]
    assert len(seen) == 15
    assert all(went == [wanted] for wanted, went in seen)
    assert only_wanted([P, A, B]) == [P, A, B]
