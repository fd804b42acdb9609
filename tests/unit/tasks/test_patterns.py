"""Redaction patterns: they have the meaning that they have in Python, and take linear time."""

from __future__ import annotations

import re
import time
import unicodedata

import pytest
from hypothesis import assume, example, given, reject
from hypothesis import strategies as st

from relay.tasks.patterns import PATTERN_LENGTH, BadPattern, Patterns, check

MARK = "[redacted]"


def accepted(pattern: str) -> Patterns:
    try:
        return Patterns([pattern])
    except BadPattern:
        reject()


def by_python(pattern: str, text: str) -> str:
    """The text after Python's own `re` replaced all matches."""
    matches = list(re.finditer(pattern, text))
    assume(all(match[0] for match in matches))
    return re.sub(pattern, MARK, text)


# RE2 finds the matches that Python finds.

LETTERS = "aB_-7 \n.[]\u00fc\u00dc\u0416\u0436\u4e2d\u0663\u00a0\u2003\x1c\x0b\U0001d7d8\U0001f600"
LITERALS = st.sampled_from(LETTERS).map(re.escape)
ESCAPES = st.sampled_from([r"\d", r"\D", r"\w", r"\W", r"\s", r"\S", r"\u00fc", r"\xdc", r"\-", r"\n", "."])
MEMBERS = ESCAPES.filter(lambda escape: escape != ".") | st.sampled_from(
    ["a", "B-Z", "0-9", "\u00e0-\u00ff", "_", ".", "[", r"\]", r"\b", "$", "\u4e00-\u9fff"]
)
CLASSES = st.builds(
    lambda start, members: start + "".join(members) + "]",
    st.sampled_from(["[", "[^", "[]", "[^]"]),
    st.lists(MEMBERS, min_size=1, max_size=3),
)
REPEATS = st.sampled_from(["?", "*", "+", "{2}", "{1,3}", "{,2}", "{2,}", "+?", "*?", "??", "{1,3}?"])
PIECES = st.recursive(
    LITERALS | ESCAPES | CLASSES,
    lambda inner: (
        st.builds("(?:{}){}".format, inner, REPEATS)
        | st.builds("({}|{})".format, inner, inner)
        | st.builds("(?P<name>{})".format, inner)
        | st.builds("(?s:{})".format, inner)
        | st.builds("{}{}".format, inner, inner)
    ),
    max_leaves=5,
).filter(lambda pattern: pattern.count("name") < 2)
PATTERNS = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "", "(?i)", "(?m)", "(?s)", "(?ims)"]),
    st.sampled_from(["", "", "^", r"\A"]),
    PIECES,
    st.sampled_from(["", "", r"\Z"]),
)


@given(PATTERNS, st.text(LETTERS, max_size=10))
@example(r"[\W_]+x", "\u00fc \u0301x")
@example(r"[^\W\d]+", "\u00fc7\u0416_")
@example(r"[[:alpha:]]+", "a:]")
@example("(?i)\u00dc+", "\u00fc\u00dc")
def test_a_pattern_has_the_matches_that_it_has_in_python(pattern: str, text: str) -> None:
    patterns = accepted(pattern)
    assert patterns.without(text) == by_python(pattern, text)


@given(st.builds("{}{}$".format, st.sampled_from(["", "(?m)"]), PIECES), st.text(LETTERS, max_size=10))
def test_ends_of_texts_and_lines_are_those_of_python(pattern: str, text: str) -> None:
    patterns = accepted(pattern)
    shown, expected = patterns.without(text), by_python(pattern, text)
    if text.endswith(
        "\n"
    ):  # a match of ours includes a last line feed, which Python leaves or matches by itself
        shown, expected = (
            one.rstrip("\n").removesuffix(2 * MARK).removesuffix(MARK) for one in (shown, expected)
        )
    assert shown == expected


@pytest.mark.parametrize(
    "escape", [*(rf"\{one}" for one in "dDwWsS"), *(rf"[\{one}]" for one in "dDwWsS"), r"[^\W]", r"[^\S]"]
)
def test_classes_have_the_characters_that_they_have_in_python(escape: str) -> None:
    # Of newer characters, Python and RE2 may know those of different versions of Unicode.
    old = [
        char for char in map(chr, range(0x30000)) if unicodedata.ucd_3_2_0.category(char) not in ("Cn", "Cs")
    ]
    text = "".join(old)
    assert Patterns([escape]).without(text) == re.sub(escape, MARK, text)


@given(st.text() | st.text(st.characters(categories=["Cs", "Lu"])))
def test_no_text_makes_a_pattern_raise(text: str) -> None:
    assert Patterns([r"\d", "[^a]+b"]).without(text).count("\ud800") == text.count("\ud800")


@given(
    st.lists(PATTERNS, min_size=1, max_size=3),
    st.lists(st.sampled_from([MARK, *LETTERS, "[d"]), max_size=9).map("".join),
)
def test_a_text_does_not_grow_by_repeated_searches(chosen: list[str], text: str) -> None:
    try:
        patterns = Patterns(chosen)
    except BadPattern:
        reject()
    for _ in range(3):
        shown = patterns.without(text)
        assert len(shown.replace(MARK, "x")) <= len(text.replace(MARK, "x"))
        text = shown


# Which patterns are accepted.


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("(", "is not a regular expression"),
        ("[[a]", "is not a regular expression"),
        (r"\pL", "is not a regular expression"),
        ("x" * (PATTERN_LENGTH + 1), "is longer than 200"),
        ("a*", "matches an empty string"),
        (r"\b", "has \\b, which would know words of ASCII letters only"),
        (r"\bACME-\w+", "has \\b"),
        (r"ACME-\w+\B", "has \\B"),
        ("|a", "matches an empty string"),
        ("$", "matches an empty string"),
        (
            "(?=a)b",
            r"look-around, back-references and possessive repetition cannot (invalid perl operator: (?=)",
        ),
        ("(?<!a)b", "look-around"),
        (r"(a|b)\1", "back-references"),
        ("(?P<x>a|b)(?P=x)", "back-references"),
        ("(?x) a", "(?x"),
        ("(?a)a", "(?a"),
        ("a{1001}", "{1001}"),
        (r"\w{200}", "is too large"),
        (r"(?:\w{20}){20}", "is too large"),
    ],
)
def test_a_pattern_that_cannot_be_used_is_rejected_with_the_reason(pattern: str, says: str) -> None:
    with pytest.raises(BadPattern) as failure:
        check(pattern)
    assert says in str(failure.value)


@pytest.mark.parametrize(
    "pattern",
    [
        r"ACME-\d{4}-\w+",
        r"(?:[a-z]+-){1,5}x",
        r"(?i)emp-[0-9]+",
        r"\(a+\)+",
        r"(a+)+b",
        r"acme_\w{40}",
        r"(?im)^key: .*$",
    ],
)
def test_other_patterns_are_accepted(pattern: str) -> None:
    check(pattern)


def test_patterns_that_are_too_large_together_are_rejected() -> None:
    large = [f"acme{number}_{'x' if number else ''}\\w{{40}}" for number in range(3)]
    for pattern in large:
        check(pattern)
    with pytest.raises(BadPattern, match="are too large together"):
        Patterns(large)


# Time: four times the text takes about four times as long. Backtracking would hardly ever end on these.


@pytest.mark.parametrize(
    ("pattern", "unit"),
    [
        (r"ACME(?:\d\d|\d)+-END", "1"),
        (r"ACME(?:\d\d|\d)+-END", "ACME1"),
        (r"(a+)+b", "a"),
        (r"(?:\w*\.)*x", "a."),
        (r"(?:a|aa|aaa)+\Z", "aab"),
        (r"(\w+\s?)*:", "word "),
        (r"\w{1,60}-internal", "\u00fcber"),
    ],
)
def test_the_time_of_a_hostile_pattern_is_linear_in_the_length_of_the_text(pattern: str, unit: str) -> None:
    patterns = Patterns([pattern])

    def seconds(size: int) -> float:
        text = "ACME" + unit * (size // len(unit))
        spent = []
        for _ in range(5):
            began = time.thread_time()
            assert patterns.without(text) == text
            spent.append(time.thread_time() - began)
        return min(spent)

    assert seconds(256 * 1024) < 10 * seconds(64 * 1024) + 0.005  # sixteen times, if it grew with the square
