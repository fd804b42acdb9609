"""Redaction of what is sent, by names of fields, shapes and patterns; and the size limit of an event."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import orjson
import pytest
from bson import Code, DBRef, ObjectId, Regex, Timestamp
from hypothesis import given
from hypothesis import strategies as st
from support.bson_strategies import BSON
from support.linear_time import assert_linear

from relay.protocol.types import Kind
from relay.source.change import Change, Updated, key_of
from relay.tasks.bson_json import plain
from relay.tasks.event_view import EventView, event_json, extend
from relay.tasks.mapping import Mapping
from relay.tasks.redact import (
    Redaction,
    Redactor,
)
from relay.tasks.shapes import SHAPES_PATTERN
from relay.tasks.step import Lifecycle
from relay.tasks.timeline import Rewritten, advance, settled, timeline_of
from relay.tasks.translate import Translator
from relay.tasks.visibility import Audience

REDACTOR = Redactor()
VIEW = EventView()


def data(element: Any, view: EventView = VIEW) -> Any:
    return orjson.loads(event_json(element, view))["data"]


# Names.


@pytest.mark.parametrize(
    "name",
    [
        *("token", "Token", "apiKey", "api_key", "API-KEY", "APIKey", "accessToken", "client_secret"),
        *("password", "passwd", "authorization", "Authorization", "cookie", "set-cookie", "Set-Cookie"),
        *("privateKey", "secret", "credentials", "connectionString", "x-api-key", "X-Auth-Token", "_token"),
        *("githubToken", "GITHUB_TOKEN", "GH_TOKEN", "OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY", "dbPassword"),
        *("AWS_ACCESS_KEY_ID", "PGPASSWORD", "userPassword", "stripeSecretKey", "slackBotToken", "jwt"),
        *("my_app_db_password", "refresh_token", "id-token", "webhookSecret", "api key"),
    ],
)
def test_the_value_of_a_secret_field_is_not_sent(name: str) -> None:
    for held in ("x", 5, True, None, {"a": [1]}, ["x"], ObjectId()):
        assert data({"deep": [{name: held, "kept": 1}]}) == {"deep": [{name: "[redacted]", "kept": 1}]}


@pytest.mark.parametrize(
    "name",
    [
        *("promptTokens", "tokenCount", "maxTokens", "total_tokens", "tokenType", "tokenizer"),
        *("secretary", "author", "authorId", "authority", "passed", "passwordLength", "key"),
        *("keys", "monkey", "apiKeyName", "cookieConsent", "cookieCount", "nextPageToken", "resumeToken"),
        *("cancellationToken", "hasPassword", "secretName", "sessionId", "auth", "authorized", "primaryKey"),
        *("privateRepo", "accessLevel", "publicKey", "sshHost", "mail", "user", "x", "", "…"),
    ],
)
def test_fields_with_similar_names_are_sent(name: str) -> None:
    assert data({name: {"a": "b"}}) == {name: {"a": "b"}}


def test_a_mapping_adds_and_removes_names() -> None:
    view = EventView(redactor=Redactor(Redaction(names=("ticketPin",), keep=("token",))))
    event = {"ticket_pin": 1, "token": "Hello", "accessToken": "x"}
    assert data(event, view) == {"ticket_pin": "[redacted]", "token": "Hello", "accessToken": "[redacted]"}


# Shapes. Every secret is put together from two strings, so that scanners do not report this file as a leak.

A = "a1B2c3D4e5F6g7H8i9J0"
HEX = "0123456789abcdef"
UPPER = "Q2W3E4R5T6Y7U8I9"
SECRETS = [
    *(f"gh{kind}_" + A + A[:16] for kind in "pousr"),
    "github" + "_pat_" + "11" + A + "_" + A * 2 + A[:19],
    *(f"gl{kind}-" + A for kind in ("pat", "dt", "rt", "ptt", "cbt", "agent")),
    "glpat-" + A + "_-x.01." + HEX[:9],
    *(f"xox{kind}-" + "123456789012-123456789012-" + A for kind in "bpase"),
    "xapp-" + "1-A012-345-" + A,
    "AK" + "IA" + UPPER,
    "AS" + "IA" + UPPER,
    "AI" + "za" + A + A[:15],
    "GOC" + "SPX-" + A + A[:8],
    "ya" + "29." + A * 3,
    *(kind + "_" + A + "K" for kind in ("sk_" + "live", "rk_" + "live", "sk_" + "test")),
    "wh" + "sec_" + A + "+/" + A + "=",
    "sk-" + A * 2 + A[:8],
    "sk-" + "ant-api03-" + A * 4 + "-" + A + "AA",
    "sk-" + "proj-" + A + "_" + A * 2,
    "sk-" + "or-v1-" + HEX * 4,
    "gsk" + "_" + A * 2 + A[:12],
    "hf" + "_" + A + A[:14],
    "npm" + "_" + A + A[:16],
    "pypi-" + "AgEIcHlwaS5vcmc" + A * 3,
    "dckr" + "_pat_" + A + "_-" + A[:5],
    *(f"do{kind}_v1_" + HEX * 4 for kind in "por"),
    "SG." + A + "_-." + A * 2 + "x_-",
    *(f"shp{kind}_" + HEX * 2 for kind in ("at", "ss")),
    "ATA" + "TT3" + A * 3 + "=" + HEX[:8],
    "hv" + "s." + A + A,
    "ey" + "J" + A + "." + "eyJ" + A + "." + A,
    "ey" + "J" + A + "." + A + "." + A + "." + A + "." + A,
    "-----BEGIN " + "PRIVATE KEY-----\nMII" + A + "\n+/=\n-----END " + "PRIVATE KEY-----",
    "-----BEGIN RSA " + "PRIVATE KEY-----\nProc-Type: 4,ENC\n\nMII\n-----END RSA " + "PRIVATE KEY-----",
    "-----BEGIN OPENSSH " + "PRIVATE KEY-----\\nb3Bl" + A + "\\n-----END OPENSSH " + "PRIVATE KEY-----",
    "-----BEGIN PGP " + "PRIVATE KEY BLOCK-----\n\nlQ" + A + "\n-----END PGP " + "PRIVATE KEY BLOCK-----",
]
AROUND = [
    "{}",
    "is {}.",
    '"{}"',
    "KEY={}",
    "\n{}\n",
    "\x1b[32m{}\x1b[0m",
    "ü{}ß",
    "\\n{}\\n",
    "({})",
    "\0{}\x1f",
]


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_is_redacted_in_any_text(secret: str) -> None:
    for around in AROUND:
        text = around.format(secret)
        assert REDACTOR.text(text) == around.format("[redacted]")
        assert data({"a": [{"b": text}]}) == {"a": [{"b": around.format("[redacted]")}]}


P = "hunt" + "er2"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("mongodb+srv://root:" + P + "@db.example.com/app", "mongodb+srv://[redacted]@db.example.com/app"),
        ("postgres://u:p@" + P + "@h1:5432,h2/db?x=1", "postgres://[redacted]@h1:5432,h2/db?x=1"),
        ("redis://:" + P + "@cache", "redis://[redacted]@cache"),
        ("clone https://" + P + "@github.com/a/b.git", "clone https://[redacted]@github.com/a/b.git"),
        ("https://x-access-token:" + P + "@github.com", "https://[redacted]@github.com"),
        ("https://h/x?a=1&access_token=" + P + "&b=2", "https://h/x?a=1&access_token=[redacted]&b=2"),
        ("/cb?token=" + P + "#top", "/cb?token=[redacted]#top"),
        ("/cb?apiKey=" + P + "&client_secret=" + P, "/cb?apiKey=[redacted]&client_secret=[redacted]"),
        ("curl -H 'Authorization: Bearer " + P + "' h", "curl -H 'Authorization: Bearer [redacted]' h"),
        ('"authorization": "token ' + P + '"', '"authorization": "token [redacted]"'),
        ("sent Bearer " + A, "sent Bearer [redacted]"),
        ("bearer\t" + A + "==, ok", "bearer\t[redacted], ok"),
        ("Basic dXNlcjpwYXNz" + "d29yZA==", "Basic [redacted]"),
        ("Basic dXNlcjpw" + "YXNz", "Basic [redacted]"),
        ("https://hooks.slack.com/services/T0/B0/" + A, "https://hooks.slack.com/services/[redacted]"),
        ("-----BEGIN RSA " + "PRIVATE KEY-----\nMII" + A, "[redacted]"),
    ],
)
def test_only_the_secret_part_of_a_text_is_redacted(text: str, shown: str) -> None:
    assert REDACTOR.text(text) == shown
    assert data(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "https://example.com/a@b?c=d@e",
        "http://localhost:8080/@vite/client",
        '["http://a.com","bob@example.org"]',
        "ssh://git@github.com/a/b.git and git@github.com:a/b.git, mail bob@example.org",
        "http://localhost:3000/?tokenize=1&secretary=bob&page_token=5&a=token=",
        "Basic authentication, Basic JavaScript, basic internationalization, bearer certificates",
        "the authorization: required for this; Authorization failed",
        "task-65f0c0ffee65f0c0ffee65f0 risk-or-reward-considerations-of-it desk-admin-of-the-whole-office",
        "task_test_65f0c0ffee65f0c0ffee65f0 my_npm_package_of_some_length_that_is_long half_finished",
        "sk-learn sk-short ghp_example glpat-short xoxo-kisses AKIA ASIA-PACIFIC AIzawa npm_config_registry",
        "MSG.something.else eyJ eyJust.a.word SG.a.b hvs.x ya29 pypi-server whsec_ dop_v1_",
        "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE----- -----BEGIN PUBLIC KEY-----",
        "2026-01-02T03:04:05Z 123e4567-e89b-12d3-a456-426614174000 sha256:" + HEX * 4,
        "the token count was 5, password: changed, cookies accepted; x://y z://",
    ],
)
def test_similar_texts_are_not_changed(text: str) -> None:
    assert REDACTOR.text(text) == text
    assert data({"a": text}) == {"a": text}


def test_names_of_fields_are_redacted_and_no_field_is_lost() -> None:
    event = {SECRETS[0]: 1, SECRETS[1]: 2, "[redacted] 2": 3, "b": 4}
    shown = data(event)
    assert sorted(shown) == ["[redacted]", "[redacted] 2", "[redacted] 3", "b"]
    assert sorted(shown.values()) == [1, 2, 3, 4]
    assert event_json(dict(reversed(event.items())), VIEW) == event_json(event, VIEW)


def test_every_bson_type_with_text_is_redacted() -> None:
    secret = SECRETS[0]
    event = {"a": Code(secret), "b": Regex(secret), "c": DBRef(secret, secret), "d": {"e": (secret,)}}
    assert secret.encode() not in event_json(event, VIEW)
    assert data({"a": DBRef("c", 1, token="x")})["a"] == {"$ref": "c", "$id": 1, "token": "[redacted]"}


# Properties of all texts and values.

PIECES = st.lists(
    st.sampled_from(
        [
            *SECRETS,
            *AROUND,
            "Bearer ",
            "Authorization: ",
            "https://",
            "x://",
            ":",
            "@",
            "?token=",
            "-",
            "_",
            ".",
            "\\n",
        ]
    )
    | st.text(max_size=3),
    max_size=6,
).map("".join)


@given(PIECES)
def test_redacting_twice_changes_nothing(text: str) -> None:
    once = REDACTOR.text(text)
    assert REDACTOR.text(once) == once


@given(PIECES)
def test_the_json_of_a_secret_has_a_sign(text: str) -> None:
    if SHAPES_PATTERN.search(text):
        assert REDACTOR.may_change(orjson.dumps({"a": [text]}))
        assert REDACTOR.may_change(orjson.dumps({text: 1}))


@given(BSON)
def test_every_bson_value_can_be_sent_in_an_event(value: Any) -> None:
    shown = orjson.loads(event_json(value, VIEW)) if value is not None else None
    again = shown and event_json(shown["data"], VIEW)
    assert not again or orjson.loads(again)["data"] == shown["data"]


@given(BSON)
def test_a_value_without_secrets_is_not_changed(value: Any) -> None:
    json = orjson.dumps(plain(value), option=orjson.OPT_SORT_KEYS)
    hidden = any(map(REDACTOR.hides, re.findall(r'"([^"]*)":', json.decode())))
    if value is not None and not hidden and not REDACTOR.may_change(json):
        assert orjson.dumps(data(value), option=orjson.OPT_SORT_KEYS) == json


@given(BSON, st.sampled_from(SECRETS), st.sampled_from(AROUND), st.lists(st.sampled_from("ab0"), max_size=6))
def test_no_planted_secret_survives_at_any_depth(
    value: Any, secret: str, around: str, path: list[str]
) -> None:
    planted: Any = around.format(secret)
    for name in path:
        planted = [value, planted] if name == "0" else {name: planted, "other": value}
    json = event_json({"type": secret, "x": planted, secret: 1}, VIEW)
    assert b"[redacted]" in json
    for part in {secret, secret.replace("\\n", "\n")}:
        assert orjson.dumps(part)[1:-1] not in json


# Time: four times the text takes about four times as long.

UNITS = [
    *(
        "a",
        " ",
        "-",
        "?",
        "&",
        "ghp_",
        "sk-",
        "sk-ant-",
        "eyJ",
        "eyJaaaaaaaa.",
        "-eyJaaaaaaaa",
        "\\neyJaaaaaaaa",
    ),
    *(
        "SG.aaaaaaaaaaaaaaaaaa",
        "-----BEGIN PRIVATE KEY----",
        "://",
        "http://a:",
        "a@",
        "Bearer ",
        "Bearer aB",
    ),
    *("Bearer aBBBB.", "Authorization: ", "&token=", "access_", "\x1b[0meyJaaaaaaaa", "AKIA", "b", "z"),
]


def search(text: str) -> None:
    REDACTOR.text(text)
    REDACTOR.may_change(text.encode())


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("start", ["", "http://a:", "Bearer ", "eyJaaaaaaaa."])
def test_the_time_is_linear_in_the_length_of_the_text(start: str, unit: str) -> None:
    assert_linear(search, *(start + unit * (size // len(unit)) for size in (16_384, 65_536)))


# The mapping file's own patterns.


def test_patterns_of_the_mapping_search_all_texts_and_the_type() -> None:
    view = EventView(redactor=Redactor(Redaction(patterns=(r"ACME-\d{4}", r"\w*-internal"))))
    assert data({"a": "is ACME-1234, db-internal"}, view) == {"a": "is [redacted], [redacted]"}
    late = "x " * 20_000
    assert data({"a": late + "ACME-1234"}, view) == {"a": late + "[redacted]"}
    assert orjson.loads(event_json({"type": "ACME-1234"}, view))["type"] == "[redacted]"


def test_a_pattern_does_not_match_its_own_results() -> None:
    assert Redactor(Redaction(patterns=("[a-z]",))).text("ab") == "[redacted]" * 2
    assert Redactor(Redaction(patterns=("..[a-z][^r]", "."))).text("ab]") == "[redacted]" * 3


# The size of an event.

SMALL = EventView(max_bytes=1024)


def test_only_the_size_is_sent_of_an_event_that_is_too_large() -> None:
    event = {"type": "log", "at": datetime(2026, 1, 2), "text": "x" * 1024}
    size = len(event_json(event, VIEW))
    assert orjson.loads(event_json(event, SMALL)) == {
        "type": "log",
        "at": "2026-01-02T00:00:00.000Z",
        "data": {"truncated": True, "bytes": size},
    }
    assert event_json(event, EventView(max_bytes=size)) == event_json(event, VIEW)
    assert b"truncated" in event_json(event, EventView(max_bytes=size - 1))


def test_an_event_keeps_its_size_limit_after_redaction() -> None:
    event = {"urls": ["x://:@"] * 90}
    assert len(orjson.dumps(event)) < 1024
    assert data(event, SMALL)["truncated"] is True


def test_the_type_of_an_event_is_redacted_before_it_is_cut() -> None:
    def kind(value: str, view: EventView = VIEW) -> Any:
        return orjson.loads(event_json({"type": value, "x": "y" * 2000}, view))["type"]

    assert kind("x" * 200) == "x" * 200
    assert kind("x" * 201) == "x" * 199 + "…"
    cut_through = "x" * 180 + " " + SECRETS[0]
    for view in (VIEW, SMALL):
        assert kind(SECRETS[0], view) == "[redacted]"
        assert kind(cut_through + " and more of it", view) == "x" * 180 + " [redacted] and mor…"


def test_events_that_are_equal_after_redaction_are_equal() -> None:
    before, after = ({"type": "log", "token": token, "url": f"https://{token}@h"} for token in ("one", "two"))
    assert event_json(before, VIEW) == event_json(after, VIEW)
    assert extend(b"", event_json(before, VIEW)) == extend(b"", event_json(after, VIEW))
    timeline = timeline_of({"events": [before]}, "events")
    _, rewritten = advance(timeline, Updated({"events": [after]}), "events")
    assert isinstance(rewritten, Rewritten)
    assert settled(rewritten, VIEW) is None
    other = EventView(redactor=Redactor(Redaction(keep=("token",))))
    assert settled(rewritten, other) is not None


# Summaries and lifecycle messages.


def test_summaries_and_lifecycle_messages_have_no_secrets() -> None:
    mapping = Mapping()
    reader = Translator(mapping, Audience(mapping.visibility).keys_of, max_text=50, max_event_bytes=1024)
    secret = SECRETS[0]
    document = {
        "_id": 1,
        "title": "x" * 30 + " " + secret,
        "error": {"message": f"Bearer {secret} was refused"},
        "prUrl": f"https://bob:{P}@git.example.com/pr/1",
        "questions": [f"Is {secret} right?", {"text": "-----BEGIN " + "PRIVATE KEY-----\n" + A * 600}],
        "status": "failed",
        "events": [],
    }
    task = reader.read(document)
    assert task.summary["title"] == "x" * 30 + " [redacted]"
    assert task.summary["error"] == "Bearer [redacted] was refused"
    assert task.summary["prUrl"] == "https://[redacted]@git.example.com/pr/1"
    assert task.summary["questions"] == ["Is [redacted] right?", "[redacted]"]
    change = Change(key_of(1), 1, Timestamp(10, 1), None, Updated({"status": "failed"}))
    step = reader.translate(reader.read({**document, "status": "new"}), change)
    assert Lifecycle(Kind.FAILED, {"status": "failed", "error": task.summary["error"]}) in step.messages
