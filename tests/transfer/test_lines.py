"""
Tests for L{dstwist.transfer.lines}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dstwist.errors import TransferError
from dstwist.interfaces import Record
from dstwist.transfer.lines import END, HEADER, BadLine, check_header, line_of, read_line
from tests.store.contract import DATA, NAMES


class LineTests(SynchronousTestCase):
    """
    Lines of records.
    """

    def test_example(self) -> None:
        """
        The lines of the documentation.
        """
        self.assertEqual(HEADER, b'{"format":"dstwist-records","version":1}\n')
        self.assertEqual(line_of("lamp", Record(7, {"on": True})), b'{"name":"lamp","version":7,"data":{"on":true}}\n')
        self.assertEqual(END, b'{"end":true}\n')

    def test_both_ways(self) -> None:
        """
        All names and data come back, and each is one line.
        """
        for name in NAMES:
            for version, data in enumerate(DATA):
                line = line_of(name, Record(version, data))
                self.assertEqual(line.count(b"\n"), 1)
                self.assertEqual(read_line(line), (name, Record(version, data)))

    def test_end(self) -> None:
        """
        The last line is no record, and a record is not the last line.
        """
        self.assertIsNone(read_line(END))
        self.assertIsNotNone(read_line(b'{"name":"a","version":1,"data":{},"end":true}'))

    def test_bad_lines(self) -> None:
        """
        Other lines are refused, with a reason.
        """
        for line, reason in (
            (b"{", "not JSON"),
            (b"\xff", "not JSON"),
            (b"[" * 10000, "not JSON"),
            (b"[]", "not an object"),
            (b'{"version":1,"data":{}}', "name is missing"),
            (b'{"name":"","version":1,"data":{}}', "name is missing"),
            (b'{"name":7,"version":1,"data":{}}', "name is missing"),
            (b'{"name":"a","data":{}}', "'a': version is missing"),
            (b'{"name":"a","version":-1,"data":{}}', "version"),
            (b'{"name":"a","version":true,"data":{}}', "version"),
            (b'{"name":"a","version":1.5,"data":{}}', "version"),
            (b'{"name":"a","version":9223372036854775808,"data":{}}', "version"),
            (b'{"name":"a","version":1}', "data is missing"),
            (b'{"name":"a","version":1,"data":"text"}', "data"),
            (b'{"end":1}', "name is missing"),
        ):
            with self.assertRaises(BadLine) as caught:
                read_line(line)
            self.assertIn(reason, str(caught.exception))

    def test_long_names(self) -> None:
        """
        An error does not show all of a long name.
        """
        with self.assertRaises(BadLine) as caught:
            read_line(b'{"name":"%b","version":1}' % (b"x" * 100_000))
        self.assertLess(len(str(caught.exception)), 200)

    def test_header(self) -> None:
        """
        Only this version of this format is read. An error shows no control characters.
        """
        check_header(HEADER)
        check_header(b'{"version":1,"format":"dstwist-records","by":"hand"}\r\n')
        for line, reason in (
            (b"", "the first line has to be"),
            (b"\x1b[31m\x00", r'not "\x1b[31m\x00"'),
            (b"[]", "the first line has to be"),
            (b'{"name":"a","version":1,"data":{}}', "the first line has to be"),
            (b'{"format":"dstwist-records","version":2}', "the format has version 2; this dstwist reads version 1"),
        ):
            with self.assertRaises(TransferError) as caught:
                check_header(line)
            self.assertIn(reason, str(caught.exception))
