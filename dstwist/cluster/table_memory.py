"""
The membership table in the memory of one process, for nodes that run in one process, as in tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from dstwist.interfaces import IClusterTable, TableReading


@implementer(IClusterTable)
class MemoryTable:
    """
    A table that answers at once.

    @ivar document: the document that is kept.
    @ivar leases: the lease of each node.
    """

    def __init__(self) -> None:
        self.document: bytes | None = None
        self.leases: dict[str, bytes] = {}

    def renew(self, node: str, lease: bytes) -> Deferred[TableReading]:
        self.leases[node] = lease
        return succeed(TableReading(self.document, dict(self.leases)))

    def replace(
        self, expected: bytes | None, document: bytes, forget: Mapping[str, bytes | None] = MappingProxyType({})
    ) -> Deferred[bool]:
        if expected != self.document or any(self.leases.get(node) != lease for node, lease in forget.items()):
            return succeed(False)
        self.document = document
        for node in forget:
            self.leases.pop(node, None)
        return succeed(True)
