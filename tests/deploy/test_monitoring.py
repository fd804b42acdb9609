"""deploy/prometheus and deploy/grafana: rules and a board that name only what there is, and alerts that are explained.

A real Prometheus evaluates them in tests/faults/test_alerts.py.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from support.doc_snippets import GUIDES, ROOT
from support.prometheus import RULES, rules, selectors, tool

from relay.metrics import DroppedLines, Metrics, SharedStream, WorkerMetrics
from scripts import generated_board

ALERTS = [rule for rule in rules() if "alert" in rule]
OPERATING = (GUIDES / "operating.md").read_text("utf-8")


def known() -> dict[str, set[str]]:
    """The names of all samples of a relay, each with the names of its labels."""
    metrics, workers = Metrics(), WorkerMetrics()
    metrics.show(lambda: SharedStream("alone", 0.0, 0, 0, 0))
    metrics.registry.register(DroppedLines(lambda: 0))
    workers.restarts.labels("1")
    workers.connections.labels("1")
    text = (metrics.text() + workers.text()).decode()
    families = text_string_to_metric_families(text)
    return {sample.name: set(sample.labels) for family in families for sample in family.samples}


def expressions() -> Iterator[str]:
    yield from (rule["expr"] for rule in rules())
    yield from generated_board.expressions()


def test_every_expression_names_only_metrics_and_labels_that_exist() -> None:
    names = known() | {"up": set()} | {rule["record"]: set() for rule in rules() if "record" in rule}
    added = {"job", "instance"}  # by Prometheus
    for expression in expressions():
        named = list(selectors(expression))
        assert named, expression
        labels = set()
        for selector in named:
            name, _, inside = selector.partition("{")
            assert name in names, expression
            labels |= names[name]
            assert set(re.findall(r"(\w+)[!=]", inside)) <= names[name] | added, expression
        for grouped in re.findall(r"\bby \(([^)]*)\)", expression):
            assert set(grouped.split(", ")) <= labels | added, expression


def test_the_board_shows_every_metric_of_a_relay_without_a_shared_stream() -> None:
    """What the operators' page calls worth knowing is on the board, so that nobody has to build one."""
    shown = {
        selector.partition("{")[0] for one in generated_board.expressions() for selector in selectors(one)
    }
    families = {
        one.name
        for one in text_string_to_metric_families((Metrics().text() + WorkerMetrics().text()).decode())
    }
    unshown = {one for one in families if not any(name.startswith(one) for name in shown)}
    assert {one for one in unshown if one.startswith("relay_")} == {
        "relay_stream_reopened",  # the resyncs say more
        "relay_worker_connections",
    }


def test_the_panels_of_the_board_do_not_overlap() -> None:
    board = json.loads(generated_board.board())
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < generated_board.ROW_WIDTH
        taken |= cells
    numbers = [panel["id"] for panel in board["panels"]]
    assert len(set(numbers)) == len(numbers)


def test_every_alert_is_explained_and_every_explanation_belongs_to_one() -> None:
    section = re.search(r"^### Alerts\n(.*?)^## ", OPERATING, re.MULTILINE | re.DOTALL)
    assert section is not None
    assert re.findall(r"^\| `(\w+)` \|", section[1], re.MULTILINE) == [rule["alert"] for rule in ALERTS]


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: str(alert["alert"]))
def test_an_alert_says_how_bad_it_is_where_and_what_to_do(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in ("critical", "warning")
    assert "{{ $labels.instance }}" in alert["annotations"]["summary"]
    page, _, anchor = alert["annotations"]["runbook"].partition("#")
    assert (ROOT / page).read_text("utf-8") == OPERATING
    assert anchor == "alerts"


def test_prometheus_accepts_the_rules() -> None:
    done = subprocess.run(
        [tool("promtool"), "check", "rules", str(RULES)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"SUCCESS: {len(rules())} rules found" in done.stdout


# What a relay says, in the notation of promtool (`3+2x60`: 3, and 2 more in each of 60 minutes), for each alert; the
# minute in which it does not fire yet, and the one in which it does.
STORIES: dict[str, tuple[dict[str, str], int, int]] = {
    "RelayNotReady": ({"relay_ready": "1+0x9 0+0x60"}, 10, 12),
    "RelayStale": ({"relay_stale": "0+0x9 1+0x60"}, 10, 12),
    "RelayBehind": ({"relay_lag_seconds": f"0.1+0x9 {'0.2 2.8 1.5 ' * 20}"}, 14, 20),
    "RelayDatabaseErrors": ({'relay_database_errors_total{kind="no_answer"}': "0+0x9 0+6x60"}, 11, 20),
    "RelayResynced": ({'relay_resyncs_total{cause="other_database"}': "0+0x29 1+0x60"}, 29, 31),
    "RelayDataDamaged": ({"relay_documents_left_out_total": "0+0x29 1+0x60"}, 29, 31),
    "RelayReadersLag": ({"relay_lagging_total": "0+0x9 0+6x60", "relay_connections": "100+0x80"}, 11, 20),
    "RelaySlowDelivery": (
        {
            'relay_delivery_written_seconds_bucket{le="2.5"}': "0+90x80",
            'relay_delivery_written_seconds_bucket{le="5"}': "0+100x80",
            'relay_delivery_written_seconds_bucket{le="+Inf"}': "0+100x80",
        },
        *(8, 15),
    ),
    "RelayShortOfCPU": (
        {
            'relay_loop_delay_seconds_bucket{le="0.25"}': "0+90x80",
            'relay_loop_delay_seconds_bucket{le="0.5"}': "0+100x80",
            'relay_loop_delay_seconds_bucket{le="+Inf"}': "0+100x80",
        },
        *(8, 15),
    ),
    "RelayNearlyFull": (
        {
            "relay_connections": "700+0x9 750+0x60",
            "relay_polls": "60+0x80",
            "relay_connections_limit": "1000+0x80",
        },
        *(14, 16),
    ),
    "RelayFlooded": (
        {
            'relay_errors_sent_total{code="rate_limited"}': "0+0x9 0+240x60",
            'relay_refusals_total{transport="poll", reason="at_capacity"}': "0+0x9 0+120x60",
        },
        *(11, 25),
    ),
    "RelayTokensRefused": (
        {'relay_closed_total{code="4401"}': "0+12x80", 'relay_closed_total{code="1001"}': "0+30x80"},
        *(20, 30),
    ),
    "RelayWorkerRestarts": ({'relay_worker_restarts_total{worker="2"}': "0+0x29 1+0x60"}, 29, 31),
    "RelayLogLinesDropped": ({"relay_log_lines_dropped_total": "0+0x29 9+0x60"}, 29, 31),
}
# A relay that has nothing to complain about, with one slow reader, one token that ended, and a failover.
QUIET = {
    "relay_ready": "1+0x80",
    "relay_stale": "0+0x80",
    "relay_lag_seconds": "0.1+0x80",
    'relay_database_errors_total{kind="passing"}': "0+0x9 3+0x60",
    "relay_lagging_total": "0+0x9 1+0x60",
    "relay_connections": "100+0x80",
    "relay_polls": "0+0x80",
    "relay_connections_limit": "1000+0x80",
    'relay_closed_total{code="4401"}': "0+1x80",
    'relay_closed_total{code="1001"}': "0+20x80",
    'relay_errors_sent_total{code="rate_limited"}': "0+5x80",
    'relay_refusals_total{transport="poll", reason="at_capacity"}': "0+0x80",
}


def test_each_alert_has_a_story() -> None:
    assert list(STORIES) == [rule["alert"] for rule in ALERTS]


def test_each_alert_fires_when_it_should_and_not_before(tmp_path: Path) -> None:
    def story(series: dict[str, str], *moments: tuple[int, list[str]]) -> dict[str, Any]:
        return {
            "interval": "1m",
            "input_series": [{"series": name, "values": values} for name, values in series.items()],
            "promql_expr_test": [
                {
                    "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
                    "eval_time": f"{minute}m",
                    "exp_samples": [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in names],
                }
                for minute, names in moments
            ],
        }

    stories = [
        story(series, (not_yet, []), (then, [name])) for name, (series, not_yet, then) in STORIES.items()
    ]
    file = tmp_path / "stories.yml"
    quiet = story(QUIET, *((minute, []) for minute in (1, 11, 20, 40, 70)))
    file.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "tests": [*stories, quiet]}))
    done = subprocess.run(
        [tool("promtool"), "test", "rules", str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
