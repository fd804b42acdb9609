"""Standard output and standard error that work with any encoding, and when they are closed, full or not read.

Rules of this file: a write to standard error never waits and never fails; strings keep their order; a line says where
strings were dropped. An error of standard output has a type of its own, because an OSError may come from any file.
"""

from __future__ import annotations

import atexit
import codecs
import io
import os
import select
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from itertools import accumulate
from typing import Any, TextIO

READABLE = "relay.readable"  # for `errors=`: replaces characters that the encoding cannot write by ASCII
MAX_WAITING_BYTES = 1024 * 1024  # that wait for standard error; further strings are dropped and counted
# The thread that writes rests so long after a write, and then writes all strings that have come, at most about so many
# bytes at once. To wake it for each of thousands of lines a second would take longer than to make the lines.
PAUSE_S, BATCH_BYTES = 0.02, 64 * 1024
LAST_WORDS_S = 1.0  # that the end of the process waits for strings that are not written yet
STANDARD = (0, 1, 2)

_ASCII = str.maketrans(
    {
        **dict.fromkeys("‘’", "'"),
        **dict.fromkeys("“”", '"'),
        **dict.fromkeys("‐‑‒–—−─━", "-"),
        **dict.fromkeys("│┃", "|"),
        **dict.fromkeys("┌┐└┘├┤┬┴┼╭╮╰╯", "+"),
        "…": "...",
        "→": "->",
        "←": "<-",
        "×": "x",
        "·": ".",
        "•": "*",
        "\u00a0": " ",
    }
)


def _readable(failure: UnicodeError) -> tuple[str | bytes, int]:
    """Replace typographic characters by similar ones in ASCII; escape all others, which may be text of other people."""
    if not isinstance(failure, UnicodeEncodeError):
        raise failure
    text = failure.object[failure.start : failure.end].translate(_ASCII)
    return text.encode("ascii", "backslashreplace").decode("ascii"), failure.end


codecs.register_error(READABLE, _readable)


class ReaderLeft(BrokenPipeError):
    """The program that reads standard output has closed it."""


class Unwritable(OSError):
    """Standard output cannot be written. `strerror` says why."""


class _StandardOutput(io.FileIO):
    """The descriptor of standard output. A write that fails raises ReaderLeft or Unwritable."""

    def write(self, data: Any) -> int | None:  # type: ignore[override]
        try:
            return super().write(data)
        except BrokenPipeError as failure:
            raise ReaderLeft(*failure.args) from None
        except BlockingIOError:
            raise
        except OSError as failure:
            raise Unwritable(*failure.args) from None


def dropped() -> int:
    """Return how many strings for standard error this process has dropped, because they could not be written."""
    stream = standard_error()
    return stream.dropped if stream is not None else 0


def standard_error() -> StandardError | None:
    """Return the stream that writes to standard error, also if `Lines` takes what is written to it. None if `prepare`
    was not called."""
    stream = sys.stderr.below if isinstance(sys.stderr, Lines) else sys.stderr
    return stream if isinstance(stream, StandardError) else None


def reader_left(failure: BaseException) -> ReaderLeft | None:
    """Return the ReaderLeft that caused this exception, or was being handled when it was raised; None without one."""
    cause: BaseException | None = failure
    while cause is not None and not isinstance(cause, ReaderLeft):
        cause = cause.__cause__ or cause.__context__
    return cause


def prepare() -> StandardError:
    """Replace both streams of this process by ones that follow the rules of this file. Call it once, first of all."""
    _occupy()
    if sys.stdout is None:  # closed
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - open until the process ends
    elif isinstance(sys.stdout, io.TextIOWrapper):
        with suppress(OSError):  # standard output is a directory
            sys.stdout = _standard_output(sys.stdout)
    stream = StandardError(sys.stderr)
    sys.stderr = stream
    atexit.register(stream.finish)
    return stream


def _standard_output(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    """Return a stream like this one on the same descriptor, buffered as this one is, with our errors."""
    descriptor: Any = _StandardOutput(stream.fileno(), "wb", closefd=False)
    return io.TextIOWrapper(
        descriptor if stream.write_through else io.BufferedWriter(descriptor),
        encoding=stream.encoding,
        errors=READABLE,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def _occupy() -> None:
    """Open /dev/null at each standard descriptor that is closed.

    Otherwise the next connection would get its number, and a library that writes to standard error would write into it.
    """
    for descriptor in STANDARD:
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one


class StandardError(io.TextIOBase):
    """Standard error that never makes its caller wait: a thread of its own writes, PAUSE_S later at most while it
    can. The thread ends with the process."""

    def __init__(self, stream: TextIO | None, descriptor: int = 2) -> None:
        self._terminal = stream is not None and stream.isatty()
        self._encoding = (stream.encoding if stream is not None else None) or "utf-8"
        self._descriptor = descriptor
        self._waiting: deque[bytes | int] = deque()  # an integer stands for that number of dropped strings
        self._size = 0  # bytes of the strings that wait and of those that are being written
        self._failing = False  # the last write failed: that string is missing, or only a part of it is there
        self._in_line = False  # the last byte written was not the end of a line
        self._lock = threading.Lock()
        self._more = threading.Condition(self._lock)  # the thread waits for it while it is idle
        self._written = threading.Condition(self._lock)  # `finish` waits for it
        self._idle = False  # the thread waits for a string
        self._hurries = False  # the process is about to end
        self._thread: threading.Thread | None = None
        self.describe_loss: Callable[[int], str] = _loss  # makes the line about missing strings
        self.dropped = 0  # strings that were not written and never will be, or only a part of them

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding

    @property
    def errors(self) -> str:  # type: ignore[override]
        return READABLE

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return self._terminal

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        """Queue this string to be written. The string of one call is written as a whole or not at all."""
        data = text.encode(self._encoding, READABLE)
        with self._lock:
            if not data:
                pass
            elif self._size + _size(data) <= MAX_WAITING_BYTES:
                self._waiting.append(data)
                self._size += _size(data)
            else:
                self._drop()
            self._begin()
            if self._idle:
                self._more.notify()
        return len(text)

    def finish(self, within_s: float = LAST_WORDS_S) -> None:
        """Wait until everything is written, but no longer than `within_s`."""
        until = time.monotonic() + within_s
        with self._lock:
            self._hurries = True
            while self._can_go_on() and (left := until - time.monotonic()) > 0:
                self._written.wait(left)
            self._hurries = False

    def _can_go_on(self) -> bool:
        """Is there anything to write? While writes fail, only a new string is a reason to try again."""
        return bool(self._size or (self._waiting and not self._failing))

    def _drop(self) -> None:
        self.dropped += 1
        if self._waiting and isinstance(self._waiting[-1], int):
            self._waiting[-1] += 1
        else:
            self._waiting.append(1)

    def _begin(self) -> None:
        if self._thread is None:
            thread = threading.Thread(target=self._run, name="standard error", daemon=True)
            # RuntimeError: the system permits no further thread now, and the next string tries again.
            with suppress(RuntimeError):
                thread.start()
                self._thread = thread

    def _run(self) -> None:
        while True:
            with self._lock:
                while not self._can_go_on():
                    self._idle = True
                    self._more.wait()
                self._idle = False
                lost, texts = self._take()
            said = not lost or self._put([self.describe_loss(lost).encode(self._encoding, READABLE)]) == 1
            missing = len(texts) - (self._put(texts) if said and texts else 0)
            with self._lock:
                self._size -= sum(map(_size, texts))
                self.dropped += missing
                if missing or not said:
                    self._put_back((0 if said else lost) + missing)
                self._written.notify_all()
                pauses = not self._hurries and self._size < BATCH_BYTES
            if pauses:
                time.sleep(PAUSE_S)

    def _take(self) -> tuple[int, list[bytes]]:
        """Take the next strings from the queue, about BATCH_BYTES. Return the number of strings that are missing before
        them, and the strings (none: only the number is there)."""
        lost, texts, size = 0, [], 0
        if self._waiting and isinstance(first := self._waiting[0], int):
            lost = first
            self._waiting.popleft()
        while self._waiting and size < BATCH_BYTES and isinstance(first := self._waiting[0], bytes):
            texts.append(first)
            size += len(first)
            self._waiting.popleft()
        return lost, texts

    def _put_back(self, lost: int) -> None:
        if self._waiting and isinstance(first := self._waiting[0], int):
            self._waiting[0] = first + lost
        else:
            self._waiting.appendleft(lost)

    def _put(self, texts: list[bytes]) -> int:
        """Write these strings, however long that takes. Return how many of them were written as a whole: fewer than all
        if the descriptor cannot be written."""
        data = b"".join(texts)
        left = memoryview(b"\n" + data if self._failing and self._in_line else data)
        while left:
            try:
                count = os.write(self._descriptor, left)
            except BlockingIOError:  # another program made the descriptor non-blocking
                select.select((), (self._descriptor,), ())
            except OSError:  # the disk is full, the reader has left, the terminal was closed
                self._failing = True
                return _whole(texts, len(data) - len(left))
            else:
                self._in_line = left[count - 1] != ord("\n")
                left = left[count:]
        self._failing = False
        return len(texts)


def _whole(texts: list[bytes], written: int) -> int:
    """Return how many of these strings are whole in their first `written` bytes."""
    return sum(end <= written for end in accumulate(map(len, texts)))


class Lines(io.TextIOBase):
    """A stream that gives each line that is written to it to `on_line`, without its end. `below` is the stream that it
    stands for; empty lines are left out."""

    def __init__(self, below: StandardError, on_line: Callable[[str], None]) -> None:
        self.below = below
        self._on_line = on_line
        self._begun = ""  # the beginning of a line that has no end yet
        self._lock = threading.Lock()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self.below.encoding

    @property
    def errors(self) -> str:  # type: ignore[override]
        return READABLE

    def fileno(self) -> int:
        return self.below.fileno()

    def isatty(self) -> bool:
        return False  # nobody should colour what becomes a part of something else

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        with self._lock:
            *lines, self._begun = (self._begun + text).split("\n")
        for line in filter(None, lines):
            self._on_line(line)
        return len(text)

    def finish(self) -> None:
        """End the line that has no end yet."""
        self.write("\n")


def _size(data: bytes) -> int:
    return len(data) + 64  # with about what Python needs for the object


def _loss(count: int) -> str:
    return f"relay: {count} messages are missing here: they could not be written\n"
