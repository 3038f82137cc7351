"""
Settings that all nodes need alike. Each node has its own in its entry of the table.

=====================  ================================================================================================
setting                if two nodes differed
=====================  ================================================================================================
C{cluster.leaseTime}   the one with the shorter time would find the other one dead while that still decides
format of messages     they could not read what the other one sends. A node speaks the lowest format in the table; so
                       only a member that is too old for this node matters
number of partitions   the table could not be read; L{Table.decode<dstwist.cluster.table.Table.decode>} finds it
=====================  ================================================================================================

A node that starts and finds a difference does not join. A member that differs may be dead, and the whole cluster may
have been started anew with another setting. So the node waits until the lease of that member moves, which refuses the
start, or has not moved for the longer one of both times.
"""

from __future__ import annotations

from dstwist.cluster.leases import Leases
from dstwist.cluster.table import Member, Table
from dstwist.errors import StartError
from dstwist.log import Logger, shown


class EqualSettings:
    """
    Compares the settings of this node with those of the others.

    @param own: the entry of this node.
    """

    _log = Logger()

    def __init__(self, own: Member, leases: Leases) -> None:
        self._own = own
        self._leases = leases
        self._named: set[str] = set()

    def may_join(self, table: Table, sent: float) -> bool:
        """
        Whether this node may join now; otherwise a later reading decides.

        @param sent: the moment at which the last reading was sent.
        @raise StartError: a living member differs.
        """
        may = True
        for node, member in table.members.items():
            difference = self._difference(node, member)
            if difference is None:
                continue
            if self._leases.has_moved(node):
                raise StartError(difference)
            longest = max(member.lease_time, self._own.lease_time) / 1000
            if self._leases.stands_for(node, sent) <= longest:
                self._warn(node, f"{difference}; this node waits until it knows whether that node lives")
                may = False
        return may

    def check(self, table: Table) -> None:
        """
        Warn of members that differ, while this node is a member. It can be so if the store has gone back.
        """
        for node, member in table.members.items():
            difference = self._difference(node, member)
            if difference is not None:
                self._warn(node, difference)

    def _warn(self, node: str, text: str) -> None:
        if node not in self._named:
            self._named.add(node)
            self._log.warn("CLUSTER | {text}", text=text, event="CLUSTER")

    def _difference(self, node: str, member: Member) -> str | None:
        own = self._own
        if member.lease_time != own.lease_time:
            return (
                f"cluster.leaseTime is {own.lease_time} here and {member.lease_time} at node {shown(node)}: all nodes "
                "need the same"
            )
        if member.format < own.format:
            return (
                f"node {shown(node)} (dstwist {shown(member.software)}) has messages of format {member.format}, which "
                f"this node (format {own.format}) does not speak"
            )
        return None
