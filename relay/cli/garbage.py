"""How often Python looks for garbage that counting references does not find."""

from __future__ import annotations

import gc

# Objects made and not gone before a look at the young ones. Python's 700 are made with every 50 changes,
# and there is next to no such garbage here.
YOUNG = 10_000


def collect_seldom() -> None:
    """For a process that goes on for long: what there is now is not looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 5, 5)
