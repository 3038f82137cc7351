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
from dstwist.interfaces import Change, ISharedStore, IStore, Record
from dstwist.protocol.constants import RecordAction, Topic
from dstwist.protocol.message import Message
from dstwist.record import NO_RECORD
from tests.fakes import BusyClock
from tests.store.faulty import FAULTS, FaultyStore

#: How long a thread may take for what is waited for. Only a failing test takes it.
PATIENCE = 120.0

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


class SharedStoreContract(StoreContract):
    """
    The contract of L{ISharedStore}.
    """

    def test_shared_interface(self) -> None:
        """
        It provides L{ISharedStore}.
        """
        verifyObject(ISharedStore, self.make())

    def test_replace(self) -> None:
        """
        A record is written if the store has the version that the writer expects.
        """
        store = self.started(self.make())
        for version, data in enumerate(DATA):
            expected = None if version == 0 else version - 1
            self.assertIsNone(self.result(store.replace("a", expected, Record(version, data))))
            self.assertEqual(self.result(store.get("a")), Record(version, data))

    def test_replace_refused(self) -> None:
        """
        If the store has another version, or no record, nothing changes, and the writer is given what there is.
        """
        store = self.started(self.make())
        self.assertIs(self.result(store.replace("a", 4, Record(5, {}))), NO_RECORD)
        self.assertIsNone(self.result(store.get("a")))
        there = Record(5, {"there": [1]})
        self.result(store.set("a", 5, {"there": [1]}))
        for expected in (None, 0, 4, 6):
            self.assertEqual(self.result(store.replace("a", expected, Record(6, {"late": 1}))), there)
            self.assertEqual(self.result(store.get("a")), there)

    def test_remove(self) -> None:
        """
        A record is removed if it has the version that the writer expects. Otherwise the writer is given what there is.
        """
        store = self.started(self.make())
        self.assertIsNone(self.result(store.remove("a", None)))
        self.assertIs(self.result(store.remove("a", 3)), NO_RECORD)
        self.result(store.set("a", 3, {"b": 1}))
        for expected in (None, 2, 4):
            self.assertEqual(self.result(store.remove("a", expected)), Record(3, {"b": 1}))
        self.assertIsNone(self.result(store.remove("a", 3)))
        self.assertIsNone(self.result(store.get("a")))

    def test_version_jumps(self) -> None:
        """
        The new version need not be the next one: several writes may be one operation.
        """
        store = self.started(self.make())
        self.assertIsNone(self.result(store.replace("a", None, Record(7, {}))))
        self.assertIsNone(self.result(store.replace("a", 7, Record(2**53, []))))
        self.assertEqual(self.result(store.get("a")), Record(2**53, []))

    def test_changes(self) -> None:
        """
        With the changes beside it, the record is the same.
        """
        store = self.started(self.make())
        state = Record(1, {"b": {"c": 1}, "d": [1]})
        self.result(store.set("a", state.version, state.data))
        changes = []
        last = state
        for path, data in (("b.c", b"2"), ("d[0]", b'"x"'), ("e.f", b"[{}]"), ("b", None)):
            action = RecordAction.ERASE if data is None else RecordAction.PATCH
            message = Message(Topic.RECORD, action, "a", data, path=path, version=last.version + 1)
            change = Change(last, message)
            changes.append(change)
            last = Record(last.version + 1, change.data)
        self.assertIsNone(self.result(store.replace("a", 1, last, changes)))
        self.assertEqual(self.result(store.get("a")), Record(5, {"d": ["x"], "e": {"f": [{}]}}))
        whole = Change(last, Message(Topic.RECORD, RecordAction.UPDATE, "a", b"[1]", version=6))
        self.assertIsNone(self.result(store.replace("a", 5, Record(6, whole.data), [whole])))
        self.assertEqual(self.result(store.get("a")), Record(6, [1]))

    def test_race(self) -> None:
        """
        Of several writers of one version exactly one wins, and the others are given its record. None of them waits for
        another.
        """
        store = self.started(self.make())
        for expected in (None, 0):
            version = 0 if expected is None else 1
            asked = [store.replace("a", expected, Record(version, {"writer": writer})) for writer in range(3)]
            asked.append(store.remove("a", expected) if expected is None else store.remove("a", 0))
            found = [self.result(deferred) for deferred in asked]
            winner = Record(version, {"writer": 0})
            self.assertEqual(found, [None, winner, winner, winner])
            self.assertEqual(self.result(store.get("a")), winner)

    def test_removed_first(self) -> None:
        """
        A write that comes after a removal of its record is refused.
        """
        store = self.started(self.make())
        self.result(store.set("a", 3, {}))
        asked = [store.remove("a", 3), store.replace("a", 3, Record(4, {"late": 1})), store.remove("a", 3)]
        self.assertEqual([self.result(deferred) for deferred in asked], [None, NO_RECORD, NO_RECORD])
        self.assertIsNone(self.result(store.get("a")))

    def test_shared_order(self) -> None:
        """
        Operations on one record take effect in the order in which they are asked, with expectations and without. A read
        behind a write that is refused gets what there is.
        """
        store = self.started(self.make())
        asked = [
            store.set("a", 1, {}),
            store.replace("a", 1, Record(2, {"b": 2})),
            store.get("a"),
            store.replace("a", 1, Record(2, {"late": 1})),
            store.get("a"),
            store.heads(["a", "b"]),
            store.replace("a", 2, Record(3, {"b": 3})),
            store.set("a", 9, [9]),
            store.remove("a", 3),
            store.get("a"),
            store.remove("a", 9),
            store.get("a"),
            store.replace("a", None, Record(10, {})),
            store.get("a"),
        ]
        two, nine = Record(2, {"b": 2}), Record(9, [9])
        self.assertEqual(
            [self.result(deferred) for deferred in asked],
            [None, None, two, two, two, {"a": 2, "b": -1}, None, None, nine, nine, None, None, None, Record(10, {})],
        )

    def test_refused_alone(self) -> None:
        """
        A write that is refused, or that no store can keep, does not take others with it.
        """
        store = self.started(self.make())
        asked = [
            store.replace("a", 8, Record(9, {})),
            store.replace("b", None, Record(0, {"b": 1})),
            store.remove("c", 1),
            store.set("d", 1, {}),
        ]
        self.assertEqual([self.result(deferred) for deferred in asked], [NO_RECORD, None, NO_RECORD, None])
        self.assertEqual(self.result(store.heads("abcd")), {"a": -1, "b": 0, "c": -1, "d": 1})

    def test_heads(self) -> None:
        """
        The versions of many records, whatever their names, at once; -1 of those that do not exist.
        """
        store = self.started(self.make())
        self.assertEqual(self.result(store.heads([])), {})
        expected = {f"r/{number}": number for number in range(700)}
        expected |= dict.fromkeys(NAMES, 2**53)
        for name, version in expected.items():
            self.result(store.replace(name, None, Record(version, {})))
        expected |= {"none": -1, "no\ud800name": -1}
        self.assertEqual(self.result(store.heads(expected)), expected)

    def test_expecting_names(self) -> None:
        """
        Any text is a name of its own for writes with an expectation, too.
        """
        store = self.started(self.make())
        asked = [store.replace(name, None, Record(number, {})) for number, name in enumerate(NAMES)]
        self.assertEqual([self.result(deferred) for deferred in asked], [None] * len(NAMES))
        self.assertEqual(self.result(store.heads(NAMES)), {name: number for number, name in enumerate(NAMES)})

    def test_fence(self) -> None:
        """
        After a fence a read gives the effect of all earlier writes, whether their writer still waits or not.
        """
        store = self.started(self.make())
        given_up = store.replace("a", None, Record(0, {}))
        given_up.addErrback(lambda failure: None)
        given_up.cancel()
        fenced = store.fence()
        self.assertIsNone(self.result(fenced))
        self.assertEqual(self.result(store.get("a")), Record(0, {}))

    def test_in_doubt(self) -> None:
        """
        Whatever fault meets an operation, and wherever: a writer that fences and reads before it decides again does
        everything exactly once.
        """
        first = 0
        for fault in FAULTS:
            for step in range(5):
                store = FaultyStore(self.make())
                self.result(store.start())
                store.faults = [None] * step + [fault]
                history = [self._once(store, None, Record(first, {"n": first}))]
                history += [self._once(store, n, Record(n + 1, {"n": n + 1})) for n in range(first, first + 3)]
                self.assertEqual(self.result(store.inner.get("a")), Record(first + 3, {"n": first + 3}), (fault, step))
                history.append(self._once(store, first + 3, None))
                # A store that remembers the removal needs a higher version next time.
                first += 4
                # Nothing comes late.
                store.run_late()
                self.assertIsNone(self.result(store.inner.get("a")), (fault, step))
                # A write that took effect without an answer is not repeated.
                repeated = fault in ("fails before", "silent before")
                self.assertEqual(history, [1 + (repeated and at == step) for at in range(5)], (fault, step))
                self.result(store.stop())

    def test_in_doubt_race(self) -> None:
        """
        The same while another writer writes in between: each version has exactly one winner, and both know which.
        """
        for fault in FAULTS:
            store = FaultyStore(self.make())
            self.result(store.start())
            self.result(store.set("a", 1, {"writer": "none"}))
            store.faults = [fault]
            mine = store.replace("a", 1, Record(2, {"writer": "mine"}))
            found = self.result(store.inner.replace("a", 1, Record(2, {"writer": "other"})))
            self._give_up(mine)
            self.result(store.fence())
            there = self.result(store.get("a"))
            self.assertEqual(there, Record(2, {"writer": "other"}) if found is None else found, fault)
            store.run_late()
            self.assertEqual(self.result(store.inner.get("a")), there, fault)
            self.result(store.stop())

    def _once(self, store: FaultyStore, expected: int | None, record: Record | None) -> int:
        """
        Replace or remove the record C{a}, whatever happens.

        @return: in how many attempts.
        """
        attempts = 0
        while True:
            attempts += 1
            fault = store.faults[0] if store.faults else None
            done = store.remove("a", expected) if record is None else store.replace("a", expected, record)
            if fault is None:
                self.assertIsNone(self.result(done))
                return attempts
            self._give_up(done)
            self.result(store.fence())
            there = self.result(store.get("a"))
            if there == record:
                return attempts
            self.assertEqual(None if there is None else there.version, expected)

    def _give_up(self, deferred: Deferred[Any]) -> None:
        deferred.addErrback(lambda failure: None)
        deferred.cancel()


class TombstoneContract(SharedStoreContract):
    """
    The contract of L{ISharedStore} for stores that remember the versions of removed records.
    """

    def test_versions_go_on(self) -> None:
        """
        A record that is created anew needs a higher version than the removed one had. Otherwise the writer is told that
        version.
        """
        store = self.started(self.make())
        self.result(store.replace("a", None, Record(7, {})))
        self.result(store.remove("a", 7))
        self.assertIsNone(self.result(store.get("a")))
        self.assertEqual(self.result(store.heads(["a"])), {"a": -1})
        for version in (0, 1, 7):
            found = self.result(store.replace("a", None, Record(version, {})))
            self.assertEqual((found.version, found.data), (7, None))
        self.assertIsNone(self.result(store.replace("a", None, Record(8, {}))))
        self.assertEqual(self.result(store.get("a")), Record(8, {}))
        self.assertIsNone(self.result(store.replace("b", None, Record(0, {}))))

    def test_late_copy(self) -> None:
        """
        A late write to the removed record is refused, also when there is a new one.
        """
        store = self.started(self.make())
        self.result(store.replace("a", None, Record(7, {})))
        self.result(store.remove("a", 7))
        self.result(store.replace("a", None, Record(8, {"new": 1})))
        self.assertEqual(self.result(store.replace("a", 7, Record(8, {"late": 1}))), Record(8, {"new": 1}))

    def test_earlier_removal(self) -> None:
        """
        A creation that was decided on an earlier removal is refused.
        """
        store = self.started(self.make())
        self.result(store.replace("a", None, Record(7, {})))
        self.result(store.remove("a", 7))
        self.result(store.replace("a", None, Record(8, {})))
        self.result(store.replace("a", 8, Record(9, {})))
        self.result(store.remove("a", 9))
        for version in (8, 9):
            found = self.result(store.replace("a", None, Record(version, {"late": 1})))
            self.assertEqual((found.version, found.data), (9, None))
        self.assertIsNone(self.result(store.get("a")))

    def test_removed_again(self) -> None:
        """
        Each removal counts; one that found nothing changes nothing.
        """
        store = self.started(self.make())
        for first in (0, 5):
            self.assertIsNone(self.result(store.replace("a", None, Record(first, {}))))
            self.assertIsNone(self.result(store.replace("a", first, Record(first + 4, {}))))
            self.assertIsNone(self.result(store.remove("a", first + 4)))
            self.assertIsNone(self.result(store.remove("a", None)))
        self.assertEqual(self.result(store.replace("a", None, Record(9, {}))).version, 9)

    def test_plain_deletion(self) -> None:
        """
        A deletion without an expected version remembers nothing.
        """
        store = self.started(self.make())
        self.result(store.replace("a", None, Record(7, {})))
        self.result(store.delete("a"))
        self.assertIsNone(self.result(store.replace("a", None, Record(0, {}))))
