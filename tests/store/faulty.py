"""
A shared store whose connection breaks at the worst moments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, fail
from zope.interface import implementer

from dstwist.errors import StoreError
from dstwist.interfaces import Change, ISharedStore, Record

#: The faults of one operation. A caller cannot tell them apart, except that some answer with an error.
FAULTS = (
    "fails before",  # the store does nothing, and an error is the answer
    "silent before",  # the store does nothing, and there is no answer
    "fails after",  # the store does it, and an error is the answer
    "silent after",  # the store does it, and there is no answer
    "late",  # there is no answer, and the store does it later: at the latest when it is fenced
)


@implementer(ISharedStore)
class FaultyStore:
    """
    Passes operations on to C{inner}.

    @ivar faults: the faults of the next operations, in their order; C{None}: no fault.
    @ivar calls: the names of the operations, as they were called.
    @ivar unreachable: whether C{fence} fails.
    """

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.faults: list[str | None] = []
        self.calls: list[str] = []
        self.unreachable = False
        self._late: list[Callable[[], Deferred[Any]]] = []

    def start(self) -> Deferred[None]:
        started: Deferred[None] = self.inner.start()
        return started

    def stop(self) -> Deferred[None]:
        stopped: Deferred[None] = self.inner.stop()
        return stopped

    def get(self, name: str) -> Deferred[Record | None]:
        return self._do("get", name)

    def set(self, name: str, version: int, data: Any) -> Deferred[None]:
        return self._do("set", name, version, data)

    def delete(self, name: str) -> Deferred[None]:
        return self._do("delete", name)

    def replace(
        self, name: str, expected: int | None, record: Record, changes: Sequence[Change] = ()
    ) -> Deferred[Record | None]:
        return self._do("replace", name, expected, record, changes)

    def remove(self, name: str, expected: int | None) -> Deferred[Record | None]:
        return self._do("remove", name, expected)

    def heads(self, names: Iterable[str]) -> Deferred[dict[str, int]]:
        return self._do("heads", names)

    def fence(self) -> Deferred[None]:
        self.calls.append("fence")
        if self.unreachable:
            return fail(StoreError("no connection"))
        self.run_late()
        fenced: Deferred[None] = self.inner.fence()
        return fenced

    def run_late(self) -> None:
        """
        The late operations take effect.
        """
        late, self._late = self._late, []
        for operation in late:
            operation().addErrback(lambda failure: None)

    def _do(self, operation: str, *arguments: Any) -> Deferred[Any]:
        self.calls.append(operation)
        fault = self.faults.pop(0) if self.faults else None

        def run() -> Deferred[Any]:
            done: Deferred[Any] = getattr(self.inner, operation)(*arguments)
            return done

        if fault is None:
            return run()
        if fault == "fails before":
            return fail(StoreError("the connection is lost"))
        if fault == "fails after":
            return run().addBoth(lambda result: fail(StoreError("the connection is lost")))
        if fault == "silent after":
            run().addErrback(lambda failure: None)
        elif fault == "late":
            self._late.append(run)
        return Deferred()
