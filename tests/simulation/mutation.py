"""What a fault is that can be put into the code for one run; `mutations.py` has all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

Patch = Callable[[], AbstractContextManager[Any]]


@dataclass(frozen=True, slots=True)
class Mutation:
    """`kind`: what it is found as (`referee.KINDS`), by these `readers`. `python` patches; `javascript` is (a
    file below relay/web/client, the text that must be in it once, what stands there instead). `seed`: one that
    finds it soon, where the first ones do not. `without`: troubles that mend or hide it."""

    about: str
    kind: str
    readers: Sequence[str] = ("naive",)
    python: Patch = nullcontext
    javascript: Sequence[tuple[str, str, str]] = ()
    seed: int = 1
    without: Sequence[str] = ()


def replaced(owner: Any, name: str, make: Callable[[Any], Any]) -> Patch:
    """A patch of one attribute, made from what it was."""

    @contextmanager
    def patched() -> Iterator[None]:
        with patch.object(owner, name, make(getattr(owner, name))):
            yield

    return patched
