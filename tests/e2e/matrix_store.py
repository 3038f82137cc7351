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
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from dstwist.errors import StoreError
from dstwist.interfaces import IStore, Record


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
        return fail(StoreError("the matrix wants it to fail"))
    return Deferred() if kind == "late" else None
