"""A mongod whose data can be backed up and restored, as if another database took its address."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pymongo import MongoClient

from relay.cli.demo import mongod as embedded


class Restorable:
    """A mongod on a fixed port whose data can be backed up and restored while it is stopped."""

    def __init__(self, folder: Path) -> None:
        self._port = embedded.free_port()
        self._data, self._copy = folder / "data", folder / "copy"
        self._server = embedded.start(port=self._port, data=self._data)
        self.url = self._server.url

    @contextmanager
    def tasks(self) -> Iterator[Any]:
        with MongoClient[dict[str, Any]](self.url) as mongo:
            yield mongo["app"]["tasks"]

    def copy(self) -> None:
        self._restart(lambda: shutil.copytree(self._data, self._copy))

    def restore(self) -> None:
        self._restart(self._put_back)

    def restart(self) -> None:
        self._restart(lambda: None)

    def _put_back(self) -> None:
        shutil.rmtree(self._data)
        self._copy.rename(self._data)

    def _restart(self, meanwhile: Callable[[], object]) -> None:
        self._server.stop()
        meanwhile()
        self._server = embedded.start(port=self._port, data=self._data)

    def stop(self) -> None:
        self._server.stop()
