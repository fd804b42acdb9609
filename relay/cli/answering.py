"""What a command with `--json` prints when it could not do its work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer

from relay.errors import StartupError


@contextmanager
def answering(as_json: bool, answer: Callable[[str], dict[str, Any]]) -> Iterator[None]:
    """Print `answer` of its sentence for a StartupError, if the command answers in JSON, and raise the error again.

    So a program that reads standard output can parse it whether or not the command could do its work.
    """
    try:
        yield
    except StartupError as failure:
        if as_json:
            from json import dumps

            typer.echo(dumps(answer(str(failure))))
        raise
