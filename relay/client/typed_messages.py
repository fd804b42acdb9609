"""The methods of a client that take the type of a message: a type checker knows the data of each type.
scripts/generate writes this file from the declaration in relay/protocol/messages.py: change that one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, Literal, TypeVar, overload

from relay.client.events import Message
from relay.protocol.messages import (
    Analyzing,
    AuthExpiring,
    AuthOk,
    ClarificationNeeded,
    Created,
    DashboardLeft,
    DashboardState,
    Deleted,
    Dispatched,
    Draining,
    Error,
    EventAdded,
    Failed,
    Heartbeat,
    ListUpdated,
    Pong,
    PrMerged,
    PrOpened,
    ResyncDone,
    Revoked,
    StreamStatus,
    TaskLeft,
    TaskState,
    Updated,
    Welcome,
)

D = TypeVar("D")
Callback = Callable[[D, Message[D]], None]
Unsubscribe = Callable[[], None]


class TypedMessages:
    """What `Client` offers for one type of message. At run time every type is accepted, also one that only a newer
    relay sends."""

    @overload
    def on(self, type: Literal["welcome"], callback: Callback[Welcome]) -> Unsubscribe: ...
    @overload
    def on(self, type: Literal["heartbeat"], callback: Callback[Heartbeat]) -> Unsubscribe: ...
    @overload
    def on(self, type: Literal["pong"], callback: Callback[Pong]) -> Unsubscribe: ...
    @overload
    def on(self, type: Literal["dashboard:state"], callback: Callback[DashboardState]) -> Unsubscribe: ...
    @overload
    def on(self, type: Literal["dashboard:left"], callback: Callback[DashboardLeft]) -> Unsubscribe: ...
    @overload
    def on(self, type: Literal["task:state"], callback: Callback[TaskState]) -> Unsubscribe: ...
    @overload
    def on(self, type: Literal["task:left"], callback: Callback[TaskLeft]) -> Unsubscribe: ...
    @overload
    def on(self, type: Literal["resync:done"], callback: Callback[ResyncDone]) -> Unsubscribe: ...
    @overload
    def on(self, type: Literal["task:created"], callback: Callback[Created]) -> Unsubscribe: ...
    @overload
    def on(self, type: Literal["task:analyzing"], callback: Callback[Analyzing]) -> Unsubscribe: ...
    @overload
    def on(
        self, type: Literal["task:clarification_needed"], callback: Callback[ClarificationNeeded]
    ) -> Unsubscribe: ...
    @overload
    def on(self, type: Literal["task:dispatched"], callback: Callback[Dispatched]) -> Unsubscribe: ...
    @overload
    def on(self, type: Literal["task:pr_opened"], callback: Callback[PrOpened]) -> Unsubscribe: ...
    @overload
    def on(self, type: Literal["task:pr_merged"], callback: Callback[PrMerged]) -> Unsubscribe: ...
    @overload
    def on(self, type: Literal["task:failed"], callback: Callback[Failed]) -> Unsubscribe: ...
    @overload
    def on(self, type: Literal["task:event_added"], callback: Callback[EventAdded]) -> Unsubscribe: ...
    @overload
    def on(self, type: Literal["task:updated"], callback: Callback[Updated]) -> Unsubscribe: ...
    @overload
    def on(
        self, type: Literal["dashboard:task_list_updated"], callback: Callback[ListUpdated]
    ) -> Unsubscribe: ...
    @overload
    def on(self, type: Literal["task:deleted"], callback: Callback[Deleted]) -> Unsubscribe: ...
    @overload
    def on(self, type: Literal["task:revoked"], callback: Callback[Revoked]) -> Unsubscribe: ...
    @overload
    def on(self, type: Literal["stream:status"], callback: Callback[StreamStatus]) -> Unsubscribe: ...
    @overload
    def on(self, type: Literal["auth:expiring"], callback: Callback[AuthExpiring]) -> Unsubscribe: ...
    @overload
    def on(self, type: Literal["auth:ok"], callback: Callback[AuthOk]) -> Unsubscribe: ...
    @overload
    def on(self, type: Literal["server:draining"], callback: Callback[Draining]) -> Unsubscribe: ...
    @overload
    def on(self, type: Literal["error"], callback: Callback[Error]) -> Unsubscribe: ...
    def on(self, type: str, callback: Callback[Any]) -> Unsubscribe:
        """Call back for every message of this type, as in `relay.on("task:failed", show)`, with its data and the
        message itself, while somebody iterates over the client: after the views show the message and before the
        iteration yields it. An error that the callback raises ends the iteration with it.

        The function that is returned removes the callback. Raises TypeError for a coroutine function.
        """
        return self._listen(type, callback)

    @overload
    def messages(self, type: Literal["welcome"]) -> AsyncIterator[Message[Welcome]]: ...
    @overload
    def messages(self, type: Literal["heartbeat"]) -> AsyncIterator[Message[Heartbeat]]: ...
    @overload
    def messages(self, type: Literal["pong"]) -> AsyncIterator[Message[Pong]]: ...
    @overload
    def messages(self, type: Literal["dashboard:state"]) -> AsyncIterator[Message[DashboardState]]: ...
    @overload
    def messages(self, type: Literal["dashboard:left"]) -> AsyncIterator[Message[DashboardLeft]]: ...
    @overload
    def messages(self, type: Literal["task:state"]) -> AsyncIterator[Message[TaskState]]: ...
    @overload
    def messages(self, type: Literal["task:left"]) -> AsyncIterator[Message[TaskLeft]]: ...
    @overload
    def messages(self, type: Literal["resync:done"]) -> AsyncIterator[Message[ResyncDone]]: ...
    @overload
    def messages(self, type: Literal["task:created"]) -> AsyncIterator[Message[Created]]: ...
    @overload
    def messages(self, type: Literal["task:analyzing"]) -> AsyncIterator[Message[Analyzing]]: ...
    @overload
    def messages(
        self, type: Literal["task:clarification_needed"]
    ) -> AsyncIterator[Message[ClarificationNeeded]]: ...
    @overload
    def messages(self, type: Literal["task:dispatched"]) -> AsyncIterator[Message[Dispatched]]: ...
    @overload
    def messages(self, type: Literal["task:pr_opened"]) -> AsyncIterator[Message[PrOpened]]: ...
    @overload
    def messages(self, type: Literal["task:pr_merged"]) -> AsyncIterator[Message[PrMerged]]: ...
    @overload
    def messages(self, type: Literal["task:failed"]) -> AsyncIterator[Message[Failed]]: ...
    @overload
    def messages(self, type: Literal["task:event_added"]) -> AsyncIterator[Message[EventAdded]]: ...
    @overload
    def messages(self, type: Literal["task:updated"]) -> AsyncIterator[Message[Updated]]: ...
    @overload
    def messages(
        self, type: Literal["dashboard:task_list_updated"]
    ) -> AsyncIterator[Message[ListUpdated]]: ...
    @overload
    def messages(self, type: Literal["task:deleted"]) -> AsyncIterator[Message[Deleted]]: ...
    @overload
    def messages(self, type: Literal["task:revoked"]) -> AsyncIterator[Message[Revoked]]: ...
    @overload
    def messages(self, type: Literal["stream:status"]) -> AsyncIterator[Message[StreamStatus]]: ...
    @overload
    def messages(self, type: Literal["auth:expiring"]) -> AsyncIterator[Message[AuthExpiring]]: ...
    @overload
    def messages(self, type: Literal["auth:ok"]) -> AsyncIterator[Message[AuthOk]]: ...
    @overload
    def messages(self, type: Literal["server:draining"]) -> AsyncIterator[Message[Draining]]: ...
    @overload
    def messages(self, type: Literal["error"]) -> AsyncIterator[Message[Error]]: ...
    def messages(self, type: str) -> AsyncIterator[Message[Any]]:
        """Iterate over the messages of this type only, as in `async for message in relay.messages("task:failed")`.

        It is the same iteration as that over the client: everything else is applied to the views and passed over,
        and only one task can iterate at a time. Ends and raises as that does.
        """
        return self._select(type)

    def _listen(self, type: str, callback: Callback[Any]) -> Unsubscribe:
        raise NotImplementedError

    def _select(self, type: str) -> AsyncIterator[Message[Any]]:
        raise NotImplementedError
