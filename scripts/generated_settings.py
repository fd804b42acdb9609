"""What relay/config.py says about each setting: its description, its default, and the values that it accepts."""

from __future__ import annotations

import ast
import inspect
from typing import Literal, get_args, get_origin

from annotated_types import Ge, Le
from pydantic import SecretStr
from pydantic.fields import FieldInfo


def descriptions(of: type) -> dict[str, str]:
    """The string below each attribute of a class, by the attribute's name. Only the source has them: Python keeps
    none of them at run time."""
    (definition,) = ast.parse(inspect.getsource(of)).body
    assert isinstance(definition, ast.ClassDef)
    found = {}
    for statement, below in zip(definition.body, definition.body[1:], strict=False):
        if isinstance(statement, ast.AnnAssign) and isinstance(below, ast.Expr):
            assert isinstance(statement.target, ast.Name)
            found[statement.target.id] = " ".join(ast.literal_eval(below.value).split())
    return found


def default(field: FieldInfo) -> str:
    """Return the default as Markdown has it: `8080`, or – where there is none."""
    value = field.default
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if field.default_factory is not None or value in (None, "", ()):
        return "–"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def accepted(field: FieldInfo) -> str:
    """Return a sentence about the accepted values, with a space before it. An empty string if the type says enough."""
    if field.annotation is bool:
        return ""
    if get_origin(field.annotation) is Literal:
        return f" Accepted: {', '.join(f'`{one}`' for one in get_args(field.annotation))}."
    least = next((limit.ge for limit in field.metadata if isinstance(limit, Ge)), None)
    most = next((limit.le for limit in field.metadata if isinstance(limit, Le)), None)
    return "" if least is None else f" Accepted: {least:,} to {most:,}."
