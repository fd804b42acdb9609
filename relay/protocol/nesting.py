"""Measure how deep JSON is nested before it is parsed. Pure.

Python's own JSON parser goes as deep as the stack of its interpreter allows: 1,000 levels on Python 3.11, 10,000 on
3.13. What a peer may send must not depend on that, so every limit is checked here first.
"""

from __future__ import annotations

import re
from itertools import accumulate

_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
_OPENING, _CLOSING = b"[{", b"]}"
_OTHERS = bytes(byte for byte in range(256) if byte not in _OPENING + _CLOSING)
# Maps each bracket to what it adds to the depth, as a signed byte: 1 or -1. Summing the bytes gives the depth.
_STEPS = bytes.maketrans(_OPENING + _CLOSING, b"\x01\x01\xff\xff")


def is_nested_deeper(json: bytes, levels: int) -> bool:
    """Return whether arrays and objects are nested deeper than `levels` in this JSON (UTF-8).

    The answer is exact for JSON. For other bytes it is True wherever a parser would go deeper before it notices that
    they are not JSON.
    """
    # Nearly every request has fewer opening brackets than levels are allowed, and then needs no closer look.
    if json.count(b"[") + json.count(b"{") <= levels:
        return False
    # Brackets inside strings do not count, so the strings go first.
    brackets = _STRING.sub(b"", json).translate(_STEPS, _OTHERS)
    return max(accumulate(memoryview(brackets).cast("b")), default=0) > levels
