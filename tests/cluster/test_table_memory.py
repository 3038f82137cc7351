"""
Tests for L{dstwist.cluster.table_memory}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from dstwist.cluster.table_memory import MemoryTable
from dstwist.interfaces import IClusterTable, TableReading


class MemoryTableTests(SynchronousTestCase):
    """
    L{MemoryTable}.
    """

    def setUp(self) -> None:
        self.table = MemoryTable()

    def read(self) -> TableReading:
        return self.successResultOf(self.table.renew("reader", b"1"))

    def test_interface(self) -> None:
        """
        L{MemoryTable} provides L{IClusterTable}.
        """
        verifyObject(IClusterTable, self.table)

    def test_renew(self) -> None:
        """
        A lease is written, and everything read.
        """
        self.table.renew("a", b"7")
        self.assertEqual(self.read(), TableReading(None, {"a": b"7", "reader": b"1"}))

    def test_replace(self) -> None:
        """
        A document is replaced if it is the expected one.
        """
        self.assertTrue(self.successResultOf(self.table.replace(None, b"one")))
        self.assertFalse(self.successResultOf(self.table.replace(None, b"two")))
        self.assertTrue(self.successResultOf(self.table.replace(b"one", b"three")))
        self.assertEqual(self.read().document, b"three")

    def test_forget(self) -> None:
        """
        Leases are removed with a replacement, unless one of them has moved.
        """
        self.table.renew("a", b"7")
        self.assertFalse(self.successResultOf(self.table.replace(None, b"one", {"a": b"6"})))
        self.assertFalse(self.successResultOf(self.table.replace(None, b"one", {"a": None})))
        self.assertEqual(self.read(), TableReading(None, {"a": b"7", "reader": b"1"}))
        self.assertTrue(self.successResultOf(self.table.replace(None, b"one", {"a": b"7", "b": None})))
        self.assertEqual(self.read(), TableReading(b"one", {"reader": b"1"}))
