"""What a text, or the JSON of an event, shows where it may hold a secret: one fast look at all of it. Pure.

Nearly every event is looked at here and nowhere else, so this is what the search for secrets costs. It may
find too much, never too little: whatever `assignments` and the shapes of `redact` take out of a text, the
text and its JSON have a sign of. It takes time in proportion to the text.

It takes 1 µs for a kilobyte of dots and 7 µs for one of English prose, where one search with a flag that
ignores case took 3 and 14 µs, for three reasons:
- Before the search letters are made small and bytes that no sign has are left out (0.6 µs).
- The search stops at a few rare characters only.
- What must follow such a character is compared before what must stand before it: of alternatives that begin
  with a plain character `re` passes over the wrong ones at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache

# A and G stay as they are: with a small letter, `AKIA` and `SG.` would be signs in too many words.
_FOLDED = bytes(
    ord(chr(byte).lower()) if chr(byte) in "BCDEFHIJKLMNOPQRSTUVWXYZ" else byte for byte in range(256)
)
# In no sign. Without them a sign stands closer together at most, so none is lost.
_LEFT_OUT = b".!#$(^~" + bytes(range(128, 256))


def folded(text: bytes) -> bytes:
    """The text in the form that the signs are written for."""
    return text.translate(_FOLDED, _LEFT_OUT)


# The ends of all names: the character at which the search stops, what follows, what stands before, and what
# may follow then.
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
_MANY = "s?+(?:[_-]?[0-9]{1,4})?+"  # a plural, and digits that count for nothing
# Before a name that a space may follow: an option, an element, words in one.
_GLUED = ["[A-Za-z0-9_<=>:/-]"]
# A dot before the name is left out, and of `config .password x` only what stands before the dot remains.
_GLUED += ["(?:i[gG]|re|et|nv|tx|.[:=>]) ", *(f"-[A-Za-z]{{{letters}}} " for letters in (1, 2, 3, 4))]

# What comes behind a name that may announce a secret. In JSON a quote, a backslash and a line's end are
# written with a backslash; a quote followed by a colon is the name of a field, which is no text's matter.
# In a pair a dot may stand before a name in quotes that goes on: `name: "my .token for x"`.
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
# Of the shapes, in the same way: the character at which the search stops, and the rest. They look at nothing
# before a word, where an escape of the JSON may stand.
_SHAPES = (
    *(("A", f"(?:ki|si)A{_WORD}{{16}}"), ("A", "izA"), ("A", "iza"), ("A", "tAtt3")),
    *(("G", f"(?<=sG){_WORD}{{16}}"), ("G", "ocspx-"), ("j", f"(?<=eyj){_WORD}{{8}}")),
    *(("k", "ssl[aA]ck"), ("k", "_(?:live|test)_"), ("k", f"-(?<=[sr]k-){_WORD}{{20}}")),
    (
        "_",
        "(?=[A-Za-z0-9+/=]{16})(?:(?<=npm_)|(?<=hf_)|(?<=gsk_)|(?<=whsec_)|(?<=gh[pousr]_)|(?<=shp[a-z]{2}_)|(?<=_v1_))",
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
    # Commands, by the option that a password follows, or by what is rarer than it.
    *(("-", r"u(?<=[ \tt]-u)"), ("-", "-(?:proxy-)?user"), ("-", r"p(?<=[ \tt]-p)"), ("-", r"cli[ \\\t]")),
    ("c", r"hine(?<=m[aA]chine)[ \\\s]"),
)
# Where the names are looked for besides, a parameter of an address is one of them nearly always.
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
        told = f"(?<={before}{first}{rest})" if before else ""
        whole = f"{'' if before.startswith('[A-Z') else before}{first}{rest}"
        glued = f"(?:{'|'.join(f'(?<={glue}{whole})' for glue in _GLUED)})"
        by_first.setdefault(first, []).append(
            f"{rest}(?:{told}{more}{_MANY}{tail}|{glued}{more}{_MANY}{spaced})"
        )
    for first, rest in _SHAPES:
        by_first.setdefault(first, []).append(rest)
    return _joined(by_first)


def _joined(by_first: Mapping[str, Iterable[str]]) -> str:
    return "|".join(f"{first}(?:{'|'.join(rests)})" for first, rests in by_first.items())


Look = Callable[[bytes], object | None]


@lru_cache(maxsize=64)
def signs(added: frozenset[str]) -> tuple[Look, Look]:
    """Searches for a sign in a text and in JSON, both folded. The names that were added are normalised, and
    those with letters that ASCII does not have are not looked for."""
    names = sorted(name for name in added if name.isascii())
    in_text, in_json = (re.compile(_pattern(names, *tails).encode()).search for tails in (_IN_TEXT, _IN_JSON))
    return in_text, in_json


def _of_shapes() -> Look:
    by_first: dict[str, list[str]] = {}
    for first, rest in (*_SHAPES, *_PARAMETERS):
        by_first.setdefault(first, []).append(rest)
    return re.compile(_joined(by_first).encode()).search


# In a folded text: may one of the shapes match? An eighth of what it takes to try them.
shows_a_shape = _of_shapes()
