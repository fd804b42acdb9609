"""What all tests of faults need: the driver leaves sockets to the garbage collector when something fails."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

# A connection that is cancelled while the driver opens it, as when a member dies or a cursor takes too long to close.
UNCLOSED = "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.filterwarnings(UNCLOSED))


@pytest.fixture(scope="module", autouse=True)
def _no_sockets_for_other_modules() -> Iterator[None]:
    """Free what the driver left, or the collector would find it, and warn, in the middle of a later test."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
