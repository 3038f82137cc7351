"""
The owner and the token of each partition, as far as one node knows: from tables, and from messages of owners, which may
be faster than the table.

Always true: the token of a partition never goes down, and with one token there is one owner.
"""

from __future__ import annotations

from dstwist.cluster.table import Assignment, Table, is_older


class PartitionOwners:
    """
    The owners that one node knows.

    @ivar assignments: the owner and the token of each partition.
    @ivar taken: how many partitions this node has got since its start.
    @ivar given: how many partitions of this node have got another owner.
    """

    def __init__(self, partitions: int) -> None:
        self.assignments = [Assignment(None, 0)] * partitions
        self.taken = self.given = 0

    def heard(self, partition: int, owner: str, token: int, node: str) -> bool | None:
        """
        A message names the owner of a partition.

        @param node: this node, as it is called now.
        @return: whether the message counts; C{None}: it does, and the owner is a new one.
        """
        known = self.assignments[partition]
        if token == known.token:
            return owner == known.owner
        if token < known.token:
            return False
        self._assign(partition, Assignment(owner, token), node)
        return None

    def adopt(self, table: Table, node: str) -> None:
        """
        Take all owners of C{table} that are not older than those that are known.
        """
        for partition, assignment in enumerate(table.assignments):
            known = self.assignments[partition]
            if assignment is not known and not is_older(assignment, known):
                self._assign(partition, assignment, node)

    def _assign(self, partition: int, assignment: Assignment, node: str) -> None:
        before = self.assignments[partition].owner
        self.assignments[partition] = assignment
        self.taken += before != node and assignment.owner == node
        self.given += before == node and assignment.owner != node
