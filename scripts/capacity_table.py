"""A plan as text: rows for the terminal, and the tables of docs/explanation/capacity.md. Pure but for the figures."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from scripts.capacity_figures import ASSUMED, FILE, IN_BULKS, MEASURED, Figures
from scripts.capacity_limits import Limit, limits
from scripts.capacity_plan import Impossible, Load, Plan, most_writes, plan

ASKED: Sequence[Callable[[Load], str]] = (  # the first rows, which need no plan
    lambda load: f"{load.connections:,}",
    lambda load: _number(load.writes),
    lambda load: _number(load.listeners),
)
ROWS: Sequence[tuple[str, Callable[[Load, Plan], str]]] = (
    ("connections", lambda load, _: ASKED[0](load)),
    ("writes a second", lambda load, _: ASKED[1](load)),
    ("connections that receive a change", lambda load, _: ASKED[2](load)),
    ("workers", lambda _, made: f"{made.workers:,}"),
    ("hosts", lambda load, made: f"{made.hosts:,} with {load.cores} cores"),
    ("cores: deliver", lambda _, made: _cores(made.delivery_cores)),
    ("cores: pings and heartbeats", lambda _, made: _cores(made.ping_cores)),
    ("cores: follow the changes", lambda _, made: _cores(made.follow_cores)),
    ("cores: read the change stream", lambda _, made: _cores(made.tail_cores)),
    ("memory: relay", lambda _, made: _gb(made.relay_gb)),
    ("memory: kernel (assumed)", lambda _, made: _gb(made.kernel_gb)),
    ("memory: TLS proxies (assumed)", lambda _, made: _gb(made.tls_gb)),
    ("memory of one host: relay and kernel", lambda _, made: _gb(made.host_gb)),
    ("sent to clients", lambda _, made: f"{_number(made.sent_mb_per_s)} MB/s"),
    ("mongod: cores for change streams", lambda _, made: _cores(made.mongod_tail_cores)),
    ("Redis: cores", lambda _, made: _redis(made, _cores(made.redis_cores))),
    ("Redis: written and read", lambda _, made: _redis(made, f"{_number(made.redis_mb_per_s)} MB/s")),
    ("Redis: memory of the stream", lambda _, made: _redis(made, _gb(made.redis_gb))),
    ("everybody comes back within", lambda load, _: f"{load.return_minutes:g} min"),
    ("… CPU time of the relay", lambda _, made: _seconds(made.return_relay_s)),
    ("… CPU time of mongod", lambda _, made: _seconds(made.return_mongod_s)),
    ("… CPU time of TLS proxies (assumed)", lambda _, made: _seconds(made.return_tls_s)),
    ("… cores of the relay", lambda _, made: _cores(made.return_relay_cores)),
    ("… cores of mongod", lambda _, made: _cores(made.return_mongod_cores)),
    ("… takes at least", lambda _, made: _seconds(made.return_shortest_s)),
)
EXAMPLES = (
    ("a company", Load(5_000, 100, 10)),
    ("100,000", Load(100_000, 1_000, 5, cores=16)),
    ("1 million", Load(1_000_000, 2_000, 5, cores=16, return_minutes=10)),
    ("1 million, busy", Load(1_000_000, 2_000, 500, cores=16, return_minutes=10)),
    ("10 million", Load(10_000_000, 2_000, 250, cores=16, return_minutes=60)),
)


def lines(load: Load, made: Plan, figures: Figures) -> list[str]:
    """Return the lines that scripts/capacity prints."""
    width = max(len(heading) for heading, _ in ROWS)
    told = [f"{heading:{width}}  {cell(load, made)}" for heading, cell in ROWS]
    told += ["", "What breaks first:"]
    for limit in limits(load, made, figures):
        told.append(f"  {limit.used:>7.0%}  {limit.name}: {_of(limit)}")
        if limit.used > NEAR:
            told.append(f"           {limit.remedy}")
    return [*told, "", f"Measured on: {figures.machines()}", *([NOISY] if is_noisy(figures) else [])]


NEAR = 0.7  # the share of a limit from which on there is something to do about it
# A load average up to this may be left of a program that ended just before: the average falls over a minute.
LEFT_OVER = 1.25
NOISY = "Other work ran on that machine meanwhile, so the real costs are lower."


def is_noisy(figures: Figures) -> bool:
    """Return whether the machine was busy when the measurement began."""
    return figures.load_average > LEFT_OVER


def examples(_: str = "") -> str:
    """Return the table of EXAMPLES, with what breaks first. Raises ValueError if the figures cannot be read."""
    figures = Figures.read(FILE)
    columns = [["", *(heading for heading, _ in ROWS), "breaks first", "breaks next"]]
    columns += [[name, *_example(load, figures)] for name, load in EXAMPLES]
    table = _table([list(row) for row in zip(*columns, strict=True)])
    alone, shared = (_rounded(most_writes(figures, through_redis=through)) for through in (False, True))
    return (
        f"{table}\n\nWith these figures, one collection can carry {alone} writes a second, and {shared} if the hosts "
        "share one change stream through Redis."
    )


def _rounded(writes: float) -> str:
    return f"about {float(f'{writes:.2g}'):,.0f}" if math.isfinite(writes) else "any number of"


def _example(load: Load, figures: Figures) -> list[str]:
    try:
        made = plan(load, figures)
    except Impossible:
        asked = [heading(load) for heading in ASKED]
        return [*asked, *["–"] * (len(ROWS) - len(asked)), "too many writes for one collection", "–"]
    first = limits(load, made, figures)[:2]
    return [*(cell(load, made) for _, cell in ROWS), *(f"{_short(one)} ({one.used:,.0%})" for one in first)]


def measured(_: str = "") -> str:
    """Return the table of what was measured, with the machine and the date. Raises ValueError if the figures cannot be
    read."""
    figures = Figures.read(FILE)
    rows = [["figure", "one by one", "in bulks", "unit", "what it is"]]
    for name, known in MEASURED.items():
        if name.endswith(IN_BULKS):
            continue
        in_bulks = _number(figures[name + IN_BULKS]) if name + IN_BULKS in MEASURED else ""
        what = known.what.partition(":")[0] if in_bulks else known.what
        rows.append([f"`{name}`", _number(figures[name]), in_bulks, known.unit, what])
    noise = f" {NOISY}" if is_noisy(figures) else ""
    return f"Measured on: {figures.machines()}.{noise}\n\n{_table(rows)}"


def assumed(_: str = "") -> str:
    """Return the table of what is assumed. Raises ValueError if the figures cannot be read."""
    figures = Figures.read(FILE)
    rows = [["figure", "assumed", "unit", "what it is"]]
    rows += [[f"`{name}`", _number(figures[name]), one.unit, one.what] for name, one in ASSUMED.items()]
    return _table(rows)


def _table(rows: list[list[str]]) -> str:
    rows.insert(1, ["---"] * len(rows[0]))
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _short(limit: Limit) -> str:
    return limit.name.partition(",")[0]


def _of(limit: Limit) -> str:
    return f"{_number(limit.now)} of {_number(limit.most)} {limit.unit}"


def _number(value: float) -> str:
    """Return a number with three digits, or all of them if it is large."""
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def _cores(value: float) -> str:
    return "< 0.01" if 0 < value < 0.005 else f"{value:,.2f}" if value < 10 else f"{value:,.0f}"


def _gb(value: float) -> str:
    return f"{value:,.2f} GB" if value < 10 else f"{value:,.0f} GB"


def _seconds(value: float) -> str:
    return f"{value:,.1f} s" if value < 10 else f"{value:,.0f} s"


def _redis(made: Plan, value: str) -> str:
    return value if made.uses_redis else "not needed"
