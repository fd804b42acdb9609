"""The answer of a command with `--json` that could not do its work: one JSON object, as when it can. Pure.

Each has the names that a program asks for first, in the sense that denies, and the sentence of standard error.
"""

from __future__ import annotations

from typing import Any


def of_check(sentence: str) -> dict[str, Any]:
    """Return the answer of `relay check` whose settings or mapping cannot be used."""
    return {"works": False, "findings": [], "problems": [sentence]}


def of_config(sentence: str) -> dict[str, Any]:
    """Return the answer of `relay config` where a setting cannot even be read."""
    return {"settings": {}, "mapping": {}, "problems": [sentence]}


def of_explain(sentence: str) -> dict[str, Any]:
    """Return the answer of `relay explain` whose settings, mapping or database cannot be used."""
    return {"visible": False, "verdict": "unknown", "sentence": sentence}


def of_admin(sentence: str) -> dict[str, Any]:
    """Return the answer of a command of `relay admin` that nobody answers, or that the relay refuses."""
    return {"problems": [sentence]}
