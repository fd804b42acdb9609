"""Each reason to refuse a client, as each carrier says it: close codes and HTTP statuses of PROTOCOL.md."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

import orjson
import pytest
from starlette.requests import HTTPConnection
from support.polling_client import post
from support.raw_client import CLOSE, handshake, tcp_connection
from support.relay_fixture import settings_for, token

from relay.auth.addresses import networks
from relay.auth.admission import Admission
from relay.auth.keys import key_source
from relay.auth.limits import Buckets, Caps
from relay.auth.origins import Origins
from relay.auth.rollout import Rollout
from relay.auth.tokens import Verifier
from relay.config import Settings
from relay.errors import Refused
from relay.gateway.http import application
from relay.gateway.listening import bind
from relay.gateway.page import Page
from relay.gateway.polling.endpoint import Polls
from relay.gateway.server import Server
from relay.gateway.services import Services
from relay.gateway.websocket.endpoints import Connections
from relay.gateway.websocket.handshake import websocket_protocol
from relay.gateway.websocket.pacing import WritePacer
from relay.hub.hub import Hub
from relay.metrics import Metrics
from relay.tasks.mapping import Visibility
from relay.tasks.visibility import Audience

OURS = "https://app.example.com"
DAY_S = 86_400.0  # these tokens are made when the tests are collected, and a whole run takes a while
GOOD = f"Authorization: Bearer {token('alice', ttl_s=DAY_S)}"
PLENTY = {"total": 9, "per_address": 9, "per_user": 9}
NO_KEYS_YET = {
    "relay_jwt_secret": None,
    "relay_jwks_url": "http://127.0.0.1:9/keys",
    "relay_jwt_algorithms": "RS256",
}


@dataclass(frozen=True)
class Case:
    """A client that is refused: how the relay is set up, what the client sends, and what each carrier answers."""

    reason: str
    caps: dict[str, int] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    headers: tuple[str, ...] = ()
    token: tuple[str, ...] | None = None  # None: a valid one
    query: str = ""
    websocket: str = ""
    poll: str = ""
    config: str = ""

    @property
    def sent(self) -> tuple[str, ...]:
        return (*self.headers, *((GOOD,) if self.token is None else self.token))


# In the order in which they are checked: the first one that applies is the one that is answered.
CASES = [
    Case("an origin that is not allowed", headers=("Origin: https://evil.example",), websocket="HTTP 403",
         poll="403 forbidden origin_not_allowed", config="403 forbidden origin_not_allowed"),
    Case("a sandboxed page", headers=("Origin: null",), websocket="HTTP 403",
         poll="403 forbidden origin_not_allowed", config="403 forbidden origin_not_allowed"),
    Case("a relay that is full", caps={"total": 0}, websocket="4430 at_capacity",
         poll="429 rate_limited at_capacity", config="200 enabled"),
    Case("an address above its cap", caps={"per_address": 0}, websocket="4430 at_capacity",
         poll="429 rate_limited at_capacity", config="200 enabled"),
    *(Case(f"a token in the query ({name})", query=f"?{name}=x", websocket="4500 token_in_query",
           poll="401 forbidden token_in_query", config="401 forbidden token_in_query")
      for name in ("token", "access_token", "jwt")),
    *(Case(reason, token=headers, websocket="4500 bad_handshake", poll="401 forbidden bad_handshake",
           config="401 forbidden bad_handshake")
      for reason, headers in {
          "another scheme": ("Authorization: Basic YTpi",),
          "a scheme without a token": ("Authorization: Bearer ",),
          "two tokens": (GOOD, GOOD),
      }.items()),
    Case("no keys yet", settings=NO_KEYS_YET, websocket="1011 keys_unavailable",
         poll="503 unavailable keys_unavailable", config="503 unavailable keys_unavailable"),
    Case("no token", token=(), websocket="4408 auth_timeout", poll="401 forbidden unauthenticated",
         config="401 forbidden unauthenticated"),
    Case("a token of another key", token=(f"Authorization: Bearer {token('alice', secret='x' * 32, ttl_s=DAY_S)}",),
         websocket="4401 unauthenticated", poll="401 forbidden unauthenticated",
         config="401 forbidden unauthenticated"),
    Case("an expired token", token=(f"Authorization: Bearer {token('alice', ttl_s=-1)}",),
         websocket="4401 token_expired", poll="401 forbidden token_expired", config="401 forbidden token_expired"),
    Case("a user outside the rollout", settings={"feature_websocket_percent": 0},
         websocket="4502 feature_disabled", poll="403 feature_disabled feature_disabled", config="200 disabled"),
    Case("a user above the cap", caps={"per_user": 0}, websocket="4430 at_capacity",
         poll="429 rate_limited at_capacity", config="200 enabled"),
]  # fmt: skip
ADMITTED = Case("nobody: a control", headers=(f"Origin: {OURS}",), websocket="welcome", poll="400 bad_message",
                config="200 enabled")  # fmt: skip


def settings_of(case: Case) -> Settings:
    return settings_for("mongodb://nowhere", "none", **({"relay_auth_timeout_ms": 100} | case.settings))


def admission_of(case: Case, metrics: Metrics) -> Admission:
    settings = settings_of(case)
    return Admission(
        origins=Origins([OURS], metrics),
        caps=Caps(**(PLENTY | case.caps)),
        verifier=Verifier(key_source(settings)),
        rollout=Rollout(percent=settings.feature_websocket_percent),
        proxies=networks(["10.0.0.0/8"]),
    )


@asynccontextmanager
async def serving(case: Case) -> AsyncIterator[str]:
    """The address of a gateway without a database, on a real socket: no refusal here needs one."""
    metrics, audience = Metrics(), Audience(Visibility())
    settings, admission = settings_of(case), admission_of(case, metrics)
    async with Hub(None, None, metrics, list_interval_s=0) as hub:  # type: ignore[arg-type]
        services = Services(settings, admission, audience, hub, Buckets.of_users(settings))
        connections = Connections(services, metrics, random=lambda: 0.5)
        polls = Polls(services, metrics, random=lambda: 0.5)
        listening = bind("127.0.0.1", 0)
        url = "http://127.0.0.1:{1}".format(*listening.getsockname())
        server = Server(
            settings,
            application(admission, polls, [], metrics, page=Page(settings), url=url, links=dict),
            9,
            websockets=websocket_protocol(WritePacer(), connections.open),
        )
        ticking = asyncio.create_task(connections.run_timers())
        running = asyncio.create_task(server.serve([listening]))
        try:
            yield url
        finally:
            server.should_exit = True
            await running
            ticking.cancel()


async def websocket_answer(url: str, case: Case) -> str:
    async with tcp_connection(url) as peer:
        peer.send(handshake(f"/ws{case.query}", *case.sent))
        status, _ = await peer.answer()
        if status != 101:
            return f"HTTP {status}"
        opcode, payload = await peer.frame()
        if opcode == CLOSE:
            return f"{int.from_bytes(payload[:2], 'big')} {payload[2:].decode()}"
        return str(orjson.loads(payload)["type"])


async def poll_answer(url: str, case: Case) -> str:
    # The body is not JSON. So an admitted client gets 400, and no poll begins, which would need a database.
    answer = await post(url, b"{", *case.sent, sub=None, path=f"/poll{case.query}")
    data = answer.body["data"]
    if answer.status == 400:
        return f"400 {data['code']}"
    return f"{answer.status} {data['code']} {data['message']}"


async def config_answer(url: str, case: Case) -> str:
    async with tcp_connection(url) as peer:
        lines = [f"GET /config{case.query} HTTP/1.1", "Host: x", "Connection: close", *case.sent]
        peer.send("\r\n".join([*lines, "", ""]).encode())
        status, _ = await peer.answer()
        body = orjson.loads(await peer.reader.read())
    if status == 200:
        return "200 enabled" if body["enabled"] else "200 disabled"
    return f"{status} {body['data']['code']} {body['data']['message']}"


def set_up_alike() -> list[list[Case]]:
    """All cases, in groups of those that are answered by a relay with the same settings and caps."""
    groups: dict[str, list[Case]] = {}
    for case in [*CASES, ADMITTED]:
        groups.setdefault(repr((case.caps, case.settings)), []).append(case)
    return [*groups.values()]


@pytest.mark.parametrize("cases", set_up_alike(), ids=lambda cases: cases[0].reason)
async def test_each_carrier_gives_the_documented_answer(cases: list[Case]) -> None:
    answers = {}
    async with serving(cases[0]) as url:
        for case in cases:
            answers[case.reason] = await asyncio.gather(
                websocket_answer(url, case), poll_answer(url, case), config_answer(url, case)
            )

    assert answers == {case.reason: [case.websocket, case.poll, case.config] for case in cases}


def request_of(case: Case, *, peer: str = "192.0.2.1", forwarded_for: str = "") -> HTTPConnection:
    lines = [*case.sent, *([f"X-Forwarded-For: {forwarded_for}"] if forwarded_for else [])]
    parts = [line.encode().partition(b":") for line in lines]
    headers = [(name.lower(), value.strip()) for name, _, value in parts]
    return HTTPConnection(
        {"type": "http", "client": (peer, 1), "query_string": case.query[1:].encode(), "headers": headers}
    )


def reason_for(admission: Admission, request: HTTPConnection) -> str:
    """Why a poll is refused, or "admitted"."""
    if not admission.allows_origin(request, "poll"):
        return "origin_not_allowed"
    try:
        with admission.admitted(request):
            return "admitted"
    except Refused as refused:
        return refused.reason


def both(first: Case, second: Case) -> Case | None:
    """A client to which both reasons apply. None if they exclude each other."""
    for name in ("headers", "token", "query"):
        if getattr(first, name) not in ((), None, "") and getattr(second, name) not in ((), None, ""):
            return None
    return replace(
        first,
        caps=first.caps | second.caps,
        settings=first.settings | second.settings,
        headers=first.headers or second.headers,
        token=second.token if first.token is None else first.token,
        query=first.query or second.query,
    )


PAIRS = [
    pytest.param(first, pair, id=f"{first.reason}; {second.reason}")
    for first, second in combinations(CASES, 2)
    if (pair := both(first, second)) is not None
]


@pytest.mark.parametrize(("first", "pair"), PAIRS)
def test_the_first_check_that_fails_decides(first: Case, pair: Case) -> None:
    reason = reason_for(admission_of(pair, Metrics()), request_of(pair))

    assert reason == first.poll.split()[-1]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.reason)
def test_a_refused_client_is_not_counted(case: Case) -> None:
    admission = admission_of(
        replace(case, caps={"total": 1, "per_address": 1, "per_user": 1} | case.caps), Metrics()
    )

    for _ in range(2):
        assert reason_for(admission, request_of(case)) == case.poll.split()[-1]

    if not case.caps and not case.settings:
        assert reason_for(admission, request_of(ADMITTED)) == "admitted"


def test_an_admitted_client_is_counted_until_it_leaves() -> None:
    admission = admission_of(replace(ADMITTED, caps={"per_user": 1}), Metrics())
    request = request_of(ADMITTED)

    with admission.admitted(request):
        assert reason_for(admission, request) == "at_capacity"

    assert reason_for(admission, request) == "admitted"


def test_a_client_whose_request_fails_is_counted_no_longer() -> None:
    admission = admission_of(replace(ADMITTED, caps={"total": 1, "per_user": 1}), Metrics())

    with pytest.raises(ZeroDivisionError), admission.admitted(request_of(ADMITTED)):
        1 / 0  # noqa: B018

    assert reason_for(admission, request_of(ADMITTED)) == "admitted"


@pytest.mark.parametrize(
    ("peer", "reason"),
    [("10.0.0.1", "admitted"), ("192.0.2.1", "at_capacity")],
    ids=["a trusted proxy", "any other peer"],
)
def test_the_forwarded_address_counts_only_behind_a_trusted_proxy(peer: str, reason: str) -> None:
    admission = admission_of(replace(ADMITTED, caps={"per_address": 1}), Metrics())

    with admission.admitted(request_of(ADMITTED, peer=peer, forwarded_for="198.51.100.1")):
        assert reason_for(admission, request_of(ADMITTED, peer=peer, forwarded_for="198.51.100.2")) == reason


def test_a_websocket_may_offer_its_token_as_a_subprotocol() -> None:
    admission = admission_of(ADMITTED, Metrics())
    scope = {
        "type": "websocket",
        "headers": [],
        "query_string": b"",
        "subprotocols": ["relay.v1", "bearer.a.b.c"],
    }

    assert admission.token_of(HTTPConnection(scope)) == "a.b.c"


def test_a_token_as_a_subprotocol_and_another_in_a_header_are_refused() -> None:
    admission = admission_of(ADMITTED, Metrics())
    scope = request_of(ADMITTED).scope | {"type": "websocket", "subprotocols": ["bearer.a.b.c"]}

    with pytest.raises(Refused, match="4500 bad_handshake"):
        admission.token_of(HTTPConnection(scope))
