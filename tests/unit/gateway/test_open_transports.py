"""What an open connection keeps of asyncio's transport, and of its session."""

from __future__ import annotations

import asyncio
import sys

from support.relay_fixture import SOON_S

from relay.gateway.transports import forget_addresses
from relay.tasks.mapping import Visibility
from relay.tasks.visibility import Audience, Principal


async def test_a_transport_forgets_its_addresses_and_goes_on() -> None:
    async with asyncio.timeout(SOON_S):
        server = await asyncio.start_server(answer_once, "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            assert writer.get_extra_info("peername") is not None
            forget_addresses(writer.transport)
            assert writer.get_extra_info("peername") is None
            assert writer.get_extra_info("sockname") is None
            assert writer.get_extra_info("socket") is not None
            writer.write(b"?")
            assert await reader.read() == b"!"
            writer.close()
            await writer.wait_closed()


async def answer_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    forget_addresses(writer.transport)
    if await reader.readexactly(1) == b"?":
        writer.write(b"!")
    writer.close()


def test_a_transport_of_another_kind_is_left_alone() -> None:
    forget_addresses(asyncio.BaseTransport())
    forget_addresses(object())  # type: ignore[arg-type]


def test_a_filter_that_is_made_later_is_the_filter_of_its_user() -> None:
    audience = Audience(Visibility())
    principals = [Principal(sub, {"sub": sub}, 0.0) for sub in ("alice", "bob")]
    later = [audience.later_filter_for(principal) for principal in principals]
    assert [made() for made in later] == [audience.filter_for(principal) for principal in principals]
    assert sys.getsizeof(later[0]) <= 48, "each connection holds one"
