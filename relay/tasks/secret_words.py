"""Words near the names of secrets that show whether the text there is a secret or prose about a secret. Pure."""

from __future__ import annotations

import re
from typing import Any

from relay.tasks.names import NAME_LENGTH, normalised, words

# Values that describe a secret or its type, but are no secrets: `password: required`.
_SAYS = words(
    """
    changed change required reset updated missing invalid expired revoked rotated none null nil undefined
    empty ok okay done valid wrong incorrect set unset true false yes no not is was are were has must should
    cannot will needs may optional mandatory accepted rejected denied refused failed failing passing passed
    found mismatch unknown unauthorized forbidden created deleted removed added stored saved hidden masked
    unavailable disabled enabled configured protected generated verified successful granted pending str string
    bytes int integer number bool boolean any object void unchanged skipped
    """
)
# First words of what people write after `token:`, as in titles: `token: fix the refresh`.
_BEGINS = words(
    """
    the an we you it this that when where why how what which if see please use used on for to from with by at
    fix fixes add adds set remove update support handle make allow rotate move rename document improve
    implement introduce validate check store read load do don't drop replace prevent ensure refactor bump test
    tests switch migrate keep show hide
    """
)
SAYS_IT = rf"{'|'.join(_SAYS)}|[hrep]s(?:256|384|512)|eddsa"  # with the names of JWT algorithms
FURTHER = r"(?:[ \t]+\(?[A-Za-z][A-Za-z'’-]{0,20}[.,!?)]{0,2})"
STATE = re.compile(
    rf"(?i:{SAYS_IT}){FURTHER}{{0,20}}[.!?)]?|(?i:{'|'.join(_BEGINS)}){FURTHER}{{1,20}}[.!?)]?"
)
PROSE = re.compile(rf"(?:\s*[-*]?[ \t]{{0,8}}[A-Za-z'’]{{1,20}}{FURTHER}{{2,20}}[.!?:)]?\s*?(?:\n|\Z))+")
# The value of a name that ends like this may be plain words.
OF_WORDS = ("phrase", "mnemonic")
# Words after the name of an option that are not its value: `the --password option`.
NOT_GIVEN = frozenset(
    words(
        """
    flag option options argument arg parameter param switch value values is was to for and or with on in as
    when if from by via instead should must can cannot not the are has
    """
    )
)
# Words before `token` and `pass` that change their meaning: `unexpected token: }`, `first pass: …`.
OTHERS = frozenset(
    words(
        """
    unexpected next page stop eos bos pad unk special cancellation continuation resume sync first second third
    fourth last final each one single this every another the a
    """
    )
)

# The names of the two parts of a pair: `{name: "DB_PASSWORD", value: "x"}`.
KINDS = frozenset(("type", "kind"))
# Words for a part of a configuration; each may stand before `name`, `key` and `value`: `variableName`, `headerValue`.
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
# Fields with lists of names or topics. Plain words in such a list are not pairs of a name and a value.
LISTING = frozenset(
    (
        *("fields", "columns", "keys", "names", "labels", "tags", "topics", "keywords", "required"),
        *("scopes", "paths", "categories", "types", "kinds", "optional", "exclude", "include", "select"),
    )
)
# Further words that often stand beside a name in a list or in the head of a table, and so are no value of it.
_BESIDE = frozenset(
    (
        *("email", "e-mail", "username", "user_name", "firstname", "lastname", "phone", "address", "url"),
        *("description", "count", "notes", "type", "kind", "expiry", "created_at", "updated_at"),
    )
)
_SMALL_WORD = re.compile("[a-z]{2,30}(?:[_-][a-z]{2,30}){0,4}")
_SAID = re.compile(SAYS_IT, re.IGNORECASE)


def is_kind(text: str) -> bool:
    """Whether a name in the field `type` or `kind` of an object is `token` or `pass`, and so does not name a secret.

    In such a field, these words mean a token of a language model, or a test that passed. Plurals count as well.
    """
    return normalised(text).removesuffix("s") in ("token", "pas")


def is_word(item: Any) -> bool:
    """Whether an item of a list is a string that looks like the name of a field or a topic: words in small letters."""
    return isinstance(item, str) and _SMALL_WORD.fullmatch(item) is not None


def is_listed(text: str) -> bool:
    """Whether a text is a word that describes secrets, or one that often stands beside their names in a list."""
    word = text[:NAME_LENGTH].lower()
    return word in _BESIDE or word in NAMING or word in HOLDING or _SAID.fullmatch(word) is not None
