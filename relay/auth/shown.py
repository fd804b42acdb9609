"""Text of strangers, made safe for a log line: one short line, and no token in it. Pure."""

from __future__ import annotations

import re

MAX_SHOWN_CHARS = 200  # of one text in a log line; an ellipsis replaces the rest
# A token, or the beginning of one: its header is JSON, and `{"` is `eyJ` in base64url. Also two long words of base64url
# with a dot between them, which may be a token whose beginning is missing.
_TOKEN = re.compile(r"eyJ[\w-]*(?:\.[\w-]*)*|[\w-]{16,}(?:\.[\w-]{16,})+", re.ASCII)


def shown(text: str) -> str:
    """Return the text as a log line shows it: cut to MAX_SHOWN_CHARS characters, without what may be a token, and each
    unprintable character replaced by U+FFFD."""
    if len(text) > MAX_SHOWN_CHARS:
        # Cut only after the tokens are out: the rest of a token that was cut might not look like one.
        text = _TOKEN.sub("[hidden]", text[: 16 * MAX_SHOWN_CHARS])
        text = text if len(text) <= MAX_SHOWN_CHARS else text[: MAX_SHOWN_CHARS - 1] + "…"
    elif "." in text or "eyJ" in text:
        text = _TOKEN.sub("[hidden]", text)
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
