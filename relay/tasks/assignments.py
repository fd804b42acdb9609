"""Secrets that a name in a text announces: `NAME=x`, `name: x`, pairs, options, elements of XML. Pure.

Rules of this file: nothing here raises on any text; what was redacted once is not changed by a second
time; the time is in proportion to the text (around a name only a bounded number of characters is looked
at, a value is read once, and a value that has no end is the rest of the text); whatever is found here,
`signs` finds as well, in the text and in its JSON.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from relay.tasks.names import NAME_LENGTH, REDACTED, Harmless, Names, normalised

PAIR_REACH = 300  # characters between a name and the value that belongs to it in `{name: …, value: …}`
_COUNTS_LENGTH = 300  # characters of a list or an object that may be nothing but counts

# The ends of all names, in small letters: a character that is rare in what people and programs write, at which
# a search stops, what follows, what stands before, and what may follow then. What follows is compared first:
# of alternatives that begin with a plain character, `re` passes over the wrong ones at once.
_ENDS = (
    *(("k", "en", "to", ""), ("k", "ie", "coo", ""), ("k", "ey", "[a-z0-9_. -]", "(?:[_. -]?(?:id|base))?")),
    *(("p", "ass", "", "(?:w(?:or)?d(?:[_. -]?hash)?|code)?"), ("p", "wd", "", ""), ("j", "wt", "", "")),
    *(("c", "ret", "se", ""), ("c", "red", "", "(?:ential|s)"), ("c", "(?<=nic)", "mnemoni", "")),
    *(("p", "hrase", "", ""), ("p", "(?<=tp)", "ot", ""), ("z", "ation", "authori", "")),
    ("c", "onnection", "", "[^a-z0-9]{0,90}string"),
)
_MANY = "s?+(?:[_-]?[0-9]{1,4})?+(?![a-z0-9_-])"  # a plural, and digits that count for nothing
_GLUED = "[a-z0-9_.<=:-]"  # before a name that a space may follow: an option, an element, words in one


def _ends(added: Iterable[str], tail: str, spaced: str) -> str:
    """A pattern of all ends of names in a text in small letters: followed by the tail, or by a space, where
    something other than a space stands before them."""
    ends = [*_ENDS]
    for name in added:
        rest = "".join(f"[_. -]{{0,2}}{letter}" for letter in name[1:])
        ends.append((name[0], "", "", rest))
    by_first: dict[str, list[str]] = {}
    for first, rest, before, more in ends:
        told = f"(?<={before}{first}{rest})" if before else ""
        glued = f"(?<={_GLUED}{'' if before.startswith('[') else before}{first}{rest})"
        by_first.setdefault(first, []).append(
            f"{rest}(?:{told}{more}{_MANY}{tail}|{glued}{more}{_MANY}{spaced})"
        )
    return "|".join(f"{first}(?:{'|'.join(rests)})" for first, rests in by_first.items())


# What comes behind a name that may announce a secret.
_SPACE = r" \t\u00a0\u2000-\u200a\u202f\u3000"  # what stands between words in one line
_TAIL = (
    rf"(?=[\\\"'`&%\[\t\r\n\x1b]|[{_SPACE})*]{{0,40}}+[\]:=,>;}}?+|]|(?:(?<=d)|(?<=hrase))[ \t]{{1,8}}['\"])"
)
_SPACED = r"(?=[ \t])"


@lru_cache(maxsize=64)
def patterns(added: frozenset[str]) -> tuple[str, str]:
    """Patterns of the ends of names in small letters: in a text, and of a name that stands alone."""
    return _ends(sorted(added), _TAIL, _SPACED), rf"(?:{_ends(sorted(added), '', '')})\Z"


def _small(text: str) -> str:
    """In small letters, each of them where it was: of one letter alone Python makes two."""
    return text.replace("\u0130", "i").lower()


_RUN = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
_ALPHANUMERIC = _RUN[:-2]
_SPOKEN_LENGTH = 20  # characters of a word in a name of several
_AFTER_BARE = ("", ",", "}", "]", " ", "\t", "\r", "\n")
_PARAMETER = ("?", "&")  # before a name in an address
_NAME_ALONE = re.compile(rf"[\w ./:$-]{{1,{NAME_LENGTH}}}")
_QUOTES = "\"'`"
_MARK = re.escape(REDACTED)

# Between a name and its value.
_COLOURS = r"(?:(?:\x1b|\\{1,8}(?:u001[bB]|x1[bB]|033|e))\[[0-9;]{0,12}m){0,4}"  # of a terminal
_GAP = re.compile(
    rf"{_COLOURS}(?P<close>\\{{0,8}}[\"'`]|&quot;|&#3[49];|%2[27])?{_COLOURS}"
    rf"(?:\[\w{{0,20}}\])?[\])*]{{0,4}}(?P<before>[{_SPACE}]{{0,8}})"
    r"(?P<sep>=>|[?+:|]?={1,3}|:(?![:/])|%3[ADad]|(?P<comma>,)[ \t\r\n]{0,200}(?:\\{1,8}[nrt][ \t]{0,200}){0,8})?"
    rf"(?:\*{{1,2}}(?=[ \t\r\n]))?{_COLOURS}(?P<after>[{_SPACE}]{{0,200}}){_COLOURS}"
)
_TYPE = re.compile(
    r"(?:str|string|String|bytes|Buffer|char|text|any|Any|SecretStr|Optional\[str\]|Secret)(?: ?\| ?\w{1,20})?\??"
    r"[ \t]{0,4}=[ \t]{0,4}"
)
_OPENING = re.compile(r"[bBfFrRuU@$]{0,2}(?P<slashes>\\{0,8})(?P<quote>\"\"\"|'''|[\"'`]|&quot;|&#3[49];)")
_CLOSING = {quote: re.compile(rf"(?s:[^\\{quote}]|\\.)*+{quote}") for quote in _QUOTES}
_REFERENCE = re.compile(
    r"(?:\$\{[A-Za-z_][\w.]{0,100}\}|\$?\{\{[ \t]{0,4}[\w.-]{1,100}[ \t]{0,4}\}\})(?=[\s\"'`,;)\]}\\]|\Z)"
)
# What a program reads when it runs: `await getToken()`, `getpass()`, `os.environ['DB_PASSWORD']`.
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
_OR_ELSE = re.compile(rf"{_READS}|{_PATH}{_LOOKS_UP}\({_VARIABLE}[ \t]{{0,8}},")  # and a secret behind it
_BLOCK = re.compile(r"(?:[|>][-+0-9]{0,2}[ \t]{0,8})?\r?\n")
_HEREDOC = re.compile(r"(?:(?:\$\(|`)?cat[ \t]{0,4})?<<-?[ \t]?\\?[\"']?([A-Za-z_]{1,40})[^\n]{0,80}\n")
_ALONE = re.compile(r"^[ \t]{0,40}([A-Za-z_]{1,40})[ \t]{0,40}$", re.MULTILINE)
_END_OF_LINE = re.compile(r"[\r\n]|\\{1,8}[rn]|\Z")
_ASSIGNS = r"[A-Za-z_$][\w.$\[\]-]{0,40}"  # another name, which ends the value before it
_ONE = (
    rf"{_MARK}|[^\s,;&\"'`\\)\]}}<\[]|\[(?!{_MARK[2:]})|[,;&](?!\s|\Z|\\{{1,8}}[nrt]|{_ASSIGNS}[=:])"
    r"|[)\]}](?![\s,;.:)\]}\"'`\\]|\Z)|[\"'`](?=\w)|\\(?!\\{0,7}[nrt\"'`])|<(?!/|br)"
)
_TIGHT = re.compile(rf"(?:{_ONE})*+")
_LOOSE = re.compile(
    rf"(?:{_ONE}|(?:(?<![.!?])[{_SPACE}]++|(?<=[.!?])[{_SPACE}]++(?![A-Z]))"
    rf"(?![\"']?{_ASSIGNS}[\"']?[ \t]?[:=]|\#|-|\||&|/[/*])(?=\S))*+"
)
_LINE = re.compile(
    r"(?:[^\r\n\\\"'`]|\\(?!\\{0,7}[nr\"'`])"
    r"|[\"'`](?![ \t]{0,8}(?:,(?![ \t]{0,8}[\w-]{1,40}=)|[:}\])]|\Z|[\r\n\\])|[ \t]{1,8}(?:-|https?:)))*+"
)
_SCHEME = re.compile(r"(?i:bearer|basic|token|api-?key|negotiate|ntlm|key)[ \t]+")
_BRACKETS = re.compile(r"[\[\]{}]|\\{0,8}[\"'`]")

_SETS = re.compile(r"(?<![\w-])(?:ENV|setx|set -[A-Za-z]{1,4}|config(?:ure)?(?: set)?) [\w./:-]{0,60}\Z")

# Values that are no secrets.
_SAYS = (
    *(
        "changed",
        "change",
        "required",
        "reset",
        "updated",
        "missing",
        "invalid",
        "expired",
        "revoked",
        "rotated",
    ),
    *(
        "none",
        "null",
        "nil",
        "undefined",
        "empty",
        "ok",
        "okay",
        "done",
        "valid",
        "wrong",
        "incorrect",
        "set",
    ),
    *(
        "unset",
        "true",
        "false",
        "yes",
        "no",
        "not",
        "is",
        "was",
        "are",
        "were",
        "has",
        "must",
        "should",
        "cannot",
    ),
    *("will", "needs", "may", "optional", "mandatory", "accepted", "rejected", "denied", "refused", "failed"),
    *("failing", "passing", "passed", "found", "mismatch", "unknown", "unauthorized", "forbidden", "created"),
    *(
        "deleted",
        "removed",
        "added",
        "stored",
        "saved",
        "hidden",
        "masked",
        "unavailable",
        "disabled",
        "enabled",
    ),
    *(
        "configured",
        "protected",
        "generated",
        "verified",
        "successful",
        "granted",
        "pending",
        "str",
        "string",
    ),
    *(
        "bytes",
        "int",
        "integer",
        "number",
        "bool",
        "boolean",
        "any",
        "object",
        "void",
        "unchanged",
        "skipped",
    ),
)
# First words of what people write after `token:`, as in titles: `token: fix the refresh`.
_BEGINS = (
    *(
        "the",
        "an",
        "we",
        "you",
        "it",
        "this",
        "that",
        "when",
        "where",
        "why",
        "how",
        "what",
        "which",
        "if",
        "see",
    ),
    *(
        "please",
        "use",
        "used",
        "on",
        "for",
        "to",
        "from",
        "with",
        "by",
        "at",
        "fix",
        "fixes",
        "add",
        "adds",
        "set",
    ),
    *(
        "remove",
        "update",
        "support",
        "handle",
        "make",
        "allow",
        "rotate",
        "move",
        "rename",
        "document",
        "improve",
    ),
    *(
        "implement",
        "introduce",
        "validate",
        "check",
        "store",
        "read",
        "load",
        "do",
        "don't",
        "drop",
        "replace",
    ),
    *("prevent", "ensure", "refactor", "bump", "test", "tests", "switch", "migrate", "keep", "show", "hide"),
)
_SAYS_IT = rf"{'|'.join(_SAYS)}|[hrep]s(?:256|384|512)|eddsa"  # algorithms of a JWT
_FURTHER = r"(?:[ \t]+\(?[A-Za-z][A-Za-z'’-]{0,20}[.,!?)]{0,2})"
_STATE = re.compile(
    rf"(?i:{_SAYS_IT}){_FURTHER}{{0,20}}[.!?)]?|(?i:{'|'.join(_BEGINS)}){_FURTHER}{{1,20}}[.!?)]?"
)
_PROSE = re.compile(rf"(?:\s*[-*]?[ \t]{{0,8}}[A-Za-z'’]{{1,20}}{_FURTHER}{{2,20}}[.!?:)]?\s*?(?:\n|\Z))+")
_OF_WORDS = ("phrase", "mnemonic")  # what such names announce may be plain words
_NOT_GIVEN = frozenset(
    (
        *("flag", "option", "options", "argument", "arg", "parameter", "param", "switch", "value"),
        *("values", "is", "was", "to", "for", "and", "or", "with", "on", "in", "as", "when", "if"),
        *("from", "by", "via", "instead", "should", "must", "can", "cannot", "not", "the", "are"),
        *("has",),
    )
)
_NUMBER = re.compile(
    r"(?:[a-z_]{1,20}[=:] ?)?[~<>≈$+-]{0,2}(\d{1,15}(?:[,_]\d{3}){0,4})(?:\.\d{1,9})?[kKmM%]?(?!\w|\.\w)"
)
_COUNTED = r"(?:-?\d{1,15}(?:\.\d{1,9})?|true|false|null|None|True|False)(?!\w)"
_COUNTS = re.compile(
    r"(?:[\s\[\]{},]|-(?=[ \t])|\\{1,8}[nrt](?=[\W_])"
    rf"|\\{{0,8}}[\"']?[A-Za-z_][\w -]{{0,40}}\\{{0,8}}[\"']?\s{{0,4}}[:=](?=[ \t]{{0,8}}(?:{_COUNTED}|[\[{{\r\n\\]))"
    rf"|{_COUNTED})*+"
)
# Words before `token` and `pass` that make something else of them: `unexpected token: }`, `first pass: …`.
_OTHERS = frozenset(
    (
        *("unexpected", "next", "page", "stop", "eos", "bos", "pad", "unk", "special", "cancellation"),
        *("continuation", "resume", "sync", "first", "second", "third", "fourth", "last", "final"),
        *("each", "one", "single", "this", "every", "another", "the", "a"),
    )
)

# The parts of a pair: `{name: "DB_PASSWORD", value: "x"}`.
KINDS = frozenset(("type", "kind"))
_OF_A_PAIR = (
    *("header", "field", "variable", "var", "param", "parameter", "property", "attribute", "attr"),
    *("setting", "option", "env", "secret", "key", "item", "input"),
)
NAMING = KINDS | frozenset(
    (
        *("name", "key", "k", "n", "path", "id", "label", "question"),
        *(word for word in _OF_A_PAIR if word not in ("secret", "item", "input")),
        *(word + name for word in _OF_A_PAIR for name in ("name", "key")),
    )
)
HOLDING = frozenset(
    (
        *("value", "values", "val", "vals", "v", "content", "contents", "data", "string", "raw"),
        *("default", "current", "old", "oldvalue", "new", "newvalue", "before", "after", "from", "to"),
        *("previous", "defaultvalue", "currentvalue", "stringvalue", "plaintext", "answer"),
        *(word + "value" for word in _OF_A_PAIR),
    )
)
# Fields with lists of names or topics: their plain words are no pairs.
LISTING = frozenset(
    (
        *("fields", "columns", "keys", "names", "labels", "tags", "topics", "keywords", "required"),
        *("scopes", "paths", "categories", "types", "kinds", "optional", "exclude", "include", "select"),
    )
)
# Further words that stand beside a name in a list or in the head of a table.
_BESIDE = frozenset(
    (
        *("email", "e-mail", "username", "user_name", "firstname", "lastname", "phone", "address", "url"),
        *("description", "count", "notes", "type", "kind", "expiry", "created_at", "updated_at"),
    )
)


def is_kind(text: str) -> bool:
    """Is this name, as the type of something, what a model writes or the result of a test?"""
    return normalised(text).removesuffix("s") in ("token", "pas")


def is_word(item: Any) -> bool:
    """Is this a word in small letters, as names of fields and topics are?"""
    return isinstance(item, str) and _SMALL_WORD.fullmatch(item) is not None


def is_listed(text: str) -> bool:
    """Is this one of the words that say how a secret is, or that stand beside its name in a list?"""
    word = text[:NAME_LENGTH].lower()
    return word in _BESIDE or word in NAMING or word in HOLDING or _SAID.fullmatch(word) is not None


_SMALL_WORD = re.compile("[a-z]{2,30}(?:[_-][a-z]{2,30}){0,4}")
_SAID = re.compile(_SAYS_IT, re.IGNORECASE)


def _words(words: Iterable[str]) -> str:
    return "|".join(sorted(words, reverse=True))


_SEP = r"\\{0,8}[\"'`]?[ \t]{0,8}(?:=>|[:=])[ \t]{0,8}"
_NAMES_IT = re.compile(
    rf"(?<![A-Za-z0-9])(?ai:{_words(NAMING)}){_SEP}"
    r"(?:[bu]?\\{0,8}[\"'`][\w./: -]{0,60}|[\w./:-]{0,60})\Z"
)
_HOLDS_IT = re.compile(rf"(?<![A-Za-z0-9])(?ai:{_words(HOLDING)}){_SEP}")
_OTHER_NAME = re.compile(rf"(?<![A-Za-z0-9])(?ai:name|key|header|k|field){_SEP}|[{{}}<>]")
# A dot before a name in quotes that goes on: what `signs` finds if it ends soon, or is part of a path.
_DOTTED = re.compile(r"(?<![A-Za-z0-9_])\.")
_GOES_ON = re.compile(r"[ \t](?![\w./: -]{0,60}[\\\"'`])")
_KIND = re.compile(rf"(?ai:{_words(KINDS)}){_SEP}")
_LISTED = re.compile(rf"(?<![A-Za-z0-9])(?ai:{_words(LISTING)}){_SEP}\[[ \t\r\n]{{0,40}}\\{{0,8}}[\"'`]\Z")
# A row of a table in Markdown: its first cells, and the one behind the name.
_ROW = re.compile(r"(?:\A|[\r\n]|\\{1,8}[nr])[ \t>]{0,8}\|(?:[^|\r\n]{1,60}\|)?[ \t]{0,40}[*`]{0,2}\Z")
_CELL = re.compile(
    r"[*`]{0,2}[ \t]{0,40}\|[ \t]{0,40}(?P<tick>`?)(?P<value>[^|\r\n]{1,400}?)(?P=tick)[ \t]{0,40}\|"
)
_HEAD = re.compile(r"[^\r\n]{0,400}?(?:\r?\n|\\{1,8}n)[ \t>]{0,8}\|[ \t]{0,8}:?--")
_OF_CELL = re.compile(rf"[A-Za-z'’]{{1,20}}{_FURTHER}{{1,40}}")
# A name and a colon as a whole line, and the word that is the next one.
_LINE_ALONE = re.compile(r"(?:\A|[\r\n]|\\{1,8}[nr])[ \t]{0,8}[*#]{0,4} ?\Z")
_NEXT_LINE = re.compile(
    r"\r?\n(?!<|https?:|[A-Za-z_][\w.-]{0,40}=[^=\s])(?=[^\s]{0,40}?[A-Za-z0-9])"
    r"([^\s]{1,400}+)(?<![:{}\[\](),>])(?=[ \t]{0,8}(?:[\r\n]|\Z))"
)
_ELEMENT = re.compile(r"<(?:\w{1,30}:)?\Z")
_TAG = re.compile(r"[^<>]{0,200}>")
_CONTENT = re.compile(r"[^<]*+")
_CDATA = re.compile(r"<!\[CDATA\[((?s:.*?))(?:\]\]>|\Z)")


@dataclass(slots=True)
class _Found:
    """Where a value lies, and what it is if it can be told: a string, or a number where it is bare."""

    start: int
    end: int
    value: Any
    bare: bool = False


class Assignments:
    """Takes values out of texts by the names before them. Never changes after it was made."""

    def __init__(self, names: Names) -> None:
        self._hides = names.hides
        in_text, alone = patterns(names.added)
        self._candidates = re.compile(in_text).finditer
        self._alone = re.compile(alone).search
        letters = {letter for name in names.added for letter in name if not letter.isascii()}
        self._run = _RUN + "".join(letters) + "".join(letters).upper()

    def names(self, text: str) -> Harmless | None:
        """The same as `Names.hides`, of a name that stands as a text in a pair."""
        if _NAME_ALONE.fullmatch(text) is None or self._alone(_small(text)) is None:
            return None
        return self._hides(text)

    def without(self, text: str) -> str:
        """The text with `[redacted]` in place of every value that a name makes a secret."""
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
        done = 0
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
        """Where the name begins that ends here, if it is one of a secret."""
        head = text[max(floor, end - NAME_LENGTH) : end]
        run = head[len(head.rstrip(self._run)) :]
        start = end - len(run)
        before = text[max(floor, start - 40) : start]
        if before.endswith("\\") and run[0] in "nrt":  # an escape, as in JSON inside a string
            start, run = start + 1, run[1:]
        elif before.endswith("%") and re.match("[0-9A-F]{2}", run):  # of an address
            start, run = start + 2, run[2:]
        elif before.endswith(("[", ";")) and (colour := re.match("[0-9]{1,3}m", run)):  # of a terminal
            start, run = start + colour.end(), run[colour.end() :]
        harmless = self._hides(run)
        if harmless is None and run[:1] == "-" and run[1:2].isalpha():  # `-Dpassword=x`
            start, run = start + 2, run[2:]
            harmless = self._hides(run)
        if harmless is not None:
            other = before.endswith(" ") and before[:-1].rpartition(" ")[2].lower() in _OTHERS
            return None if other and run.lower() in ("token", "tokens", "pass") else (start, harmless)
        for first in _spoken(before):  # in words, as `API key` or `Access key ID`
            words = before[first:]
            if words[0] in "nrt" and before[first - 1 : first] == "\\":
                words = words[1:]
            harmless = self._hides(words + run)
            if harmless is not None:
                return start - len(words), harmless
        return None

    def _values(self, text: str, start: int, end: int, harmless: Harmless) -> Iterator[tuple[_Found, str]]:
        """What this name announces, and the quotes that a value needs which had none."""
        gap = _GAP.match(text, end)
        assert gap is not None  # every part of it may be empty
        close, sep = gap["close"] or "", gap["sep"]
        at, quote = gap.end(), ""
        found = None
        if sep and not gap["comma"]:
            if text[start - 1 : start] == ":" == sep and text[start:end].lower() in ("cookie", "secret"):
                return  # an emoji
            if not close and text.startswith("):", end) and "(" in text[max(0, start - 40) : start]:
                return  # what a commit is about: `fix(token): …`
            if text[start:end] == "PASS" and sep == ":" and gap["after"]:
                return  # the verdict of a test
            if harmless(0) and (number := _NUMBER.match(text, at)) and harmless(_number(number)):
                return  # first of all, as this is what most texts say of tokens
            loose = bool(gap["after"]) or bool(gap["before"])
            found = self._value(text, at, start, end, loose=loose, outer="" if close else _quote(text, start))
            is_key = not text[end + len(close) : gap.start("sep")].strip()
            if found is not None and found.bare and is_key and text[found.end : found.end + 1] in _AFTER_BARE:
                quote = close  # so that JSON stays JSON
        elif (named := _NAMES_IT.search(text, max(0, start - 100), start)) is not None:
            if _KIND.match(text, named.start()) and is_kind(text[start:end]):
                return
            if _GOES_ON.match(text, end) and _DOTTED.match(text, start - 1):
                return
            found = self._of_pair(text, named.start(), end, harmless)
        elif close and gap["comma"] and (_in_list(text, start) or text.startswith("-", start)):
            if _OPENING.match(text, at):
                found = self._value(text, at, start, end, loose=False, outer="")
                if found is not None and self._is_list(text, start, text[found.start : found.end]):
                    return
        elif (
            not close and _ELEMENT.search(text, max(0, start - 40), start) and (tag := _TAG.match(text, end))
        ):
            found = self._of_element(text, end, tag.end())
        elif not sep and (cell := _CELL.match(text, end)) and _ROW.search(text, max(0, start - 120), start):
            found = self._of_row(text, cell)
        elif not close and not sep and gap["before"]:
            found = self._after_space(text, start, end, gap.end())
        if found is not None and not self._may_stay(
            text, found, harmless, is_parameter=text[start - 1 : start] in _PARAMETER
        ):
            yield found, quote

    def _is_list(self, text: str, start: int, second: str) -> bool:
        """Is this a list of names and other words, and its second item no value of the first?"""
        if is_listed(second) or self.names(second) is not None:
            return True
        return is_word(second) and _LISTED.search(text, max(0, start - 100), start) is not None

    def _of_row(self, text: str, cell: re.Match[str]) -> _Found | None:
        """The cell behind a name in a table of Markdown, but not in its head, and no words about the name."""
        value = cell["value"]
        is_prose = _OF_CELL.fullmatch(value) is not None
        if is_prose or is_listed(value) or self.names(value) is not None or _HEAD.match(text, cell.end()):
            return None
        return _Found(cell.start("value"), cell.end("value"), value, bare=True)

    def _after_space(self, text: str, start: int, end: int, at: int) -> _Found | None:
        """`--password x`, `ENV DB_PASSWORD x`, `WITH PASSWORD 'x'`."""
        given = text.startswith("-", start) and (not start or text[start - 1] in " \t\r\n\"'`[(,=")
        given = given or _SETS.search(text, max(0, start - 80), start) is not None
        if not given and not (
            text[start:end].lower().startswith(("passw", "passphrase")) and _OPENING.match(text, at)
        ):
            return None
        if given and text.startswith("-", at):
            return None
        found = self._value(text, at, start, end, loose=False, outer=_quote(text, start))
        if found is not None and text[found.start : found.end].lower().rstrip(".,") in _NOT_GIVEN:
            return None
        return found

    def _of_pair(self, text: str, named: int, end: int, harmless: Harmless) -> _Found | None:
        """The value beside a name in an object, an element or a block of YAML, in either order."""
        limit = min(len(text), end + PAIR_REACH)
        tag = _TAG.match(text, end)
        other = _OTHER_NAME.search(text, end, limit)
        if other is not None:
            limit = other.start()
        holds = _HOLDS_IT.search(text, end, limit)
        if holds is not None:
            return self._value(text, holds.end(), end, end, loose=holds[0][-1].isspace(), outer="")
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
        return self._value(text, last.end(), end, end, loose=last[0][-1].isspace(), outer="")

    def _of_element(self, text: str, end: int, at: int) -> _Found | None:
        """What an element of XML holds, or its attribute `value`."""
        if text.endswith("/>", 0, at):
            holds = _HOLDS_IT.search(text, end, at)
            return None if holds is None else self._value(text, holds.end(), end, end, loose=False, outer="")
        data = _CDATA.match(text, at)
        if data is not None:
            return _Found(data.start(1), data.end(1), data[1])
        content = _CONTENT.match(text, at)
        assert content is not None
        if text[content.end() : content.end() + 2] != "</":
            return None
        return _Found(at, content.end(), content[0]) if content[0].strip() else None

    def _value(self, text: str, at: int, start: int, end: int, *, loose: bool, outer: str) -> _Found | None:
        """The value that begins here. `loose`: it may have several words, up to the end of its line or
        to another name. `outer`: the quote that stands before the name, which ends the value as well."""
        typed = _TYPE.match(text, at)
        if typed is not None:
            at = typed.end()
        opening = _OPENING.match(text, at)
        if opening is not None and opening["slashes"] + opening["quote"] != outer:
            begin, stop = opening.end(), _closing(text, opening)
            in_one = not opening["slashes"] and len(opening["quote"]) == 1
            more = _more(text, stop + 1) if in_one else 0
            if more:
                stop = self._bare_end(text, more, start, end, loose=False, outer=outer)
                return _Found(opening.start(), stop, text[opening.start() : stop], bare=True)
            if _authorizes(text, start, end) and (scheme := _SCHEME.match(text, begin, stop)) is not None:
                begin = scheme.end() if scheme.end() < stop else begin
            return _Found(begin, stop, text[begin:stop]) if stop > begin else None
        if text.startswith(("[", "{"), at) and not text.startswith(REDACTED, at):
            if (reference := _REFERENCE.match(text, at)) is not None:
                return None
            close = self._bare_end(text, _balanced(text, at), start, end, loose=False, outer=outer)
            return _Found(at, close, text[at:close], bare=True)
        reference = _REFERENCE.match(text, at)
        if reference is not None:
            return None
        if (loose or not text[start:end].isupper()) and _OR_ELSE.match(text, at) is not None:
            if _READ.match(text, at) is not None:
                return None
            stop = _line(text, at, outer) if outer else _end_of_line(text, at)
            return _Found(at, stop, text[at:stop], bare=True)
        block = _BLOCK.match(text, at)
        if block is not None:
            found = _block(text, start, block.end()) or self._next_line(text, at, start, end)
            is_prose = found is not None and text[at] not in "|>" and _PROSE.fullmatch(found.value)
            return None if is_prose else found
        heredoc = _HEREDOC.match(text, at)
        if heredoc is not None:
            return _heredoc(text, at, heredoc)
        if _authorizes(text, start, end):
            scheme = _SCHEME.match(text, at)
            if scheme is not None:
                stop = _match_end(_TIGHT, text, scheme.end())
                return _Found(scheme.end(), stop, text[scheme.end() : stop]) if stop > scheme.end() else None
        stop = self._bare_end(text, at, start, end, loose=loose, outer=outer)
        stop = at + len(text[at:stop].rstrip())
        says = not text[start:end].lower().rstrip("s").endswith(_OF_WORDS)
        if stop == at or (says and _STATE.fullmatch(text, at, _match_end(_LOOSE, text, at)) is not None):
            return None
        return _Found(at, stop, text[at:stop], bare=True)

    def _next_line(self, text: str, at: int, start: int, end: int) -> _Found | None:
        """A line of one word below a line that is nothing but a name and a colon."""
        word = _NEXT_LINE.match(text, at)
        if word is None or text[end:at].strip("* \t") != ":" or is_listed(word[1]):
            return None
        if _LINE_ALONE.search(text, max(0, start - 40), start) is None:
            return None
        return _Found(word.start(1), word.end(1), word[1], bare=True)

    def _bare_end(self, text: str, at: int, start: int, end: int, *, loose: bool, outer: str) -> int:
        """Where a value ends that no quotes end, or what sticks to one that they do end."""
        if text[start:end].lower().endswith(("authorization", "cookie", "cookies")):
            return _line(text, at, outer)
        return _match_end(_LOOSE if loose else _TIGHT, text, at)

    def _may_stay(self, text: str, found: _Found, harmless: Harmless, *, is_parameter: bool) -> bool:
        shown = text[found.start : found.end]
        if shown == REDACTED or not shown.strip():
            return True
        if not found.bare:
            return harmless(found.value)
        if shown.startswith(REDACTED) and (is_parameter or shown[len(REDACTED)].isspace()):
            return True
        if harmless(shown):
            return True
        number = _NUMBER.match(shown)
        if number is not None and harmless(_number(number)):
            return "\n" not in shown or _COUNTS.fullmatch(shown[:_COUNTS_LENGTH]) is not None
        if len(shown) <= _COUNTS_LENGTH:
            return harmless(0) and _COUNTS.fullmatch(shown) is not None
        return False


def _spoken(before: str) -> Iterator[int]:
    """Where the last word begins, and the one before it, with one space behind each."""
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


def _number(match: re.Match[str]) -> int:
    return int(match[1].replace(",", "").replace("_", ""))


def _match_end(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    assert match is not None  # all these patterns match nothing as well
    return match.end()


def _end_of_line(text: str, at: int) -> int:
    match = _END_OF_LINE.search(text, at)
    assert match is not None  # the end of the text is one
    return match.start()


def _quote(text: str, start: int) -> str:
    """The quote directly before a name, with the backslashes before it."""
    if text[start - 1 : start] not in ("'", '"', "`"):
        return ""
    head = text[max(0, start - 9) : start - 1]
    return head[len(head.rstrip("\\")) :] + text[start - 1]


def _in_list(text: str, start: int) -> bool:
    """Does a list, a tuple, a call or an initialiser begin before this name?"""
    head = text[max(0, start - 40) : start].rstrip("\"'`\\ubUB")
    return head.rstrip(" \t\r\n").endswith(("[", "(", "{"))


def _authorizes(text: str, start: int, end: int) -> bool:
    return text[start:end].lower().endswith("authorization")


def _closing(text: str, opening: re.Match[str]) -> int:
    """Where the end of these quotes begins; without it they hold the rest of the text."""
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
    """Where a word ends that goes on behind the end of its quotes, as a shell takes several in one, or where
    a quote is written twice; 0 if it does not go on."""
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
    """Where the list or the object ends that begins here; without its end it is the rest of the text."""
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
    """Where the line ends, or what is quoted with all of it."""
    if not outer:
        return _match_end(_LINE, text, at)
    stop = _end_of_line(text, at)
    if len(outer) > 1:
        closing = _escaped(len(outer) - 1, outer[-1]).search(text, at, stop)
        return stop if closing is None else closing.start()
    whole = _CLOSING[outer].match(text, at, stop)
    return stop if whole is None else whole.end() - 1


def _block(text: str, start: int, at: int) -> _Found | None:
    """A block of YAML: the lines below that are further in than the name's own."""
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
    return _Found(first, at + len(shown), text[first : at + len(shown)], bare=True) if shown else None


def _inset(row: str) -> int:
    """How many characters a line is further in, in a patch as well."""
    return len(row) - len(row.lstrip(" \t+"))


def _heredoc(text: str, at: int, heredoc: re.Match[str]) -> _Found | None:
    """The lines up to the word that ends them."""
    line = heredoc.end() - 1
    ends = (word for word in _ALONE.finditer(text, line + 1) if word[1] == heredoc[1])
    closing = next(ends, None)
    end = len(text) if closing is None else max(line + 1, closing.start() - 1)
    return _Found(line + 1, end, text[line + 1 : end]) if end > line + 1 else None
