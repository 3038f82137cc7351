"""
Tests for L{dstwist.cluster.table_memory}.
"""

from __future__ import annotations

from dstwist.cluster.table_memory import MemoryTable
from tests.cluster import table_contract


class MemoryTableTests(table_contract.TableContract):
    """
    L{MemoryTable}.
    """

    def setUp(self) -> None:
        self.table = MemoryTable()
