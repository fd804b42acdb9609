"""The Python client of the relay: it reconnects, resumes, and keeps a list and timelines current.

    async with connect("https://relay.example", token) as relay:
        task = relay.join_task("65f0c0ffee0123456789abcd")
        async for item in relay:
            print(item, len(task.events))

Start reading at `client.py`. `events.py` has the items an iteration yields, `views.py` the list and the timelines
that these items keep current.
"""

from relay.client.address import websocket_url
from relay.client.client import Client, connect
from relay.client.close_codes import judge
from relay.client.debug import DebugReport
from relay.client.events import Connected, ConnectionRefused, Disconnected, Item, Message, Position
from relay.client.tokens import TokenSource
from relay.client.views import ListState, TaskList, Timeline, TimelineState
from relay.protocol.types import ABNORMAL

__all__ = [
    "ABNORMAL",
    "Client",
    "Connected",
    "ConnectionRefused",
    "DebugReport",
    "Disconnected",
    "Item",
    "ListState",
    "Message",
    "Position",
    "TaskList",
    "Timeline",
    "TimelineState",
    "TokenSource",
    "connect",
    "judge",
    "websocket_url",
]
