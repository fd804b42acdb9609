"""Standard error that is closed, full, or read by nobody, and texts that an encoding does not have."""

from __future__ import annotations

import io
import os
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
    """Where it is read, and a standard error that writes there."""
    reads, writes = os.pipe()
    stream = StandardError(None, writes)
    try:
        yield reads, stream
    finally:
        with suppress(OSError):  # a test did
            os.close(reads)
        stream.finish(SOON_S)  # now that nobody can read it, nothing holds it
        with suppress(OSError):
            os.close(writes)


def read(descriptor: int, until: str) -> str:
    """What comes, up to the first that ends so."""
    data = b""
    while not data.endswith(until.encode()):
        more = os.read(descriptor, 2**20)
        assert more, data
        data += more
    return data.decode()


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), max_size=30))
@settings(max_examples=20)  # each leaves a thread that waits
def test_what_is_written_is_there_in_order_at_the_end(texts: list[str]) -> None:
    with pipe() as (reads, stream):
        for text in texts:
            assert stream.write(text) == len(text)
        stream.finish(SOON_S)
        stream.write("end")
        assert read(reads, "end") == "".join(texts) + "end"


def test_nobody_waits_for_a_pipe_that_nobody_reads_and_what_is_missing_is_said() -> None:
    with pipe() as (reads, stream):
        line = "x" * 1000 + "\n"
        fits = MAX_WAITING_BYTES // len(line)
        # Given more than pipe and memory hold,
        for _ in range(3 * fits):
            stream.write(line)
        # when it is read, then all is there, or it is said how much is missing.
        kept = missing = 0
        with os.fdopen(os.dup(reads)) as file:
            while kept + missing < 3 * fits:
                if (said := file.readline()) == line:
                    kept += 1
                else:
                    missing += int(said.split()[1])
        assert kept + missing == 3 * fits
        assert missing > fits
        # What comes then comes as ever.
        stream.write("as ever\n")
        assert read(reads, "\n") == "as ever\n"


def test_it_is_bounded_also_in_the_number_of_texts() -> None:
    with pipe() as (_, stream):
        for _ in range(MAX_WAITING_BYTES // 8):
            stream.write("x")
        assert len(stream._waiting) <= MAX_WAITING_BYTES // 64


def test_a_full_disk_is_lived_with_and_what_is_missing_is_said() -> None:
    with pipe() as (reads, stream), open("/dev/full", "wb", buffering=0) as full:
        stream.describe_loss = lambda count: f"{count} missing\n"
        pipe_end = os.dup(stream.fileno())
        # Given a disk that has no room,
        os.dup2(full.fileno(), stream.fileno())
        for number in range(3):
            stream.write(f"{number}\n")
        stream.finish(SOON_S)
        # when there is room again,
        os.dup2(pipe_end, stream.fileno())
        os.close(pipe_end)
        stream.write("room\n")
        # then it is said what is missing.
        assert read(reads, "room\n") == "3 missing\nroom\n"


def test_a_text_that_was_half_written_does_not_run_into_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
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
            "hal\nrelay: 1 texts are missing here: they could not be written\nwhole\n"
        )


def test_a_reader_that_left_is_nobodys_trouble() -> None:
    with pipe() as (reads, stream):
        os.close(reads)
        for _ in range(100):
            stream.write("nobody\n")
        stream.finish(SOON_S)
        assert not stream._size


def test_a_descriptor_that_does_not_block_is_waited_for() -> None:
    with pipe() as (reads, stream):
        os.set_blocking(stream.fileno(), False)
        text = "x" * 500_000 + "\n"  # more than a pipe holds
        stream.write(text)
        assert read(reads, "\n") == text


def test_whether_it_is_a_terminal_is_still_known() -> None:
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


def test_what_an_encoding_does_not_have_stays_readable() -> None:
    text = "“Rotate” – events 0 → 1, 5 × 2 … ╭─╮ Zoë \u65e5 \ud800"
    assert text.encode("ascii", READABLE) == rb'"Rotate" - events 0 -> 1, 5 x 2 ... +-+ Zo\xeb \u65e5 \ud800'
    assert text.encode("latin-1", READABLE).decode("latin-1") == (
        '"Rotate" - events 0 -> 1, 5 × 2 ... +-+ Zoë \\u65e5 \\ud800'
    )
