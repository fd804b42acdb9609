"""scripts/capacity: more load never needs less, sums add up, and what makes no sense is refused in one sentence."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.capacity_figures import (
    ASSUMED,
    FILE,
    MEASURED,
    SINGLE_RATE,
    Figure,
    Figures,
    PerChange,
    measured,
)
from scripts.capacity_limits import limits
from scripts.capacity_plan import PINGS_PER_S, Impossible, Load, Plan, most_writes, plan
from scripts.capacity_table import EXAMPLES, lines

ROOT = Path(__file__).parents[2]
GROWS = (  # with the connections, whatever becomes of hosts and streams
    "workers",
    "hosts",
    "delivery_cores",
    "ping_cores",
    "follow_cores",
    "relay_gb",
    "kernel_gb",
    "tls_gb",
    "sent_mb_per_s",
    "return_relay_s",
    "return_mongod_s",
    "return_tls_s",
    "return_relay_cores",
    "return_mongod_cores",
)

# Figures that nobody measured, near those of a usual machine: the tests do not depend on the file of the repository.
ROUND = {
    "connection_bytes": 3_000.0,
    "joined_bytes": 4_000.0,
    "worker_bytes": 45e6,
    "tailer_bytes": 35e6,
    "parent_bytes": 25e6,
    "delivery_us": 10.0,
    "message_us": 20.0,
    "message_us_per_byte": 0.01,
    "ping_us": 10.0,
    "worker_us": 140.0,
    "worker_us_in_bulks": 20.0,
    "tailer_us": 400.0,
    "tailer_us_in_bulks": 30.0,
    "leader_us": 500.0,
    "leader_us_in_bulks": 50.0,
    "follower_us": 200.0,
    "follower_us_in_bulks": 25.0,
    "mongod_write_us": 600.0,
    "mongod_write_us_in_bulks": 80.0,
    "mongod_first_us": 200.0,
    "mongod_first_us_in_bulks": 40.0,
    "mongod_further_us": 90.0,
    "mongod_further_us_in_bulks": 20.0,
    "redis_us": 30.0,
    "redis_us_in_bulks": 3.0,
    "redis_bytes": 150.0,
    "redis_bytes_in_bulks": 40.0,
    "event_bytes": 100.0,
    "frame_bytes": 300.0,
    "connect_us": 300.0,
    "join_us": 700.0,
    "mongod_join_us": 900.0,
}
FIGURES = Figures(measured(ROUND, "a machine", "2030-01-01"), Figures.read(FILE).assumed, 0.0)

positive = st.floats(0.1, 1e4)
loads = st.builds(
    Load,
    connections=st.integers(1_000, 10**8),
    writes=st.floats(0.001, 15_000),
    listeners=st.floats(0, 1_000),
    change_bytes=st.floats(1, 1e5),
    tls=st.floats(0, 1),
    joins=st.floats(0, 20),
    cores=st.integers(2, 128),
    mongod_cores=st.floats(0.1, 100),
)
figures = st.builds(
    lambda values: Figures(measured(values, "a machine", "2030-01-01"), FIGURES.assumed, 0.0),
    st.fixed_dictionaries(
        {name: st.floats(0, 3).map(lambda by, own=own: by * own) for name, own in ROUND.items()}
    ),
)


def planned(load: Load, of: Figures = FIGURES) -> Plan | None:
    try:
        return plan(load, of)
    except Impossible:
        return None


@given(loads, figures, st.integers(0, 10**8))
def test_more_connections_never_need_less(load: Load, of: Figures, more: int) -> None:
    few, many = planned(load, of), planned(replace(load, connections=load.connections + more), of)
    assert (few is None) == (many is None)  # it is the writes that may be too many
    if few and many:
        assert [name for name in GROWS if getattr(many, name) < getattr(few, name)] == []


@given(loads, figures, st.floats(0, 5_000))
def test_more_writes_never_need_fewer_workers_or_become_possible(
    load: Load, of: Figures, more: float
) -> None:
    few, many = planned(load, of), planned(replace(load, writes=load.writes + more), of)
    assert few or not many
    if few and many:
        for name in ("workers", "hosts", "delivery_cores", "follow_cores", "relay_gb", "sent_mb_per_s"):
            assert getattr(many, name) >= getattr(few, name), name


@given(loads, figures)
def test_no_worker_is_busier_than_it_may_be_and_the_hosts_have_room_for_all(load: Load, of: Figures) -> None:
    made = planned(load, of)
    if made is None:
        assert load.writes >= 0.999 * most_writes(of)
        return
    assert load.writes <= 1.001 * most_writes(of)
    used = made.delivery_cores + made.ping_cores + made.follow_cores
    assert used <= 1.001 * of["busy_share"] * made.workers
    assert used + made.free_cores == pytest.approx(made.workers)
    assert made.workers <= made.hosts * made.workers_per_host <= made.hosts * (load.cores - 1)
    assert load.connections <= made.workers * of["worker_connections"]


@given(loads, figures)
def test_all_amounts_are_finite_and_none_is_negative(load: Load, of: Figures) -> None:
    if made := planned(load, of):
        for name in Plan.__dataclass_fields__:
            assert 0 <= getattr(made, name) < math.inf, name
        used = [one.used for one in limits(load, made, of)]
        assert used == sorted(used, reverse=True)
        assert lines(load, made, of)


@given(positive, positive, st.floats(0, 1e5), st.floats(0, 1e5))
def test_a_cost_per_change_grows_with_the_writes_and_has_an_inverse(
    single: float, in_bulks: float, writes: float, more: float
) -> None:
    cost = PerChange(single, in_bulks)
    assert cost.per_second(writes) <= cost.per_second(writes + more)
    assert cost.writes_within(cost.per_second(writes)) == pytest.approx(writes)


def test_the_sums_of_one_load_are_those_of_pen_and_paper() -> None:
    load = Load(100_000, 1_000, 5, change_bytes=100, tls=0.5, joins=2, return_minutes=1, cores=8)
    made = plan(load, FIGURES)
    follow = (SINGLE_RATE * 140 + 700 * 20) / 1e6
    assert made.workers == made.workers_per_host == 2
    assert made.hosts == 1
    assert not made.uses_redis
    assert made.delivery_cores == pytest.approx(1_000 * 5 * 10e-6 + 1_000 * 2 * 20e-6)
    assert pytest.approx(0.09) == PINGS_PER_S
    assert made.ping_cores == pytest.approx(100_000 * 0.09 * 10e-6)
    assert made.follow_cores == pytest.approx(2 * follow)
    assert made.relay_gb == pytest.approx((2 * 45e6 + 35e6 + 25e6 + 100_000 * 5_000) / 1e9)
    assert made.kernel_gb == pytest.approx(0.39)
    assert made.tls_gb == pytest.approx(1.5)
    assert made.sent_mb_per_s == pytest.approx(1.5)
    assert made.mongod_tail_cores == pytest.approx((SINGLE_RATE * 200 + 700 * 40) / 1e6)
    assert made.return_mongod_cores == pytest.approx(100_000 * 2 * 900e-6 / 60)
    assert made.return_relay_s == pytest.approx(100_000 * (300 + 2 * 700) / 1e6)


def test_many_hosts_share_one_change_stream_and_redis_carries_each_change_to_each_of_them() -> None:
    made = plan(Load(5_000_000, 8_000, 5, cores=16), FIGURES)
    assert made.hosts == 7
    assert made.uses_redis
    change_bytes = SINGLE_RATE * 150 + 7_700 * 40 + 8_000 * 100
    assert made.redis_mb_per_s == pytest.approx((1 + 7) * change_bytes / 1e6)
    assert made.redis_gb == pytest.approx(60 * change_bytes / 1e9)
    assert made.mongod_tail_cores == pytest.approx((SINGLE_RATE * 200 + 7_700 * 40) / 1e6)


def test_a_stream_that_no_relay_could_lead_is_not_shared() -> None:
    most = most_writes(FIGURES, through_redis=True)
    assert plan(Load(5_000_000, most - 1, 5, cores=16), FIGURES).uses_redis
    made = plan(Load(5_000_000, most + 1, 5, cores=16), FIGURES)
    assert not made.uses_redis
    assert made.redis_gb == 0


def test_two_hosts_with_few_writes_need_no_redis() -> None:
    made = plan(Load(1_000_000, 300, 5, cores=16), FIGURES)
    assert made.hosts == 2
    assert not made.uses_redis
    assert (made.redis_cores, made.redis_mb_per_s, made.redis_gb) == (0, 0, 0)
    assert made.mongod_tail_cores == pytest.approx(300 * (200 + 90) / 1e6)


def test_the_limit_on_connections_breaks_first_where_nothing_was_set() -> None:
    load = Load(100_000, 100, 5)
    first, second, *_ = limits(load, plan(load, FIGURES), FIGURES)
    assert first.name.startswith("RELAY_MAX_CONNECTIONS")
    assert first.used == 5
    assert second.name.startswith("ports")


def test_writes_that_no_worker_can_follow_are_impossible() -> None:
    most = most_writes(FIGURES)
    assert plan(Load(1_000, 0.99 * most, 1), FIGURES).workers > 1
    with pytest.raises(Impossible, match="split the tasks into collections"):
        plan(Load(1_000, 1.01 * most, 1), FIGURES)


@pytest.mark.parametrize(
    "wrong",
    [
        {"connections": 0},
        {"connections": -1},
        {"connections": 10**12},
        {"writes": 0},
        {"writes": -5},
        {"writes": math.nan},
        {"writes": math.inf},
        {"listeners": -1},
        {"listeners": 1_001},
        {"change_bytes": 0},
        {"tls": 1.1},
        {"tls": -0.1},
        {"joins": -1},
        {"return_minutes": 0},
        {"cores": 1},
        {"mongod_cores": 0},
    ],
    ids=str,
)
def test_a_load_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        Load(**{"connections": 1_000, "writes": 10, "listeners": 1, **wrong})


# The file


def test_the_file_of_the_repository_has_every_figure_and_can_be_written_again(tmp_path: Path) -> None:
    read = Figures.read(FILE)
    assert read.measured.keys() == MEASURED.keys()
    assert read.assumed.keys() == ASSUMED.keys()
    assert all(one.machine and one.date for one in read.measured.values())
    read.write(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_text("utf-8") == FILE.read_text("utf-8")
    assert any(plan(load, read).uses_redis for _, load in EXAMPLES)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("{", "is not JSON"),
        ("[]", "must hold a JSON object"),
        ({"measured": None}, "lacks the object `measured`"),
        ({"assumed": {}}, "missing or unknown: busy_share"),
        ({"load_average": "high"}, "load_average must be a number"),
        ({"delivery_us": {"unit": "ms of CPU"}}, "delivery_us must be in µs of CPU"),
        ({"delivery_us": {"value": -1}}, "must be a number, 0 or more"),
        ({"delivery_us": {"value": True}}, "must be a number, 0 or more"),
        ({"delivery_us": {"machine": None}}, "delivery_us must have value, unit, machine, date"),
    ],
)
def test_a_file_with_a_mistake_is_refused_in_one_sentence(
    tmp_path: Path, wrong: str | dict[str, Any], says: str
) -> None:
    file = tmp_path / "figures.json"
    if isinstance(wrong, str):
        file.write_text(wrong)
    else:
        document = json.loads(FILE.read_text("utf-8"))
        for name, value in wrong.items():
            if name in MEASURED:
                document["measured"][name] |= value
            else:
                document[name] = value
        file.write_text(json.dumps(document))
    with pytest.raises(ValueError, match=r"figures\.json") as refused:
        Figures.read(file)
    assert says in str(refused.value)


# The command


@pytest.fixture
def figures_file(tmp_path: Path) -> Path:
    file = tmp_path / "figures.json"
    FIGURES.write(file)
    return file


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-m", "scripts.capacity_command", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


LOAD = ("--connections", 100_000, "--writes", 1_000)


def test_the_command_prints_a_table_and_what_breaks_first(figures_file: Path) -> None:
    ran = run(*LOAD, "--listeners", 5, "--figures", figures_file)
    assert ran.returncode == 0, ran.stderr
    assert "workers                               2\n" in ran.stdout
    assert "What breaks first:\n     500%  RELAY_MAX_CONNECTIONS of one host" in ran.stdout
    assert "set it to 150,000" in ran.stdout
    assert "Measured on: a machine, 2030-01-01" in ran.stdout


def test_the_command_prints_json_for_programs_and_takes_deliveries_for_listeners(figures_file: Path) -> None:
    ran = run(*LOAD, "--deliveries", 0.05, "--figures", figures_file, "--json")
    assert ran.returncode == 0, ran.stderr
    printed = json.loads(ran.stdout)
    assert printed["load"]["listeners"] == 5
    assert printed["plan"]["workers"] == 2
    assert printed["limits"][0]["used"] == 5
    assert printed["figures"]["measured_on"] == "a machine, 2030-01-01"


def test_help_lists_every_option_with_its_default() -> None:
    ran = run("--help")
    assert ran.returncode == 0
    for option in (
        "--connections",
        "--writes",
        "--listeners",
        "--deliveries",
        "--change-bytes",
        "--tls",
        "--joins",
    ):
        assert option in ran.stdout
    assert "(default 2)" in ran.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ((), 2, "--connections, --writes"),
        (LOAD, 2, "one of the arguments --listeners --deliveries is required"),
        ((*LOAD, "--listeners", 1, "--deliveries", 1), 2, "not allowed with"),
        ((*LOAD, "--listeners", "many"), 2, "invalid float value"),
        ((*LOAD, "--listeners", -1), 2, "connections that receive a change, on average: must be from 0"),
        ((*LOAD, "--listeners", 100_001), 2, "cannot receive a change when only 100,000 are open"),
        ((*LOAD, "--deliveries", 1_001), 2, "messages to each connection, a second: must be from 0"),
        (("--connections", 0, "--writes", 1, "--listeners", 0), 2, "open connections: must be from 1"),
        (("--connections", 9, "--writes", 0, "--deliveries", 1), 2, "writes a second: must be from 0.001"),
        (("--connections", 9, "--writes", 9e6, "--listeners", 1), 1, "split the tasks into collections"),
        ((*LOAD, "--listeners", 1, "--figures", "/nowhere"), 3, "/nowhere"),
    ],
)
def test_a_mistake_is_answered_with_one_sentence(arguments: tuple[object, ...], code: int, says: str) -> None:
    ran = run(*arguments)
    assert ran.returncode == code
    assert ran.stdout == ""
    assert says in ran.stderr.splitlines()[-1]
    assert "Traceback" not in ran.stderr


def test_a_figure_without_noise_says_nothing_of_noise(figures_file: Path) -> None:
    noisy = replace(FIGURES, load_average=3.0)
    load = Load(1_000, 10, 1)
    assert "Other work" in lines(load, plan(load, noisy), noisy)[-1]
    assert "Other work" not in lines(load, plan(load, FIGURES), FIGURES)[-1]


def test_a_measurement_that_lacks_a_figure_is_refused() -> None:
    with pytest.raises(ValueError, match="delivery_us"):
        measured(
            {name: value for name, value in ROUND.items() if name != "delivery_us"}, "a machine", "today"
        )
    assert measured(ROUND, "a machine", "today")["delivery_us"] == Figure(
        10, "µs of CPU", "a machine", "today"
    )
