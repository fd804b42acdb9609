"""The metrics of one relay: which series there are, and that no client can make new ones."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import pytest
from prometheus_client.parser import text_string_to_metric_families

from relay.auth.origins import Transport
from relay.metrics import CLOSE_CODES, ERRORS, OTHER, REFUSALS, REQUESTS, TRANSPORTS, Metrics
from relay.protocol.types import ABNORMAL, Close, ErrorCode, Request

RELAY = Path(__file__).parents[2] / "relay"
NO_STATUS = 1005  # RFC 6455 7.1.5: the client sent a close frame without a code


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_the_values_of_labels_are_those_of_the_protocol() -> None:
    codes = {str(int(code)) for code in Close} | {str(ABNORMAL), str(NO_STATUS), OTHER}
    assert codes <= set(CLOSE_CODES)
    assert set(REQUESTS) == {*Request, "unknown"}
    assert set(ERRORS) == set(ErrorCode)
    assert set(TRANSPORTS) == set(get_args(Transport))


def test_every_reason_of_a_refusal_is_a_value_of_its_label() -> None:
    reasons: set[str] = set()
    for folder in ("auth", "gateway"):
        for module in (RELAY / folder).rglob("*.py"):
            reasons |= set(re.findall(r'Refused\(\s*Close\.\w+, f?"(\w+)', module.read_text("utf-8")))
    assert len(reasons) >= 8
    assert reasons <= set(REFUSALS)


def test_every_series_is_there_from_the_start() -> None:
    counted = re.compile(r"_(total|bucket|count|sum)$")
    families = list(text_string_to_metric_families(Metrics().text().decode()))
    ours = [one for one in families if one.name.startswith("relay_")]
    assert all(one.samples for one in ours)
    assert all(sample.value == 0 for one in ours for sample in one.samples if counted.search(sample.name))
    # The times of their creation, which the library adds unless it is told not to, are not among them.
    assert not [one.name for one in families if one.name.endswith("_created")]


@pytest.mark.parametrize(
    ("code", "label"), [(1001, "1001"), (ABNORMAL, "1006"), (4999, OTHER), (None, OTHER)]
)
def test_a_close_code_that_only_a_client_knows_makes_no_series(code: int | None, label: str) -> None:
    metrics = Metrics()
    metrics.note_close(code)
    assert value(metrics, "relay_closed_total", code=label) == 1
    assert text_of(metrics) == text_of(Metrics())


@pytest.mark.parametrize(("type", "label"), [("ping", "ping"), ("x" * 1000, "unknown"), ("", "unknown")])
def test_a_type_that_only_a_client_knows_makes_no_series(type: str, label: str) -> None:
    metrics = Metrics()
    metrics.note_request(type)
    assert value(metrics, "relay_messages_received_total", type=label) == 1
    assert text_of(metrics) == text_of(Metrics())


@pytest.mark.parametrize(
    ("reason", "label"),
    [("rate_limited:300", "rate_limited"), ("token_expired", "token_expired"), ("x", OTHER)],
)
def test_a_refusal_is_counted_by_the_word_of_its_reason(reason: str, label: str) -> None:
    metrics = Metrics()
    metrics.note_refusal("websocket", reason)
    assert value(metrics, "relay_refusals_total", transport="websocket", reason=label) == 1
    assert text_of(metrics) == text_of(Metrics())


def text_of(metrics: Metrics) -> set[Any]:
    """The names of all series with their labels."""
    return {line.rsplit(" ", 1)[0] for line in metrics.text().decode().splitlines()}
