"""Find the value that follows the name of a secret in a string, as in `password: x`. Pure.

This file finds where such a value begins and ends, and whether the value is harmless: it cannot be a secret, for
example because it is a count (`tokens: 120`), and so is not redacted.

Rules of this file: nothing here raises on any string; a value is read once, so the time is in proportion to its
length; a value whose end is missing is the rest of the string, because a string may have been cut anywhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from relay.tasks.names import REDACTED, Harmless
from relay.tasks.secret_words import OF_WORDS, PROSE, STATE, is_listed

_COUNTS_LENGTH = 300  # characters of a list or an object that may hold nothing but counts
SPACE = r" \t\u00a0\u2000-\u200a\u202f\u3000"  # white space within a line, as a part of a character class
_QUOTES = "\"'`"
_MARK = re.escape(REDACTED)
# A type between a name and its default: `password: str = "x"`.
_TYPE = re.compile(
    r"(?:str|string|String|bytes|Buffer|char|text|any|Any|SecretStr|Optional\[str\]|Secret)(?: ?\| ?\w{1,20})?\??"
    r"[ \t]{0,4}=[ \t]{0,4}"
)
# The opening quote of a value. The quote has backslashes in front if the text was embedded in a string, possibly
# several times, and it is an entity such as &quot; if the text was embedded in HTML.
OPENING = re.compile(r"[bBfFrRuU@$]{0,2}(?P<slashes>\\{0,8})(?P<quote>\"\"\"|'''|[\"'`]|&quot;|&#3[49];)")
_CLOSING = {quote: re.compile(rf"(?s:[^\\{quote}]|\\.)*+{quote}") for quote in _QUOTES}
# A reference in place of a value: `${DB_PASSWORD}`, `{{ password }}`.
_REFERENCE = re.compile(
    r"(?:\$\{[A-Za-z_][\w.]{0,100}\}|\$?\{\{[ \t]{0,4}[\w.-]{1,100}[ \t]{0,4}\}\})(?=[\s\"'`,;)\]}\\]|\Z)"
)
# Code that gets the value when it runs: `await getToken()`, `getpass()`, `os.environ['DB_PASSWORD']`.
_VARIABLE = r"[\"'`]?\w{1,80}[\"'`]?"
_PATH = r"(?:await[ \t]{1,4})?(?:[A-Za-z_$][\w$]{0,60}\.){0,6}+"
_LOOKS_UP = r"(?:(?<=environ\.)get|(?<=env\.)get|(?<=ENV\.)fetch|env|getenv|Getenv)"
_READS = (
    rf"{_PATH}(?:[A-Za-z_$][\w$]{{0,60}}\(\)|{_LOOKS_UP}\({_VARIABLE}\)"
    rf"|(?:(?<=os\.)environ|(?<=process\.)env|ENV)\[{_VARIABLE}\]"
    r"|(?:(?<=process\.env\.)|(?<=meta\.env\.))\w{1,80})"
)
_READ = re.compile(
    rf"{_READS}(?:\.\w{{1,40}}\(\)){{0,4}}!?(?=[ \t]{{0,40}}(?:[;,)\]}}\r\n#]|//|[\"'`](?!\w)|\\[nr\"'`]|\Z))"
)
# Such code followed by a default value, which may be a secret: `os.getenv("TOKEN", "x")`, `getToken() || "x"`.
_OR_ELSE = re.compile(rf"{_READS}|{_PATH}{_LOOKS_UP}\({_VARIABLE}[ \t]{{0,8}},")
# The end of a line after a name in YAML, where an indented block may follow.
# Then the beginning of a here-document, and a line of a single word, which may end the here-document.
_BLOCK = re.compile(r"(?:[|>][-+0-9]{0,2}[ \t]{0,8})?\r?\n")
_HEREDOC = re.compile(r"(?:(?:\$\(|`)?cat[ \t]{0,4})?<<-?[ \t]?\\?[\"']?([A-Za-z_]{1,40})[^\n]{0,80}\n")
_ALONE = re.compile(r"^[ \t]{0,40}([A-Za-z_]{1,40})[ \t]{0,40}$", re.MULTILINE)
_END_OF_LINE = re.compile(r"[\r\n]|\\{1,8}[rn]|\Z")
_ASSIGNS = r"[A-Za-z_$][\w.$\[\]-]{0,40}"  # another name, which ends the value before it
# First one character of a value without quotes (or a whole `[redacted]`), then three forms of such a value: `_TIGHT`
# has no spaces, `_LOOSE` may have several words, and `_LINE` ends with the line or with the quotes around it.
_ONE = (
    rf"{_MARK}|[^\s,;&\"'`\\)\]}}<\[]|\[(?!{_MARK[2:]})|[,;&](?!\s|\Z|\\{{1,8}}[nrt]|{_ASSIGNS}[=:])"
    r"|[)\]}](?![\s,;.:)\]}\"'`\\]|\Z)|[\"'`](?=\w)|\\(?!\\{0,7}[nrt\"'`])|<(?!/|br)"
)
_TIGHT = re.compile(rf"(?:{_ONE})*+")
_LOOSE = re.compile(
    rf"(?:{_ONE}|(?:(?<![.!?])[{SPACE}]++|(?<=[.!?])[{SPACE}]++(?![A-Z]))"
    rf"(?![\"']?{_ASSIGNS}[\"']?[ \t]?[:=]|\#|-|\||&|/[/*])(?=\S))*+"
)
_LINE = re.compile(
    r"(?:[^\r\n\\\"'`]|\\(?!\\{0,7}[nr\"'`])"
    r"|[\"'`](?![ \t]{0,8}(?:,(?![ \t]{0,8}[\w-]{1,40}=)|[:}\])]|\Z|[\r\n\\])|[ \t]{1,8}(?:-|https?:)))*+"
)
# An authentication scheme in front of the credentials in a header, such as `Bearer`.
_SCHEME = re.compile(r"(?i:bearer|basic|token|api-?key|negotiate|ntlm|key)[ \t]+")
_BRACKETS = re.compile(r"[\[\]{}]|\\{0,8}[\"'`]")
# A name that stands alone on its line, followed only by a colon: first the pattern for what precedes the name, then the
# pattern for the next line, if that line is a single word and so may be the value.
_LINE_ALONE = re.compile(r"(?:\A|[\r\n]|\\{1,8}[nr])[ \t]{0,8}[*#]{0,4} ?\Z")
_NEXT_LINE = re.compile(
    r"\r?\n(?!<|https?:|[A-Za-z_][\w.-]{0,40}=[^=\s])(?=[^\s]{0,40}?[A-Za-z0-9])"
    r"([^\s]{1,400}+)(?<![:{}\[\](),>])(?=[ \t]{0,8}(?:[\r\n]|\Z))"
)
# A number as texts and code write it: `1,234`, `~12k`, `n=12`. Further below, lists and objects that hold nothing but
# numbers and booleans.
NUMBER = re.compile(
    r"(?:[a-z_]{1,20}[=:] ?)?[~<>≈$+-]{0,2}(\d{1,15}(?:[,_]\d{3}){0,4})(?:\.\d{1,9})?[kKmM%]?(?!\w|\.\w)"
)
_COUNTED = r"(?:-?\d{1,15}(?:\.\d{1,9})?|true|false|null|None|True|False)(?!\w)"
_COUNTS = re.compile(
    r"(?:[\s\[\]{},]|-(?=[ \t])|\\{1,8}[nrt](?=[\W_])"
    rf"|\\{{0,8}}[\"']?[A-Za-z_][\w -]{{0,40}}\\{{0,8}}[\"']?\s{{0,4}}[:=](?=[ \t]{{0,8}}(?:{_COUNTED}|[\[{{\r\n\\]))"
    rf"|{_COUNTED})*+"
)


@dataclass(slots=True)
class Found:
    """A value found in a string: the indexes where it begins and ends, and the value itself.

    `bare` is true if the value has no quotes around it, so that it may be a number.
    """

    start: int
    end: int
    value: Any
    bare: bool = False


def value_at(text: str, at: int, start: int, end: int, *, loose: bool, outer: str) -> Found | None:
    """Find the value that begins at the index `at` and belongs to the name between the indexes `start` and `end`.

    Return None if there is no value, or if it cannot be a secret: a reference such as `${PASSWORD}`, code that reads
    the secret elsewhere, or prose. `loose` says that a value without quotes may have several words; it then ends with
    its line or before another name. `outer` is the quote directly before the name (empty if there is none); the same
    quote also ends the value.
    """
    typed = _TYPE.match(text, at)
    if typed is not None:
        at = typed.end()
    opening = OPENING.match(text, at)
    if opening is not None and opening["slashes"] + opening["quote"] != outer:
        begin, stop = opening.end(), _closing(text, opening)
        in_one = not opening["slashes"] and len(opening["quote"]) == 1
        more = _more(text, stop + 1) if in_one else 0
        if more:
            stop = _bare_end(text, more, start, end, loose=False, outer=outer)
            return Found(opening.start(), stop, text[opening.start() : stop], bare=True)
        if _authorizes(text, start, end) and (scheme := _SCHEME.match(text, begin, stop)) is not None:
            begin = scheme.end() if scheme.end() < stop else begin
        return Found(begin, stop, text[begin:stop]) if stop > begin else None
    if text.startswith(("[", "{"), at) and not text.startswith(REDACTED, at):
        if (reference := _REFERENCE.match(text, at)) is not None:
            return None
        close = _bare_end(text, _balanced(text, at), start, end, loose=False, outer=outer)
        return Found(at, close, text[at:close], bare=True)
    reference = _REFERENCE.match(text, at)
    if reference is not None:
        return None
    if (loose or not text[start:end].isupper()) and _OR_ELSE.match(text, at) is not None:
        if _READ.match(text, at) is not None:
            return None
        stop = _line(text, at, outer) if outer else _end_of_line(text, at)
        return Found(at, stop, text[at:stop], bare=True)
    block = _BLOCK.match(text, at)
    if block is not None:
        found = _block(text, start, block.end()) or _next_line(text, at, start, end)
        is_prose = found is not None and text[at] not in "|>" and PROSE.fullmatch(found.value)
        return None if is_prose else found
    heredoc = _HEREDOC.match(text, at)
    if heredoc is not None:
        return _heredoc(text, at, heredoc)
    if _authorizes(text, start, end):
        scheme = _SCHEME.match(text, at)
        if scheme is not None:
            stop = _match_end(_TIGHT, text, scheme.end())
            return Found(scheme.end(), stop, text[scheme.end() : stop]) if stop > scheme.end() else None
    stop = _bare_end(text, at, start, end, loose=loose, outer=outer)
    stop = at + len(text[at:stop].rstrip())
    says = not text[start:end].lower().rstrip("s").endswith(OF_WORDS)
    if stop == at or (says and STATE.fullmatch(text, at, _match_end(_LOOSE, text, at)) is not None):
        return None
    return Found(at, stop, text[at:stop], bare=True)


def may_stay(text: str, found: Found, harmless: Harmless, *, is_parameter: bool) -> bool:
    """Whether the value that was found need not be redacted: it is harmless, blank, or already redacted.

    `harmless` is the predicate for values of this name that are no secrets. `is_parameter` says that the name is a
    query parameter in a URL.
    """
    shown = text[found.start : found.end]
    if shown == REDACTED or not shown.strip():
        return True
    if not found.bare:
        return harmless(found.value)
    if shown.startswith(REDACTED) and (is_parameter or shown[len(REDACTED)].isspace()):
        return True
    if harmless(shown):
        return True
    number = NUMBER.match(shown)
    if number is not None and harmless(number_of(number)):
        return "\n" not in shown or _COUNTS.fullmatch(shown[:_COUNTS_LENGTH]) is not None
    if len(shown) <= _COUNTS_LENGTH:
        return harmless(0) and _COUNTS.fullmatch(shown) is not None
    return False


def _next_line(text: str, at: int, start: int, end: int) -> Found | None:
    """Find the value on the line after a name that stands alone on its line, followed only by a colon.

    Return None if the name has other text beside it, or if the next line is not a single word.
    """
    word = _NEXT_LINE.match(text, at)
    if word is None or text[end:at].strip("* \t") != ":" or is_listed(word[1]):
        return None
    if _LINE_ALONE.search(text, max(0, start - 40), start) is None:
        return None
    return Found(word.start(1), word.end(1), word[1], bare=True)


def _bare_end(text: str, at: int, start: int, end: int, *, loose: bool, outer: str) -> int:
    """Return the index where text without quotes ends that begins at `at`.

    The text is a whole value, or what directly follows a quoted value and is part of that value.
    """
    if text[start:end].lower().endswith(("authorization", "cookie", "cookies")):
        return _line(text, at, outer)
    return _match_end(_LOOSE if loose else _TIGHT, text, at)


def number_of(match: re.Match[str]) -> int:
    """Return the integer in a match of NUMBER, without its separators, fraction and unit."""
    return int(match[1].replace(",", "").replace("_", ""))


def _authorizes(text: str, start: int, end: int) -> bool:
    return text[start:end].lower().endswith("authorization")


def _match_end(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    assert match is not None  # all patterns that are used here match the empty string
    return match.end()


def _end_of_line(text: str, at: int) -> int:
    match = _END_OF_LINE.search(text, at)
    assert match is not None  # the end of the string matches
    return match.start()


def _closing(text: str, opening: re.Match[str]) -> int:
    """Return the index of the quote that closes this opening quote; the end of the string if it is never closed."""
    slashes, quote = len(opening["slashes"]), opening["quote"]
    if len(quote) > 1:
        end = text.find(quote, opening.end())
    elif slashes:
        closing = _escaped(slashes, quote).search(text, opening.end())
        end = -1 if closing is None else closing.start()
    else:
        whole = _CLOSING[quote].match(text, opening.end())
        end = -1 if whole is None else whole.end() - 1
    return len(text) if end < 0 else end


def _more(text: str, at: int) -> int:
    """Return the index where a word ends that continues after its closing quote; 0 if the word ends with that quote.

    `at` is the index after the closing quote. In a shell, `'a'"b"c` is one word, and in SQL a quote inside a string
    is written twice.
    """
    first = at
    while text[at : at + 1].isalnum() or text.startswith(("'", '"', "`", "$"), at):
        closing = _CLOSING.get(text[at])
        if closing is None:
            at += 1
        elif (whole := closing.match(text, at + 1)) is not None:
            at = whole.end()
        else:
            return len(text)
    return 0 if at == first else at


@lru_cache(maxsize=64)
def _escaped(slashes: int, quote: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\\)\\{{{slashes}}}{quote}")


def _balanced(text: str, at: int) -> int:
    """Return the index after the list or object that begins at `at`; the end of the string if it is never closed."""
    depth, inside = 0, ""
    for part in _BRACKETS.finditer(text, at):
        sign = part[0]
        if sign[-1] in _QUOTES:
            if not inside:
                inside = sign
            elif sign == inside:
                inside = ""
        elif not inside:
            depth += 1 if sign in "[{" else -1
            if not depth:
                return part.end()
    return len(text)


def _line(text: str, at: int, outer: str) -> int:
    """Return the index where the line that contains `at` ends, or the quotes around the name and its value.

    `outer` is the quote that opens before the name; empty if there is none.
    """
    if not outer:
        return _match_end(_LINE, text, at)
    stop = _end_of_line(text, at)
    if len(outer) > 1:
        closing = _escaped(len(outer) - 1, outer[-1]).search(text, at, stop)
        return stop if closing is None else closing.start()
    whole = _CLOSING[outer].match(text, at, stop)
    return stop if whole is None else whole.end() - 1


def _block(text: str, start: int, at: int) -> Found | None:
    """Find the value that is a YAML block: the lines from `at` on that are indented deeper than the name at `start`.

    Items of a list (`- x`) at the name's own indentation belong to the block as well. Return None for an empty block.
    """
    line = text.rfind("\n", max(0, start - 200), start) + 1
    inset, end = _inset(text[line:start]), at
    while end < len(text):
        stop = text.find("\n", end) + 1 or len(text)
        row = text[end:stop]
        if row.strip() and _inset(row) <= inset and not row[inset:].startswith("- "):
            break
        end = stop
    shown = text[at:end].rstrip()
    first = at + _inset(shown)
    return Found(first, at + len(shown), text[first : at + len(shown)], bare=True) if shown else None


def _inset(row: str) -> int:
    """Return the indentation of a line in characters. The `+` before a line that a patch adds counts as indentation."""
    return len(row) - len(row.lstrip(" \t+"))


def _heredoc(text: str, at: int, heredoc: re.Match[str]) -> Found | None:
    """Find the value that is a shell here-document: the lines after `heredoc`, up to the word that ends it.

    `heredoc` is the match of its first line, such as `<<EOF`. Return None if there are no lines.
    """
    line = heredoc.end() - 1
    ends = (word for word in _ALONE.finditer(text, line + 1) if word[1] == heredoc[1])
    closing = next(ends, None)
    end = len(text) if closing is None else max(line + 1, closing.start() - 1)
    return Found(line + 1, end, text[line + 1 : end]) if end > line + 1 else None
