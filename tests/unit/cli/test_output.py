"""Standard error that is closed, full or not read, and texts that an encoding cannot write."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.relay_fixture import SOON_S

from relay.cli.output import MAX_WAITING_BYTES, READABLE, StandardError


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@contextmanager
def pipe() -> Iterator[tuple[int, StandardError]]:
    """Yield the reading end of a pipe, and a StandardError that writes into it."""
    reads, writes = os.pipe()
    stream = StandardError(None, writes)
    try:
        yield reads, stream
    finally:
        with suppress(OSError):  # a test has closed it
            os.close(reads)
        stream.finish(
            SOON_S
        )  # without a reader, every write fails at once, and the thread has nothing left to do
        with suppress(OSError):
            os.close(writes)


def read(descriptor: int, until: str) -> str:
    """Read until what was read ends so."""
    data = b""
    while not data.endswith(until.encode()):
        more = os.read(descriptor, 2**20)
        assert more, data
        data += more
    return data.decode()


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), max_size=30))
@settings(max_examples=20)  # each example leaves a waiting thread behind
def test_all_texts_are_written_in_order_by_the_end(texts: list[str]) -> None:
    with pipe() as (reads, stream):
        for text in texts:
            assert stream.write(text) == len(text)
        stream.finish(SOON_S)
        stream.write("end")
        assert read(reads, "end") == "".join(texts) + "end"


def test_a_full_pipe_blocks_no_writer_and_missing_texts_are_counted() -> None:
    with pipe() as (reads, stream):
        line = "x" * 1000 + "\n"
        fits = MAX_WAITING_BYTES // len(line)
        # Given more text than the pipe and the memory hold,
        for _ in range(3 * fits):
            stream.write(line)
        # when the pipe is read, then every text is there, or a line says how many are missing.
        kept = missing = 0
        with os.fdopen(os.dup(reads)) as file:
            while kept + missing < 3 * fits:
                if (text := file.readline()) == line:
                    kept += 1
                else:
                    missing += int(text.split()[1])
        assert kept + missing == 3 * fits
        assert missing == stream.dropped > fits
        # Later texts are written as usual.
        stream.write("as ever\n")
        assert read(reads, "\n") == "as ever\n"


def test_the_number_of_waiting_texts_is_bounded() -> None:
    with pipe() as (_, stream):
        for _ in range(MAX_WAITING_BYTES // 8):
            stream.write("x")
        assert len(stream._waiting) <= MAX_WAITING_BYTES // 64


def test_after_a_full_disk_the_missing_texts_are_counted() -> None:
    with pipe() as (reads, stream), open("/dev/full", "wb", buffering=0) as full:
        stream.describe_loss = lambda count: f"{count} missing\n"
        pipe_end = os.dup(stream.fileno())
        # Given a full disk,
        os.dup2(full.fileno(), stream.fileno())
        for number in range(3):
            stream.write(f"{number}\n")
        stream.finish(SOON_S)
        # when there is room again,
        os.dup2(pipe_end, stream.fileno())
        os.close(pipe_end)
        stream.write("room\n")
        # then a line says how many strings are missing.
        assert read(reads, "room\n") == "3 missing\nroom\n"
        assert stream.dropped == 3


def test_a_half_written_text_does_not_run_into_the_next_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pipe() as (reads, stream):
        answers: list[int | OSError] = [3, OSError(28, "No space left on device")]
        real = os.write

        def write(descriptor: int, data: bytes) -> int:
            answer = answers.pop(0) if answers else len(data)
            if isinstance(answer, OSError):
                raise answer
            return real(descriptor, bytes(data)[:answer])

        monkeypatch.setattr("relay.cli.output.os.write", write)
        stream.write("half of this\n")
        stream.finish(SOON_S)
        stream.write("whole\n")
        assert read(reads, "whole\n") == (
            "hal\nrelay: 1 messages are missing here: they could not be written\nwhole\n"
        )


def test_a_reader_that_left_raises_no_error_at_standard_error() -> None:
    with pipe() as (reads, stream):
        os.close(reads)
        for _ in range(100):
            stream.write("nobody\n")
        stream.finish(SOON_S)
        assert not stream._size
        assert stream.dropped == 100


def test_the_end_waits_for_a_reader_no_longer_than_it_is_told() -> None:
    with pipe() as (reads, stream):
        stream.write("x" * 500_000)
        stream.finish(0.05)
        assert stream._size
        # When the reader is back, the end waits until everything is written.
        reading = threading.Thread(target=read, args=(reads, "end"))
        reading.start()
        stream.write("end")
        stream.finish(SOON_S)
        assert not stream._size
        reading.join()


def test_where_no_thread_can_be_started_the_next_text_tries_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with pipe() as (reads, stream):
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", refuse)
            stream.write("one, ")
        stream.write("two")
        assert read(reads, "two") == "one, two"


def test_a_non_blocking_descriptor_loses_nothing() -> None:
    with pipe() as (reads, stream):
        os.set_blocking(stream.fileno(), False)
        text = "x" * 500_000 + "\n"  # more than a pipe holds
        stream.write(text)
        assert read(reads, "\n") == text


def test_standard_error_still_knows_whether_it_is_a_terminal() -> None:
    assert StandardError(Terminal()).isatty()
    assert not StandardError(io.StringIO()).isatty()
    assert StandardError(None).encoding == "utf-8"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "cp437", "utf-8"])
@given(text=st.text())
def test_every_text_can_be_written_in_every_encoding(encoding: str, text: str) -> None:
    try:
        exact = text.encode(encoding)
    except UnicodeEncodeError:
        assert text.encode(encoding, READABLE).decode(encoding)
    else:
        assert text.encode(encoding, READABLE) == exact


def test_characters_that_an_encoding_lacks_stay_readable() -> None:
    text = "“Rotate” – events 0 → 1, 5 × 2 … ╭─╮ Zoë \u65e5 \ud800"
    assert text.encode("ascii", READABLE) == rb'"Rotate" - events 0 -> 1, 5 x 2 ... +-+ Zo\xeb \u65e5 \ud800'
    assert text.encode("latin-1", READABLE).decode("latin-1") == (
        '"Rotate" - events 0 -> 1, 5 × 2 ... +-+ Zoë \\u65e5 \\ud800'
    )
