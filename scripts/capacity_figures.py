"""The figures that scripts/capacity computes with: their names, their units, and the file that holds them.

The file is JSON. `measured` are written by `scripts/bench --figures FILE`, each with the machine and the date.
`assumed` are written by hand: nobody measured them here. A figure holds for one of everything: one connection, one
change, one join.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

FILE = Path(__file__).parent / "figures.json"
SINGLE_RATE = 300  # writes a second at which changes are measured one by one
BULK_RATE, BULK = 1_500, 50  # writes a second, and writes in one bulk, when they are measured in bulks
IN_BULKS = (
    "_in_bulks"  # ends the name of the second of two figures: what a change costs that comes with others
)


class Known(NamedTuple):
    """A figure that the calculator knows: its unit, and what it is."""

    unit: str
    what: str


def _changes(name: str, unit: str, what: str) -> dict[str, Known]:
    return {
        name: Known(unit, f"{what}: one by one, {SINGLE_RATE} a second"),
        name + IN_BULKS: Known(unit, f"{what}: in bulks of {BULK}, {BULK_RATE:,} a second"),
    }


CPU = "µs of CPU"
MEASURED = {
    "connection_bytes": Known("bytes", "memory of the relay for a connection that has joined nothing"),
    "joined_bytes": Known("bytes", "memory of the relay for a connection that has joined one task"),
    "worker_bytes": Known("bytes", "memory of a worker without connections"),
    "tailer_bytes": Known("bytes", "memory of the tailer"),
    "parent_bytes": Known("bytes", "memory of the parent of the workers"),
    "delivery_us": Known(CPU, "a delivery: one message to one connection, at a steady pace"),
    "message_us": Known(CPU, "making the messages of a change, in each worker with a listener"),
    "message_us_per_byte": Known(f"{CPU} a byte", "the same, for each further byte of the change"),
    "ping_us": Known(CPU, "a heartbeat, or a ping and its answer"),
    **_changes("worker_us", CPU, "a change in a worker, which follows through a Unix socket"),
    **_changes("tailer_us", CPU, "a change in the process that reads the change stream"),
    **_changes("leader_us", CPU, "a change in the relay that leads, which also writes it to Redis"),
    **_changes("follower_us", CPU, "a change in a relay that follows through Redis"),
    **_changes("mongod_write_us", CPU, "a write in mongod, without any relay"),
    **_changes("mongod_first_us", CPU, "what the first change stream adds to a write in mongod"),
    **_changes("mongod_further_us", CPU, "what each further change stream adds to it"),
    **_changes("redis_us", CPU, "a change in Redis, for each relay that follows"),
    **_changes("redis_bytes", "bytes", "a change in the stream in Redis, compressed and encrypted"),
    "event_bytes": Known("bytes", "size of the event that was appended, as JSON"),
    "frame_bytes": Known("bytes", "size of the message that was delivered for it"),
    "connect_us": Known(CPU, "opening a connection in the relay, with the check of a token"),
    "join_us": Known(CPU, "a join in the relay, of a list of 10 tasks that nobody else reads"),
    "mongod_join_us": Known(CPU, "the same join in mongod"),
}
ASSUMED = {
    "kernel_bytes": Known("bytes", "memory of the kernel for an open TCP connection that is idle"),
    "tls_bytes": Known("bytes", "memory of a TLS proxy for an open connection"),
    "tls_handshake_us": Known(CPU, "a TLS handshake in that proxy"),
    "busy_share": Known("of a core", "how busy a process may be on average; the rest is for bursts"),
    "worker_connections": Known(
        "connections", "most for one worker, so that its end brings few back at once"
    ),
    "proxy_ports": Known(
        "ports", "ports that Linux has for connections of one proxy address to one listener"
    ),
    "network_bytes_per_s": Known("bytes a second", "what the network of Redis carries"),
    "streams_mongod_cores": Known(
        "cores", "what further change streams may cost mongod before Redis is better"
    ),
}


@dataclass(frozen=True, slots=True)
class Figure:
    """A value with its unit. A measured one also says on which machine and on which day."""

    value: float
    unit: str
    machine: str = ""
    date: str = ""


@dataclass(frozen=True, slots=True)
class PerChange:
    """What a change costs: one by one, and in bulks."""

    single: float
    in_bulks: float

    def per_second(self, writes: float) -> float:
        """Return the cost of so many writes a second. Up to SINGLE_RATE of them come one by one; further ones come
        together with them, because the change stream then brings several at a time."""
        return min(writes, SINGLE_RATE) * self.single + max(0.0, writes - SINGLE_RATE) * self.in_bulks

    def writes_within(self, budget: float) -> float:
        """Return how many writes a second cost this budget. It may be infinite."""
        rest = budget - SINGLE_RATE * self.single
        if rest <= 0:
            return budget / self.single
        return SINGLE_RATE + rest / self.in_bulks if self.in_bulks else math.inf


@dataclass(frozen=True, slots=True)
class Figures:
    """All figures, by their names, and the load average of the machine when the measurement began."""

    measured: Mapping[str, Figure]
    assumed: Mapping[str, Figure]
    load_average: float

    @classmethod
    def read(cls, file: Path) -> Self:
        """Read a file of figures. Raises ValueError that says in one sentence what is wrong, OSError if it cannot be
        read."""
        try:
            given = json.loads(file.read_text("utf-8"))
        except ValueError as failure:
            raise ValueError(f"{file} is not JSON: {failure}.") from failure
        if not isinstance(given, dict):
            raise ValueError(f"{file} must hold a JSON object.")
        measured = _figures(file, given.get("measured"), MEASURED, ("machine", "date"))
        assumed = _figures(file, given.get("assumed"), ASSUMED, ())
        load = given.get("load_average", 0.0)
        if not _is_number(load):
            raise ValueError(f"{file}: load_average must be a number.")
        return cls(measured, assumed, float(load))

    def write(self, file: Path) -> None:
        """Write all figures to a file. Raises OSError if that fails."""
        document = {
            "load_average": self.load_average,
            "measured": {name: asdict(figure) for name, figure in self.measured.items()},
            "assumed": {
                name: {"value": figure.value, "unit": figure.unit} for name, figure in self.assumed.items()
            },
        }
        file.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", "utf-8")

    def __getitem__(self, name: str) -> float:
        return (self.measured.get(name) or self.assumed[name]).value

    def per_change(self, name: str) -> PerChange:
        return PerChange(self[name], self[name + IN_BULKS])

    def machines(self) -> str:
        """Return on which machines and days the figures were measured."""
        return "; ".join(sorted({f"{one.machine}, {one.date}" for one in self.measured.values()}))


def measured(values: Mapping[str, float], machine: str, date: str) -> dict[str, Figure]:
    """Return these values as measured figures. Raises ValueError if one is missing or is none that is known."""
    if values.keys() != MEASURED.keys():
        raise ValueError(f"missing or unknown: {', '.join(sorted(values.keys() ^ MEASURED.keys()))}")
    return {
        name: Figure(round(values[name], 4), known.unit, machine, date) for name, known in MEASURED.items()
    }


def _figures(file: Path, given: Any, known: Mapping[str, Known], texts: tuple[str, ...]) -> dict[str, Figure]:
    if not isinstance(given, dict):
        raise ValueError(f"{file} lacks the object `{'measured' if texts else 'assumed'}`.")
    if wrong := sorted(given.keys() ^ known.keys()):
        raise ValueError(f"{file}: figures that are missing or unknown: {', '.join(wrong)}.")
    read = {}
    for name in known:
        one = given[name]
        fits = isinstance(one, dict) and one.keys() == {"value", "unit", *texts}
        if not fits or not all(isinstance(one[text], str) for text in texts):
            raise ValueError(f"{file}: {name} must have {', '.join(('value', 'unit', *texts))}.")
        if one["unit"] != known[name].unit:
            raise ValueError(f"{file}: {name} must be in {known[name].unit}.")
        if not _is_number(one["value"]) or one["value"] < 0:
            raise ValueError(f"{file}: the value of {name} must be a number, 0 or more.")
        read[name] = Figure(**one)
    return read


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
