"""Paths of routes that end in a parameter with any characters, such as the id of a task."""

from __future__ import annotations

from starlette.convertors import StringConvertor, register_url_convertor


class _RestOfPath(StringConvertor):
    """A Starlette path convertor that matches the rest of a path. Unlike Starlette's convertor `path`, it also matches
    line breaks, because the id of a task or of a user may contain them."""

    regex = "(?s:.*)"


register_url_convertor("rest", _RestOfPath())


def rest_of(path: str, name: str) -> str:
    """Return the path of a route, as Starlette writes it, that begins with `path` and a slash. The parameter `name` is
    the rest."""
    return f"{path}/{{{name}:rest}}"
