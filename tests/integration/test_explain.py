"""`relay explain`, run as a process over a real MongoDB: every verdict, and what it must not show."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jwt
import pytest
from bson import ObjectId
from support.command_process import run
from support.relay_fixture import SECRET, token
from support.token_forgery import hmac_signed

SECRET_TITLE = "a title that nobody is to be shown"
ID = ObjectId("65f0c0ffee65f0c0ffee65f0")

Explain = Callable[..., dict[str, Any]]


@pytest.fixture
def explain(good: dict[str, str]) -> Explain:
    """A function that runs the command with `--json`, which must end with this exit code, and returns the answer."""

    def run_it(*arguments: str, code: int, **given: str) -> dict[str, Any]:
        ended = run("explain", "--json", *arguments, **good | given)
        assert ended.returncode == code, ended.stdout + ended.stderr
        assert ended.stderr == ""
        assert SECRET_TITLE not in ended.stdout
        answer: dict[str, Any] = json.loads(ended.stdout)
        assert answer["visible"] == (code == 0)
        return answer

    return run_it


@pytest.fixture
def task(tasks: Any) -> None:
    tasks.insert_one(
        {
            "_id": "t",
            "title": SECRET_TITLE,
            "createdBy": "bob",
            "userId": "alice",
            "members": ["Carol", 5, None, {"note": SECRET_TITLE}],
            "teamId": "red",
            "events": [{"text": SECRET_TITLE}],
        }
    )


def rule(answer: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in answer["rules"] if one["name"] == name)
    return found


def test_a_user_is_told_whether_the_task_waits_for_them(tasks: Any, explain: Explain) -> None:
    tasks.insert_one(
        {"_id": "t", "createdBy": "bob", "members": ["ann"], "status": "in_review", "reviewer": "ann"}
    )
    for sub, expected in (("ann", True), ("bob", False)):
        answer = explain("--task", "t", "--sub", sub, code=0)
        assert (answer["waitsFor"], answer["waitsForUser"]) == ({"sub": ["ann"]}, expected)


def test_a_user_who_may_see_the_task_is_told_by_which_rule(task: None, tasks: Any, explain: Explain) -> None:
    before = [*tasks.find()]
    answer = explain("--task", "t", "--token", token("bob", teams=["blue"]), code=0)
    assert (answer["verdict"], answer["live"], answer["list"]) == ("visible", True, True)
    assert answer["sentence"] == "bob may see this task, by the rule creator."
    assert answer["token"]["accepted"]
    assert {"iat", "exp"} <= answer["token"].keys()
    assert rule(answer, "creator")["documentValues"] == [
        {"field": "createdBy", "type": "string", "value": "bob", "equal": True, "counts": True},
        {"field": "userId", "type": "string", "value": "alice", "equal": False, "counts": False},
    ]
    assert [one["name"] for one in answer["rules"] if one["matches"]] == ["creator"]
    assert answer["user"]["claims"] == {"sub": ["bob"], "teams": ["blue"], "roles": []}
    assert [*tasks.find()] == before


def test_a_user_who_sees_everything_is_told_by_which_claim(task: None, explain: Explain) -> None:
    answer = explain("--task", "t", "--sub", "root", "--claim", "roles=guest,admin", code=0)
    assert answer["seesAll"] == [{"claim": "roles", "value": "admin", "matches": True}]
    assert (
        answer["sentence"] == 'root may see this task: the claim roles has "admin", which opens every task.'
    )


def test_a_user_whom_no_rule_lets_in_is_shown_both_sides_of_each_rule(task: None, explain: Explain) -> None:
    answer = explain("--task", "t", "--sub", "alice", "--claim", "teams=blue,green", code=1)
    assert (answer["verdict"], answer["live"], answer["list"]) == ("no_rule", False, False)
    assert rule(answer, "team")["userValues"] == ["blue", "green"]
    assert [one["value"] for one in rule(answer, "team")["documentValues"]] == ["red"]
    types = [one["type"] for one in rule(answer, "member")["documentValues"]]
    assert types == ["string", "integer", "null", "sub-document"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--sub", "alice"], 'userId has "alice", but does not count, because createdBy is present'),
        (["--sub", "carol"], '"Carol" and "carol" differ in capital letters or spaces, which count'),
        (["--sub", "x"], "the user has no claim teams"),
        (["--sub", "x", "--claim", "teams="], "the user's claim teams has no value that counts"),
        (["--sub", "x", "--claim", "teams=blue red"], "the claim is one string with several names in it"),
        (["--sub", "x"], 'members has "Carol", the integer 5, null, a value that is no id (sub-document)'),
        (["--sub", "x"], 'the user has no claim roles; "admin" in it would open every task'),
        (["--sub", "x"], "x may not see this task: no visibility rule opens it for them."),
        (["--sub", "bob"], 'createdBy has "bob", and so has the user\'s claim sub'),
        (["--sub", "\x1b[31m"], "for \\x1b[31m"),
    ],
)
def test_each_rule_is_explained_in_words(
    task: None, good: dict[str, str], arguments: list[str], says: str
) -> None:
    shown = run("explain", "--task", "t", *arguments, **good)
    assert says in shown.stdout, shown.stdout + shown.stderr
    assert SECRET_TITLE not in shown.stdout
    assert "\x1b" not in shown.stdout


def raw(payload: str, header: str = '{"alg": "HS256"}') -> str:
    """A token with exactly this payload and header, signed with the relay's key."""
    return hmac_signed(header.encode(), payload.encode(), SECRET)


def of(**claims: Any) -> str:
    return jwt.encode({"sub": "bob", "exp": 4e9, **claims}, SECRET, algorithm="HS256")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (token("bob", ttl_s=-100_035), "ended 1 day ago (exp)"),
        (token("bob", ttl_s=-3660), "ended 1 hour ago (exp)"),
        (token("bob", secret="another key of thirty-two letters"), "signed with another key"),
        (jwt.encode({"sub": "bob", "exp": 4e9}, SECRET * 2, algorithm="HS512"), 'is signed with "HS512"'),
        (of(exp=None), "has no exp"),
        (of(nbf=3.9e9), " days later than this machine's clock"),
        (raw('{"sub": "bob", "sub": "bob"}'), 'has a payload with the name "sub" twice'),
        (raw('{"sub": "bob", "n": NaN}'), "has a payload with the number NaN"),
        (raw('{"sub": "bob"}', '{"alg": ["a", true]}'), "does not name the algorithm"),
        (of(iss="mallory"), 'has the iss "mallory", not RELAY_JWT_ISSUER, "us"'),
        (of(iss="us", aud=["them"]), 'has the aud ["them"], not RELAY_JWT_AUDIENCE, "relay"'),
        (of(), "has no iat, which RELAY_JWT_MAX_AGE_S needs"),
        (token("bob", ttl_s=7300), "is valid for 2 hours (iat to exp), and RELAY_JWT_MAX_AGE_S allows 900 s"),
    ],
)
def test_a_token_that_is_refused_is_explained_and_so_is_what_the_rules_say(
    task: None, explain: Explain, given: str, says: str
) -> None:
    wanted = (
        {"RELAY_JWT_ISSUER": "us", "RELAY_JWT_AUDIENCE": "relay"} if "iss" in says or "aud" in says else {}
    )
    if "MAX_AGE" in says:
        wanted = {"RELAY_JWT_MAX_AGE_S": "900"}
    answer = explain("--task", "t", "--token", given, code=1, **wanted)
    assert answer["verdict"] == "token_refused"
    assert answer["token"]["accepted"] is False
    assert says in answer["token"]["reason"]
    assert answer["sentence"].endswith("Otherwise they could see this task.")
    assert given not in json.dumps(answer)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("abc", "is not a JSON Web Token"),
        (raw("[1]"), "has a payload that is no JSON object"),
        (raw('"bob"'), "has a payload that is no JSON object"),
        (raw("{}", '["HS256"]'), "has a header that is no JSON object"),
        (jwt.encode({"exp": 4e9}, SECRET, algorithm="HS256"), "has no sub"),
        ("x" * 20_000, "is longer than 16 KiB"),
        ("tökén", "has characters that no token has"),
    ],
)
def test_a_token_without_a_user_is_explained_alone(explain: Explain, given: str, says: str) -> None:
    answer = explain("--task", "t", RELAY_TOKEN=given, code=1)
    assert says in answer["token"]["reason"]
    assert "rules" not in answer
    assert given not in json.dumps(answer)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"FEATURE_WEBSOCKET_ENABLED": "false"}, "FEATURE_WEBSOCKET_ENABLED=false switches live updates off"),
        ({"FEATURE_WEBSOCKET_PERCENT": "0"}, "not below FEATURE_WEBSOCKET_PERCENT=0"),
    ],
)
def test_a_user_outside_the_rollout_is_told_so(
    task: None, explain: Explain, given: dict[str, str], says: str
) -> None:
    answer = explain("--task", "t", "--sub", "bob", code=1, **given)
    assert answer["verdict"] == "not_in_rollout"
    assert says in answer["sentence"]
    assert answer["rollout"]["included"] is False
    named = explain(
        "--task", "t", "--sub", "bob", code=0, FEATURE_WEBSOCKET_PERCENT="0", FEATURE_WEBSOCKET_USERS="bob"
    )
    assert named["rollout"]["included"] is True


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (str(ID).upper(), f"There is a task whose taskId is {ID}."),
        ("7", 'There is a task whose taskId is {"$numberInt": "7"}.'),
        (" t ", "There is a task whose taskId is t."),
        ("away", "at 127.0.0.1"),
    ],
)
def test_a_task_that_does_not_exist_is_said_to(
    task: None, tasks: Any, explain: Explain, asked: str, says: str
) -> None:
    tasks.insert_many([{"_id": ID}, {"_id": 7}])
    answer = explain("--task", asked, "--sub", "bob", code=1)
    assert answer["verdict"] == "no_such_task"
    assert answer["sentence"].startswith("There is no task")
    assert says in answer["sentence"]


def test_a_collection_that_does_not_exist_is_said_to(task: None, explain: Explain) -> None:
    answer = explain("--task", "t", "--sub", "bob", code=1, RELAY_TASKS_COLLECTION="away")
    assert "This collection does not exist" in answer["sentence"]


def test_values_that_are_no_ids_are_shown_by_their_type_only(tasks: Any, explain: Explain) -> None:
    tasks.insert_one({"_id": "t", "createdBy": datetime.now(UTC), "members": [[SECRET_TITLE]], "teamId": 1.5})
    answer = explain("--task", "t", "--sub", "bob", code=1)
    shown = [one for found in answer["rules"] for one in found["documentValues"]]
    assert [one["type"] for one in shown] == ["date", "nested array", "other number"]
    assert not any("value" in one for one in shown)


def test_of_several_documents_the_first_that_the_user_may_see_is_explained(
    tasks: Any, explain: Explain
) -> None:
    tasks.insert_many([{"_id": ID, "createdBy": "bob"}, {"_id": str(ID), "createdBy": "alice"}])
    for sub in ("bob", "alice"):
        assert explain("--task", str(ID), "--sub", sub, code=0)["verdict"] == "visible"
    assert (
        rule(explain("--task", str(ID), "--sub", "x", code=1), "creator")["documentValues"][0]["value"]
        == "bob"
    )


def test_the_rules_of_a_mapping_are_those_explained(tasks: Any, explain: Explain, tmp_path: Path) -> None:
    (tmp_path / "m.toml").write_text(
        '[[visibility.rules]]\nname = "owner"\nfield = "owner.id"\nclaim = "realm.ids"\n[[visibility.sees_all]]\n'
        'claim = "realm.roles"\nvalue = "root"\n'
    )
    tasks.insert_one({"_id": "t", "owner": {"id": 5, "note": SECRET_TITLE}})
    mapping = {"RELAY_MAPPING": str(tmp_path / "m.toml")}
    answer = explain("--task", "t", "--token", token("bob", realm={"ids": [5]}), code=0, **mapping)
    assert [(one["name"], one["matches"]) for one in answer["rules"]] == [("owner", True)]
    assert answer["seesAll"] == [{"claim": "realm.roles", "value": "root", "matches": False}]
    explain("--task", "t", "--sub", "bob", "--claim", "realm.roles=root", code=0, **mapping)


@pytest.mark.parametrize(
    ("arguments", "given", "code", "says"),
    [
        ([], {}, 2, "A token is needed"),
        (["--sub", "a", "--token", "b"], {}, 2, "--sub is for a user without a token"),
        (["--token", "a", "--claim", "b=c"], {}, 2, "--claim needs --sub"),
        (["--sub", "a", "--claim", "b"], {}, 2, "is not name=value"),
        (["--sub", ""], {}, 2, "--sub must not be empty"),
        (["--sub", "a"], {"RELAY_MONGO_URL": "mongodb://127.0.0.1:1/"}, 3, "refuses the connection"),
        (["--sub", "a"], {"RELAY_MONGO_URL": ""}, 3, "RELAY_MONGO_URL is not set"),
        (["--token", "a"], {"RELAY_JWT_SECRET": ""}, 3, "RELAY_JWT_SECRET is not set"),
        (["--sub", "a"], {"RELAY_MAPPING": "/away.toml"}, 3, "The mapping file /away.toml cannot be read"),
        (["--sub", "a"], {"RELAY_JWT_SECRET": ""}, 1, ""),
    ],
)
def test_a_question_that_cannot_be_answered_ends_with_a_sentence(
    good: dict[str, str], arguments: list[str], given: dict[str, str], code: int, says: str
) -> None:
    ended = run("explain", "--task", "t", *arguments, **good | given)
    assert ended.returncode == code, ended.stdout + ended.stderr
    assert says in ended.stderr
    assert (ended.stdout == "") == (code != 1)
    if code == 3:
        also = run("explain", "--json", "--task", "t", *arguments, **good | given)
        answer = json.loads(also.stdout)
        assert (also.returncode, also.stderr) == (3, ended.stderr)
        assert (answer["visible"], answer["verdict"]) == (False, "unknown")
        assert also.stderr == f"relay: {answer['sentence']}\n"


def test_an_algorithm_that_is_no_string_is_shown_as_json(task: None, explain: Explain) -> None:
    answer = explain("--task", "t", "--token", raw('{"sub": "bob"}', '{"alg": ["a", true]}'), code=1)
    assert json.loads(answer["token"]["algorithm"]) == ["a", True]
