"""The Python client of the relay: it reconnects, resumes, and keeps a list and timelines current.

    async with connect("https://relay.example", token) as relay:
        task = relay.join_task("65f0c0ffee0123456789abcd")
        async for item in relay:
            print(item, len(task.events))

`items` is what comes, `live` what it amounts to; `client` is where to begin reading.
"""

from relay.client.address import websocket_url
from relay.client.client import Client, connect
from relay.client.endings import ABNORMAL, judge
from relay.client.items import Connected, ConnectionRefused, Disconnected, Item, Message, Position
from relay.client.live import TaskList, Timeline
from relay.client.tokens import TokenSource

__all__ = [
    "ABNORMAL",
    "Client",
    "Connected",
    "ConnectionRefused",
    "Disconnected",
    "Item",
    "Message",
    "Position",
    "TaskList",
    "Timeline",
    "TokenSource",
    "connect",
    "judge",
    "websocket_url",
]
