"""
Tables for people.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dstwist.cli.admin_tables import MAX_CELL, cell, duration, facts, page, size, table, traced


class TableTests(SynchronousTestCase):
    """
    Rows and columns.
    """

    def test_columns(self) -> None:
        """
        Columns are as wide as their longest text.
        """
        rows: list[dict[str, object]] = [{"a": 1, "b": None}, {"a": "long", "b": True}]
        self.assertEqual(table({"a": "A", "b": "BEE"}, rows), ["A     BEE", "1     -", "long  yes"])
        self.assertEqual(table({"a": "A"}, []), ["none"])

    def test_cells(self) -> None:
        """
        A long text is cut, control characters are replaced, and numbers have at most three decimals.
        """
        self.assertEqual(cell(0.1278427819), "0.128")
        self.assertEqual(cell("a\x1b[1m\nb"), "a?[1m?b")
        self.assertEqual(cell("x" * MAX_CELL), "x" * MAX_CELL)
        self.assertEqual(cell("x" * (MAX_CELL + 1)), "x" * (MAX_CELL - 3) + "...")

    def test_page(self) -> None:
        """
        A page that is not the last one names the next.
        """
        rows = [{"a": 1}]
        self.assertEqual(page({"a": "A"}, rows, {"next": None, "total": 1}), ["A", "1"])
        self.assertEqual(page({"a": "A"}, rows, {"next": "1", "total": 2})[2], "1 of 2; the next ones: --after '1'")

    def test_facts(self) -> None:
        """
        Names and values stand in two columns.
        """
        self.assertEqual(facts([("a", 1), ("name", "x")]), ["a     1", "name  x"])

    def test_sizes(self) -> None:
        """
        Bytes and seconds are shown in units for people.
        """
        self.assertEqual(
            [size(n) for n in (None, 0, 1023, 1024, 1 << 30)], [None, "0 B", "1023 B", "1.0 KiB", "1.0 GiB"]
        )
        self.assertEqual(
            [duration(n) for n in (None, 0, 3661.9, 86400 * 2 + 5)], [None, "0:00:00", "1:01:01", "2 d 0:00:05"]
        )

    def test_traced(self) -> None:
        """
        A row of a trace is one line, whatever names and values have in them.
        """
        row = {"time": 0.25, "client": 7, "direction": "in", "topic": "EVENT", "action": "EMIT", "name": "a\nb"}
        self.assertEqual(
            traced({**row, "data": "<2 bytes>", "error": True})[8:],
            ".250 #7 in  EVENT EMIT a?b data=<2 bytes> error=yes",
        )
        self.assertEqual(
            traced({"time": 1, "client": 7, "event": "connected", "names": ["a", "b"]})[8:],
            ".000 #7 --  connected names=a,b",
        )
        self.assertEqual(traced({"time": 1, "dropped": 5})[8:], ".000  5 messages were dropped")
