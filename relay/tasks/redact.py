"""Secrets out of what is sent: fields by their names, texts by the names before values and by shapes. Pure.

Rules of this file: nothing here raises on any text; what was redacted once is not changed by a second
time; every pattern takes time in proportion to the text (each run of characters is tried from one place
only, or from each place over a bounded length); whatever a shape matches, `signs` finds as well, also
in the text's JSON.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict

from relay.tasks.assignments import (
    HOLDING,
    KINDS,
    LISTING,
    NAMING,
    Assignments,
    is_kind,
    is_listed,
    is_word,
)
from relay.tasks.names import NAME_LENGTH, REDACTED, Harmless, Names, normalised
from relay.tasks.patterns import Patterns, check
from relay.tasks.scalars import bounded
from relay.tasks.signs import folded, shows_a_shape, signs

_NAMES_CACHED = 4_096  # fields whose name is known to hold a secret or none
CUT_MARGIN = 8_192  # characters read beyond a cut, to recognise a secret that the cut goes through
LOOKS = 8  # at a text that changes each time; two are nearly always enough


@dataclass(frozen=True, slots=True)
class Shape:
    """Secrets that are recognised wherever they stand in a text: by one of the patterns, each of which
    begins with one certain character. Where a pattern has a group, only that is the secret, and it ends
    the match."""

    of: str
    looks: str  # for people
    patterns: tuple[str, ...]


def _word(prefix: str, rest: str) -> str:
    """A pattern that begins a word; colours of a terminal and escapes such as \\n are no part of it."""
    first, more = prefix[0], prefix[1:]
    return (
        rf"{first}(?={more})(?:(?<![A-Za-z0-9_-]{first})|(?<=\\[nrt]{first})"
        rf"|(?<=\x1b\[[0-9]m{first})|(?<=\x1b\[[0-9]{{2}}m{first})){more}{rest}"
    )


# What follows a token in the same word goes with it; so no other shape can begin where a match ends.
_REST = "[A-Za-z0-9_-]*"
_CHECKSUM = rf"(?:\.[0-9a-z]{{2}}\.[0-9a-z]{{7}}{_REST})?"  # of the newer tokens of GitLab
_USER = r"[^\x00-\x20/?#@:\"<>\\^`{|}\[\]\x7f]"  # what may stand before the @ of an address, unencoded
_USER_OR_PASSWORD = _USER.replace("@:", "")
_PARAMETERS = (
    "(?=[A-Za-z_-])(?ai:(?:access|auth|id|refresh|private|session)?[_-]?token|(?:api|access|secret)[_-]?key"
    "|client[_-]?secret|secret|password|passwd|sig|x-(?:amz|goog)-signature)="
)
_PARAMETER_VALUE = r"([^\s&#\"'<>\\]+)"
_LOOKS_RANDOM = "(?=[A-Za-z._~+/-]*(?:[0-9=]|[a-z][A-Z][A-Za-z]*[a-z][A-Z]))"  # no word of a language
_CREDENTIALS = rf"[ \t]+{_LOOKS_RANDOM}([A-Za-z0-9._~+/-]{{8,}}=*)"
_AUTHORIZATION = (
    r"(?ai:uthorization)[\"']?[ \t]*[:=][ \t]*[\"']?(?ai:bearer|basic|token|digest|apikey|negotiate)[ \t]+"
    r"([^\s\"'\\,;\[]{4,})"
)
_IDENTIFIED = r"(?ai:dentified)[ \t]+(?ai:(?:with[ \t]+\S{1,40}[ \t]+)?by)[ \t]{1,8}'([^']+)"
# Whatever else stands before an option of a command, but no other command.
_OPTIONS = r"[ \t](?:(?:(?!curl|login|mysql|redis-cli|sshpass)[^\n]){0,200}?[ \t])??"
_WORD = r"[\"']?([^\s\"'\\]+)"

SHAPES = (
    Shape("GitHub", "`ghp_…`, `gho_…`, `ghu_…`, `ghs_…`, `ghr_…`", (rf"gh[pousr]_[A-Za-z0-9]{{30}}{_REST}",)),
    Shape("GitHub, fine-grained", "`github_pat_…`", (rf"github_pat_[A-Za-z0-9_]{{22}}{_REST}",)),
    Shape(
        "GitLab",
        "`glpat-…`, and those of deployments, runners, jobs, triggers, feeds and agents",
        (rf"gl(?:pat|dt|rt|cbt|ptt|ft|imt|agent|oas|soat|ffct)-[A-Za-z0-9_-]{{20}}{_REST}{_CHECKSUM}",),
    ),
    Shape("Slack", "`xoxb-…`, `xoxp-…` and the like, `xapp-…`", (rf"x(?:ox[a-z]|app)-[0-9]{_REST}",)),
    Shape(
        "Slack, webhooks",
        "what follows `hooks.slack.com/services/`",
        (r"hooks\.slack\.com/(?:services|workflows|triggers)/([A-Za-z0-9_/-]{8,})",),
    ),
    Shape("AWS", "`AKIA…`, `ASIA…`", (rf"A(?:KIA|SIA)[A-Z0-9]{{16}}{_REST}",)),
    Shape("Google, keys", "`AIza…`", (_word("AIza", rf"[A-Za-z0-9_-]{{35}}{_REST}"),)),
    Shape(
        "Google, OAuth",
        "`GOCSPX-…`, `ya29.…`",
        (rf"GOCSPX-[A-Za-z0-9_-]{{20}}{_REST}", rf"ya29\.[A-Za-z0-9_-]{{20}}{_REST}"),
    ),
    Shape(
        "Stripe",
        "`sk_live_…`, `rk_live_…`, the same with `test`",
        tuple(_word(prefix, rf"(?:live|test)_[A-Za-z0-9]{{16}}{_REST}") for prefix in ("sk_", "rk_")),
    ),
    Shape("Stripe, webhooks", "`whsec_…`", ("whsec_[A-Za-z0-9+/=]{16}[A-Za-z0-9+/=_-]*",)),
    Shape(
        "Anthropic, OpenAI and others",
        "`sk-ant-…`, `sk-proj-…`, `sk-svcacct-…`, `sk-admin-…`, `sk-or-…`, `sk-…` without more hyphens",
        (
            _word("sk-", rf"(?:ant|proj|svcacct|admin|or)-[A-Za-z0-9_-]{{20}}{_REST}"),
            _word("sk-", rf"[A-Za-z0-9]{{20}}{_REST}"),
        ),
    ),
    Shape("Groq", "`gsk_…`", (rf"gsk_[A-Za-z0-9]{{40}}{_REST}",)),
    Shape("Hugging Face", "`hf_…`", (rf"hf_[A-Za-z0-9]{{30}}{_REST}",)),
    Shape("npm", "`npm_…`", (rf"npm_[A-Za-z0-9]{{36}}{_REST}",)),
    Shape("PyPI", "`pypi-AgE…`", (rf"pypi-AgE[A-Za-z0-9_-]{{20}}{_REST}",)),
    Shape("Docker", "`dckr_pat_…`", (rf"dckr_pat_[A-Za-z0-9_-]{{20}}{_REST}",)),
    Shape("DigitalOcean", "`dop_v1_…`, `doo_v1_…`, `dor_v1_…`", (rf"do[por]_v1_[a-f0-9]{{32}}{_REST}",)),
    Shape("SendGrid", "`SG.….…`", (_word(r"SG\.", rf"[A-Za-z0-9_-]{{16,}}\.[A-Za-z0-9_-]{{16}}{_REST}"),)),
    Shape(
        "Shopify",
        "`shpat_…`, `shpca_…`, `shppa_…`, `shpss_…`",
        (rf"shp(?:at|ca|pa|ss)_[A-Fa-f0-9]{{32}}{_REST}",),
    ),
    Shape("Atlassian", "`ATATT3…`", ("ATATT3[A-Za-z0-9_=-]{40,}",)),
    Shape("Vault", "`hvs.…`, `hvb.…`", (_word(r"hv[sb]\.", rf"[A-Za-z0-9_-]{{24}}{_REST}"),)),
    Shape(
        "JSON Web Tokens",
        "`eyJ….….…`",
        (_word("eyJ", r"[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]+){0,3}"),),
    ),
    Shape(
        "private keys",
        "`-----BEGIN … PRIVATE KEY-----` to its end, or to the end of the text",
        (
            r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
            rf"(?s:.*?)(?:-----END [A-Z0-9 ]{{0,60}}-----{_REST}|\Z)",
        ),
    ),
    Shape(
        "addresses",
        "what stands before the `@` in `https://…@`, `scheme://user:password@` and `//user:password@`",
        (
            rf"://({_USER}*:{_USER_OR_PASSWORD}*|(?:(?<=http://)|(?<=https://)){_USER}+)(?=@)",
            rf"/(?<!:/)/({_USER}*:{_USER_OR_PASSWORD}*)(?=@)",
        ),
    ),
    Shape(
        "parameters of addresses",
        "what follows `?token=`, `&access_token=`, `&api_key=`, `&client_secret=`, `&password=` and the like",
        (rf"\?{_PARAMETERS}{_PARAMETER_VALUE}", rf"&{_PARAMETERS}{_PARAMETER_VALUE}"),
    ),
    Shape(
        "headers",
        "what follows `Bearer` and `Basic` where it looks random, and any scheme after `Authorization:`",
        (
            rf"B(?:earer|EARER|asic|ASIC){_CREDENTIALS}",
            rf"b(?:earer|asic){_CREDENTIALS}",
            rf"A{_AUTHORIZATION}",
            rf"a{_AUTHORIZATION}",
        ),
    ),
    Shape(
        "SQL",
        "the text in quotes after `IDENTIFIED BY`",
        (rf"I{_IDENTIFIED}", rf"i{_IDENTIFIED}"),
    ),
    Shape(
        "commands",
        "what follows `curl -u user:`, `sshpass -p`, `mysql -p`, `docker login -p`, `redis-cli -a`, and a password in `.netrc`",
        (
            rf"curl{_OPTIONS}(?:-[uU]|--(?:proxy-)?user)[ \t=]*[\"']?[^\s:\"'\[]{{1,100}}:{_WORD}",
            rf"sshpass[ \t]+-p[ \t]*{_WORD}",
            rf"mysql[a-z]{{0,10}}{_OPTIONS}-p{_WORD}",
            rf"login{_OPTIONS}-p[ \t]+{_WORD}",
            rf"redis-cli{_OPTIONS}-a[ \t]+{_WORD}",
            rf"machine\s+\S{{1,100}}\s+login\s+\S{{1,100}}\s+password\s+{_WORD}",
        ),
    ),
)


def _combined(shapes: Sequence[Shape]) -> re.Pattern[str]:
    """All patterns as one, by their first characters: the search passes over every other character."""
    by_first: dict[str, list[str]] = {}
    for shape in shapes:
        for pattern in shape.patterns:
            first = pattern[:2] if pattern[0] == "\\" else pattern[0]
            by_first.setdefault(first, []).append(pattern.removeprefix(first))
    return re.compile("|".join(f"{first}(?:{'|'.join(rests)})" for first, rests in by_first.items()))


_SHAPES = _combined(SHAPES)


def _field_name(name: str) -> str:
    if not normalised(name):
        raise ValueError("must be the name of a field")
    return name


def _pattern(pattern: str) -> str:
    check(pattern)  # raises BadPattern, a ValueError
    return pattern


def _together(patterns: tuple[str, ...]) -> tuple[str, ...]:
    Patterns(patterns)  # raises BadPattern
    return patterns


_FieldName = Annotated[str, AfterValidator(_field_name)]


@dataclass(frozen=True, slots=True)
class Redaction:
    """What a deployment adds to the names and shapes, and the names that it takes out."""

    __pydantic_config__ = ConfigDict(extra="forbid")
    names: tuple[_FieldName, ...] = ()
    patterns: Annotated[tuple[Annotated[str, AfterValidator(_pattern)], ...], AfterValidator(_together)] = ()
    keep: tuple[_FieldName, ...] = ()


class Redactor:
    """Takes secrets out of texts, and says in which fields they lie. Never changes after it was made."""

    def __init__(self, redaction: Redaction = Redaction()) -> None:
        names = Names(redaction.names, redaction.keep)
        self.hides: Callable[[str], Harmless | None] = names.hides
        self._assignments = Assignments(names)
        self._patterns = Patterns(redaction.patterns) if redaction.patterns else None
        self._in_text, self._in_json = signs(names.added)
        # Bytes know no large and small letters beyond ASCII, so with such a name every text is suspicious.
        self._has_others = not all(map(str.isascii, names.added))
        self._may_always = self._patterns is not None or self._has_others
        self._name = lru_cache(_NAMES_CACHED)(self.text)

    def text(self, value: str) -> str:
        """The text without secrets. What is left of one can stand beside another name in a new way, so a text that
        was changed is looked at again, until nothing more is found."""
        shown = self._looked_at_once(value)
        for _ in range(LOOKS):
            if shown == value:
                break
            value, shown = shown, self._looked_at_once(shown)
        return shown

    def _looked_at_once(self, value: str) -> str:
        shown = folded(value.encode("utf-8", "surrogatepass"))
        if self._has_others or self._in_text(shown):
            if shows_a_shape(shown):
                value = _SHAPES.sub(_left, value)
            value = self._assignments.without(value)
        return value if self._patterns is None else self._patterns.without(value)

    def beginning(self, value: str, limit: int) -> str:
        """The text without secrets, and not longer than `limit`: nothing is cut before they are out."""
        return bounded(self.text(bounded(value, limit + CUT_MARGIN)), limit)

    def may_change(self, json: bytes) -> bool:
        """Could `value` find anything in what has this JSON? False only when it could not."""
        return self._may_always or self._in_json(folded(json)) is not None

    def value(self, value: Any) -> Any:
        """A value in terms of JSON with no secret in any text; names of fields are texts as well."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return self._items(value)
        if isinstance(value, dict):
            return self._fields(value)
        return value

    def _items(self, items: list[Any]) -> list[Any]:
        """A list in which a name may stand before a value: `["X-Api-Key", "x"]`, as lists of headers are
        written, and `["--password", "x"]`, as the words of a command are."""
        shown = [self.value(item) for item in items]
        even = not len(items) % 2
        for index, (name, item) in enumerate(pairwise(items)):
            if not isinstance(name, str) or not ((even and not index % 2) or name.startswith("-")):
                continue
            harmless = self._assignments.names(name)
            if harmless is None or harmless(item) or (isinstance(item, str) and self._is_no_value(item)):
                continue
            shown[index + 1] = REDACTED
        return shown

    def _is_no_value(self, text: str) -> bool:
        """Is this the next name or option, or one of the words that stand beside a name in a list?"""
        return text.startswith("-") or is_listed(text) or self._assignments.names(text) is not None

    def _named(self, fields: dict[str, Any]) -> Harmless | None:
        """Does one of these fields say that the value beside it is a secret: `{"name": "DB_PASSWORD", …}`?"""
        for key, item in fields.items():
            if isinstance(item, str) and (part := _part(key)) in NAMING:
                harmless = self._assignments.names(item)
                if harmless is not None and not (part in KINDS and is_kind(item)):
                    return harmless
        return None

    def _fields(self, fields: dict[str, Any]) -> dict[str, Any]:
        """No field is lost where two names become one; the order they come in makes no difference."""
        shown: dict[str, Any] = {}
        numbers: dict[str, int] = {}
        harmless = self._named(fields)
        for key in sorted(fields):
            name = unused = self._name(key) if len(key) <= NAME_LENGTH else self.text(key)
            while unused in shown:
                numbers[name] = number = numbers.get(name, 1) + 1
                unused = f"{name} {number}"
            item = fields[key]
            if harmless is not None and _part(key) in HOLDING and not harmless(item):
                shown[unused] = REDACTED
            elif isinstance(item, list) and _part(key) in LISTING and all(map(is_word, item)):
                shown[unused] = item
            else:
                shown[unused] = self.value(item)
        return shown


@lru_cache(maxsize=4_096)
def _part(key: str) -> str:
    return normalised(key[: NAME_LENGTH + 1])


def _left(match: re.Match[str]) -> str:
    """What a shape leaves of its match."""
    secret = match.lastindex
    return REDACTED if secret is None else match[0][: match.start(secret) - match.start()] + REDACTED
