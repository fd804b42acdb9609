"""A client that polls, one request at a time, and keeps the state it received. Does I/O."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import orjson

from relay.app import Relay
from support.raw_client import tcp_connection
from support.relay_fixture import SOON_S, token


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: Any

    @property
    def types(self) -> list[str]:
        return [message["type"] for message in self.body["messages"]]


def request(body: Any, *headers: str, sub: str | None = "alice", path: str = "/poll", **claims: Any) -> bytes:
    """Return the bytes of a poll request."""
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    lines = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {len(content)}", *headers]
    if sub is not None:
        lines.append(f"Authorization: Bearer {token(sub, **claims)}")
    return "\r\n".join([*lines, "", ""]).encode() + content


async def post(relay: Relay | str, body: Any, *headers: str, **how: Any) -> Answer:
    """Send one poll on a new connection and return the response."""
    async with tcp_connection(relay if isinstance(relay, str) else relay.url) as peer:
        peer.send(request(body, "Connection: close", *headers, **how))
        status, head = await peer.answer()
        lines = [line.partition(": ") for line in head.decode().split("\r\n")[1:] if line]
        headers = {name.lower(): value for name, _, value in lines}
        async with asyncio.timeout(SOON_S):
            content = await peer.reader.readexactly(int(headers["content-length"]))
    # A proxy in front of the relay answers with a page when it has no relay to ask.
    is_json = headers.get("content-type", "").startswith("application/json")
    return Answer(status, headers, orjson.loads(content) if content and is_json else None)


@dataclass
class Poller:
    """Keeps its tasks and list as PROTOCOL.md, section 8, requires. Fails on gaps and repeated events."""

    sub: str
    wanted: list[str] = field(default_factory=list)
    dashboard: dict[str, Any] | None = None
    timelines: dict[str, list[Any]] = field(default_factory=dict)
    summaries: dict[str, Any] = field(default_factory=dict)
    listed: dict[str, Any] = field(default_factory=dict)
    moment: str | None = None
    _positions: dict[str, dict[str, Any]] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        tasks = [{"taskId": task_id, **self._positions.get(task_id, {})} for task_id in self.wanted]
        body = {"tasks": tasks} | ({"moment": self.moment} if self.moment else {})
        return body | ({"dashboard": self.dashboard} if self.dashboard is not None else {})

    async def poll(self, relay: Relay | str) -> Answer:
        answer = await post(relay, self.body(), sub=self.sub)
        assert answer.status == 200, answer
        self.moment = max(self.moment or "0.0", answer.body["moment"], key=_numbers)
        for message in answer.body["messages"]:
            self._apply(message["type"], message["data"])
        for task_id, etag in answer.body.get("tasks", {}).items():
            self._positions[task_id] |= etag
        if self.dashboard is not None:
            self.dashboard |= answer.body.get("dashboard", {})
        return answer

    def _apply(self, kind: str, data: dict[str, Any]) -> None:
        match kind:
            case "task:state":
                task_id, start = data["taskId"], data["from"]
                held = self.timelines.get(task_id, [])
                assert start <= len(held), "a gap"
                assert not data["reset"] or start == 0
                self.timelines[task_id] = held[:start] + data["events"]
                assert len(self.timelines[task_id]) == data["next"]
                self.summaries[task_id] = data["task"]
                self._positions[task_id] = {"since": data["next"], "head": data["head"]}
            case "error":
                assert data["code"] == "forbidden"
                assert "forbidden" not in self._positions.get(data["taskId"], {}), "refused twice"
                self.timelines.pop(data["taskId"], None)
                self.summaries.pop(data["taskId"], None)
                self._positions[data["taskId"]] = {"forbidden": True}
            case "dashboard:state":
                self.listed = {} if data["reset"] else self.listed
                self.listed |= {task["taskId"]: task for task in data["tasks"]}
            case "dashboard:task_list_updated":
                assert (self.dashboard or {}).get("updates"), "nobody asked for it"
                if data["change"] == "upserted":
                    self.listed[data["taskId"]] = {name: data[name] for name in data if name != "change"}
                else:
                    self.listed.pop(data["taskId"], None)
            case _:
                assert kind == "stream:status"


def _numbers(moment: str) -> tuple[int, ...]:
    return tuple(map(int, moment.split(".")))
