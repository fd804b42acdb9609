"""The types of dotted paths in a mapping file, such as `github.prUrl`: a path, or a list of paths to try. Pure."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator


def _as_list(value: Any) -> list[Any]:
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list) or not value:
        raise ValueError("must be a path or a list of paths")
    return value


def _valid_path(path: Any) -> str:
    if not isinstance(path, str) or any(not name for name in path.split(".")):
        raise ValueError('must be a dotted path, such as "github.prUrl"')
    if path.startswith("$") or ".$" in path:
        raise ValueError("must not have a name that begins with $")
    if "\0" in path or "\ufffd" in path:
        raise ValueError("must not have a name with NUL or U+FFFD")
    return path


def filled(value: str) -> str:
    """Return a string unchanged. Raises ValueError if it is empty."""
    if not value:
        raise ValueError("must not be empty")
    return value


DottedPath = Annotated[str, BeforeValidator(_valid_path)]
Paths = Annotated[tuple[DottedPath, ...], BeforeValidator(_as_list)]
