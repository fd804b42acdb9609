"""What `relay explain` says where no database can be made to say it."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from support.relay_fixture import settings_for

from relay.cli.explain import run as explaining
from relay.cli.explain.explanation import Explanation, Found, Verdict
from relay.cli.explain.report import sentence, to_json, to_text
from relay.cli.explain.user import of_claims
from relay.tasks.mapping import Mapping

SAYS = "Live messages and lists disagree about this task, which is a fault of the relay: please report it"


def explanation(*, live: bool, listed: bool) -> Explanation:
    return Explanation(
        settings=settings_for("mongodb://db/?replicaSet=rs0", "app"),
        mapping=Mapping(),
        now=0,
        task_id="t",
        user=of_claims({"sub": "alice"}, ["sub"]),
        is_in_rollout=True,
        found=Found(comparisons=[], roles=[], live=live, listed=listed),
    )


@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize("as_json", [True, False])
async def test_a_disagreement_of_live_messages_and_lists_is_said_to_be_a_fault_of_the_relay(
    monkeypatch: pytest.MonkeyPatch, live: bool, as_json: bool
) -> None:
    one = explanation(live=live, listed=not live)
    assert one.verdict is Verdict.DISAGREEMENT
    assert sentence(one).startswith(SAYS)
    answer = json.loads(to_json(one))
    assert (answer["visible"], answer["verdict"]) == (False, "disagreement")
    assert (answer["live"], answer["list"]) == (live, not live)
    assert "problem  agreement  live messages: " in to_text(one)

    async def explain(*_: object) -> Explanation:
        return one

    monkeypatch.setattr(explaining, "explain", explain)
    out, err = StringIO(), StringIO()
    asked = explaining.Asked("t", None, {"sub": "alice"})
    assert await explaining.run(one.settings, asked, out, err, as_json=as_json) == 1
    assert SAYS in out.getvalue()
    assert err.getvalue() == ""
