"""
Tests for L{dstwist.store.sqlite_wal}: the files of a store are truncated while it is open.
"""

from __future__ import annotations

import gc
import os
import random
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

from dstwist.interfaces import Record
from dstwist.store import sqlite, sqlite_file, sqlite_transactions
from dstwist.store.sqlite import SqliteStore
from dstwist.store.sqlite_rows import Row, commit
from dstwist.store.sqlite_wal import WrittenLog
from tests.store.test_sqlite_files_in_place import NamesTestCase, delete, replace

LOST = "acknowledged writes that were only in it are lost"
FRAME = 24 + 4096


class CutTestCase(NamesTestCase):
    """
    A store with records of which some are in the log only.
    """

    def opened(self, count: int = 20) -> SqliteStore:
        self.use(Path(self.mktemp()).absolute())
        self.lines.clear()
        store: SqliteStore = self.started(self.make())
        for number in range(count):
            self.result(store.set(f"r{number}", 1, {"text": "x" * 3000}))
        return store

    def sound(self, path: str) -> int:
        """
        How many records a server finds that starts with the file at C{path}. The file must be sound.
        """
        self.found(path, "r0")
        connection = sqlite3.connect(path)
        self.addCleanup(connection.close)
        self.assertEqual(connection.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
        (count,) = connection.execute("SELECT count(*) FROM records").fetchone()
        connection.close()
        return int(count)


class TruncatedLogTests(CutTestCase):
    """
    The log was truncated.
    """

    def sizes(self) -> list[int]:
        size = os.stat(self.wal).st_size
        return [0, 10, 32, 40, 32 + FRAME, 3 * FRAME, size // 2, size - FRAME - 1, size - FRAME, size - 2000, size - 10]

    def test_noticed(self) -> None:
        """
        However much is gone: the next write is not acknowledged, nor is any later one. The log says so once. The next
        start finds a sound database, whether the process is killed or stops.
        """
        for number in range(11):
            store = self.opened()
            os.truncate(self.wal, self.sizes()[number])
            for _ in range(3):
                self.assertIn(LOST, self.failure(store.set("later", 1, {})), number)
            self.assertEqual(len(self.lines.of("critical")), 1)
            self.assertIn(f"STORAGE_FILE | storage: {self.path}-wal was truncated", self.lines.last("critical"))
            found = self.sound(self.killed())
            self.assertTrue(found < 20, (number, found))
            self.result(store.stop())
            self.assertEqual(self.sound(self.path), found)

    def test_what_is_left(self) -> None:
        """
        The next start finds what was written before the place at which the log was cut off.
        """
        store = self.opened(5)
        size = os.stat(self.wal).st_size
        self.result(store.set("later", 1, {"text": "x" * 3000}))
        os.truncate(self.wal, size)
        self.assertIn(LOST, self.failure(store.set("later", 2, {})))
        self.assertEqual(self.sound(self.killed()), 5)
        self.result(store.stop())
        self.assertEqual(self.sound(self.path), 5)

    def test_meanwhile(self) -> None:
        """
        It is noticed also if the log is truncated while a transaction is written, or right after it.
        """
        position = 0

        def truncating(connection: sqlite3.Connection, rows: list[Row], *others: Any) -> None:
            commit(connection, rows, *others)
            os.truncate(self.wal, position if position >= 0 else os.stat(self.wal).st_size + position)

        for position in (0, 32, -FRAME, -1):
            store = self.opened()
            self.patch(sqlite_transactions, "commit", truncating)
            self.assertIn(LOST, self.failure(store.set("later", 1, {})), position)
            self.patch(sqlite_transactions, "commit", commit)
            self.assertIn(LOST, self.failure(store.set("later", 1, {})), position)

    def test_in_the_last_frame(self) -> None:
        """
        It is noticed wherever the last frame was cut off, also if the frame ends with zeros. If only zeros are gone,
        nothing is lost: the next frame brings them back.
        """
        for written, size in ((0, 100), (0, 1), (24, 100), (24 + 500, 100), (24 + 3700, 100), (24 + 3900, 100)):
            store = self.opened()
            before = os.stat(self.wal).st_size
            # The last page of this row has some 3800 bytes, and zeros behind them.
            self.result(store.set("long", 1, {"text": "x" * 8350}))
            last = os.stat(self.wal).st_size - FRAME
            self.assertGreater(last, before)
            os.truncate(self.wal, last + written)
            later = store.set("later", 1, {"text": "x" * size})
            if written > 24 + 3800:
                self.result(later)
                self.assertEqual(self.sound(self.killed()), 22)
            else:
                self.assertIn(LOST, self.failure(later), (written, size))

    def test_idle(self) -> None:
        """
        If nothing is written, it is noticed as well.
        """
        self.patch(sqlite, "FILE_CHECK_INTERVAL", 0.01)
        self.opened()
        os.truncate(self.wal, 0)
        self.reactor.run_until(lambda: bool(self.lines.of("critical")))
        self.assertIn(LOST, self.lines.last("critical"))

    def test_no_hole_in_the_file(self) -> None:
        """
        No part of a truncated log is moved into the database file: that has what the last checkpoint left.
        """
        self.patch(sqlite_file, "CHECKPOINT_PAGES", 30)
        for quota in (None, 4_000_000):
            self.use(Path(self.mktemp()).absolute())
            store = self.started(self.make(max_bytes=quota))
            for number in range(40):
                self.result(store.set(f"r{number}", 1, {"text": "x" * 3000}))
            os.truncate(self.wal, 0)
            large = [store.set(f"later{number}", 1, {"text": "x" * 100_000}) for number in range(30)]
            for each in large:
                self.assertIn(LOST, self.failure(each))
            self.assertGreater(self.sound(self.killed()), 10)
            self.result(store.stop())
            self.assertGreater(self.sound(self.path), 10)

    def test_all_in_file(self) -> None:
        """
        If the database file has all of the log, nothing is lost: it is noticed while nothing is written, and writes go
        on; the next write finds an empty log.
        """
        store = self.opened()
        self.other_program().execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        os.truncate(self.wal, 0)
        self.patch(sqlite_file, "FILE_CHECK_INTERVAL", 0)
        self.result(store.set("later", 1, {}))
        self.assertIn("No write is lost: all were in the database file already", self.lines.last("critical"))
        self.result(store.set("later", 2, {}))
        self.assertEqual(len(self.lines.of("critical")), 1)
        self.assertEqual(self.sound(self.killed()), 21)

    def test_before_a_new_round(self) -> None:
        """
        A log that SQLite is about to begin again may be truncated.
        """
        store = self.opened()
        self.other_program().execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        os.truncate(self.wal, 100)
        self.result(store.set("later", 1, {}))
        self.assertEqual(self.lines.of("critical"), [])
        self.assertEqual(self.sound(self.killed()), 21)

    def test_behind_a_checkpoint(self) -> None:
        """
        What is left of the log is not used if the database file is ahead of it.
        """
        for size in (0, 3 * FRAME):
            store = self.opened()
            reader = self.other_program()
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM records").fetchone()
            self.other_program().execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            self.result(store.set("r0", 2, {}))
            os.truncate(self.wal, size)
            self.assertIn(LOST, self.failure(store.set("r1", 2, {})))
            reader.close()
            path = self.killed()
            self.assertEqual(self.found(path, "r1"), [Record(1, {"text": "x" * 3000})])
            self.assertEqual(self.sound(path), 20)

    def test_deleted_then(self) -> None:
        """
        A log that was truncated before it was deleted or replaced is not taken for whole.
        """
        for lose in (lambda: delete(self.wal), lambda: replace(self.wal, b"nonsense"), lambda: delete(self.shm)):
            store = self.opened()
            os.truncate(self.wal, 8 * FRAME)
            lose()
            self.assertIn(LOST, self.failure(store.set("later", 1, {})))
            self.assertEqual(len(self.lines.of("critical")), 1)
            self.sound(self.killed())

    def test_longer(self) -> None:
        """
        A log that is made longer is none of ours, and harms nothing.
        """
        store = self.opened()
        os.truncate(self.wal, os.stat(self.wal).st_size + 10 * FRAME)
        self.result(store.set("later", 1, {}))
        self.assertEqual(self.sound(self.killed()), 21)


class TruncatedFileTests(CutTestCase):
    """
    The database file was truncated.
    """

    def test_noticed(self) -> None:
        """
        The next write is not acknowledged, until the content is put back.
        """
        self.patch(sqlite_file, "CHECKPOINT_PAGES", 10)
        store = self.opened()
        content = Path(self.path).read_bytes()
        for size in (0, 4096, len(content) - 1):
            os.truncate(self.path, size)
            for _ in range(2):
                self.assertIn(f"{self.path} was truncated", self.failure(store.set("later", 1, {})))
            with open(self.path, "r+b") as file:
                file.write(content)
            self.result(store.set("later", 2, {}))
        self.assertEqual(len(self.lines.of("critical")), 3)
        self.assertEqual(self.sound(self.killed()), 21)


class NoFalseAlarmTests(CutTestCase):
    """
    The files are changed as SQLite changes them.
    """

    def test_small_transactions(self) -> None:
        """
        After a small transaction, the short check suffices: it reads the new frames, and little of the previous one.
        """
        store = self.opened()
        read: list[int] = []
        pread = os.pread

        def counting(descriptor: int, length: int, offset: int) -> bytes:
            read.append(length)
            return pread(descriptor, length, offset)

        self.patch(os, "pread", counting)
        patches = [self.patch(WrittenLog, name, None) for name in ("whole", "least_file")]
        for version in range(2, 12):
            self.result(store.set("r0", version, {}))
        self.assertEqual(len(read), 10)
        self.assertLess(max(read), 2 * FRAME)
        for patch in patches:
            patch.restore()

    def test_writes(self) -> None:
        """
        Transactions, deletions and checkpoints of all sizes, of this store and of another program, are in order.
        """
        chance = random.Random(1)
        for checkpoint, quota in ((1, None), (7, None), (1000, None), (1000, 3_000_000)):
            self.patch(sqlite_file, "CHECKPOINT_PAGES", checkpoint)
            self.use(Path(self.mktemp()).absolute())
            store = self.started(self.make(max_bytes=quota))
            other = self.other_program()
            for _ in range(60):
                writes = []
                for _ in range(chance.choice((1, 1, 2, 30))):
                    name = f"r{chance.randrange(100)}"
                    if chance.random() < 0.2:
                        writes.append(store.delete(name))
                    else:
                        writes.append(store.set(name, 1, ["x" * chance.choice((1, 500, 9000))]))
                for write in writes:
                    self.result(write)
                what = chance.choice(("PASSIVE", "TRUNCATE", "RESTART", "VACUUM", "BEGIN", "ROLLBACK", "", ""))
                if what == "BEGIN" and not other.in_transaction:
                    other.execute("BEGIN")
                    other.execute("SELECT count(*) FROM records").fetchone()
                elif what == "ROLLBACK" and other.in_transaction:
                    other.execute("ROLLBACK")
                elif what and not other.in_transaction:
                    other.execute(what if what == "VACUUM" else f"PRAGMA wal_checkpoint({what})").fetchall()
            other.close()
            self.assertEqual(self.lines.of("critical"), [])

    def test_large_transaction(self) -> None:
        """
        A transaction may have more pages than are read at once.
        """
        store = self.opened()
        for version in (1, 2):
            for write in [store.set(f"s{n}", version, ["x" * 9000]) for n in range(600)]:
                self.result(write)
        self.assertEqual(self.lines.of("critical"), [])
        self.assertEqual(self.sound(self.killed()), 620)

    def test_page_size(self) -> None:
        """
        The pages of a file that another program has made may be of any size.
        """
        for size in (512, 65536):
            self.use(Path(self.mktemp()).absolute())
            connection = sqlite3.connect(self.path)
            connection.execute(f"PRAGMA page_size = {size}")
            connection.execute("VACUUM")
            connection.close()
            store = self.started(self.make())
            for version in range(20):
                self.result(store.set("a", version, ["x" * 3000]))
            os.truncate(self.wal, 0)
            self.assertIn(LOST, self.failure(store.set("a", 21, {})))

    def test_descriptors(self) -> None:
        """
        No descriptor stays open when a store stops, also if the database was opened anew meanwhile.
        """
        self.use(Path(self.mktemp()).absolute())
        # It may close files that earlier tests have left open.
        gc.collect()
        before = self.descriptors()
        store = self.make()
        self.result(store.start())
        self.result(store.set("a", 1, {}))
        delete(self.wal)
        self.result(store.set("a", 2, {}))
        self.result(store.set("b", 1, {}))
        os.truncate(self.wal, 0)
        self.assertIn(LOST, self.failure(store.set("a", 3, {})))
        self.result(store.stop())
        self.assertEqual(self.descriptors(), before)

    def test_locks(self) -> None:
        """
        Other processes can tell that the database is open: SQLite's lock on the index stays, which is on this byte.
        """
        self.opened()
        program = f"import fcntl; fcntl.lockf(open({self.shm!r}, 'r+b'), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 128)"
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        self.assertIn("BlockingIOError", done.stderr)

    def descriptors(self) -> int:
        return len(os.listdir("/dev/fd"))
