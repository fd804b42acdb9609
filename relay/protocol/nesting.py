"""How deep JSON is nested, found before it is parsed. Pure.

Python's own parser goes as deep as the stack of its interpreter allows, which is 1,000 levels on Python 3.11 and
10,000 on 3.13. What a peer may send must not depend on that.
"""

from __future__ import annotations

import re
from itertools import accumulate

_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
_OPENING, _CLOSING = b"[{", b"]}"
_OTHERS = bytes(byte for byte in range(256) if byte not in _OPENING + _CLOSING)
# Each bracket becomes what it adds to the depth, as a signed byte: 1 or -1.
_STEPS = bytes.maketrans(_OPENING + _CLOSING, b"\x01\x01\xff\xff")


def is_nested_deeper(json: bytes, levels: int) -> bool:
    """Are lists and objects nested deeper than `levels` in this JSON (UTF-8)?

    Exact for JSON. Of what is no JSON the answer is never False where a parser would go deeper before it notices.
    """
    if json.count(b"[") + json.count(b"{") <= levels:  # nearly always, and tells nearly all there is to know
        return False
    brackets = _STRING.sub(b"", json).translate(_STEPS, _OTHERS)
    return max(accumulate(memoryview(brackets).cast("b")), default=0) > levels
