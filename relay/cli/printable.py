"""Text of other people, made safe to print on a terminal. Pure.

Rule of this file: no character that is not printable passes, because a terminal obeys control characters.
"""

from __future__ import annotations

from collections.abc import Callable

TEXT_MAX_CHARS = 200  # of one untrusted text in a line; an ellipsis replaces the rest
_JSON_SPACE = str.maketrans("\t\n\r", "   ")


def visible(text: str, limit: int = TEXT_MAX_CHARS) -> str:
    """Return the text with printable characters only. At most `limit` characters are shown, counted before any of
    them is escaped."""
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    return text if text.isprintable() else escaped(text, _unicode_escape)


def escaped(text: str, escape: Callable[[str], str]) -> str:
    """Return the text with each unprintable character replaced by what `escape` makes of it."""
    # Zero-width joiners are kept: they neither move the cursor nor change the reading direction, and some scripts
    # cannot be read without them.
    return "".join(c if c.isprintable() or c in "\u200c\u200d" else escape(c) for c in text)


def json_escape(character: str) -> str:
    r"""Return the character as JSON escapes it: \uXXXX for each of its UTF-16 code units."""
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[i : i + 4]}" for i in range(0, len(units), 4))


def json_line(text: str, *, ascii_only: bool) -> str:
    """Return this JSON on one line, with no character that a terminal obeys or a reader of lines takes for an end of
    a line. `ascii_only` escapes all others that are not ASCII, too. It parses to the same value as before."""
    if text.isprintable() and (text.isascii() or not ascii_only):
        return text
    # Raw tabs and line endings can only stand between the tokens of JSON, where a space means the same.
    text = text.translate(_JSON_SPACE)
    if ascii_only:
        return "".join(c if " " <= c <= "~" else json_escape(c) for c in text)
    return escaped(text, json_escape)


def counted(number: int, noun: str) -> str:
    """Return the number with its noun, in the plural unless the number is 1."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _unicode_escape(character: str) -> str:
    return character.encode("unicode_escape").decode()
