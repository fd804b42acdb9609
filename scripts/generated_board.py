"""Write deploy/grafana/relay.json, the board of the relay for Grafana, from a list of its panels.

The board chooses its data source, jobs and instances by variables, so it fits every Prometheus that scrapes the relay.
tests/deploy/test_prometheus.py asks a real one for each expression.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BOARD = Path(__file__).parents[1] / "deploy" / "grafana" / "relay.json"

SCHEMA_VERSION = 41  # of Grafana 12; later ones bring it up to date by themselves
ROW_WIDTH = 24  # in the units of Grafana
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
CHOSEN = 'job=~"$job", instance=~"$instance"'  # what stands for @ in an expression


@dataclass(frozen=True)
class Panel:
    """One panel. `queries` are pairs of an expression, in which @ stands for the labels that were chosen, and a legend.
    `kind` is a type of Grafana's panels, `unit` one of its units."""

    title: str
    queries: Sequence[tuple[str, str]]
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8
    says: str = ""


def per_second(counter: str, *by: str, labels: str = "") -> str:
    """Return the expression for the increase of a counter in a second, by these labels, over all chosen relays."""
    grouped = f" by ({', '.join(by)})" if by else ""
    return f"sum{grouped} (rate({counter}{{@{labels and ', '}{labels}}}[$__rate_interval]))"


def quantiles(histogram: str, *by: str) -> list[tuple[str, str]]:
    """Return queries for the 50, 95 and 99 % quantiles of a histogram, by these labels, over all chosen relays."""
    buckets = per_second(f"{histogram}_bucket", "le", *by)
    legend = "".join(f" {{{{{label}}}}}" for label in by)
    return [
        (f"histogram_quantile({quantile}, {buckets})", f"{quantile:.0%}{legend}")
        for quantile in (0.5, 0.95, 0.99)
    ]


ROWS: dict[str, Sequence[Panel]] = {
    "Health": (
        Panel(
            "Ready", [("min(relay_ready{@})", "")], kind="stat", width=4, says="1 if all relays are ready."
        ),
        Panel(
            "Stale",
            [("max(relay_stale{@})", "")],
            kind="stat",
            width=4,
            says="1 if a relay does not hear of the database.",
        ),
        Panel("Behind the database", [("max(relay_lag_seconds{@})", "")], "s", "stat", width=4),
        Panel("Connections", [("sum(relay_connections{@})", "")], kind="stat", width=4),
        Panel("Delivery, 99 %", [quantiles("relay_delivery_written_seconds")[2]], "s", "stat", width=4),
        Panel("Version", [("count by (version) (relay_build_info{@})", "{{version}}")], kind="stat", width=4),
        Panel("Behind the database, by relay", [("relay_lag_seconds{@}", "{{instance}}")], "s"),
        Panel(
            "Delay of the event loop",
            quantiles("relay_loop_delay_seconds"),
            "s",
            says="Above 0.1 s all the time: short of CPU.",
        ),
        Panel(
            "Lost lines of the log",
            [(per_second("relay_log_lines_dropped_total", "instance"), "{{instance}}")],
        ),
    ),
    "Clients": (
        Panel(
            "Connections and polls",
            [
                ("sum(relay_connections{@})", "connections"),
                ("sum(relay_polls{@})", "polls"),
                ("sum(relay_users{@})", "users"),
                ("sum(relay_connections_limit{@})", "limit"),
            ],
        ),
        Panel("Open tasks", [("sum(relay_rooms{@})", "tasks with a subscriber")]),
        Panel("Closed connections", [(per_second("relay_closed_total", "code"), "{{code}}")], "cps"),
        Panel("Requests", [(per_second("relay_messages_received_total", "type"), "{{type}}")], "reqps"),
        Panel(
            "Joins",
            quantiles("relay_join_seconds", "what"),
            "s",
            says="From the request until the state is queued.",
        ),
        Panel("Tokens", [(per_second("relay_tokens_verified_total", "result"), "{{result}}")], "ops"),
    ),
    "Deliveries": (
        Panel(
            "From a change to the sockets",
            [(per_second("relay_delivery_written_seconds_bucket", "le"), "{{le}}")],
            "s",
            "heatmap",
            says="By the clock of the database: it is off by the difference of the clocks.",
        ),
        Panel("From a change to the sockets", quantiles("relay_delivery_written_seconds"), "s"),
        Panel("From a change to the queues", quantiles("relay_delivery_queued_seconds"), "s"),
        Panel(
            "Changes and messages",
            [
                (per_second("relay_changes_total"), "changes"),
                (per_second("relay_frames_sent_total"), "messages"),
            ],
            "ops",
        ),
        Panel("Sent", [(per_second("relay_bytes_sent_total", "instance"), "{{instance}}")], "Bps"),
        Panel(
            "Slow readers",
            [
                (per_second("relay_lagging_total"), "fell behind"),
                (per_second("relay_messages_dropped_total"), "messages dropped"),
            ],
            "ops",
        ),
        Panel(
            "Waiting for sockets", [("sum by (instance) (relay_outbox_bytes{@})", "{{instance}}")], "bytes"
        ),
    ),
    "Refusals and errors": (
        Panel(
            "Refusals",
            [(per_second("relay_refusals_total", "transport", "reason"), "{{transport}} {{reason}}")],
            "ops",
        ),
        Panel("Errors sent", [(per_second("relay_errors_sent_total", "code"), "{{code}}")], "ops"),
        Panel(
            "Pages of unknown origins",
            [(per_second("relay_unknown_origins_total", "transport"), "{{transport}}")],
            "ops",
        ),
    ),
    "Database": (
        Panel("Failures", [(per_second("relay_database_errors_total", "kind"), "{{kind}}")], "ops"),
        Panel(
            "Reads",
            [
                (per_second("relay_state_reads_total"), "for joins and resumes"),
                (per_second("relay_task_loads_total"), "of tasks that changed"),
            ],
            "ops",
        ),
        Panel(
            "Resyncs", [("sum by (cause) (increase(relay_resyncs_total{@}[$__rate_interval]))", "{{cause}}")]
        ),
        Panel("Tasks in memory", [("sum by (instance) (relay_known_tasks{@})", "{{instance}}")]),
        Panel(
            "Damaged data",
            [
                (per_second("relay_undecodable_values_total"), "values"),
                (per_second("relay_documents_left_out_total"), "documents left out"),
            ],
            "ops",
        ),
    ),
    "Processes": (
        Panel("CPU", [(per_second("process_cpu_seconds_total", "instance"), "{{instance}}")], "percentunit"),
        Panel("Memory", [("process_resident_memory_bytes{@}", "{{instance}}")], "bytes"),
        Panel("Age", [("time() - process_start_time_seconds{@}", "{{instance}}")], "s"),
        Panel("Workers", [("relay_workers{@}", "{{instance}}")], says="Only with RELAY_WORKERS."),
        Panel(
            "Restarts of workers",
            [(per_second("relay_worker_restarts_total", "worker"), "{{worker}}")],
            says="Only with RELAY_WORKERS.",
        ),
    ),
}


def expressions() -> Iterator[str]:
    """Yield the expression of every panel, with Grafana's variables in it."""
    for panels in ROWS.values():
        for panel in panels:
            yield from (query.replace("@", CHOSEN) for query, _ in panel.queries)


def board() -> str:
    """Return deploy/grafana/relay.json."""
    made = {
        "title": "The relay",
        "uid": "task-relay",
        "tags": ["relay"],
        "schemaVersion": SCHEMA_VERSION,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "browser",
        "annotations": {"list": []},
        "links": [],
        "templating": {"list": _variables()},
        "panels": list(_panels()),
    }
    return json.dumps(made, indent=2) + "\n"


def _variables() -> list[dict[str, Any]]:
    def values(name: str, of: str) -> dict[str, Any]:
        query = f"label_values({of}, {name})"
        return {
            "name": name,
            "type": "query",
            "datasource": SOURCE,
            "definition": query,
            "query": {"query": query, "refId": name},
            "refresh": 2,  # whenever the time changes
            "multi": True,
            "includeAll": True,
            "allValue": ".*",
            "current": {"text": ["All"], "value": ["$__all"]},
        }

    source = {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
    return [source, values("job", "relay_ready"), values("instance", 'relay_ready{job=~"$job"}')]


def _panels() -> Iterator[dict[str, Any]]:
    number, top = 0, 0
    for title, panels in ROWS.items():
        number += 1
        yield {
            "id": number,
            "type": "row",
            "title": title,
            "collapsed": False,
            "panels": [],
            "gridPos": {"x": 0, "y": top, "w": ROW_WIDTH, "h": 1},
        }
        left, height, top = 0, 0, top + 1
        for panel in panels:
            if left + panel.width > ROW_WIDTH:
                left, top = 0, top + height
            number, height = number + 1, 4 if panel.kind == "stat" else 7
            yield _panel(panel, number) | {"gridPos": {"x": left, "y": top, "w": panel.width, "h": height}}
            left += panel.width
        top += height


def _panel(panel: Panel, number: int) -> dict[str, Any]:
    targets = [
        {
            "refId": chr(ord("A") + index),
            "datasource": SOURCE,
            "expr": query.replace("@", CHOSEN),
            "legendFormat": legend or "__auto",
            "format": "heatmap" if panel.kind == "heatmap" else "time_series",
        }
        for index, (query, legend) in enumerate(panel.queries)
    ]
    made: dict[str, Any] = {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.says,
        "datasource": SOURCE,
        "targets": targets,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": {},
    }
    if panel.kind == "heatmap":
        made["options"] = {"calculate": False, "yAxis": {"unit": panel.unit}, "cellGap": 0}
    elif panel.kind == "stat":
        is_named = any(legend for _, legend in panel.queries)
        made["options"] = {
            "reduceOptions": {"calcs": ["lastNotNull"]},
            "textMode": "name" if is_named else "auto",
        }
    return made


WHOLE = {BOARD: board}
