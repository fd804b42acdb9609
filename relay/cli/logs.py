"""The format and the level of log lines, and what else a relay writes to standard error.

Rules of this file: a record is one line, with a constant phrase and its fields. A token or a document is never logged.
With the format `json` every line of standard error is a record, whoever writes it.
"""

from __future__ import annotations

import atexit
import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal

from relay.cli.output import Lines, standard_error
from relay.protocol.types import rfc3339

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def configure(format: Literal["console", "json"], level: str, *, worker: str = "") -> None:
    """Write the log to standard error: the relay's records from `level` on, those of libraries from WARNING on.

    `worker` names this process if it is one of several that write to the same standard error. Each line names it then.
    Below WARNING, libraries would log secrets: uvicorn the query of a URL, and websockets headers and frames.
    """
    formatter = _Json(worker) if format == "json" else _Console(worker)
    stream = standard_error()
    handler = _Handler(stream or sys.stderr)
    handler.setFormatter(formatter)
    if stream is not None:
        stream.describe_loss = lambda count: formatter.format(_loss(count)) + "\n"
        if format != "json":
            sys.stderr = stream
        elif not is_json():
            sys.stderr = lines = Lines(stream, _foreign)
            atexit.register(lines.finish)
    logging.captureWarnings(format == "json")
    # No line names a thread or a process, and to ask for their names takes as long as to make the line.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("relay").setLevel(level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "websockets", "pymongo"):
        logging.getLogger(name).setLevel(logging.WARNING)


def begin(environment: Mapping[str, str]) -> None:
    """Write the log as JSON from now on if these variables ask for that, before the settings can be read: what is
    wrong with them shall be a line of JSON, too."""
    given = [value.strip() for name, value in environment.items() if name.upper() == "RELAY_LOG_FORMAT"]
    if given == ["json"]:
        configure("json", "INFO")


def is_json() -> bool:
    """Return whether standard error is a log of JSON objects. Then nothing else should be written to it."""
    return isinstance(sys.stderr, Lines)


def say(event: str, level: int = logging.INFO, **fields: object) -> None:
    """Log this event whatever the lowest level to log is, because operators and programs wait for it."""
    record = logging.LogRecord("relay", level, "", 0, event, (), None)
    vars(record).update(fields)
    for handler in logging.getLogger().handlers:
        handler.handle(record)


def _foreign(line: str) -> None:
    """Log a line that was written to standard error by other code than the log."""
    say("text was written to standard error", logging.WARNING, text=line)


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


class _Handler(logging.StreamHandler[Any]):
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
