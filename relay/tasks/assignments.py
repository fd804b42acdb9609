"""Redact secrets that follow their names in a string: `NAME=x`, `name: x`, pairs, options, elements of XML. Pure.

A pair is an object with the name of a secret in one field and its value in another: `{name: "password", value: "x"}`.
A value is harmless if it cannot be a secret although its name says so, such as the count in `tokens: 120`.

Rules of this file: nothing here raises on any string; redacting twice gives the result of redacting once; the time
is in proportion to the length (around a name only a bounded number of characters is searched, and a value is read
once); in every string in which this file finds a secret, and in its JSON, `signs` finds a sign of a secret as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from relay.tasks.names import NAME_LENGTH, REDACTED, Harmless, Names
from relay.tasks.secret_values import NUMBER, OPENING, SPACE, Found, may_stay, number_of, value_at
from relay.tasks.secret_words import (
    FURTHER,
    HOLDING,
    KINDS,
    LISTING,
    NAMING,
    NOT_GIVEN,
    OTHERS,
    is_kind,
    is_listed,
    is_word,
)

PAIR_REACH = 300  # characters that are searched for the value that belongs to a name in `{name: …, value: …}`
# How the names of secrets end, in small letters. Each entry has four parts: a character that is rare in prose and code,
# at which the search stops; what follows this character; what precedes it; and what may follow the whole end. What
# follows is compared first, because among alternatives that begin with a plain character, `re` skips the wrong ones at
# once.
_ENDS = (
    *(("k", "en", "to", ""), ("k", "ie", "coo", ""), ("k", "ey", "[a-z0-9_. -]", "(?:[_. -]?(?:id|base))?")),
    *(("p", "ass", "", "(?:w(?:or)?d(?:[_. -]?hash)?|code)?"), ("p", "wd", "", ""), ("j", "wt", "", "")),
    *(("c", "ret", "se", ""), ("c", "red", "", "(?:ential|s)"), ("c", "(?<=nic)", "mnemoni", "")),
    *(("p", "hrase", "", ""), ("p", "(?<=tp)", "ot", ""), ("z", "ation", "authori", "")),
    ("c", "onnection", "", "[^a-z0-9]{0,90}string"),
)
_MANY = "s?+(?:[_-]?[0-9]{1,4})?+(?![a-z0-9_-])"  # a plural s, and digits after a name, which are ignored
_GLUED = "[a-z0-9_.<=:-]"  # precedes a name that a space may follow: an option, an element, a name of several words


def _ends(added: Iterable[str], tail: str, spaced: str) -> str:
    """Return a pattern that finds the end of every name of a secret in a string in small letters.

    `added` are the deployment's own names. The end must be followed by the pattern `tail`, or by the pattern `spaced`
    if a character of `_GLUED` (of a word, an option or an element) precedes the end.
    """
    ends = [*_ENDS]
    for name in added:
        rest = "".join(f"[_. -]{{0,2}}{letter}" for letter in name[1:])
        ends.append((name[0], "", "", rest))
    by_first: dict[str, list[str]] = {}
    for first, rest, before, more in ends:
        preceded = f"(?<={before}{first}{rest})" if before else ""
        glued = f"(?<={_GLUED}{'' if before.startswith('[') else before}{first}{rest})"
        by_first.setdefault(first, []).append(
            f"{rest}(?:{preceded}{more}{_MANY}{tail}|{glued}{more}{_MANY}{spaced})"
        )
    return "|".join(f"{first}(?:{'|'.join(rests)})" for first, rests in by_first.items())


_TAIL = (
    rf"(?=[\\\"'`&%\[\t\r\n\x1b]|[{SPACE})*]{{0,40}}+[\]:=,>;}}?+|]|(?:(?<=d)|(?<=hrase))[ \t]{{1,8}}['\"])"
)
_SPACED = r"(?=[ \t])"


@lru_cache(maxsize=64)
def patterns(added: frozenset[str]) -> tuple[str, str]:
    """Return two patterns that find the end of a secret's name in small letters, as strings.

    The first finds it anywhere in a text, and the second only at the end of a string that is nothing but a name.
    `added` are the deployment's own names.
    """
    return _ends(sorted(added), _TAIL, _SPACED), rf"(?:{_ends(sorted(added), '', '')})\Z"


def _small(text: str) -> str:
    """Return the string in small letters, in which every character keeps its index.

    The letter İ is replaced first, because it is the only one that `lower` would turn into two characters.
    """
    return text.replace("\u0130", "i").lower()


_RUN = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
_ALPHANUMERIC = _RUN[:-2]
_SPOKEN_LENGTH = 20  # characters of one word in a name of several words, such as `API key`
_AFTER_BARE = ("", ",", "}", "]", " ", "\t", "\r", "\n")
_PARAMETER = ("?", "&")  # stands before the name of a query parameter in a URL
_NAME_ALONE = re.compile(rf"[\w ./:$-]{{1,{NAME_LENGTH}}}")
# What may stand between a name and its value.
_COLOURS = r"(?:(?:\x1b|\\{1,8}(?:u001[bB]|x1[bB]|033|e))\[[0-9;]{0,12}m){0,4}"  # codes for the colours of a terminal
_GAP = re.compile(
    rf"{_COLOURS}(?P<close>\\{{0,8}}[\"'`]|&quot;|&#3[49];|%2[27])?{_COLOURS}"
    rf"(?:\[\w{{0,20}}\])?[\])*]{{0,4}}(?P<before>[{SPACE}]{{0,8}})"
    r"(?P<sep>=>|[?+:|]?={1,3}|:(?![:/])|%3[ADad]|(?P<comma>,)[ \t\r\n]{0,200}(?:\\{1,8}[nrt][ \t]{0,200}){0,8})?"
    rf"(?:\*{{1,2}}(?=[ \t\r\n]))?{_COLOURS}(?P<after>[{SPACE}]{{0,200}}){_COLOURS}"
)
_SETS = re.compile(r"(?<![\w-])(?:ENV|setx|set -[A-Za-z]{1,4}|config(?:ure)?(?: set)?) [\w./:-]{0,60}\Z")


def _words(words: Iterable[str]) -> str:
    return "|".join(sorted(words, reverse=True))


_SEP = r"\\{0,8}[\"'`]?[ \t]{0,8}(?:=>|[:=])[ \t]{0,8}"
_NAMES_IT = re.compile(
    rf"(?<![A-Za-z0-9])(?ai:{_words(NAMING)}){_SEP}"
    r"(?:[bu]?\\{0,8}[\"'`][\w./: -]{0,60}|[\w./:-]{0,60})\Z"
)
_HOLDS_IT = re.compile(rf"(?<![A-Za-z0-9])(?ai:{_words(HOLDING)}){_SEP}")
_OTHER_NAME = re.compile(rf"(?<![A-Za-z0-9])(?ai:name|key|header|k|field){_SEP}|[{{}}<>]")
# A dot before a name that further words follow in the same quotes. `signs` finds such a name only if the quotes end
# soon, or if the dot is part of a path.
_DOTTED = re.compile(r"(?<![A-Za-z0-9_])\.")
_GOES_ON = re.compile(r"[ \t](?![\w./: -]{0,60}[\\\"'`])")
_KIND = re.compile(rf"(?ai:{_words(KINDS)}){_SEP}")
_LISTED = re.compile(rf"(?<![A-Za-z0-9])(?ai:{_words(LISTING)}){_SEP}\[[ \t\r\n]{{0,40}}\\{{0,8}}[\"'`]\Z")
# A row of a table in Markdown: first the cells before the name, then the cell after it.
_ROW = re.compile(r"(?:\A|[\r\n]|\\{1,8}[nr])[ \t>]{0,8}\|(?:[^|\r\n]{1,60}\|)?[ \t]{0,40}[*`]{0,2}\Z")
_CELL = re.compile(
    r"[*`]{0,2}[ \t]{0,40}\|[ \t]{0,40}(?P<tick>`?)(?P<value>[^|\r\n]{1,400}?)(?P=tick)[ \t]{0,40}\|"
)
_HEAD = re.compile(r"[^\r\n]{0,400}?(?:\r?\n|\\{1,8}n)[ \t>]{0,8}\|[ \t]{0,8}:?--")
_OF_CELL = re.compile(rf"[A-Za-z'’]{{1,20}}{FURTHER}{{1,40}}")
_ELEMENT = re.compile(r"<(?:\w{1,30}:)?\Z")
_TAG = re.compile(r"[^<>]{0,200}>")
_CONTENT = re.compile(r"[^<]*+")
_CDATA = re.compile(r"<!\[CDATA\[((?s:.*?))(?:\]\]>|\Z)")


class Assignments:
    """Redacts the values in a string that have the name of a secret in front of them. Immutable."""

    def __init__(self, names: Names) -> None:
        self._hides = names.hides
        in_text, alone = patterns(names.added)
        self._candidates = re.compile(in_text).finditer
        self._alone = re.compile(alone).search
        letters = {letter for name in names.added for letter in name if not letter.isascii()}
        self._run = _RUN + "".join(letters) + "".join(letters).upper()

    def names(self, text: str) -> Harmless | None:
        """Whether the whole string is the name of a secret, as in `{"name": "DB_PASSWORD", "value": …}`.

        Return None if not; else a predicate that is true for values of this name that are harmless, such as counts. A
        quick check comes first, because most strings are no names.
        """
        if _NAME_ALONE.fullmatch(text) is None or self._alone(_small(text)) is None:
            return None
        return self._hides(text)

    def without(self, text: str) -> str:
        """Return the string with `[redacted]` in place of every value that has the name of a secret in front of it."""
        found = sorted(self._found(text))
        if not found:
            return text
        shown, at = [], 0
        for start, end, instead in found:
            if start >= at:
                shown += [text[at:start], instead]
            at = max(at, end)
        return "".join(shown) + text[at:]

    def _found(self, text: str) -> Iterator[tuple[int, int, str]]:
        """Yield the parts of the string to replace, each as (index of its begin, index of its end, replacement)."""
        done = 0  # where the last value ends; a name inside a value is a part of that secret
        for candidate in self._candidates(_small(text)):
            end = candidate.end()
            if candidate.start() < done:
                continue
            name = self._name(text, done, end)
            if name is None:
                continue
            start, harmless = name
            for value, quote in self._values(text, start, end, harmless):
                yield value.start, value.end, quote + REDACTED + quote
                done = max(done, value.end)

    def _name(self, text: str, floor: int, end: int) -> tuple[int, Harmless] | None:
        """Find the name of a secret that ends at the index `end` and begins at the index `floor` or later.

        Return the index where the name begins, and a predicate that is true for values of this name that are harmless;
        None if what ends there is not the name of a secret.
        """
        head = text[max(floor, end - NAME_LENGTH) : end]
        run = head[len(head.rstrip(self._run)) :]
        start = end - len(run)
        before = text[max(floor, start - 40) : start]
        if before.endswith("\\") and run[0] in "nrt":  # an escape, as in JSON inside a string
            start, run = start + 1, run[1:]
        elif before.endswith("%") and re.match("[0-9A-F]{2}", run):  # an escape of an address: `%20password`
            start, run = start + 2, run[2:]
        elif before.endswith(("[", ";")) and (colour := re.match("[0-9]{1,3}m", run)):  # a colour
            start, run = start + colour.end(), run[colour.end() :]
        harmless = self._hides(run)
        if harmless is None and run[:1] == "-" and run[1:2].isalpha():  # `-Dpassword=x`
            start, run = start + 2, run[2:]
            harmless = self._hides(run)
        if harmless is not None:
            # The word before it may change the meaning: `next token`, `first pass`.
            other = before.endswith(" ") and before[:-1].rpartition(" ")[2].lower() in OTHERS
            return None if other and run.lower() in ("token", "tokens", "pass") else (start, harmless)
        for first in _spoken(before):  # a name of several words: `API key`, `Access key ID`
            words = before[first:]
            if words[0] in "nrt" and before[first - 1 : first] == "\\":
                words = words[1:]
            harmless = self._hides(words + run)
            if harmless is not None:
                return start - len(words), harmless
        return None

    def _values(self, text: str, start: int, end: int, harmless: Harmless) -> Iterator[tuple[Found, str]]:
        """Yield at most one pair: the value to redact that belongs to a name, and the quote to put around `[redacted]`.

        The name of a secret is between the indexes `start` and `end`. Values for which `harmless` is true stay.
        """
        gap = _GAP.match(text, end)
        assert gap is not None  # every part of the pattern may be empty
        close, sep = gap["close"] or "", gap["sep"]
        at, quote = gap.end(), ""
        found = None
        if sep and not gap["comma"]:  # an assignment: `password = x`, `password: x`
            if text[start - 1 : start] == ":" == sep and text[start:end].lower() in ("cookie", "secret"):
                return  # an emoji
            if not close and text.startswith("):", end) and "(" in text[max(0, start - 40) : start]:
                return  # the scope in the title of a commit: `fix(token): …`
            if text[start:end] == "PASS" and sep == ":" and gap["after"]:
                return  # the verdict of a test
            if harmless(0) and (number := NUMBER.match(text, at)) and harmless(number_of(number)):
                return  # checked early, because most strings with `tokens` give a count of tokens
            loose = bool(gap["after"]) or bool(gap["before"])
            found = value_at(text, at, start, end, loose=loose, outer="" if close else _quote(text, start))
            is_key = not text[end + len(close) : gap.start("sep")].strip()
            if found is not None and found.bare and is_key and text[found.end : found.end + 1] in _AFTER_BARE:
                quote = close  # a number gets quotes, so that JSON stays valid
        elif (named := _NAMES_IT.search(text, max(0, start - 100), start)) is not None:
            # The name in a pair: `{name: "password", value: "x"}`.
            if _KIND.match(text, named.start()) and is_kind(text[start:end]):
                return
            if _GOES_ON.match(text, end) and _DOTTED.match(text, start - 1):
                return
            found = self._of_pair(text, named.start(), end, harmless)
        elif close and gap["comma"] and (_in_list(text, start) or text.startswith("-", start)):
            # The name comes first in a list: `["password", "x"]`, or is an option among arguments: `"--password", "x"`.
            if OPENING.match(text, at):
                found = value_at(text, at, start, end, loose=False, outer="")
                if found is not None and self._is_list(text, start, text[found.start : found.end]):
                    return
        elif (
            not close and _ELEMENT.search(text, max(0, start - 40), start) and (tag := _TAG.match(text, end))
        ):
            found = self._of_element(text, end, tag.end())  # `<password>x</password>`
        elif not sep and (cell := _CELL.match(text, end)) and _ROW.search(text, max(0, start - 120), start):
            found = self._of_row(text, cell)
        elif not close and not sep and gap["before"]:
            found = self._after_space(text, start, end, gap.end())
        if found is not None and not may_stay(
            text, found, harmless, is_parameter=text[start - 1 : start] in _PARAMETER
        ):
            yield found, quote

    def _is_list(self, text: str, start: int, second: str) -> bool:
        """Whether the list around `start` has only names and words, so that its item `second` is not a secret value."""
        if is_listed(second) or self.names(second) is not None:
            return True
        return is_word(second) and _LISTED.search(text, max(0, start - 100), start) is not None

    def _of_row(self, text: str, cell: re.Match[str]) -> Found | None:
        """Find the value in the cell after a name in a Markdown table; `cell` is the match of that cell.

        Return None if the row is the head of the table, or if the cell holds prose or another name.
        """
        value = cell["value"]
        is_prose = _OF_CELL.fullmatch(value) is not None
        if is_prose or is_listed(value) or self.names(value) is not None or _HEAD.match(text, cell.end()):
            return None
        return Found(cell.start("value"), cell.end("value"), value, bare=True)

    def _after_space(self, text: str, start: int, end: int, at: int) -> Found | None:
        """Find the value after a name and a space: `--password x`, `ENV DB_PASSWORD x`, `WITH PASSWORD 'x'`.

        The name is between the indexes `start` and `end`, and the value would begin at `at`. Return None if the text
        there is not the value of the name.
        """
        given = text.startswith("-", start) and (not start or text[start - 1] in " \t\r\n\"'`[(,=")
        given = given or _SETS.search(text, max(0, start - 80), start) is not None
        if not given and not (
            text[start:end].lower().startswith(("passw", "passphrase")) and OPENING.match(text, at)
        ):
            return None
        if given and text.startswith("-", at):
            return None
        found = value_at(text, at, start, end, loose=False, outer=_quote(text, start))
        if found is not None and text[found.start : found.end].lower().rstrip(".,") in NOT_GIVEN:
            return None
        return found

    def _of_pair(self, text: str, named: int, end: int, harmless: Harmless) -> Found | None:
        """Find the value of a pair, such as `{name: "password", value: "x"}`, in an object, an XML element or YAML.

        The value may stand after or before the name. `named` is the index of the word that introduces the name (here
        `name`), and `end` the index where the name ends. Return None if there is no value.
        """
        limit = min(len(text), end + PAIR_REACH)
        tag = _TAG.match(text, end)
        other = _OTHER_NAME.search(text, end, limit)
        if other is not None:
            limit = other.start()
        holds = _HOLDS_IT.search(text, end, limit)
        if holds is not None:
            return value_at(text, holds.end(), end, end, loose=holds[0][-1].isspace(), outer="")
        if tag is not None and not text.endswith("/>", 0, tag.end()) and "\n" not in tag[0]:
            content = self._of_element(text, end, tag.end())
            if content is not None:
                return content
        floor = max(0, named - PAIR_REACH)
        for other in _OTHER_NAME.finditer(text, floor, named):
            floor = other.end()
        every = [*_HOLDS_IT.finditer(text, floor, named)]
        if not every:
            return None
        last = every[-1]
        return value_at(text, last.end(), end, end, loose=last[0][-1].isspace(), outer="")

    def _of_element(self, text: str, end: int, at: int) -> Found | None:
        """Find the content of the XML element whose tag ends at `at`; if the tag closes itself, its attribute `value`.

        `end` is the index where the name in the tag ends. Return None if the element is empty or holds other elements.
        """
        if text.endswith("/>", 0, at):
            holds = _HOLDS_IT.search(text, end, at)
            return None if holds is None else value_at(text, holds.end(), end, end, loose=False, outer="")
        data = _CDATA.match(text, at)
        if data is not None:
            return Found(data.start(1), data.end(1), data[1])
        content = _CONTENT.match(text, at)
        assert content is not None
        if text[content.end() : content.end() + 2] != "</":
            return None
        return Found(at, content.end(), content[0]) if content[0].strip() else None


def _spoken(before: str) -> Iterator[int]:
    """Yield the index where the last word of `before` begins, then the index where the last two words begin.

    One space must follow each word; otherwise fewer indexes are yielded.
    """
    end = len(before)
    for _ in range(2):
        if not before.endswith(" ", 0, end):
            return
        end -= 1
        first = max(len(before[:end].rstrip(_ALPHANUMERIC)), end - _SPOKEN_LENGTH)
        if first == end:
            return
        yield first
        end = first


def _quote(text: str, start: int) -> str:
    """Return the quote directly before the index `start`, with the backslashes that escape it; empty if none."""
    if text[start - 1 : start] not in ("'", '"', "`"):
        return ""
    head = text[max(0, start - 9) : start - 1]
    return head[len(head.rstrip("\\")) :] + text[start - 1]


def _in_list(text: str, start: int) -> bool:
    """Whether a list, a tuple, a call or an initialiser begins directly before the name at the index `start`."""
    head = text[max(0, start - 40) : start].rstrip("\"'`\\ubUB")
    return head.rstrip(" \t\r\n").endswith(("[", "(", "{"))
