"""
Tests for L{dstwist.store.sqlite}, with real files.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from functools import partial
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface.verify import verifyObject

from dstwist import record
from dstwist.interfaces import ANY_VERSION, ICallbackStore, Record
from dstwist.protocol.jsontext import loads
from dstwist.protocol.nesting import MAX_DEPTH
from dstwist.scheduling.turns import Turns
from dstwist.store import sqlite_file, sqlite_rows, sqlite_schema, sqlite_transactions, sqlite_versions
from dstwist.store.sqlite import SqliteStore
from dstwist.store.sqlite_file import SqliteFile
from dstwist.store.sqlite_rows import commit
from tests.store import contract
from tests.store.stage import SqliteTestCase
from tests.turns import LONGEST


class SqliteStoreTests(SqliteTestCase, contract.TombstoneContract):
    """
    The contract.
    """


class NormalSqliteStoreTests(SqliteStoreTests):
    """
    The contract, with less care for power failures.
    """

    def make(self, **options: Any) -> SqliteStore:
        return super().make(synchronous="normal", **options)


class CallbackTests(SqliteTestCase):
    """
    Writes without Deferreds.
    """

    def submitted(self, store: SqliteStore, *writes: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        """
        Submit C{writes}, and wait for the calls of their callbacks.
        """
        told: list[tuple[Any, ...]] = []
        for number, (name, expected, written) in enumerate(writes):
            store.submit(name, expected, written, (), lambda *outcome: told.append(outcome), number)
        self.reactor.run_until(lambda: len(told) == len(writes))
        return told

    def test_interface(self) -> None:
        """
        It provides L{ICallbackStore}.
        """
        verifyObject(ICallbackStore, self.make())

    def test_submit(self) -> None:
        """
        The callback gets its argument after the commit, in the order of the writes.
        """
        store = self.started(self.make())
        writes = [(name, ANY_VERSION, Record(version, {})) for version, name in enumerate("abcab")]
        self.assertEqual(self.submitted(store, *writes), [(number, None, None) for number in range(5)])
        rows = self.other_program().execute("SELECT name, version FROM records ORDER BY name").fetchall()
        self.assertEqual(rows, [("a", 3), ("b", 4), ("c", 2)])

    def test_refused(self) -> None:
        """
        A write that expects another version than there is gets the record that is there.
        """
        store = self.started(self.make())
        first, second = Record(1, {"x": 1}), Record(2, {"x": 2})
        writes: list[tuple[Any, ...]] = [("a", None, first), ("a", 1, second), ("a", 1, Record(2, {"x": 3}))]
        self.assertEqual(self.submitted(store, *writes), [(0, None, None), (1, None, None), (2, None, second)])

    def test_failed(self) -> None:
        """
        A write that fails gets the error; at once if the store takes no more writes.
        """
        store = self.started(self.make(max_waiting=1))
        ((number, error, found),) = self.submitted(store, ("a", ANY_VERSION, Record(2**63, {})))
        self.assertEqual((number, found), (0, None))
        self.assertIn("the version is too high", str(error))
        told: list[tuple[Any, ...]] = []
        for number in range(2):
            store.submit("a", ANY_VERSION, Record(1, {}), (), lambda *outcome: told.append(outcome), number)
        self.assertEqual([number for number, *_ in told], [1])
        self.assertIn("operations are waiting", str(told[0][1]))
        self.reactor.run_until(lambda: len(told) == 2)
        self.assertEqual(told[1], (0, None, None))

    def test_broken(self) -> None:
        """
        A callback that raises an exception loses none of the other outcomes.
        """
        store = self.started(self.make())
        store.submit("a", ANY_VERSION, Record(1, {}), (), lambda *outcome: 1 // 0, None)
        self.assertEqual(self.submitted(store, ("b", ANY_VERSION, Record(1, {}))), [(0, None, None)])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class DurabilityTests(SqliteTestCase):
    """
    What is written stays.
    """

    def test_restart(self) -> None:
        """
        What one server has written, the next one reads.
        """
        store = self.make()
        self.result(store.start())
        self.result(store.set("a", 3, {"b": ["\u00e9", 1.5]}))
        self.result(store.set("gone", 1, {}))
        self.result(store.delete("gone"))
        self.result(store.stop())
        store = self.started(self.make())
        self.assertEqual(self.result(store.get("a")), Record(3, {"b": ["\u00e9", 1.5]}))
        self.assertIsNone(self.result(store.get("gone")))

    def test_on_disk(self) -> None:
        """
        When a write is acknowledged, other programs can read it: it is in the file, as text that SQLite can work with.
        """
        store = self.started(self.make())
        self.result(store.set("a", 1, {"b": "\u00e9"}))
        (row,) = self.other_program().execute("SELECT name, version, data, data ->> 'b' FROM records").fetchall()
        self.assertEqual(row, ("a", 1, '{"b":"\u00e9"}', "\u00e9"))

    def test_synchronous(self) -> None:
        """
        The option reaches SQLite; full is the default.
        """
        for options, expected in (({}, 2), ({"synchronous": "normal"}, 1), ({"synchronous": "off"}, 0)):
            self.path = str(Path(self.mktemp()).absolute())
            values: list[int] = []
            prepare = sqlite_schema.prepare

            def prepared(
                connection: sqlite3.Connection,
                path: str,
                synchronous: str,
                prepare: Any = prepare,
                values: list[int] = values,
            ) -> None:
                prepare(connection, path, synchronous)
                values.append(connection.execute("PRAGMA synchronous").fetchone()[0])

            self.patch(sqlite_file, "prepare", prepared)
            self.started(self.make(**options))
            self.assertEqual(values, [expected])
            self.patch(sqlite_file, "prepare", prepare)

    def test_stop_writes_all(self) -> None:
        """
        A stop comes after everything that was asked before it, and nothing can be asked after it.
        """
        store = self.make()
        self.result(store.start())
        writes = [store.set(f"r{number}", 1, [number]) for number in range(200)]
        read = store.get("r7")
        stopped = store.stop()
        self.assertIn("is not open", self.failure(store.set("late", 1, {})))
        self.assertIn("is not open", self.failure(store.get("r1")))
        self.result(stopped)
        for write in writes:
            self.successResultOf(write)
        self.assertEqual(self.successResultOf(read), Record(1, [7]))
        store = self.started(self.make())
        self.assertEqual(self.result(store.get("r199")), Record(1, [199]))
        self.assertIsNone(self.result(store.get("late")))

    def test_stop_before_started(self) -> None:
        """
        A store can be stopped while it starts, or when it never did.
        """
        self.result(self.make().stop())
        store = self.make()
        started = store.start()
        self.result(store.stop())
        self.successResultOf(started)
        self.result(self.started(self.make()).get("a"))

    def test_deep(self) -> None:
        """
        The deepest record that is accepted anywhere can be written and read again.
        """
        data = loads("[" * MAX_DEPTH + "]" * MAX_DEPTH)
        store = self.started(self.make())
        self.result(store.set("a", 1, data))
        self.assertEqual(self.result(store.get("a")), Record(1, data))


class GroupingTests(SqliteTestCase):
    """
    Writes share transactions.
    """

    def test_together(self) -> None:
        """
        What is asked in one turn, or while one transaction runs, is one transaction, however much it is.
        """
        store = self.started(self.make())
        batches = self.batches()
        writes = [store.set(name, 1, {}) for name in "abc"]
        self.reactor.advance(0)
        writes += [store.set(name, 1, {}) for name in "defgh"]
        for write in writes:
            self.result(write)
        self.assertEqual(batches, [list("abc"), list("defgh")])

    def test_many_together(self) -> None:
        """
        Transactions of any size: all that is in them is done, deletions too, and of each record the last write counts.
        """
        store = self.started(self.make())
        for size in (1, 2, 3, 4, 5, 37, 256, 1000):
            done: list[Deferred[Any]] = [store.set("first", size, {})]
            done += [store.set(f"r{number}", size, [number]) for number in range(size)]
            done += [store.delete(f"r{number}") for number in range(0, size, 5)]
            done += [store.set(f"r{number}", size + 1, [number]) for number in range(0, size, 10)]
            for deferred in done:
                self.result(deferred)
            for number in range(size):
                version = size + 1 if number % 10 == 0 else size
                expected = None if number % 10 == 5 else Record(version, [number])
                self.assertEqual(self.result(store.get(f"r{number}")), expected)

    def test_deleted_alone(self) -> None:
        """
        A deletion may be all that there is to do.
        """
        store = self.started(self.make())
        self.result(store.set("a", 1, {}))
        self.result(store.delete("a"))
        self.assertIsNone(self.result(store.get("a")))

    def test_in_order(self) -> None:
        """
        Acknowledgements come in the order of the writes.
        """
        store = self.started(self.make())
        done: list[int] = []
        writes = [store.set("abc"[number % 3], number, {}) for number in range(30)]
        for number, write in enumerate(writes):
            write.addCallback(lambda _, number=number: done.append(number))
        self.reactor.run_until(lambda: len(done) == 30)
        self.assertEqual(done, list(range(30)))

    def test_fired_after_the_next_has_begun(self) -> None:
        """
        What has waited is on its way before acknowledgements bring new requests: the disk is never left idle.
        """
        store = self.started(self.make())
        batches = self.batches()
        first = store.set("a", 1, {})
        self.reactor.advance(0)
        second = store.set("b", 1, {})
        first.addCallback(lambda _: store.set("c", 1, {}))
        self.result(first)
        self.result(second)
        self.assertEqual(batches, [["a"], ["b"], ["c"]])

    def test_uncommitted_is_not_read(self) -> None:
        """
        A read waits for the writes of its record: nobody is told what a crash could undo. Other reads do not wait.
        """
        store = self.started(self.make(busy_timeout=contract.PATIENCE))
        self.result(store.set("other", 1, {}))
        other = self.other_program()
        other.execute("BEGIN IMMEDIATE")
        write = store.set("a", 1, {})
        read = store.get("a")
        unrelated = store.get("other")
        later = store.get("nothing")
        self.assertNoResult(write)
        self.assertNoResult(read)
        other.execute("ROLLBACK")
        self.assertEqual(self.result(read), Record(1, {}))
        self.successResultOf(write)
        self.assertEqual(self.result(unrelated), Record(1, {}))
        self.assertIsNone(self.result(later))

    def test_reads_before_writes(self) -> None:
        """
        Within what goes to the thread at once, reads come first, and are answered before the transaction is through.
        """
        store = self.started(self.make(busy_timeout=contract.PATIENCE))
        self.result(store.set("a", 1, {}))
        fired: list[str] = []
        for name, deferred in (("write", store.set("c", 1, {})), ("read", store.get("a"))):
            deferred.addCallback(lambda _, name=name: fired.append(name))
        self.reactor.run_until(lambda: len(fired) == 2)
        self.assertEqual(fired, ["read", "write"])

    def test_too_many_waiting(self) -> None:
        """
        When the disk cannot keep up, requests are refused at the limit, with the reason; later ones are taken again.
        """
        store = self.started(self.make(max_waiting=5))
        writes = [store.set(name, 1, {}) for name in "abc"]
        reads = [store.get("c"), store.get("x")]
        for refused in (store.set("d", 1, {}), store.get("a"), store.delete("a")):
            reason = str(self.failureResultOf(refused).value)
            self.assertIn(f"{self.path}: 5 operations are waiting", reason)
        for deferred in (*writes, *reads):
            self.result(deferred)
        self.assertEqual(self.result(store.get("c")), Record(1, {}))
        self.assertIsNone(self.result(store.get("d")))
        for name in "defgh":
            self.result(store.set(name, 1, {}))


class TroubleTests(SqliteTestCase):
    """
    What cannot be written fails with the reason, and leaves everything else as it was.
    """

    def test_full(self) -> None:
        """
        A file that may not grow, as on a full disk: a write that has no room fails, what was there stays and can still
        be read, and once there is room it goes on. Other writes and deletions of the same transaction are done.
        """
        store = self.started(self.make(max_bytes=65536))
        self.result(store.set("a", 1, {}))
        self.result(store.set("gone", 1, {}))
        self.result(store.set("big", 1, ["x" * 20000]))
        blocker = store.set("b", 1, {})
        first, big = store.set("bigger", 1, {}), store.set("bigger", 2, ["x" * 60000])
        small, gone, read = store.set("a", 2, {}), store.delete("gone"), store.get("bigger")
        self.result(blocker)
        for write in (first, big):
            self.assertIn("cannot grow: the disk is full, or maxBytes is reached", self.failure(write))
        self.result(small)
        self.result(gone)
        self.assertIsNone(self.result(read))
        self.assertEqual(self.result(store.get("a")), Record(2, {}))
        self.result(store.delete("big"))
        self.result(store.set("a", 3, ["x" * 20000]))
        self.assertEqual(self.result(store.get("a")), Record(3, ["x" * 20000]))

    def test_refused_by_a_failed_write(self) -> None:
        """
        A write that another write of its transaction has beaten fails with that one: it is not given a record that is
        not on the disk.
        """
        store = self.started(self.make(max_bytes=65536))
        self.result(store.set("a", 1, {}))
        blocker = store.set("b", 1, {})
        big = store.replace("a", 1, Record(2, ["x" * 60000]))
        beaten, gone, read = store.replace("a", 1, Record(2, {})), store.remove("a", 1), store.get("a")
        self.result(blocker)
        for write in (big, beaten, gone):
            self.assertIn("cannot grow", self.failure(write))
        self.assertEqual(self.result(read), Record(1, {}))

    def test_expectation_cannot_be_checked(self) -> None:
        """
        If the versions cannot be read, the writes fail with the reason, and nothing is written.
        """
        store = self.started(self.make())

        def broken(*arguments: object) -> Any:
            raise sqlite3.OperationalError("disk I/O error")

        self.patch(sqlite_rows, "versions", broken)
        self.patch(sqlite_versions, "versions", broken)
        blocker = store.set("b", 1, {})
        self.reactor.advance(0)
        writes = [store.replace("a", None, Record(0, {})), store.set("c", 1, {}), store.heads(["a"])]
        self.result(blocker)
        for write in writes:
            self.assertIn("disk I/O error", self.failure(write))
        self.assertIsNone(self.result(store.get("c")))

    def test_no_memory(self) -> None:
        """
        A shortage of memory in the thread fails the one read or write, and the store goes on.
        """
        store = self.started(self.make())
        self.result(store.set("a", 1, {}))

        def exhausted(*arguments: object) -> Any:
            raise MemoryError

        for where, name, ask in (
            (sqlite_rows, "loads", lambda: store.get("a")),
            (record, "dumps", lambda: store.set("a", 2, {})),
        ):
            works = getattr(where, name)
            self.patch(where, name, exhausted)
            self.assertIn("not enough memory", self.failure(ask()))
            self.patch(where, name, works)
        self.patch(sqlite_transactions, "commit", exhausted)
        first, second = store.set("b", 1, {}), store.set("c", 1, {})
        for write in (first, second):
            self.assertIn("cannot be read or written: not enough memory", self.failure(write))
        self.patch(sqlite_transactions, "commit", commit)
        self.result(store.set("a", 3, {}))
        self.assertEqual(self.result(store.get("a")), Record(3, {}))


class StartTests(SqliteTestCase):
    """
    What a store does not start with.
    """

    def test_nothing_before_start(self) -> None:
        """
        Nothing is opened or made before the start: twistd forks before that.
        """
        self.make()
        self.assertFalse(os.path.exists(self.path))

    def test_mode(self) -> None:
        """
        What is in the file is not for every user of the machine.
        """
        self.addCleanup(os.umask, os.umask(0))
        store = self.started(self.make())
        self.result(store.set("a", 1, {}))
        for suffix in ("", "-wal", "-shm", ".lock"):
            self.assertEqual(os.stat(self.path + suffix).st_mode & 0o777, 0o640, suffix)


class TurnTests(SqliteTestCase):
    """
    The outcomes of many operations come at once; each one makes work of a millisecond.
    """

    def asked(self, store: SqliteStore, count: int) -> list[object]:
        """
        Ask for many reads and writes while the thread is busy; the list of those that are answered, in order.
        """
        answered: list[object] = []

        def note(result: object, number: object) -> None:
            self.reactor.seconds()
            answered.append(number)

        self.reactor.tick = 0.0005
        for number in range(count):
            store.get(f"r{number}").addBoth(note, ("absent", number))
        for number in range(count):
            store.set(f"r{number}", 1, [number]).addBoth(note, ("write", number))
            store.get(f"r{number}").addBoth(note, ("read", number))
        return answered

    def expected(self, count: int) -> list[object]:
        both = [(kind, number) for number in range(count) for kind in ("write", "read")]
        return [*(("absent", number) for number in range(count)), *both]

    def test_time_slices(self) -> None:
        """
        They are handed out in slices of a turn, all of them, in their order.
        """
        store = self.started(self.make())
        answered = self.asked(store, 200)
        self.reactor.run_until(lambda: len(answered) == 600)
        self.assertEqual(answered, self.expected(200))
        self.assertLess(max(self.reactor.turns), LONGEST)

    def test_next_transaction(self) -> None:
        """
        The thread has the next transaction before the outcomes of the last one are handed out. Its own do not overtake
        them.
        """
        store = self.started(self.make())
        begun = threading.Event()
        batches = self.batches()
        write = SqliteFile.write

        def noted(file: SqliteFile, writes: list[sqlite_rows.Write]) -> None:
            write(file, writes)
            if ["later"] in batches:
                begun.set()

        self.patch(SqliteFile, "write", noted)
        store.get("busy")
        first = store.set("first", 1, {})
        answered = self.asked(store, 200)
        done: list[bool] = []
        first.addBoth(lambda result: done.append(begun.wait(contract.PATIENCE)))
        self.reactor.run_until(lambda: 201 in map(len, batches))
        store.set("later", 1, {}).addBoth(lambda result: answered.append("later"))
        self.reactor.run_until(lambda: "later" in answered)
        self.assertEqual(done, [True])
        self.assertEqual(answered, [*self.expected(200), "later"])

    def test_alone(self) -> None:
        """
        The outcome of a write that is alone waits for a later turn as well, if the present one is over.
        """
        store = self.started(self.make())
        batches = self.batches()
        turns = Turns.of(self.reactor)
        answered: list[str] = []

        def note(result: object, name: str) -> None:
            answered.append(name)

        turns.hold()
        for name in "ab":
            # The thread gets the second batch after the reactor was told of the first one.
            store.set(name, 1, {}).addBoth(note, name)
            self.reactor.run_until(partial(batches.__contains__, [name]))
        self.assertEqual(answered, [])
        turns.release()
        self.reactor.run_until(lambda: len(answered) == 2)
        self.assertEqual(answered, ["a", "b"])

    def test_stop(self) -> None:
        """
        A store has stopped when all outcomes are handed out.
        """
        store = self.make()
        self.result(store.start())
        answered = self.asked(store, 100)
        self.result(store.stop())
        self.assertEqual(answered, self.expected(100))

    def test_failing(self) -> None:
        """
        A callback that fails loses none of the other outcomes.
        """
        store = self.started(self.make())
        failing = store.get("a").addCallback(lambda record: 1 // 0)
        answered = self.asked(store, 20)
        self.reactor.run_until(lambda: len(answered) == 60)
        self.failureResultOf(failing, ZeroDivisionError)

    def test_limit(self) -> None:
        """
        An operation waits until its outcome is handed out: further ones are refused until then.
        """
        store = self.started(self.make(max_waiting=300))
        answered = self.asked(store, 100)
        self.reactor.run_until(lambda: 0 < len(answered))
        accepted = [store.get("a") for _ in range(300)]
        self.reactor.run_until(lambda: all(each.called for each in accepted))
        refused = [each for each in accepted if each.result is not None]
        self.assertGreater(len(refused), 200)
        for each in refused:
            self.assertIn("300 operations are waiting", self.failure(each))
