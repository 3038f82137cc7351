"""
What each membership table does, wherever it is kept.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from dstwist.interfaces import IClusterTable, TableReading


class TableContract(SynchronousTestCase):
    """
    The contract of L{IClusterTable}. To be mixed into a test case.

    @ivar table: an empty table.
    """

    table: Any

    def wait(self, outcome: Deferred[Any]) -> Any:
        return self.successResultOf(outcome)

    def read(self) -> TableReading:
        reading = self.wait(self.table.renew("reader", b"1"))
        assert isinstance(reading, TableReading)
        return reading

    def replace(self, *arguments: Any) -> bool:
        return bool(self.wait(self.table.replace(*arguments)))

    def test_interface(self) -> None:
        """
        The table provides L{IClusterTable}.
        """
        verifyObject(IClusterTable, self.table)

    def test_renew(self) -> None:
        """
        A lease is written, and everything read.
        """
        self.wait(self.table.renew("a", b"7"))
        self.assertEqual(self.read(), TableReading(None, {"a": b"7", "reader": b"1"}))
        self.wait(self.table.renew("a", b"\xff\r\n"))
        self.assertEqual(self.read(), TableReading(None, {"a": b"\xff\r\n", "reader": b"1"}))

    def test_replace(self) -> None:
        """
        A document is replaced if it is the expected one.
        """
        self.assertFalse(self.replace(b"other", b"one"))
        self.assertFalse(self.replace(b"", b"one"))
        self.assertTrue(self.replace(None, b"one"))
        self.assertFalse(self.replace(None, b"two"))
        self.assertFalse(self.replace(b"other", b"two"))
        self.assertTrue(self.replace(b"one", b"\xff\r\n"))
        self.assertEqual(self.read().document, b"\xff\r\n")

    def test_empty(self) -> None:
        """
        An empty document is not the same as none.
        """
        self.assertTrue(self.replace(None, b""))
        self.assertFalse(self.replace(None, b"one"))
        self.assertEqual(self.read().document, b"")
        self.assertTrue(self.replace(b"", b"one"))

    def test_forget(self) -> None:
        """
        Leases are removed with a replacement, unless one of them has moved.
        """
        self.wait(self.table.renew("a", b"7"))
        self.assertFalse(self.replace(None, b"one", {"a": b"6"}))
        self.assertFalse(self.replace(None, b"one", {"a": None}))
        self.assertFalse(self.replace(None, b"one", {"b": None, "a": b"6"}))
        self.assertFalse(self.replace(None, b"one", {"b": b"1"}))
        self.assertEqual(self.read(), TableReading(None, {"a": b"7", "reader": b"1"}))
        self.assertTrue(self.replace(None, b"one", {"a": b"7", "b": None}))
        self.assertEqual(self.read(), TableReading(b"one", {"reader": b"1"}))

    def test_forget_needs_document(self) -> None:
        """
        No lease is removed if the document is not the expected one.
        """
        self.wait(self.table.renew("a", b"7"))
        self.assertFalse(self.replace(b"other", b"one", {"a": b"7"}))
        self.assertEqual(self.read(), TableReading(None, {"a": b"7", "reader": b"1"}))

    def test_names(self) -> None:
        """
        Nodes have all kinds of names.
        """
        names = ["é 1", "1", "a\r\nb", ""]
        for name in names:
            self.wait(self.table.renew(name, b"1"))
        self.assertEqual(set(self.read().leases), {*names, "reader"})
        self.assertTrue(self.replace(None, b"one", dict.fromkeys(names, b"1")))
        self.assertEqual(self.read().leases, {"reader": b"1"})
