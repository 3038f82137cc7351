"""
What every store must do: the same tests for all of them.
"""

from __future__ import annotations

import queue
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from dstwist.errors import StoreError
from dstwist.interfaces import IStore, Record
from tests.fakes import BusyClock

#: How long a thread may take for what is waited for. Only a failing test takes it.
PATIENCE = 30.0

#: One of each kind, in one of each shape.
DATA: list[Any] = [
    {},
    [],
    {"a": [1, -1.5, 1e300, "text", True, False, None, {"b": [[]]}]},
    ["\u00e9\U0001f600\x00\x1e\u2028", 2**63, -(2**63)],
    {"": {"": ""}},
]

NAMES = ["a", "user/\u00e9\U0001f600", "with 'quotes'; --", "nul\x00inside", "A", "x" * 5000, " "]


@implementer(IReactorFromThreads)
class ThreadsReactor(BusyClock):
    """
    A clock, and the part of a reactor that threads talk to: their calls are kept until the test waits for them.

    @ivar turns: how long each turn was in which something was done.
    """

    def __init__(self) -> None:
        super().__init__()
        self.turns: list[float] = []
        self._calls: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()

    def callFromThread(self, callable: Callable[..., object], *args: object, **kwargs: object) -> None:
        self._calls.put(lambda: callable(*args, **kwargs))

    def run_until(self, done: Callable[[], bool]) -> None:
        """
        Make the calls of threads until C{done}.
        """
        while not done():
            due = any(call.getTime() <= self.rightNow for call in self.calls)
            try:
                call = self._calls.get(timeout=None if due else PATIENCE, block=not due)
            except queue.Empty:
                if not due:
                    raise AssertionError("the thread does not answer") from None
                call = None
            began = self.rightNow
            self.advance(0)
            if call is not None:
                call()
            self.turns.append(self.rightNow - began)


class StoreTestCase(SynchronousTestCase):
    """
    A test with stores that may have threads.
    """

    def setUp(self) -> None:
        self.reactor = ThreadsReactor()

    def result(self, deferred: Deferred[Any]) -> Any:
        """
        What a Deferred fires with, in the end.
        """
        self._wait(deferred)
        return self.successResultOf(deferred)

    def failure(self, deferred: Deferred[Any]) -> str:
        """
        Why a store could not do it.
        """
        self._wait(deferred)
        return str(self.failureResultOf(deferred, StoreError).value)

    def _wait(self, deferred: Deferred[Any]) -> None:
        fired: list[bool] = []

        def note(result: Any) -> Any:
            fired.append(True)
            return result

        deferred.addBoth(note)
        self.reactor.run_until(lambda: bool(fired))

    def started(self, store: Any) -> Any:
        """
        C{store}, until the end of the test.
        """
        self.result(store.start())
        self.addCleanup(lambda: self.result(store.stop()))
        return store


class StoreContract(StoreTestCase):
    """
    The contract of L{IStore}. To be mixed into a test case whose C{make} makes a store.
    """

    def make(self) -> Any:
        """
        A new store.
        """
        raise NotImplementedError

    def test_interface(self) -> None:
        """
        It provides L{IStore}.
        """
        verifyObject(IStore, self.make())

    def test_nothing(self) -> None:
        """
        What was never written is not there, and deleting it is no failure.
        """
        store = self.started(self.make())
        self.assertIsNone(self.result(store.get("a")))
        self.assertIsNone(self.result(store.delete("a")))

    def test_data(self) -> None:
        """
        Whatever JSON can say comes back as it was written, with its version.
        """
        store = self.started(self.make())
        for version, data in enumerate(DATA):
            self.assertIsNone(self.result(store.set("a", version, data)))
            self.assertEqual(self.result(store.get("a")), Record(version, data))

    def test_big_numbers(self) -> None:
        """
        Versions may be as high as JavaScript counts.
        """
        store = self.started(self.make())
        self.result(store.set("a", 2**53, {}))
        self.assertEqual(self.result(store.get("a")), Record(2**53, {}))

    def test_names(self) -> None:
        """
        Any text is a name of its own; case and blanks count.
        """
        store = self.started(self.make())
        for number, name in enumerate(NAMES):
            self.result(store.set(name, number, {"name": name}))
        for number, name in enumerate(NAMES):
            self.assertEqual(self.result(store.get(name)), Record(number, {"name": name}))
        self.result(store.delete("a"))
        self.assertIsNone(self.result(store.get("a")))
        self.assertIsNotNone(self.result(store.get("A")))

    def test_whatever_was_there(self) -> None:
        """
        A write replaces what there was, whatever its version.
        """
        store = self.started(self.make())
        self.result(store.set("a", 7, {"old": 1}))
        self.result(store.set("a", 3, [1]))
        self.assertEqual(self.result(store.get("a")), Record(3, [1]))

    def test_order(self) -> None:
        """
        Operations on one record take effect in the order in which they are asked, without waiting for each other.
        """
        store = self.started(self.make())
        done = [
            store.get("a"),
            store.set("a", 1, {}),
            store.get("a"),
            store.set("a", 2, {}),
            store.set("a", 3, {}),
            store.get("a"),
            store.delete("a"),
            store.get("a"),
            store.set("a", 0, []),
            store.get("a"),
        ]
        reads = [self.result(deferred) for deferred in done]
        self.assertEqual(
            [reads[0], reads[2], reads[5], reads[7], reads[9]],
            [None, Record(1, {}), Record(3, {}), None, Record(0, [])],
        )

    def test_not_changed(self) -> None:
        """
        What is written is not changed by being kept, and what is read stays as it is when the record is written again.
        """
        store = self.started(self.make())
        data = {"a": {"b": 1}}
        self.result(store.set("a", 1, data))
        read = self.result(store.get("a"))
        self.result(store.set("a", 2, {"a": {"b": 2}}))
        self.assertEqual((data, read), ({"a": {"b": 1}}, Record(1, {"a": {"b": 1}})))

    def test_given_up(self) -> None:
        """
        A caller who gave up on one operation disturbs no other.
        """
        store = self.started(self.make())
        given_up, other = store.set("a", 1, {}), store.set("b", 1, {})
        given_up.addErrback(lambda failure: None)
        given_up.cancel()
        read = store.get("a")
        read.addErrback(lambda failure: None)
        read.cancel()
        self.result(other)
        self.assertEqual(self.result(store.get("b")), Record(1, {}))

    def test_asked_from_a_callback(self) -> None:
        """
        Whoever hears of one operation may ask for the next at once.
        """
        store = self.started(self.make())
        chained = store.set("a", 1, {})
        for version in range(2, 6):
            chained.addCallback(lambda _, version=version: store.set("a", version, {}))
        chained.addCallback(lambda _: store.get("a"))
        self.assertEqual(self.result(chained), Record(5, {}))
