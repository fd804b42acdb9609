r"""Redact what the patterns of the mapping file match: they are written as for Python's `re`, and run by RE2. Pure.

Why RE2: the patterns are written by the operator and run over texts that anybody may write. Python's `re` backtracks,
and on `ACME(?:\d\d|\d)+-END` its time grows by 60 % with every further digit, so that one event of a few dozen digits
would stop the event loop for hours. RE2 compiles a pattern into an automaton, which passes over a text once.

Rules of this file: the time of a search is in proportion to the length of the text; a pattern that RE2 cannot run, or
would read in another way than Python, is rejected at the start; nothing here raises on any text.

`\b` and `\B` are rejected, because RE2 knows them for ASCII words only: `\bACME-\w+\b` would miss a secret that ends
with an accented letter. A pattern finds what Python's `re` finds, with these exceptions: `(?i)` knows simple case
folding only (ı and İ are no i); a match of `$` before a last line feed includes it; of new characters, each of the two
knows those of its own version of Unicode. Property tests compare them.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from relay.tasks.names import REDACTED

PATTERN_LENGTH = 200  # characters; with a longer pattern the relay does not start
# Instructions of a compiled pattern; with a larger pattern the relay does not start. Up to this size RE2's fast
# automaton fits into its memory; beyond it RE2 falls back to an automaton that took 30 ms for a kilobyte.
_MAX_PROGRAM = 100_000
_MAX_MEMORY = (
    64 << 20
)  # bytes for the states of one automaton, made as texts need them; RE2 drops them at the limit
_SAMPLES = ("", "a", "A1 b_2-c.d/e", "\n")  # no pattern may match an empty string in one of these

# Python's classes, as parts of a character class of RE2: those of RE2 have ASCII characters only.
_CLASSES = {
    "d": r"\p{Nd}",
    "D": r"\P{Nd}",
    "w": r"\p{L}\p{N}_",
    "s": r"\x09-\x0d\x1c-\x20\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}",
    "S": r"\x00-\x08\x0e-\x1b\x21-\x{84}\x{86}-\x{9f}\x{a1}-\x{167f}\x{1681}-\x{1fff}\x{200b}-\x{2027}"
    r"\x{202a}-\x{202e}\x{2030}-\x{205e}\x{2060}-\x{2fff}\x{3001}-\x{10ffff}",
}
_ESCAPE = r"\\(?:u(?P<u>[0-9a-fA-F]{4})|U(?P<U>[0-9a-fA-F]{8})|(?P<escaped>.))"
# The parts of a pattern that have to be translated: outside of a character class, and inside one.
_TOKEN = re.compile(rf"(?s:{_ESCAPE}|\{{,(?P<most>[0-9]*)\}}|(?P<opening>\[\^?\]?)|(?P<end>\$))")
_IN_CLASS = re.compile(rf"(?s:{_ESCAPE}|(?P<closing>\])|(?P<bracket>\[))")


class BadPattern(ValueError):
    """A redaction pattern cannot be used. The message is the reason; it continues a sentence that names the pattern."""


class Patterns:
    """All redaction patterns of one deployment, compiled and ready to search. Immutable."""

    def __init__(self, patterns: Sequence[str]) -> None:
        """Compile the patterns. Raises BadPattern if RE2 cannot compile one of them, or if they are too large when
        they are compiled together."""
        self._each = [_compiled(pattern) for pattern in patterns]
        self._any = _any_of(tuple(patterns))

    def without(self, text: str) -> str:
        """Return the text with `[redacted]` in place of every match that is not empty, one pattern after the other.

        The search treats each `[redacted]` in the text as one character. So no pattern, such as `[a-z]`, can match a
        part of `[redacted]`, and the text cannot grow each time that it is searched.
        """
        encoded = text.replace(REDACTED, _MARK).encode("utf-8", "surrogatepass")
        if self._any.search(encoded) is None:  # one search for all: nearly every text has no match
            return text
        for regex in self._each:
            encoded = regex.sub(_instead, encoded)
        return encoded.decode("utf-8", "surrogatepass").replace(_MARK, REDACTED)


def check(pattern: str) -> None:
    """Check that a redaction pattern can be used. Raises BadPattern if it cannot."""
    _compiled(pattern)


def _instead(match: Any) -> bytes:
    return _MARK.encode() if match.start() < match.end() else b""


_MARK = "\ufdd0"  # Unicode reserves this code point for internal use; text does not have it


@lru_cache(maxsize=64)
def _compiled(pattern: str) -> Any:
    """Compile one pattern with RE2.

    Raises BadPattern if the pattern is too long or too large, is not valid in Python, cannot be run by RE2, or matches
    an empty string.
    """
    if len(pattern) > PATTERN_LENGTH:
        raise BadPattern(f"is longer than {PATTERN_LENGTH} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # Python warns of what it will read differently in future
            re.compile(pattern)
    except (re.error, OverflowError, RecursionError, Warning) as failure:
        raise BadPattern(f"is not a regular expression: {failure}") from None
    regex = _regex(_translated(pattern))
    if any(match.start() == match.end() for sample in _SAMPLES for match in regex.finditer(sample.encode())):
        raise BadPattern("matches an empty string")
    return regex


def _any_of(patterns: tuple[str, ...]) -> Any:
    try:
        return _regex("|".join(f"(?:{_translated(pattern)})" for pattern in patterns))
    except BadPattern:  # each pattern can be used alone, so there are too many
        raise BadPattern(f"are too large together: {_SMALLER}") from None


def _regex(pattern: str) -> Any:
    import re2  # here, because most deployments have no patterns, and the library takes 2 MB

    options = re2.Options()
    options.never_capture = True  # only the whole match matters, and groups cost time
    options.log_errors = False  # RE2 would write to standard error in its own format
    options.max_mem = _MAX_MEMORY
    try:
        regex = re2.compile(pattern.encode(), options)
    except (re2.error, UnicodeEncodeError) as failure:
        reason = failure.args[0].decode() if isinstance(failure, re2.error) else str(failure)
        if "too large" in reason:
            raise BadPattern(f"is too large: {_SMALLER}") from None
        raise BadPattern(
            "cannot be searched in a time in proportion to the text, as patterns with look-around, back-references "
            f"and possessive repetition cannot ({reason})"
        ) from None
    if regex.programsize > _MAX_PROGRAM:
        raise BadPattern(f"is too large: {_SMALLER}")
    return regex


_SMALLER = (
    "repeat less, or repeat classes with fewer characters, such as [A-Za-z0-9_]{1,100} in place of \\w{1,100}"
)


def _translated(pattern: str) -> str:
    """Return a pattern of Python's `re` in RE2's syntax, with the same meaning.

    Parts that RE2 does not support, such as look-around, are left unchanged, so that RE2 rejects the pattern.
    """
    parts: list[str] = []
    at = 0
    while (token := _TOKEN.search(pattern, at)) is not None:
        parts.append(pattern[at : token.start()])
        at = token.end()
        if token["opening"] is not None:
            translated, at = _class(pattern, token)
        elif token["end"] is not None:
            translated = r"(?:$|\n\z)"  # Python's $ matches before a last line feed as well
        elif token["most"] is not None:
            translated = f"{{0,{token['most']}}}"  # to RE2 {,3} is not a repetition
        elif token["escaped"] == "Z":
            translated = r"\z"
        elif token["escaped"] in ("b", "B"):
            raise BadPattern(
                f"has \\{token['escaped']}, which would know words of ASCII letters only: leave it out, or name the "
                "characters that may stand there"
            )
        elif token["escaped"] == "W":
            translated = f"[^{_CLASSES['w']}]"
        elif token["escaped"] in _CLASSES:
            translated = f"[{_CLASSES[token['escaped']]}]"
        else:
            translated = _escape(token)
        parts.append(translated)
    return "".join(parts) + pattern[at:]


def _class(pattern: str, opening: re.Match[str]) -> tuple[str, int]:
    """Translate the character class (`[…]`) that begins with the token `opening` to RE2's syntax.

    Return the translated class, and the index in the pattern after the end of the class.
    """
    parts = [opening[0].replace("]", r"\]")]  # directly after the opening a ] is a literal
    at = opening.end()
    while (token := _IN_CLASS.search(pattern, at)) is not None:
        parts.append(pattern[at : token.start()])
        at = token.end()
        if token["closing"] is not None:
            return "".join(parts) + "]", at
        if token["bracket"] is not None:
            parts.append(r"\[")  # to RE2 a [ may begin a class of POSIX, such as [:alpha:]
        elif token["escaped"] == "b":
            parts.append(r"\x08")
        elif token["escaped"] == "W":
            parts.append(_no_word_characters())
        else:
            parts.append(_CLASSES.get(token["escaped"] or "") or _escape(token))
    raise AssertionError("Python's own parser found the end of this class")


def _escape(token: re.Match[str]) -> str:
    code, char = token["u"] or token["U"], token["escaped"]
    if code is not None:
        return rf"\x{{{code}}}"
    return token[0] if char.isascii() else char  # RE2 knows escapes of ASCII alone


@lru_cache(maxsize=1)
def _no_word_characters() -> str:
    r"""Return the ranges of all characters that are not \w, for use inside a character class of RE2.

    Ranges are needed because a class of RE2 can hold the complement of one Unicode property, but not of several.
    """
    every = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x110000)]))
    ends = [(run[0][0], run[0][-1]) for run in re.finditer(r"\W+", every)]
    return "".join(rf"\x{{{ord(first):x}}}-\x{{{ord(last):x}}}" for first, last in ends)
