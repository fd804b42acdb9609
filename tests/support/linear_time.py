"""Compare the CPU time of a call for an input with that for an input of four times the length."""

from __future__ import annotations

import time
from collections.abc import Callable
from math import inf

ROUNDS = 5
NOISE_S = 0.002


def assert_linear(call: Callable[[str], object], once: str, four_times: str) -> None:
    """Fail if the time grows faster than the length: with its square, it would be sixteen times as long.

    Other processes may slow any one call down, so the shortest time of each counts. A slow one is measured again; five
    rounds decide.
    """
    short = long = inf
    for _ in range(ROUNDS):
        short = min(short, _seconds(call, once), _seconds(call, once))
        long = min(long, _seconds(call, four_times))
        if long < 10 * short + NOISE_S:
            return
    raise AssertionError(f"{len(once)} characters took {short:.4f} s, {len(four_times)} took {long:.4f} s")


def _seconds(call: Callable[[str], object], text: str) -> float:
    began = time.thread_time()
    call(text)
    return time.thread_time() - began
