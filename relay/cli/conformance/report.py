"""Print how a client did: a line for each scenario, with its faults, or one JSON object. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from relay.cli.conformance.faults import Fault
from relay.cli.conformance.scenarios import Scenario
from relay.cli.printable import counted, visible

TRACE_SHOWN = 12  # frames of a scenario with a fault
LINE_MAX_CHARS = 300


@dataclass(frozen=True, slots=True)
class Result:
    """How a client did in a scenario. `trace` holds the last frames in both directions, `log` its standard error."""

    scenario: Scenario
    faults: tuple[Fault, ...]
    seconds: float
    trace: tuple[str, ...]
    log: str


def lines(result: Result, *, trace: bool) -> list[str]:
    """Return the lines for one scenario."""
    verdict = "FAULT" if result.faults else "ok"
    made = [f"{verdict:6} {result.scenario.name:16} {result.seconds:5.1f} s  {result.scenario.what}"]
    made += [
        f"       the client {visible(one.sentence, LINE_MAX_CHARS)} (PROTOCOL.md {one.section})"
        for one in result.faults
    ]
    if result.faults and trace:
        made += [f"         {visible(one, LINE_MAX_CHARS)}" for one in result.trace[-TRACE_SHOWN:]]
        made += [
            f"         stderr: {visible(one, LINE_MAX_CHARS)}"
            for one in result.log.splitlines()[-TRACE_SHOWN:]
        ]
    return made


def total(results: Sequence[Result], skipped: Sequence[str]) -> str:
    """Return the last line."""
    failed = sum(bool(one.faults) for one in results)
    left_out = f"; left out: {', '.join(skipped)}" if skipped else ""
    if not failed:
        return f"{counted(len(results), 'scenario')}, no fault{left_out}"
    return f"{counted(len(results), 'scenario')}, {failed} with faults{left_out}"


def to_json(results: Sequence[Result], skipped: Sequence[str]) -> str:
    """Return the report as one JSON object."""
    made = {
        "passes": not any(one.faults for one in results),
        "scenarios": [
            {
                "name": one.scenario.name,
                "section": one.scenario.section,
                "faults": [{"sentence": fault.sentence, "section": fault.section} for fault in one.faults],
                "seconds": round(one.seconds, 2),
            }
            for one in results
        ],
        "skipped": list(skipped),
    }
    return orjson.dumps(made).decode()
