"""
Tests for L{dstwist.store.sqlite_files_in_place}: the files of a store are deleted, moved or replaced while it is open.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from dstwist.interfaces import Record
from dstwist.store import sqlite, sqlite_file
from dstwist.store.sqlite import SqliteStore
from dstwist.store.sqlite_file import SqliteFile
from dstwist.store.sqlite_files_in_place import FilesInPlace
from tests.logs import Lines
from tests.store.stage import SqliteTestCase

MOVED = "has been moved or deleted"
RESTORED = "-wal or -shm was deleted or replaced while the server runs. No write is lost"


def delete(*paths: str) -> None:
    for path in paths:
        os.unlink(path)


def replace(path: str, content: bytes) -> None:
    """
    Put another file into the place of C{path}.
    """
    Path(f"{path}.another").write_bytes(content)
    os.replace(f"{path}.another", path)


class NamesTestCase(SqliteTestCase):
    """
    A store in a directory of its own that has written one record.
    """

    def setUp(self) -> None:
        super().setUp()
        # The files are only looked for after a commit.
        self.patch(sqlite_file, "FILE_CHECK_INTERVAL", 1000)
        self.patch(sqlite, "FILE_CHECK_INTERVAL", 1000)
        self.use(Path(self.mktemp()).absolute())
        self.lines = Lines(self)

    def use(self, directory: Path) -> None:
        directory.mkdir()
        self.directory = directory
        self.path = str(directory / "records.sqlite")
        self.wal, self.shm = f"{self.path}-wal", f"{self.path}-shm"

    def open(self) -> SqliteStore:
        store: SqliteStore = self.started(self.make())
        self.result(store.set("a", 1, {}))
        return store

    def killed(self) -> str:
        """
        A copy of what the next start would find if the process were killed now.
        """
        copies = Path(self.mktemp()).absolute()
        # Another process makes the copies: to close a file ends the locks that this process has on it.
        subprocess.run(["cp", "-r", str(self.directory), str(copies)], check=True)
        return str(copies / "records.sqlite")

    def after_kill(self, *names: str) -> list[Record | None]:
        return self.found(self.killed(), *names)

    def found(self, path: str, *names: str) -> list[Record | None]:
        store = SqliteStore(path, self.reactor)
        self.result(store.start())
        records = [self.result(store.get(name)) for name in names]
        self.result(store.stop())
        return records


class LogTests(NamesTestCase):
    """
    The write-ahead log is gone: its content is in the open file.
    """

    def ways(self) -> Iterator[tuple[str, Callable[[], None]]]:
        """
        To lose the log; each with a database of its own.
        """
        yield "both deleted", lambda: delete(self.wal, self.shm)
        yield "log deleted", lambda: delete(self.wal)
        yield "index deleted", lambda: delete(self.shm)
        yield "log moved", lambda: os.rename(self.wal, f"{self.wal}.old")
        yield "log emptied by another", lambda: replace(self.wal, b"")
        yield "nonsense", lambda: replace(self.wal, b"nonsense" * 1000)
        yield "older log", lambda: replace(self.wal, Path(self.wal).read_bytes()[:-4120])
        yield "index replaced", lambda: replace(self.shm, b"\0" * 32768)

    def test_nothing_lost(self) -> None:
        """
        Whatever happens to the log: the next write is acknowledged when all that was acknowledged before, and the write
        itself, are in files that the next start finds. The log says what has happened, once.
        """
        for number, (way, lose) in enumerate(self.ways()):
            self.use(Path(self.mktemp()).absolute())
            self.lines.clear()
            store = self.open()
            self.result(store.set("b", 1, [number]))
            lose()
            self.result(store.set("c", 1, {}))
            self.assertEqual(
                self.after_kill("a", "b", "c"), [Record(1, {}), Record(1, [number]), Record(1, {})], f"{way}: lost"
            )
            self.result(store.set("d", 1, {}))
            self.result(store.set("a", 2, {}))
            self.assertEqual(self.after_kill("d", "a", "b"), [Record(1, {}), Record(2, {}), Record(1, [number])], way)
            self.assertEqual(len(self.lines.of("critical")), 1, way)
            self.assertIn(f"STORAGE_FILE | storage: {self.path}{RESTORED}", self.lines.last("critical"))

    def test_idle(self) -> None:
        """
        If nothing is written, it is noticed as well.
        """
        self.patch(sqlite, "FILE_CHECK_INTERVAL", 0.01)
        self.open()
        delete(self.wal, self.shm)
        self.reactor.run_until(lambda: bool(self.lines.of("critical")))
        self.assertEqual(self.after_kill("a"), [Record(1, {})])

    def test_killed_meanwhile(self) -> None:
        """
        The process may be killed at any moment while the log is put back: from then on nothing is lost.
        """
        copies: list[str] = []
        restore, disconnect = FilesInPlace.restore_log, SqliteFile._disconnect

        def restored(files: FilesInPlace) -> None:
            restore(files)
            copies.append(self.killed())

        def disconnected(file: SqliteFile) -> None:
            disconnect(file)
            copies.append(self.killed())

        store = self.open()
        delete(self.wal, self.shm)
        self.patch(FilesInPlace, "restore_log", restored)
        self.patch(SqliteFile, "_disconnect", disconnected)
        self.result(store.set("b", 1, {}))
        self.patch(SqliteFile, "_disconnect", disconnect)
        found = [self.found(copy, "a", "b") for copy in copies]
        self.assertEqual(found, [[Record(1, {}), Record(1, {})]] * 2)

    def test_not_restored(self) -> None:
        """
        If the log cannot be put back, the write fails, further ones are refused before they are done, and the log says
        so once. When it can be, writes go on, and nothing is lost.
        """
        store = self.open()
        delete(self.wal)
        os.mkdir(f"{self.wal}.restored")
        for _ in range(3):
            self.assertIn("the log cannot be written anew (Is a directory)", self.failure(store.set("b", 2, {})))
        self.assertEqual(self.result(store.get("a")), Record(1, {}))
        self.assertEqual(len(self.lines.of("critical")), 1)
        os.rmdir(f"{self.wal}.restored")
        self.result(store.set("c", 1, {}))
        self.assertIn("is in place again; writes go on", self.lines.last("warn"))
        self.assertEqual(self.after_kill("a", "b", "c"), [Record(1, {}), Record(2, {}), Record(1, {})])

    def test_stop(self) -> None:
        """
        A store that stops does not take another log for its own.
        """
        store = self.make()
        self.result(store.start())
        self.result(store.set("a", 1, {}))
        replace(self.wal, b"")
        self.result(store.stop())
        self.assertEqual(self.found(self.path, "a"), [Record(1, {})])


class FileTests(NamesTestCase):
    """
    The database file is not where it was.
    """

    def test_in_doubt(self) -> None:
        """
        A write that was under way when the file was moved is not acknowledged. The next ones are refused before they
        are done, until the file is back.
        """
        store = self.open()
        os.rename(self.path, f"{self.path}.old")
        self.assertIn(f"{self.path} {MOVED}", self.failure(store.set("a", 2, {})))
        self.assertIn(f"{self.path} {MOVED}", self.failure(store.set("b", 1, {})))
        self.assertEqual(len(self.lines.of("critical")), 1)
        self.assertIsNone(self.result(store.get("b")))
        os.rename(f"{self.path}.old", self.path)
        self.result(store.set("c", 1, {}))
        self.assertEqual(self.after_kill("a", "b", "c"), [Record(2, {}), None, Record(1, {})])

    def test_directory_moved(self) -> None:
        """
        The same holds for the whole directory, and for one that takes its place.
        """
        store = self.open()
        elsewhere = f"{self.directory}.old"
        os.rename(self.directory, elsewhere)
        self.assertIn(MOVED, self.failure(store.set("b", 1, {})))
        self.directory.mkdir()
        self.assertIn(MOVED, self.failure(store.set("c", 1, {})))
        self.directory.rmdir()
        os.rename(elsewhere, self.directory)
        self.result(store.set("d", 1, {}))
        self.assertEqual(self.after_kill("a", "d"), [Record(1, {}), Record(1, {})])

    def test_backup_restored(self) -> None:
        """
        A backup that is put into the place of the file is not written to, not even when the store stops, and neither is
        its log.
        """
        store = self.make()
        self.result(store.start())
        self.result(store.set("a", 1, {}))
        backup = Path(self.killed()).parent
        self.result(store.set("b", 1, {}))
        for name in os.listdir(backup):
            os.replace(backup / name, self.directory / name)
        kept = {path: path.read_bytes() for path in self.directory.iterdir()}
        self.assertIn(MOVED, self.failure(store.set("c", 1, {})))
        self.result(store.stop())
        self.assertEqual({path: path.read_bytes() for path in self.directory.iterdir()}, kept)
        self.assertEqual(self.found(self.path, "a", "b", "c"), [Record(1, {}), None, None])

    def test_symbolic_links(self) -> None:
        """
        A file or a directory that is reached by symbolic links is watched where it is, and so are the links: a link
        that leads elsewhere is a file that was replaced.
        """
        real = self.directory
        for linked in ("directory", "file"):
            where = Path(self.mktemp()).absolute()
            if linked == "directory":
                link = where
                os.symlink(real, where)
            else:
                where.mkdir()
                link = where / "records.sqlite"
                os.symlink(real / "records.sqlite", link)
            self.path = str(where / "records.sqlite")
            store = self.make()
            self.result(store.start())
            self.result(store.set("a", 1, {}))
            delete(str(real / "records.sqlite-wal"))
            self.result(store.set("a", 2, {}))
            self.directory = real
            self.assertEqual(self.after_kill("a"), [Record(2, {})], linked)
            os.unlink(link)
            os.symlink("/nowhere", link)
            self.assertIn(MOVED, self.failure(store.set("a", 3, {})), linked)
            self.result(store.stop())

    def test_hard_links(self) -> None:
        """
        A file with several names is used, but the log warns of it.
        """
        store = self.make()
        self.result(store.start())
        self.result(store.stop())
        self.assertEqual(self.lines.of("warn"), [])
        os.link(self.path, f"{self.path}.other")
        self.open()
        self.assertIn(f"{self.path} has 2 names (hard links)", self.lines.last("warn"))
