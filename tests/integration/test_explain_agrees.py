"""`relay explain` and a real relay agree about who may see which task."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import support.bson_bytes as raw
from hypothesis import HealthCheck, event, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from support.jwks_issuer import Issuer
from support.relay_fixture import SocketClient, connected, running, settings_for, token
from support.rights_strategies import CLAIMS, FIELDS, PATHS
from support.task_views import RAW
from support.token_forgery import jwk, jwks, signed

from relay.cli.explain.explanation import Verdict
from relay.cli.explain.run import Asked, explain, run
from relay.config import Settings
from relay.source.decoder import Decoder
from relay.tasks.task_ids import wire_id

DOCUMENTS = st.lists(st.tuples(raw.plain(), FIELDS), min_size=1, max_size=4)
RULES = st.lists(st.tuples(PATHS, st.sampled_from(["sub", "teams"])), min_size=1, max_size=3)
ROLES = st.sampled_from([[], [], [], ["7"], ["a"]])  # values of a claim that open every task


@pytest.fixture
def stored(mongo: Any, database_name: str) -> Any:
    return mongo[database_name].create_collection("tasks", codec_options=RAW)


@pytest.mark.timeout(600)  # for all examples together
@hypothesis_settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(DOCUMENTS, RULES, ROLES, st.lists(CLAIMS, min_size=1, max_size=2))
def test_a_join_and_a_list_show_what_the_explanation_says(
    stored: Any,
    mongo_url: str,
    database_name: str,
    tmp_path: Path,
    documents: Any,
    rules: Any,
    roles: Any,
    claims: Any,
) -> None:
    # Given any documents, rules and users,
    stored.delete_many({})
    for id_, fields in documents:
        command = {"insert": "tasks", "documents": [raw.stored(("_id", id_), *fields.items())]}
        stored.database.command(command, codec_options=RAW)
    decoder = Decoder("events")
    read = [decoder.document(bytes(document.raw)) for document in stored.find()]
    task_ids = [*(wire_id(document["_id"]) for document in read), "away"]
    (tmp_path / "mapping.toml").write_text(mapping(rules, roles))
    settings = settings_for(mongo_url, database_name, relay_mapping=tmp_path / "mapping.toml")
    # when a relay is asked for each task,
    shown = asyncio.run(shown_by_relay(settings, task_ids, claims))
    # then it shows those that the explanation says it shows.
    explanations = {
        (number, task_id): asyncio.run(explain(settings, Asked(task_id, token(**one), {})))
        for number, one in enumerate(claims)
        for task_id in task_ids
    }
    explained = {key: explanation.verdict for key, explanation in explanations.items()}
    assert Verdict.DISAGREEMENT not in explained.values()
    assert {key for key, verdict in explained.items() if verdict is Verdict.VISIBLE} == shown
    assert all((verdict is Verdict.NO_SUCH_TASK) == (key[1] == "away") for key, verdict in explained.items())
    # What it says about each rule is the reason for the verdict.
    for one in explanations.values():
        found = one.found
        assert found is None or found.live == any([*found.roles, *(rule.holds for rule in found.comparisons)])
    event(f"{min(len(shown), 2)} shown")


def mapping(rules: Any, roles: Sequence[str]) -> str:
    lines = ["[visibility]", "sees_all = ["]
    lines += [*(f'{{claim = "teams", value = {json.dumps(role)}}},' for role in roles), "]"]
    for number, (paths, claim) in enumerate(rules):
        lines += ["[[visibility.rules]]", f'name = "r{number}"', f'claim = "{claim}"']
        lines.append(f"field = {json.dumps(paths)}")
    return "\n".join(lines)


async def shown_by_relay(
    settings: Settings, task_ids: Sequence[str], claims: Sequence[dict[str, Any]]
) -> set[tuple[int, str]]:
    """Return which tasks a relay shows to which users, by their numbers. A join and the list show the same ones."""
    shown = set()
    async with running(settings) as relay:
        for number, one in enumerate(claims):
            async with connected(relay, "/ws/dashboard", **one) as client:
                listed = (await client.until("dashboard:state"))["data"]["tasks"]
                joined = {task_id for task_id in task_ids if await is_joined(client, task_id)}
                assert joined == {task["taskId"] for task in listed}
                shown |= {(number, task_id) for task_id in joined}
    return shown


async def is_joined(client: SocketClient, task_id: str) -> bool:
    """Join a task. Return whether the answer is its state; otherwise it is the error `forbidden`."""
    await client.send("task:join", {"taskId": task_id})
    while (answer := await client.next())["type"] not in ("task:state", "error"):
        pass
    assert answer["data"]["taskId"] == task_id
    assert answer["type"] == "task:state" or answer["data"]["code"] == "forbidden"
    return bool(answer["type"] == "task:state")


async def test_a_token_is_verified_with_the_keys_of_a_jwks(
    tasks: Any, mongo_url: str, database_name: str
) -> None:
    tasks.insert_one({"_id": "t", "createdBy": "alice"})
    claims = {"sub": "alice", "exp": int(time.time()) + 600}
    async with Issuer() as issuer:
        settings = settings_for(mongo_url, database_name, relay_jwt_secret=None, relay_jwks_url=issuer.url)
        issuer.document = jwks(jwk("RSA", "one"))
        good = await explain(settings, Asked("t", signed(claims, "RSA", "RS256", kid="one"), {}))
        assert good.verdict is Verdict.VISIBLE
        for kid, says in (("one", "another key than the relay has"), ("two", 'names the key "two"')):
            foreign = signed(claims, "RSA-other", "RS256", kid=kid)
            refused = await explain(settings, Asked("t", foreign, {}))
            assert refused.verdict is Verdict.TOKEN_REFUSED
            assert refused.of_rules is Verdict.VISIBLE
            assert refused.user.token is not None
            assert says in refused.user.token.refused


async def test_a_token_whose_keys_do_not_come_is_explained_with_its_claims(
    monkeypatch: pytest.MonkeyPatch, tasks: Any, mongo_url: str, database_name: str
) -> None:
    monkeypatch.setattr("relay.cli.explain.user.KEYS_S", 0.1)
    tasks.insert_one({"_id": "t", "createdBy": "alice"})
    async with Issuer() as issuer:
        settings = settings_for(mongo_url, database_name, relay_jwt_secret=None, relay_jwks_url=issuer.url)
        for asked, given, rules, says in (
            (
                "t",
                token("alice"),
                Verdict.VISIBLE,
                "If it is good, alice may see this task, by the rule creator.",
            ),
            (
                "t",
                token("bob"),
                Verdict.NO_RULE,
                "Even if it is good, no visibility rule opens this task for them.",
            ),
            ("away", token("bob"), Verdict.NO_SUCH_TASK, "There is no task away in"),
            (
                "t",
                "a.b.c",
                Verdict.NO_SUCH_TASK,
                "could not be checked: no usable keys came from RELAY_JWKS_URL",
            ),
        ):
            out, err = StringIO(), StringIO()
            explanation = await explain(settings, Asked(asked, given, {}))
            assert (explanation.verdict, explanation.of_rules) == (Verdict.TOKEN_UNCHECKED, rules)
            assert await run(settings, Asked(asked, given, {}), out, err, as_json=True) == 3
            answer = json.loads(out.getvalue())
            assert err.getvalue() == f"relay: {answer['sentence']}\n"
            assert says in answer["sentence"]
            assert (answer["visible"], answer["verdict"]) == (False, "token_unchecked")
            assert answer["token"]["accepted"] is None
            assert await run(settings, Asked(asked, given, {}), out, err, as_json=False) == 3
            assert "its signature could not be checked: no usable keys" in out.getvalue()
            assert given not in out.getvalue() + err.getvalue()
