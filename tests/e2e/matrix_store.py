"""
A storage in memory that fails where the tests want it to: ``storage: {module: tests.e2e.matrix_store:MatrixStore}``.

The name of a record says how, up to the first slash; its data says when.

==========  ==========================================================================================================
name        what happens
==========  ==========================================================================================================
broken/...  bad writes fail, and so do deletions; of names with ``/read/``, reads
late/...    the same are never answered
held/...    a write with the key or entry C{hold} is answered when C{release/<name>} was written
==========  ==========================================================================================================

A write is bad if it writes an object with the key C{bad}, or without the key C{start}, or a list with the entry C{bad}.
Once C{mend/<name>} was written, reads and deletions of the name work. With the option C{file} the records outlive the
server that stops in good order.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import deferLater
from zope.interface import implementer

from dstwist.errors import StoreError
from dstwist.interfaces import Change, Done, IStore, Record
from dstwist.store import from_settings
from dstwist.store.redis import RedisStore

#: The names whose bad writes fail, or are never answered, begin so.
_TROUBLED = ("broken", "late")

_FAILURE = "the matrix wants it to fail"


@implementer(IStore)
class MatrixStore:
    """
    See above.
    """

    def __init__(self, options: Mapping[str, Any], context: Any) -> None:
        self._file = Path(options["file"]) if "file" in options else None
        self._records: dict[str, Record] = {}
        self._mended: set[str] = set()
        self._held: dict[str, list[Deferred[None]]] = {}
        self._released: set[str] = set()

    def start(self) -> Deferred[None]:
        if self._file is not None and self._file.exists():
            kept = json.loads(self._file.read_text(encoding="utf-8"))
            self._records = {name: Record(version, data) for name, (version, data) in kept.items()}
        return succeed(None)

    def stop(self) -> Deferred[None]:
        if self._file is not None:
            kept = {name: (record.version, record.data) for name, record in self._records.items()}
            self._file.write_text(json.dumps(kept), encoding="utf-8")
        return succeed(None)

    def get(self, name: str) -> Deferred[Record | None]:
        kind, _, rest = name.partition("/")
        reads = rest.startswith("read/") and name not in self._mended
        if reads and (trouble := _trouble(kind)) is not None:
            return trouble
        return succeed(self._records.get(name))

    def set(self, name: str, version: int, data: Any) -> Deferred[None]:
        kind, _, rest = name.partition("/")
        if _bad(data) and (trouble := _trouble(kind)) is not None:
            return trouble
        self._records[name] = Record(version, data)
        if kind == "mend":
            self._mended.add(rest)
        elif kind == "release":
            self._released.add(rest)
            for held in self._held.pop(rest, []):
                held.callback(None)
        elif kind in ("held", "stopped") and "hold" in data and "next" not in data and name not in self._released:
            answer: Deferred[None] = Deferred()
            self._held.setdefault(name, []).append(answer)
            return answer
        return succeed(None)

    def delete(self, name: str) -> Deferred[None]:
        if name not in self._mended and (trouble := _trouble(name.partition("/")[0])) is not None:
            return trouble
        self._records.pop(name, None)
        return succeed(None)


def _bad(data: Any) -> bool:
    return "bad" in data or (isinstance(data, dict) and "start" not in data)


def _trouble(kind: str) -> Deferred[Any] | None:
    """
    The outcome of an operation that is to fail.
    """
    if kind == "broken":
        return fail(StoreError(_FAILURE))
    return Deferred() if kind == "late" else None


class MatrixRedis(RedisStore):
    """
    The same of a Redis that the nodes of a cluster share, with C{broken}, C{late} and C{held}. Each node sees what was
    mended and released at another one.
    """

    @classmethod
    def install(cls) -> None:
        """
        Be the Redis of this process.
        """
        vars(from_settings)["RedisStore"] = cls

    def get(self, name: str) -> Deferred[Record | None]:
        if name.partition("/")[2].startswith("read/"):
            return self._unless_mended(name, super().get)
        return super().get(name)

    def remove(self, name: str, expected: int | None) -> Deferred[Record | None]:
        return self._unless_mended(name, lambda _: super(MatrixRedis, self).remove(name, expected))

    def submit(
        self, name: str, expected: int | None, record: Record, changes: Sequence[Change], done: Done, argument: Any
    ) -> None:
        kind, data = name.partition("/")[0], record.data
        if _bad(data) and kind in _TROUBLED:
            if kind == "broken":
                done(argument, StoreError(_FAILURE), None)
            return
        if kind == "held" and "hold" in data and "next" not in data:
            done, argument = self._hold, (name, done, argument)
        super().submit(name, expected, record, changes, done, argument)

    def _hold(self, held: tuple[str, Done, Any], error: Exception | None, found: Record | None) -> None:
        Deferred.fromCoroutine(self._release(held, error, found))

    async def _release(self, held: tuple[str, Done, Any], error: Exception | None, found: Record | None) -> None:
        from twisted.internet import reactor

        name, done, argument = held
        while await super().get(f"release/{name}") is None:
            await deferLater(reactor, 0.02)
        done(argument, error, found)

    def _unless_mended(self, name: str, operation: Callable[[str], Deferred[Any]]) -> Deferred[Any]:
        kind = name.partition("/")[0]
        if kind not in _TROUBLED:
            return operation(name)
        found = super().get(f"mend/{name}")
        return found.addCallback(lambda mended: operation(name) if mended is not None else _trouble(kind))
