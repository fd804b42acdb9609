"""A program of the Python client for scripts/lint: mypy checks it, and nothing runs it.

An ignored error is one that mypy has to find: it reports an ignore that is not needed.
"""

from __future__ import annotations

from collections.abc import Callable

from relay.client import Client, Message, connect
from relay.protocol.messages import Failed


def show(data: Failed, message: Message[Failed]) -> None:
    why: str | None = data.get("error")
    text: str = data["taskId"] + message.type
    print(why, text)
    data["eror"]  # type: ignore[typeddict-item]
    data["taskId"] = 7  # type: ignore[typeddict-item]


async def show_later(data: Failed, message: Message[Failed]) -> None:
    print(data, message)


def listen(relay: Client) -> Callable[[], None]:
    relay.on("task:pr_opened", lambda data, message: print(data.get("prUrl", "").strip(), message.at))
    relay.on("heartbeat", show)  # type: ignore[call-overload]
    relay.on("task:failed", show_later)  # type: ignore[call-overload]
    relay.on("task:faild", show)  # type: ignore[call-overload]
    return relay.on("task:failed", show)


async def failures() -> None:
    async with connect("https://relay.example", "token") as relay:
        listen(relay)
        board, task = relay.join_dashboard(), relay.join_task("t1")
        print(board.state == "ready", task.state in ("deleted", "forbidden"))
        print(board.state == "redy")  # type: ignore[comparison-overlap]
        print(task.state == "closed")  # type: ignore[comparison-overlap]
        async for message in relay.messages("task:failed"):
            show(message.data, message)
            message.data["prUrl"]  # type: ignore[typeddict-item]
        async for update in relay.messages("dashboard:task_list_updated"):
            if update.data["change"] == "upserted":
                print(update.data["eventCount"] + 1)
            else:
                update.data["eventCount"]  # type: ignore[typeddict-item]
        relay.messages("task:faild")  # type: ignore[call-overload]
        async for item in relay:
            if isinstance(item, Message):
                print(item.data["anything"])
