"""
A store for dstwist: a folder with one JSON file a record. See docs/stores.rst.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.threads import deferToThreadPool
from zope.interface import implementer

from dstwist.errors import StoreError
from dstwist.interfaces import IStore, Record


@implementer(IStore)
class FolderStore:
    """
    Records in the folder that the option C{folder} names.
    """

    def __init__(self, options: Mapping[str, Any], context: Any) -> None:
        # A mistake in the options is said here: nothing has been opened, and the server will not start.
        if not isinstance(options.get("folder"), str):
            raise ValueError("the option folder must say where the records are to be")
        self._folder = options["folder"]
        self._reactor = context.reactor
        # One after the other, so that nothing is reordered.
        self._lock = DeferredLock()

    def start(self) -> Deferred[None]:
        return self._in_thread(lambda: os.makedirs(self._folder, exist_ok=True))

    def stop(self) -> Deferred[None]:
        return self._in_thread(lambda: None)

    def get(self, name: str) -> Deferred[Record | None]:
        return self._in_thread(lambda: self._read(self._path(name)))

    def set(self, name: str, version: int, data: Any) -> Deferred[None]:
        return self._in_thread(lambda: self._write(self._path(name), {"version": version, "data": data}))

    def delete(self, name: str) -> Deferred[None]:
        return self._in_thread(lambda: self._remove(self._path(name)))

    def _in_thread(self, work: Callable[[], Any]) -> Deferred[Any]:
        """
        Work that takes time does not belong into the reactor. Its failures must be StoreErrors.
        """

        def run() -> Any:
            try:
                return work()
            except (OSError, ValueError) as error:
                raise StoreError(f"{self._folder}: {error}") from error

        return self._lock.run(deferToThreadPool, self._reactor, self._reactor.getThreadPool(), run)

    def _path(self, name: str) -> str:
        # The file is in the folder for every name that a record can have.
        return os.path.join(self._folder, quote(name, safe="") + ".json")

    def _read(self, path: str) -> Record | None:
        try:
            with open(path, encoding="utf-8") as file:
                content = json.load(file)
        except FileNotFoundError:
            return None
        return Record(content["version"], content["data"])

    def _write(self, path: str, content: Any) -> None:
        # The old file is replaced when the new one is whole and on the disk, so no crash leaves half a record.
        with open(path + ".new", "w", encoding="utf-8") as file:
            json.dump(content, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(path + ".new", path)

    def _remove(self, path: str) -> None:
        if os.path.exists(path):
            os.remove(path)
