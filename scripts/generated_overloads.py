"""Write the methods of the Python client that take the type of a message: one overload for each type, from the
declaration in relay/protocol/messages.py."""

from __future__ import annotations

from relay.protocol.messages import SERVER
from relay.protocol.types import Kind

LINE_LENGTH = 110
NAMES = {kind: getattr(data, "__name__", "ListUpdated") for kind, data in SERVER.items()}

HEAD = '''"""The methods of a client that take the type of a message: a type checker knows the data of each type.
scripts/generate writes this file from the declaration in relay/protocol/messages.py: change that one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, Literal, TypeVar, overload

from relay.client.events import Message
from relay.protocol.messages import (
{imports}
)

D = TypeVar("D")
Callback = Callable[[D, Message[D]], None]
Unsubscribe = Callable[[], None]


class TypedMessages:
    """What `Client` offers for one type of message. At run time every type is accepted, also one that only a newer
    relay sends."""
'''
ON = '''
    def on(self, type: str, callback: Callback[Any]) -> Unsubscribe:
        """Call back for every message of this type, as in `relay.on("task:failed", show)`, with its data and the
        message itself, while somebody iterates over the client: after the views show the message and before the
        iteration yields it. An error that the callback raises ends the iteration with it.

        The function that is returned removes the callback. Raises TypeError for a coroutine function.
        """
        return self._listen(type, callback)
'''
MESSAGES = '''
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
'''


def typed_messages() -> str:
    """Return the file `typed_messages.py`."""
    imports = "\n".join(f"    {name}," for name in sorted(NAMES.values()))
    on = "".join(
        _overload("on", ["self", f"type: {_literal(kind)}", f"callback: Callback[{name}]"], "Unsubscribe")
        for kind, name in NAMES.items()
    )
    messages = "".join(
        _overload("messages", ["self", f"type: {_literal(kind)}"], f"AsyncIterator[Message[{name}]]")
        for kind, name in NAMES.items()
    )
    return (
        HEAD.replace("{imports}", imports)
        + "\n"
        + on
        + ON.removeprefix("\n")
        + "\n"
        + messages
        + MESSAGES[1:]
    )


def _literal(kind: Kind) -> str:
    return f'Literal["{kind.value}"]'


def _overload(name: str, parameters: list[str], returns: str) -> str:
    line = f"    def {name}({', '.join(parameters)}) -> {returns}: ..."
    if len(line) > LINE_LENGTH:  # as ruff divides it
        line = f"    def {name}(\n        {', '.join(parameters)}\n    ) -> {returns}: ..."
    return f"    @overload\n{line}\n"
