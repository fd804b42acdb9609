"""Spans of time in words, for the reasons why a token is refused. Pure."""

from __future__ import annotations

_UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))


def span(seconds: float) -> str:
    """Return the length of a span in its largest unit, rounded towards zero, such as `3 days`. The sign is ignored."""
    size = abs(seconds)
    unit, length = next((one for one in _UNITS if size >= one[1]), _UNITS[-1])
    count = int(size // length)
    return f"{count} {unit}{'' if count == 1 else 's'}"
