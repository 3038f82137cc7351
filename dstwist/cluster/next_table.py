"""
The next membership table: what a node writes that has read the table and all leases, if it has a reason.

====================================  =================================================================================
reason                                the new table
====================================  =================================================================================
this node is not in the table         has it. If it was in the table before, another node has found it dead: it takes
                                      part as a new node (L{Membership.node<dstwist.cluster.members.Membership.node>})
a lease has not moved for leaseTime   is without that node; its partitions go to others
a partition has no owner              gives it to a member whose bus works
this node has more than its share     gives some of its partitions to others (L{MOVES_PER_TABLE
                                      <dstwist.cluster.table.MOVES_PER_TABLE>})
this node is about to stop, or only   gives all its partitions to others
its bus is lost
an earlier table of this node that    writes the same with another version, so that the earlier one has no effect
gives partitions away has no answer,
and the reason for it is over
the table is older than the one that  goes on from the known table, with a higher version: L{Table.merged}
this node knows                       <dstwist.cluster.table.Table.merged>}
a token is lower than the one that    has a new token for that partition
this node knows
====================================  =================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from dstwist.cluster.table import Assignment, Member, Table


@dataclass(frozen=True, slots=True)
class Writer:
    """
    The node that writes the table, as it is now.

    @ivar entry: its entry in the table; C{None}: it leaves.
    @ivar bus_is_lost: it cannot be given partitions.
    @ivar is_alone: its bus has been lost for so long that it gives its partitions away.
    """

    node: str
    entry: Member | None
    bus_is_lost: bool
    is_alone: bool


def next_table(
    read: Table,
    base: Table,
    writer: Writer,
    dead: Collection[str],
    bus_works: Callable[[str], bool],
    known: Sequence[Assignment],
    is_pending: bool = False,
) -> Table | None:
    """
    The table that C{writer} writes; C{None}: it has no reason.

    @param read: the table that was read.
    @param base: the table to go on from: C{read}, or another one if C{read} has gone back.
    @param bus_works: whether the bus of another member works.
    @param known: the assignments that the writer knows.
    @param is_pending: a table in which the writer gives partitions away may still replace C{read}, although the writer
        has had no answer. Until then the writer decides about these partitions no more, so it must not leave it at
        that.
    """
    node = writer.node
    members = {each: member for each, member in base.members.items() if each not in dead}
    if writer.entry is None:
        members.pop(node, None)
    else:
        members[node] = writer.entry
    usable = {each for each in members if each != node and bus_works(each)}
    if writer.entry is not None and not writer.bus_is_lost:
        usable.add(node)
    yielding = {each for each, member in members.items() if member.leaving}
    if writer.is_alone:
        yielding.add(node)
    highest = max(assignment.token for assignment in known)
    version = max(base.version, highest) + 1
    new = base.planned(version, members, usable, yielding, node).repaired(known, version)
    if base is read and new.members == read.members and new.assignments == read.assignments and not is_pending:
        return None
    return replace(new, version=version, writer=node)
