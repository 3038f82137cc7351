"""
Tests for L{dstwist.transfer.importing}.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.errors import TransferError
from dstwist.interfaces import Record
from dstwist.store.memory import MemoryStore
from dstwist.transfer import importing
from dstwist.transfer.importing import Importer, lines_of, read_first_line
from dstwist.transfer.lines import END, HEADER, line_of
from dstwist.transfer.state_file import State, StateFile
from dstwist.transfer.stores import Destination


class Killed(Exception):
    """
    The process is killed.
    """


class LinesTests(SynchronousTestCase):
    """
    L{lines_of}.
    """

    def lines(self, text: bytes, limit: int) -> list[bytes | None]:
        return list(lines_of(io.BytesIO(text), limit))

    def test_lines(self) -> None:
        """
        Lines come as they are, also the last one without its end.
        """
        self.assertEqual(self.lines(b"a\n\nbc", 10), [b"a\n", b"\n", b"bc"])
        self.assertEqual(self.lines(b"", 10), [])

    def test_long(self) -> None:
        """
        A line that is too long is left out, and those behind it are not.
        """
        self.patch(importing, "_SKIP_BYTES", 3)
        for length in range(6, 20):
            self.assertEqual(self.lines(b"abcde\n" + b"x" * length + b"\ny\n", 5), [b"abcde\n", None, b"y\n"])
            self.assertEqual(self.lines(b"x" * length, 5), [None])


class ImporterTests(SynchronousTestCase):
    """
    L{Importer}.
    """

    def setUp(self) -> None:
        self.store = MemoryStore()
        self.target = Destination(self.store, None, ("temp/",), "", Clock())
        self.told: list[str] = []
        self.path = self.mktemp()
        self.state_path = self.mktemp()

    def text(self, *lines: bytes, header: bytes = HEADER, end: bytes = END) -> bytes:
        return b"".join([header, *lines, end])

    def records(self, names: str, version: int = 1) -> list[bytes]:
        return [line_of(name, Record(version, {})) for name in names]

    def importer(self, with_state: bool = False, **options: Any) -> Importer:
        state = StateFile(self.state_path, self.path) if with_state else None
        found = {"overwrite": False, "keep_going": False, "tell": self.told.append, **options}
        return Importer(self.target, state_file=state, **found)

    def run_importer(self, importer: Importer, text: bytes) -> Deferred[None]:
        async def run() -> None:
            stream = io.BytesIO(text)
            read_first_line(stream)
            await importer.run(stream)

        return Deferred.fromCoroutine(run())

    def imported(self, *lines: bytes, **options: Any) -> Importer:
        importer = self.importer(**options)
        self.successResultOf(self.run_importer(importer, self.text(*lines)))
        return importer

    def refusal(self, text: bytes, **options: Any) -> tuple[Importer, str]:
        importer = self.importer(**options)
        return importer, str(self.failureResultOf(self.run_importer(importer, text), TransferError).value)

    def names(self) -> str:
        return "".join(self.successResultOf(self.store.names(None, 1000))[0])

    def test_import(self) -> None:
        """
        All records are written, in batches of any size.
        """
        for size in (1, 2, 3, 7, 100):
            self.patch(importing, "BATCH_RECORDS", size)
            self.setUp()
            importer = self.imported(*self.records("abcdefg"))
            self.assertEqual((importer.written, importer.skipped, importer.failed), (7, 0, 0))
            self.assertEqual(self.names(), "abcdefg")

    def test_batches(self) -> None:
        """
        A batch is complete at a number of records, or of bytes.
        """
        sizes: list[int] = []
        write = self.target.write

        async def recorded(items: Any, overwrite: bool) -> Any:
            sizes.append(len(items))
            return await write(items, overwrite)

        self.patch(self.target, "write", recorded)
        self.patch(importing, "BATCH_RECORDS", 3)
        self.imported(*self.records("abcdefg"))
        self.assertEqual(sizes, [3, 3, 1])
        sizes.clear()
        self.patch(importing, "BATCH_BYTES", 50)
        self.imported(*self.records("abcdefg"))
        self.assertEqual(sizes, [2, 2, 2, 1])

    def test_again(self) -> None:
        """
        The second import skips all; C{overwrite} writes all.
        """
        self.imported(*self.records("abc"))
        importer = self.imported(*self.records("abc"))
        self.assertEqual((importer.written, importer.skipped), (0, 3))
        importer = self.imported(*self.records("abc"), overwrite=True)
        self.assertEqual((importer.written, importer.skipped), (3, 0))

    def test_same_name(self) -> None:
        """
        Of several lines of one record, the one with the highest version wins, or with C{overwrite} the last one.
        """
        lines = [line_of("a", Record(version, {})) for version in (3, 7, 5)]
        importer = self.imported(*lines)
        self.assertEqual((importer.written, importer.skipped), (2, 1))
        self.assertEqual(self.successResultOf(self.store.heads(["a"])), {"a": 7})
        self.imported(*lines, overwrite=True)
        self.assertEqual(self.successResultOf(self.store.heads(["a"])), {"a": 5})

    def test_excluded(self) -> None:
        """
        Records that the server keeps in memory only are counted.
        """
        importer = self.imported(line_of("temp/a", Record(1, {})), *self.records("b"))
        self.assertEqual((importer.written, importer.excluded), (1, 1))
        self.assertEqual(self.names(), "b")

    def test_empty_lines(self) -> None:
        """
        Empty lines are no mistakes, in the middle or at the end.
        """
        importer = self.importer()
        self.successResultOf(self.run_importer(importer, self.text(b"\n", *self.records("a"), b"  \r\n") + b"\n\n"))
        self.assertEqual(importer.written, 1)

    def test_bad_line(self) -> None:
        """
        A bad line ends the import. Its number is told, and all records before it are written.
        """
        lines = [*self.records("ab"), b"nonsense\n", *self.records("c")]
        importer, problem = self.refusal(self.text(*lines))
        self.assertTrue(problem.startswith("line 4: not JSON"), problem)
        self.assertEqual((self.names(), importer.line), ("ab", 3))

    def test_keep_going(self) -> None:
        """
        If that is wanted, bad lines are told, counted and left out.
        """
        self.patch(importing, "MAX_LINE_BYTES", 200)
        self.patch(importing.lines_of, "__defaults__", (200,))
        lines = [
            *self.records("a"),
            b"nonsense\n",
            *self.records("b"),
            b"{}\n",
            b"x" * 1000 + b"\n",
            *self.records("c"),
        ]
        importer = self.imported(*lines, keep_going=True)
        self.assertEqual((self.names(), importer.written, importer.failed), ("abc", 3, 3))
        self.assertEqual([text.partition(":")[0] for text in self.told], ["line 3", "line 5", "line 6"])

    def test_not_written(self) -> None:
        """
        A record that the store refuses ends the import, or is told.
        """
        keep = self.store.keep
        self.patch(self.store, "keep", lambda name, record: name not in "bd" and keep(name, record))
        importer, problem = self.refusal(self.text(*self.records("abcde")))
        self.assertTrue(problem.startswith("line 3: 'b' cannot be written: the memory store is full"), problem)
        self.assertEqual(importer.line, 2)
        importer = self.imported(*self.records("abcde"), keep_going=True)
        self.assertEqual((importer.written + importer.skipped, importer.failed), (3, 2))
        self.assertEqual([text.partition(":")[0] for text in self.told], ["line 3", "line 5"])

    def test_nothing_written(self) -> None:
        """
        If a store refuses one record after the other, the import ends in any case.
        """
        self.patch(importing, "MAX_FAILURES_IN_A_ROW", 3)
        self.patch(self.store, "keep", lambda name, record: False)
        importer, problem = self.refusal(self.text(*self.records("abcde")), keep_going=True)
        self.assertIn("3 lines in a row failed", problem)
        self.assertEqual(importer.failed, 3)

    def test_failures_between_successes(self) -> None:
        """
        Failures between which others succeed do not end it.
        """
        self.patch(importing, "MAX_FAILURES_IN_A_ROW", 3)
        lines = [line for name in "abcd" for line in (b"x\n", b"y\n", *self.records(name))]
        self.assertEqual(self.imported(*lines, keep_going=True).failed, 8)

    def test_incomplete(self) -> None:
        """
        A file without its last line is imported as far as it goes, and that is told. So is text behind the last line.
        """
        importer, problem = self.refusal(self.text(*self.records("ab"), end=b""))
        self.assertIn("ends at line 3 without its last line", problem)
        self.assertEqual((self.names(), importer.line), ("ab", 3))
        _, problem = self.refusal(self.text() + HEADER)
        self.assertIn("line 3: it is behind the last line", problem)

    def test_other_files(self) -> None:
        """
        Other files are refused before anything is written.
        """
        for text, reason in ((b"", "empty"), (b"name,version\n", "line 1"), (b"".join(self.records("a")), "line 1")):
            _, problem = self.refusal(text, keep_going=True)
            self.assertIn(reason, problem)
        self.assertEqual(self.names(), "")

    # -- the state file

    def kill(self, importer: Importer, text: bytes, batches: int) -> None:
        """
        Import, and die in the middle of the batch after C{batches}.
        """
        write = self.target.write
        left = [None] * batches

        async def killed(items: Any, overwrite: bool) -> Any:
            if not left:
                await write(items[: len(items) // 2], overwrite)
                raise Killed
            left.pop()
            return await write(items, overwrite)

        patched = self.patch(self.target, "write", killed)
        self.failureResultOf(self.run_importer(importer, text), Killed)
        patched.restore()

    def interrupted(self, **options: Any) -> tuple[bytes, list[list[str]]]:
        """
        An import with a state file that was killed; the file, and the batches that are written from now on.
        """
        self.patch(importing, "BATCH_RECORDS", 2)
        text = self.text(*self.records("abcdefg"))
        Path(self.path).write_bytes(text)
        self.kill(self.importer(with_state=True, **options), text, 2)
        self.assertEqual(self.names(), "abcde")
        batches: list[list[str]] = []
        write = self.target.write

        async def recorded(items: Any, overwrite: bool) -> Any:
            batches.append([item.name for item in items])
            return await write(items, overwrite)

        self.patch(self.target, "write", recorded)
        return text, batches

    def test_killed(self) -> None:
        """
        Without a state file, an import that was killed begins anew, and skips what is there.
        """
        self.patch(importing, "BATCH_RECORDS", 2)
        text = self.text(*self.records("abcdefg"))
        self.kill(self.importer(), text, 2)
        importer = self.importer()
        self.successResultOf(self.run_importer(importer, text))
        self.assertEqual((self.names(), importer.written, importer.skipped), ("abcdefg", 2, 5))

    def test_resumed(self) -> None:
        """
        With a state file it goes on behind the last batch that was complete, and the file is gone in the end.
        """
        for overwrite in (False, True):
            self.setUp()
            text, batches = self.interrupted(overwrite=overwrite)
            self.assertEqual(StateFile(self.state_path, self.path).load(), State(5, "d", 1))
            importer = self.importer(with_state=True, overwrite=overwrite)
            self.successResultOf(self.run_importer(importer, text))
            self.assertEqual(batches, [["e", "f"], ["g"]])
            self.assertEqual(self.names(), "abcdefg")
            self.assertFalse(Path(self.state_path).exists())

    def test_emptied_meanwhile(self) -> None:
        """
        If the store has lost the records, the state file is refused.
        """
        text, _ = self.interrupted()
        self.store.stop()
        _, problem = self.refusal(text, with_state=True)
        self.assertIn("'d' was imported, but the store does not have it", problem)

    def test_state_at_bad_line(self) -> None:
        """
        After a bad line, the state is that of the line before it.
        """
        text = self.text(*self.records("ab"), b'{"name":"c","version":1,"data":0}\n', *self.records("d"))
        Path(self.path).write_bytes(text)
        _, problem = self.refusal(text, with_state=True)
        self.assertIn("line 4", problem)
        self.assertEqual(StateFile(self.state_path, self.path).load(), State(3, "b", 1))

    def test_state_at_refused_record(self) -> None:
        """
        A record that the store refused is attempted again.
        """
        text = self.text(*self.records("abcd"))
        Path(self.path).write_bytes(text)
        keep = self.store.keep
        patched = self.patch(self.store, "keep", lambda name, record: name != "c" and keep(name, record))
        self.refusal(text, with_state=True)
        patched.restore()
        importer = self.importer(with_state=True)
        self.successResultOf(self.run_importer(importer, text))
        self.assertEqual((self.names(), importer.written, importer.skipped), ("abcd", 1, 1))
