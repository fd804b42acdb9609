"""Search a string, or the JSON of an event, for signs that it may hold a secret. Pure.

A sign is a short piece of text, such as the end of the word `password`; every string with a secret has at least one.
Most events have no sign and are searched no further, so this search is what redaction costs. It may report too much,
never too little: if `assignments` or `shapes` would redact something in a string, then the string and its JSON have a
sign, which property tests check. The time is in proportion to the length.

A kilobyte of dots takes 1 µs and one of English prose 7 µs; a single search that ignores case took 3 and 14 µs. There
are three reasons:
- Before the search, letters are made small, and bytes that occur in no sign are left out (0.6 µs).
- The search stops only at a few rare characters.
- The pattern compares what follows such a character before what precedes it: among alternatives that begin with a
  plain character, `re` skips the wrong ones at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache

# A and G keep their case: in small letters, `AKIA` and `SG.` would be signs in too many words.
_FOLDED = bytes(
    ord(chr(byte).lower()) if chr(byte) in "BCDEFHIJKLMNOPQRSTUVWXYZ" else byte for byte in range(256)
)
# Bytes that are in no sign. Leaving them out can only bring the bytes of a sign closer together, so no sign is lost.
_LEFT_OUT = b".!#$(^~" + bytes(range(128, 256))


def folded(text: bytes) -> bytes:
    """Return text, as UTF-8, in the form in which it is searched for signs of secrets.

    Letters are made small except A and G, and bytes that occur in no sign are left out.
    """
    return text.translate(_FOLDED, _LEFT_OUT)


# How the names of secrets end. Each entry has four parts: the character at which the search stops; what follows this
# character; what precedes it; and what may follow the whole end.
_ENDS = (
    *(("c", "ret", "se", ""), ("c", "red", "", "(?:enti[aA]l|s)"), ("c", "ookie", "", "")),
    *(("c", "onnection", "", "[^A-Za-z0-9]{0,90}strin[gG]"), ("c", "(?<=nic)", "mnemoni", "")),
    *(("p", "[aA]ss", "", "(?:w(?:or)?d(?:[_ -]?h[aA]sh)?|code)?"), ("p", "hr[aA]se", "", "")),
    *(("p", "wd", "", "(?:[_ -]?h[aA]sh)?"), ("p", "(?<=tp)", "ot", ""), ("j", "wt", "", "")),
    *(
        ("k", "en", "to", ""),
        ("k", "ey", "[A-Za-z0-9_ -]", "(?:[_ -]?(?:id|b[aA]se))?"),
        ("z", "[aA]tion", "[aA]uthori", ""),
    ),
)
_MANY = "s?+(?:[_-]?[0-9]{1,4})?+"  # a plural s, and digits after a name, which are ignored
# What must precede a name that is followed by a space: an option, an element of XML, or a name of several words.
_GLUED = ["[A-Za-z0-9_<=>:/-]"]
# `folded` leaves out dots, so before the name in `config .password x` stands the word before the dot.
_GLUED += ["(?:i[gG]|re|et|nv|tx|.[:=>]) ", *(f"-[A-Za-z]{{{letters}}} " for letters in (1, 2, 3, 4))]

# What follows the name of a secret. In JSON, quotes, backslashes and line feeds have a backslash in front; a quote
# with a colon after it ends the name of a field, which `names` decides on. In a pair, a dot may precede a name in
# quotes that goes on: `name: "my .token for x"`.
_GOES_ON = r"[A-Za-z0-9_/: -]{0,60}[\\\"'`]"
_IN_TEXT = (
    r"(?:[\\\"'`&%\[\t\r\n\x1b]|[ \t)*]{0,40}+[\]:=,>;}?+|]|(?:(?<=d)|(?<=hr[aA]se))[ \t]{1,8}['\"]|[ \t]"
    + _GOES_ON
    + ")",
    r"[ \t]",
)
_IN_JSON = (
    r"(?!\":)(?:[\\\"'`&%\[]|[ )*]{0,40}+[\]\\:=,>;}?+|]|(?:(?<=d)|(?<=hr[aA]se)) {1,8}['\"\\]| "
    + _GOES_ON
    + ")",
    r"[ \\]",
)

_TAB = r"(?:[ \t]|\\t)"
_WORD = "[A-Za-z0-9_-]"
_ADDRESS = r"[^\x00-\x20/?#\"<>\\^`{|}\[\]\x7f]"
_NO_COLON = _ADDRESS.replace("?#", "?#:")
# Signs of the shapes: the character at which the search stops, and the rest of the pattern. They match inside a word as
# well, because in JSON an escape such as \n may stand directly before a secret.
_SHAPES = (
    *(("A", f"(?:ki|si)A{_WORD}{{16}}"), ("A", "izA"), ("A", "iza"), ("A", "tAtt3")),
    *(("G", f"(?<=sG){_WORD}{{16}}"), ("G", "ocspx-"), ("j", f"(?<=eyj){_WORD}{{8}}")),
    *(("k", "ssl[aA]ck"), ("k", "_(?:live|test)_"), ("k", f"-(?<=[sr]k-){_WORD}{{20}}")),
    (
        "_",
        "(?=[A-Za-z0-9+/=]{16})"
        "(?:(?<=npm_)|(?<=hf_)|(?<=gsk_)|(?<=whsec_)|(?<=gh[pousr]_)|(?<=shp[a-z]{2}_)|(?<=_v1_))",
    ),
    *(("_", "p[aA]t_"), ("p", "i-A"), ("9", "(?<=ya29)"), ("v", f"[sb](?<=hv[sb]){_WORD}{{24}}")),
    *(("-", "[0-9](?<=xox[a-z]-[0-9])"), ("-", "[0-9](?<=x[aA]pp-[0-9])"), ("-", "----be[gG]in")),
    ("-", f"(?<=[st]-)(?={_WORD}{{20}})(?:{'|'.join(f'(?<=gl[a-z]{{{n}}}-)' for n in (2, 3, 4, 5))})"),
    *(("b", f"e[aA]rer{_TAB}"), ("b", f"[aA]sic{_TAB}"), ("b", f"y{_TAB}{{1,8}}'")),
    *(
        ("/", f"/(?:(?<=://){_ADDRESS}*@|{_NO_COLON}*:{_ADDRESS}*@)"),
        ("=", r"(?<=[?&]si[gG]=)"),
        ("=", "(?<=-si[gG]nature=)"),
    ),
    ("z", r"[aA]tion(?<=[aA]uthoriz[aA]tion)(?:[\"' \t\\]|\\t)*+[:=]"),
    # Commands: the option that a password follows, or a part of the command that is rarer than the option.
    *(("-", r"u(?<=[ \tt]-u)"), ("-", "-(?:proxy-)?user"), ("-", r"p(?<=[ \tt]-p)"), ("-", r"cli[ \\\t]")),
    ("c", r"hine(?<=m[aA]chine)[ \\\s]"),
)
# For `shows_a_shape` only: `signs` finds a parameter of an address by its name.
_PARAMETERS = (("&", "[A-Za-z_-]"), (r"\?", "[A-Za-z_-]"))


def _letter(letter: str) -> str:
    return f"[{letter}{letter.upper()}]" if letter in "ag" else letter


def _pattern(added: Iterable[str], tail: str, spaced: str) -> str:
    by_first: dict[str, list[str]] = {}
    ends = [*_ENDS]
    for name in added:
        rest = "".join(f"[_ -]{{0,2}}{_letter(letter)}" for letter in name[1:])
        ends += [(first, "", "", rest) for first in {name[0], *name[0].upper()} & {*name[0], "A", "G"}]
    for first, rest, before, more in ends:
        preceded = f"(?<={before}{first}{rest})" if before else ""
        whole = f"{'' if before.startswith('[A-Z') else before}{first}{rest}"
        glued = f"(?:{'|'.join(f'(?<={glue}{whole})' for glue in _GLUED)})"
        by_first.setdefault(first, []).append(
            f"{rest}(?:{preceded}{more}{_MANY}{tail}|{glued}{more}{_MANY}{spaced})"
        )
    for first, rest in _SHAPES:
        by_first.setdefault(first, []).append(rest)
    return _joined(by_first)


def _joined(by_first: Mapping[str, Iterable[str]]) -> str:
    return "|".join(f"{first}(?:{'|'.join(rests)})" for first, rests in by_first.items())


Look = Callable[[bytes], object | None]


@lru_cache(maxsize=64)
def signs(added: frozenset[str]) -> tuple[Look, Look]:
    """Return two functions that search for a sign of a secret: in a string, and in JSON, each in the form of `folded`.

    Both return None if there is no sign. `added` are further names of secrets, in the form that `normalised` returns.
    Names with letters beyond ASCII are ignored, so the caller has to handle them.
    """
    names = sorted(name for name in added if name.isascii())
    in_text, in_json = (re.compile(_pattern(names, *tails).encode()).search for tails in (_IN_TEXT, _IN_JSON))
    return in_text, in_json


def _of_shapes() -> Look:
    by_first: dict[str, list[str]] = {}
    for first, rest in (*_SHAPES, *_PARAMETERS):
        by_first.setdefault(first, []).append(rest)
    return re.compile(_joined(by_first).encode()).search


# Searches a string in the form of `folded`; None if no pattern of `shapes` can match in the string. This takes an
# eighth of the time that trying the patterns themselves takes.
shows_a_shape = _of_shapes()
