"""
Tests for L{dstwist.store.sqlite_quota}: C{maxBytes} bounds what a store takes of the disk.
"""

from __future__ import annotations

import os
import random
from typing import Any

from twisted.internet.defer import Deferred

from dstwist.errors import StoreError
from dstwist.interfaces import Record
from dstwist.store.sqlite import SqliteStore
from dstwist.store.sqlite_file import SqliteFile
from tests.store.stage import SqliteTestCase

MIB = 1 << 20


class QuotaTests(SqliteTestCase):
    """
    A store of so many bytes.
    """

    def setUp(self) -> None:
        super().setUp()
        self.most = 0
        write = SqliteFile.write

        def measured(file: SqliteFile, writes: Any) -> None:
            write(file, writes)
            self.most = max(self.most, self.size())

        self.patch(SqliteFile, "write", measured)

    def size(self) -> int:
        """
        What the file and its log take of the disk.
        """
        return sum(os.path.getsize(self.path + end) for end in ("", "-wal") if os.path.exists(self.path + end))

    def quota(self, max_bytes: int = MIB) -> SqliteStore:
        store: SqliteStore = self.started(self.make(max_bytes=max_bytes, synchronous="off"))
        return store

    def outcomes(self, asked: list[Deferred[None]]) -> list[str]:
        """
        What became of writes: nothing, or the reason why not.
        """
        found: list[str] = []
        for deferred in asked:
            deferred.addCallbacks(lambda _: found.append(""), lambda failure: found.append(str(failure.value)))
        self.reactor.run_until(lambda: len(found) == len(asked))
        return found

    def test_bounded(self) -> None:
        """
        However writes and deletions are mixed, file and log together never take more than the quota; some writes are
        done and some are refused, and no deletion is.
        """
        for seed in range(3):
            self.path += f".{seed}"
            rng, store = random.Random(seed), self.quota()
            done = refused = 0
            for _ in range(60):
                names = [f"record/{number}" for number in rng.sample(range(200), rng.choice([1, 3, 50]))]
                sizes = [rng.choice([0, 10, 1000, 5000, 30000, 90000]) for _ in names]
                asked = [
                    store.set(name, 1, ["x" * size]) if size else store.delete(name)
                    for name, size in zip(names, sizes, strict=True)
                ]
                for size, outcome in zip(sizes, self.outcomes(asked), strict=True):
                    done, refused = done + (not outcome), refused + bool(outcome)
                    self.assertFalse(outcome and not size, outcome)
            self.assertGreater(done, 100)
            self.assertGreater(refused, 10)
            self.assertLessEqual(self.most, MIB)
            self.assertGreater(self.most, MIB // 2)

    def test_room_after_deletions(self) -> None:
        """
        Past the quota writes fail with a clear reason. All can be deleted, one by one, and then there is as much room
        as before.
        """
        store = self.quota()
        counts = []
        for _ in range(3):
            names: list[str] = []
            while not (outcome := self.outcomes([store.set(name := f"r/{len(names)}", 1, ["x" * 5000])])[0]):
                names.append(name)
            self.assertIn("cannot grow: the disk is full, or maxBytes is reached", outcome)
            counts.append(len(names))
            self.assertEqual(self.outcomes([store.delete(name) for name in names]), [""] * len(names))
        self.assertGreater(counts[0], 80)
        self.assertEqual(counts, [counts[0]] * 3)

    def test_together(self) -> None:
        """
        Of writes that share a transaction, those are done that have room.
        """
        store = self.quota()
        blocker = store.set("first", 1, {})
        asked = [store.set(f"big/{number}", 1, ["x" * 60000]) for number in range(40)]
        asked += [store.set(f"small/{number}", 1, {}) for number in range(5)]
        outcomes = self.outcomes([blocker, *asked])
        self.assertGreater(outcomes.count(""), 10)
        self.assertGreater(sum(bool(outcome) for outcome in outcomes), 10)
        for number, outcome in enumerate(outcomes[1:41]):
            found = self.result(store.get(f"big/{number}"))
            self.assertEqual(found is None, bool(outcome))
        self.assertLessEqual(self.most, MIB)

    def test_too_big(self) -> None:
        """
        A record for which the log could never have room is refused as such.
        """
        store = self.quota()
        self.assertIn("is too small for the record", self.failure(store.set("a", 1, ["x" * 200_000])))
        self.result(store.set("a", 1, ["x" * 90_000]))

    def test_reader(self) -> None:
        """
        Another program that reads the file for long keeps the log from being emptied: writes fail before the log is
        beyond the quota, and go on when the other program is through.
        """
        store = self.quota()
        self.result(store.set("a", 0, {}))
        other = self.other_program()
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM records").fetchone()
        outcomes = [self.outcomes([store.set("a", version, ["x" * 20000])])[0] for version in range(1, 60)]
        self.assertIn("another program that reads the file keeps the write-ahead log", outcomes[-1])
        self.assertLessEqual(self.most, MIB)
        other.execute("COMMIT")
        self.result(store.set("a", 99, {}))
        self.assertEqual(self.result(store.get("a")), Record(99, {}))

    def test_error(self) -> None:
        """
        A refusal is what a store says that cannot do something.
        """
        write = self.quota().set("a", 1, ["x" * MIB])
        self._wait(write)
        self.failureResultOf(write, StoreError)
