"""
Tests for L{dstwist.cli.transfer}.
"""

from __future__ import annotations

import gzip
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from dstwist.cli import main as cli
from dstwist.cli import transfer
from dstwist.interfaces import Record
from dstwist.transfer.lines import END, HEADER, line_of
from tests.cli.helpers import CommandTestCase
from tests.store.contract import ThreadsReactor
from tests.transfer.stage import FilesTestCase
from tests.transfer.test_stores import Unlisted


class WaitingReactor(ThreadsReactor):
    """
    A reactor that never says that it runs, so that the process is not adapted.
    """

    def callWhenRunning(self, *call: Any) -> None:
        pass


class TransferTestCase(FilesTestCase, CommandTestCase):
    """
    A test of the commands with the reactor of the test.
    """

    def setUp(self) -> None:
        FilesTestCase.setUp(self)
        CommandTestCase.setUp(self)
        self.reactor = WaitingReactor()
        self.data_dir = os.path.dirname(self.path)
        self.file = str(self.directory / "records.jsonl")
        self.patch(transfer, "react", self.react)
        self.patch(Unlisted, "records", {})

    def react(self, main: Callable[[Any], Any]) -> None:
        """
        Do what C{twisted.internet.task.react} does.
        """
        done = Deferred.fromCoroutine(main(self.reactor))
        self._wait(done)
        status = self.successResultOf(done.addCallbacks(lambda result: 0, self.status))
        raise SystemExit(status)

    def status(self, failure: Failure) -> int:
        failure.trap(SystemExit)
        return int(failure.value.code)

    def call(self, *words: str, stdin: bytes = b"") -> Result:
        return CliRunner().invoke(cli.main, list(words), input=stdin)

    def done(self, *words: str, stdin: bytes = b"") -> Result:
        """
        A command that succeeds.
        """
        result = self.call(*words, stdin=stdin)
        self.assertEqual(result.exit_code, 0, f"{result.stderr}{result.exception!r}")
        return result

    def refusal(self, *words: str) -> str:
        """
        Why a command fails.
        """
        result = self.call(*words)
        self.assertEqual(result.exit_code, 1, f"{result.stderr}{result.exception!r}")
        return result.stderr

    def lines(self, *names: str, version: int = 1) -> bytes:
        return b"".join([HEADER, *(line_of(name, Record(version, {"name": name})) for name in names), END])


class ExportTests(TransferTestCase):
    """
    C{dstwist export}.
    """

    def test_file(self) -> None:
        """
        All records are in the file, also while a server has the store. Its owner alone can read it.
        """
        store = self.store()
        for name in "ba":
            self.result(store.set(name, 1, {"name": name}))
        result = self.done("export", "-d", self.data_dir, self.file)
        self.assertEqual(Path(self.file).read_bytes(), self.lines("a", "b"))
        self.assertEqual(result.stderr, f"2 records exported to {self.file}.\n")
        self.assertEqual(os.stat(self.file).st_mode & 0o777, 0o600)
        self.assertIn("--force replaces it", self.refusal("export", "-d", self.data_dir, self.file))
        self.done("export", "-d", self.data_dir, self.file, "--force")

    def test_gzip(self) -> None:
        """
        A name that ends in .gz makes a compressed file.
        """
        self.put("a")
        self.done("export", "-d", self.data_dir, f"{self.file}.gz")
        with gzip.open(f"{self.file}.gz") as stream:
            self.assertEqual(stream.read(), self.lines("a"))

    def test_standard_output(self) -> None:
        """
        A - is the standard output. There are the lines, and nothing else.
        """
        self.put("a")
        self.assertEqual(self.done("export", "-d", self.data_dir, "-").stdout_bytes, self.lines("a"))

    def test_failure(self) -> None:
        """
        An export that fails leaves no file.
        """
        self.assertIn(f"there is no file {self.path}", self.refusal("export", "-d", self.data_dir, self.file))
        self.assertFalse(os.path.exists(self.file))
        self.assertIn("in memory only", self.refusal("export", self.file))
        where = str(self.directory / "nowhere" / "file")
        self.put("a")
        self.assertIn("No such file or directory", self.refusal("export", "-d", self.data_dir, where))

    def test_keep_going(self) -> None:
        """
        With --keep-going, the other records are exported, and the status is 1.
        """
        self.put("a", "b")
        self.spoil("a")
        self.assertIn("'a' is no JSON", self.refusal("export", "-d", self.data_dir, self.file))
        self.assertFalse(os.path.exists(self.file))
        said = self.refusal("export", "-d", self.data_dir, self.file, "-k")
        self.assertIn("'a' is no JSON", said)
        self.assertIn("1 record could not be read.", said)
        self.assertEqual(Path(self.file).read_bytes(), self.lines("b"))

    def spoil(self, name: str) -> None:
        connection = sqlite3.connect(self.path)
        connection.execute("UPDATE records SET data = '[' WHERE name = ?", (name,))
        connection.commit()
        connection.close()

    def test_excluded(self) -> None:
        """
        The operator is told of records that are in memory only.
        """
        self.put("a")
        config = str(self.config("record: {storageExclusionPrefixes: [temp/]}"))
        result = self.done("export", "-c", config, "-d", self.data_dir, self.file)
        self.assertIn("Records with the prefixes temp/", result.stderr)


class ImportTests(TransferTestCase):
    """
    C{dstwist import}.
    """

    def test_file(self) -> None:
        """
        The records of the file are in the store, in a data directory that was missing. The second time they are there
        already.
        """
        Path(self.file).write_bytes(self.lines("a", "b"))
        directory = str(self.directory / "new")
        self.assertEqual(self.done("import", "-d", directory, self.file).stderr, "2 records written.\n")
        self.assertEqual(self.contents(os.path.join(directory, "records.sqlite")), {"a": 1, "b": 1})
        said = self.done("import", "-d", directory, self.file).stderr
        self.assertIn("0 records written. 2 skipped", said)
        said = self.done("import", "-d", directory, self.file, "--overwrite").stderr
        self.assertEqual(said, "2 records written.\n")

    def test_gzip(self) -> None:
        """
        A compressed file is known by its name. If it is damaged, the import fails.
        """
        packed = gzip.compress(self.lines("a"))
        Path(f"{self.file}.gz").write_bytes(packed)
        self.done("import", "-d", self.data_dir, f"{self.file}.gz")
        self.assertEqual(self.contents(self.path), {"a": 1})
        for damaged, text in (
            (packed[:-9], "the compressed file is damaged: Compressed file ended"),
            (packed[:30] + b"\xff" * 9 + packed[39:], "the compressed file is damaged: Error -3"),
            (b"text", "Not a gzipped file"),
        ):
            Path(f"{self.file}.gz").write_bytes(damaged)
            self.assertIn(text, self.refusal("import", "-d", self.data_dir, f"{self.file}.gz"))

    def test_standard_input(self) -> None:
        """
        A - is the standard input.
        """
        self.done("import", "-d", self.data_dir, "-", stdin=self.lines("a"))
        self.assertEqual(self.contents(self.path), {"a": 1})
        result = self.call("import", "-d", self.data_dir, "-", "--state", "s", stdin=self.lines("a"))
        self.assertEqual(result.exit_code, 2)
        self.assertIn("--state needs a FILE", result.stderr)

    def test_in_use(self) -> None:
        """
        While a server has the store, there is no import.
        """
        Path(self.file).write_bytes(self.lines("a"))
        self.store()
        self.assertIn("is in use by another dstwist", self.refusal("import", "-d", self.data_dir, self.file))

    def test_failures(self) -> None:
        """
        A file that is missing, and stores that would forget.
        """
        self.assertEqual(
            self.refusal("import", "-d", self.data_dir, self.file), f"{self.file}: No such file or directory\n"
        )
        Path(self.file).write_bytes(self.lines("a"))
        self.assertIn("in memory only", self.refusal("import", self.file))

    def test_no_export(self) -> None:
        """
        A file that is no export is refused before anything is made. For a backup, the error names the other command.
        """
        self.put("a")
        cut = f"{self.file}.gz"
        Path(cut).write_bytes(gzip.compress(b"text")[:9])
        Path(self.file).write_bytes(b"")
        directory = self.directory / "new"
        for file, text in (
            (self.path, "this is an SQLite file, and not an export: use dstwist restore for a backup\n"),
            (cut, "the compressed file is damaged: "),
            (self.file, "the file is empty"),
            (__file__, "line 1: the first line has to be"),
            (f"{self.file}.missing", "No such file"),
        ):
            self.assertIn(text, self.refusal("import", "-d", str(directory), file))
            self.assertFalse(directory.exists())

    def test_bad_lines(self) -> None:
        """
        A bad line ends the import, or is left out.
        """
        Path(self.file).write_bytes(self.lines("a", "b").replace(b'"name":"b"', b'"name":"b'))
        said = self.refusal("import", "-d", self.data_dir, self.file)
        self.assertIn("1 record written.", said)
        self.assertIn("line 3: not JSON", said)
        self.assertIn("The lines up to 2 are done. Start the command again", said)
        said = self.refusal("import", "-d", self.data_dir, self.file, "--keep-going")
        self.assertIn("line 3: not JSON", said)
        self.assertIn("1 line could not be imported.", said)
        self.assertEqual(self.contents(self.path), {"a": 1})

    def test_state(self) -> None:
        """
        With --state, the import goes on behind the line before the bad one.
        """
        Path(self.file).write_bytes(self.lines("a", "b", "c").replace(b'"c"', b'"c'))
        state = str(self.directory / "state")
        self.refusal("import", "-d", self.data_dir, self.file, "--state", state)
        self.assertTrue(os.path.exists(state))
        said = self.refusal("import", "-d", self.data_dir, self.file, "--state", state)
        self.assertIn("0 records written.\n", said)

    def test_excluded(self) -> None:
        """
        The operator is told of records that would be in memory only.
        """
        Path(self.file).write_bytes(self.lines("a", "temp/b"))
        config = str(self.config("record: {storageExclusionPrefixes: [temp/]}"))
        said = self.done("import", "-c", config, "-d", self.data_dir, self.file).stderr
        self.assertIn("1 record written. 1 left out: record.storageExclusionPrefixes", said)

    def test_root(self) -> None:
        """
        Root makes no files in the directory of another user.
        """
        if os.geteuid():
            return
        Path(self.file).write_bytes(self.lines("a"))
        os.chown(self.data_dir, 54321, 54321)
        said = self.refusal("import", "-d", self.data_dir, self.file)
        self.assertIn(f"{self.data_dir} belongs to the user #54321: run the command as that user", said)
        self.assertEqual(os.listdir(self.data_dir), [])

    def test_any_store(self) -> None:
        """
        Records go from an SQLite file to the store of a plug-in, and back.
        """
        self.put("a", "b")
        config = str(self.config("storage: {module: 'tests.transfer.test_stores:Listed', options: {of: x}}"))
        self.done("export", "-d", self.data_dir, self.file)
        self.done("import", "-c", config, self.file)
        self.done("export", "-c", config, "-f", self.file)
        directory = str(self.directory / "new")
        self.done("import", "-d", directory, self.file)
        self.assertEqual(self.contents(os.path.join(directory, "records.sqlite")), {"a": 1, "b": 1})
