"""The format and the level of log lines.

Rule of this file: a record is one line, with a constant phrase and its fields. A token or a document is never logged.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal, TextIO

from relay.cli.output import StandardError
from relay.protocol.types import rfc3339

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def configure(format: Literal["console", "json"], level: str, *, worker: str = "") -> None:
    """Write the log to standard error: the relay's records from `level` on, those of libraries from WARNING on.

    `worker` names this process if it is one of several that write to the same standard error. Each line names it then.
    Below WARNING, libraries would log secrets: uvicorn the query of a URL, and websockets headers and frames.
    """
    formatter = _Json(worker) if format == "json" else _Console(worker)
    handler = _Handler(sys.stderr)
    handler.setFormatter(formatter)
    if isinstance(sys.stderr, StandardError):
        sys.stderr.describe_loss = lambda count: formatter.format(_loss(count)) + "\n"
    # No line names a thread or a process, and to ask for their names takes as long as to make the line.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("relay").setLevel(level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "websockets", "pymongo"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _loss(count: int) -> logging.LogRecord:
    """Return a record that says how many lines are missing at its place."""
    record = {"name": __name__, "levelname": "WARNING", "levelno": logging.WARNING}
    said = {"msg": "lines of the log are missing here: they could not be written", "lines": count}
    return logging.makeLogRecord(record | said)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


def _time(record: logging.LogRecord) -> str:
    return f"{_second(int(record.created))}.{int(record.created % 1 * 1000):03d}Z"


@lru_cache(maxsize=1)  # thousands of lines may belong to one second
def _second(second: int) -> str:
    return rfc3339(datetime.fromtimestamp(second, UTC)).partition(".")[0]


class _Handler(logging.StreamHandler[TextIO]):
    """Writes records to a stream. Of a record that cannot be formatted it writes a line that says where it was made.

    Python would print a traceback and the arguments of the record, which may hold a document.
    """

    def handleError(self, record: logging.LogRecord) -> None:
        made = {"name": record.name, "levelname": record.levelname, "levelno": record.levelno}
        said = {"msg": "a record could not be formatted", "source": f"{record.filename}:{record.lineno}"}
        self.stream.write(self.format(logging.makeLogRecord(made | said)) + self.terminator)


class _Console(logging.Formatter):
    def __init__(self, worker: str = "") -> None:
        super().__init__()
        self._prefix = f"worker {worker}: " if worker.isdigit() else f"{worker}: " if worker else ""

    def format(self, record: logging.LogRecord) -> str:
        fields = "".join(f" {name}={value!r}" for name, value in _fields(record).items())
        line = (
            f"{_time(record)} {record.levelname:<7} {self._prefix}{_printable(record.getMessage())}{fields}"
        )
        if record.exc_info:
            # Indented, so that no line of an exception can pass for a record of its own.
            lines = self.formatException(record.exc_info).split("\n")
            line += "".join(f"\n    {_printable(one)}" for one in lines)
        return line


class _Json(logging.Formatter):
    def __init__(self, worker: str = "") -> None:
        super().__init__()
        self._worker = {"worker": worker} if worker else {}

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "at": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            **self._worker,
            "event": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return _encode(entry)  # ASCII, so without control characters and lone surrogates


_encode = json.JSONEncoder(default=str).encode


def _printable(message: str) -> str:
    if message.isprintable():
        return message
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in message)
