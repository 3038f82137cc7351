"""
The membership table: which nodes are in the cluster, and which of them owns each partition.

The table is a value; L{dstwist.cluster.members} decides when it changes. Its version is one more with each change, and
never goes back. For each partition the table also has the version that gave it to its owner: the partition's I{token}.
An owner sends its token with each message, and other nodes refuse lower tokens than the highest they know. So an owner
that was replaced is refused even if it does not know that yet.

Always true: a table with a higher version has at least the same token for each partition. A store that was emptied, or
has an older copy, breaks this. A node that notices it writes the tokens anew: L{Table.repaired}.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple
from zlib import crc32

#: The version of the format below.
_FORMAT = 1

#: How many partitions one node gives away in one table to even out the shares. Their new owners collect the names of
#: all of them at once, and nothing is told of these names meanwhile.
MOVES_PER_TABLE = 16


def partition_of(name: str, partitions: int) -> int:
    """
    The partition of C{name}, which is one of C{partitions}.
    """
    return crc32(name.encode("utf-8", "surrogatepass")) % partitions


class Assignment(NamedTuple):
    """
    The owner of one partition; C{None}: none has been found yet.
    """

    owner: str | None
    token: int


class Member(NamedTuple):
    """
    One node in the table.

    @ivar software: its version of dstwist.
    @ivar format: the highest format of messages that it knows.
    @ivar lease_time: its C{leaseTime}, in milliseconds.
    @ivar leaving: it is about to stop, and takes no partitions.
    """

    software: str
    format: int
    lease_time: int
    leaving: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """
    One version of the table.

    @ivar writer: the node that wrote it.
    @ivar store: the identity of the store, a random text that never changes. It is empty in the first table, and in
        tables of releases that do not know it.
    """

    version: int = 0
    writer: str = ""
    members: Mapping[str, Member] = field(default_factory=dict)
    assignments: tuple[Assignment, ...] = ()
    store: str = ""

    @classmethod
    def first(cls, partitions: int) -> Table:
        """
        The table before any node has written one.
        """
        return cls(assignments=(Assignment(None, 0),) * partitions)

    def encode(self) -> bytes:
        """
        The table as a document of the store.
        """
        nodes = list(self.members)
        # An owner that is no member is never written, except by a node that knows no better.
        nodes += sorted({a.owner for a in self.assignments if a.owner is not None and a.owner not in self.members})
        index = {node: number for number, node in enumerate(nodes)}
        return json.dumps(
            {
                "format": _FORMAT,
                "version": self.version,
                "writer": self.writer,
                "store": self.store,
                "nodes": nodes,
                "members": [list(member) for member in self.members.values()],
                "owners": [-1 if a.owner is None else index[a.owner] for a in self.assignments],
                "tokens": [a.token for a in self.assignments],
            },
            separators=(",", ":"),
        ).encode()

    @classmethod
    def decode(cls, document: bytes | None, partitions: int) -> Table:
        """
        The table of a document; the first table if there is none.

        @raise ValueError: it is no table.
        """
        if document is None:
            return cls.first(partitions)
        try:
            read: dict[str, Any] = json.loads(document)
            if read["format"] != _FORMAT:
                raise ValueError(f"format {read['format']!r} is unknown")
            nodes = read["nodes"]
            members = {nodes[n]: Member(*member) for n, member in enumerate(read["members"])}
            assignments = tuple(
                Assignment(None if owner < 0 else nodes[owner], token)
                for owner, token in zip(read["owners"], read["tokens"], strict=True)
            )
            table = cls(read["version"], read["writer"], members, assignments, str(read.get("store", "")))
        except (KeyError, IndexError, TypeError) as error:
            raise ValueError(f"not a membership table: {error!r}") from error
        if not isinstance(table.version, int):
            raise ValueError("not a membership table")
        if len(assignments) != partitions:
            raise ValueError(
                f"{table.writer} spreads names over {len(assignments)} partitions, and this node over {partitions}"
            )
        return table

    def merged(self, stale: Table) -> Table:
        """
        The table to go on from if the store has C{stale} now, which is older than this one or has another past: the
        members of both, and of each partition the later assignment.
        """
        assignments = tuple(map(_later, self.assignments, stale.assignments))
        members = {**stale.members, **self.members}
        return replace(self, members=members, assignments=assignments, store=self.store or stale.store)

    def repaired(self, known: Iterable[Assignment], version: int) -> Table:
        """
        This table with the token C{version} for each partition that has a lower token than in C{known}, or the same
        token for another owner. Otherwise the owner would be refused.
        """
        assignments = tuple(
            Assignment(mine.owner, version) if is_older(mine, other) else mine
            for mine, other in zip(self.assignments, known, strict=True)
        )
        return self if assignments == self.assignments else replace(self, assignments=assignments)

    def planned(
        self,
        version: int,
        members: Mapping[str, Member],
        usable: Collection[str],
        yielding: Collection[str] = (),
        giver: str | None = None,
    ) -> Table:
        """
        This table with these C{members}. Partitions of other owners go to the usable members that have the fewest.

        @param usable: the members that may be given partitions.
        @param yielding: members that keep no partition if another member is usable.
        @param giver: if no other partition moves, this node gives some away if it has more than its share.
        """
        owners = [assignment.owner for assignment in self.assignments]
        owned = Counter(owners)
        loads = {node: owned[node] for node in sorted(usable) if node not in yielding}
        moves: dict[int, str | None] = {}
        for partition, owner in enumerate(owners):
            if owner in members and (owner not in yielding or not loads):
                continue
            moves[partition] = _least(loads)
        if giver in loads and not moves:
            given = (partition for partition, owner in enumerate(owners) if owner == giver)
            while loads[giver] - min(loads.values()) > 1 and len(moves) < MOVES_PER_TABLE:
                loads[giver] -= 1
                moves[next(given)] = _least(loads)
        assignments = list(self.assignments)
        for partition, node in moves.items():
            if node != owners[partition]:
                assignments[partition] = Assignment(node, version)
        return replace(self, members=members, assignments=tuple(assignments))


class TableDecoder:
    """
    Decodes documents, most of which are the same as the one before.
    """

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions
        self._document: bytes | None = None
        self._table = Table.first(partitions)

    def decode(self, document: bytes | None) -> Table:
        """
        L{Table.decode}.
        """
        if document != self._document:
            self._table = Table.decode(document, self._partitions)
            self._document = document
        return self._table


def address_of(node: str) -> str:
    """
    The address of a member on the bus.
    """
    return node.rpartition("#")[0]


def is_older(assignment: Assignment, known: Assignment) -> bool:
    """
    Whether C{assignment} may not replace C{known}.
    """
    return assignment.token < known.token or (assignment.token == known.token and assignment.owner != known.owner)


def _later(mine: Assignment, other: Assignment) -> Assignment:
    return other if other.token > mine.token else mine


def _least(loads: dict[str, int]) -> str | None:
    """
    The node that is given the next partition.
    """
    if not loads:
        return None
    node = min(loads, key=lambda node: (loads[node], node))
    loads[node] += 1
    return node
