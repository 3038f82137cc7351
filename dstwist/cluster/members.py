"""
Membership: which nodes are in the cluster, and which of them owns each partition.

The table in the shared store decides (L{dstwist.cluster.table}); the bus only hints that there is a new one. Each
interval a node renews its lease, and reads the table and all leases, in one operation. Then it writes a new table if it
has a reason (L{dstwist.cluster.next_table}). L{dstwist.cluster.readings} says when that begins.

A table is written in place of the one that was read, and of no other, and only if the nodes that it leaves out as dead
have still the leases that were read. If the answer of the store is lost, the next reading shows the outcome.

Leases are timed by each reader (L{dstwist.cluster.leases}). All nodes need the same C{leaseTime}, so each has it in its
entry of the table. A node that starts, and finds a living member with another one, is refused.

Always true: at most one node may decide about a partition (L{Membership.may_decide}). An owner stops deciding before
any reader finds it dead, and before it gives a partition away. Two things break this, and the tokens protect the other
nodes then: a store that has gone back, and a system whose steady clock stops while the machine is suspended
(L{dstwist.scheduling.clocks}).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from dstwist.cluster.bus_watch import BusWatch
from dstwist.cluster.departure import Departure
from dstwist.cluster.equal_settings import EqualSettings
from dstwist.cluster.fields import MAX_STEP
from dstwist.cluster.leases import Leases, OwnLease
from dstwist.cluster.messages import FORMAT
from dstwist.cluster.next_table import Writer, next_table
from dstwist.cluster.partition_owners import PartitionOwners
from dstwist.cluster.readings import Readings
from dstwist.cluster.table import Assignment, Member, Table, TableDecoder
from dstwist.config.cluster import ClusterSettings
from dstwist.errors import StartError
from dstwist.interfaces import IBus, IClusterTable, TableReading
from dstwist.log import Logger, shown


class Membership:
    """
    The part that this node takes in the cluster.

    @ivar node: this node as a member: its address, C{#}, and a number that is random or one higher than before. Only
        one member ever has this text.
    @ivar table: the newest table that this node knows.
    @ivar assignments: the owner and the token of each partition, as far as this node knows.
    @ivar owners: the same, with what has changed so far.
    @ivar went_back: how often the table in the store was older than the one that this node knew.
    @param address: the address of this node on the bus: its name and a random text.
    @param clock: its C{seconds} are those of a clock that is never set (L{dstwist.scheduling.clocks}).
    """

    _log = Logger()

    def __init__(
        self,
        address: str,
        software: str,
        store: IClusterTable,
        bus: IBus,
        clock: IReactorTime,
        settings: ClusterSettings,
        rng: random.Random | None = None,
    ) -> None:
        self._random = rng if rng is not None else random.Random()
        self._address = address
        self._member = Member(software, FORMAT, round(settings.lease_time * 1000))
        self._store = store
        self._bus = BusWatch(bus, settings.bus_alone_time)
        self._clock = clock
        self._settings = settings
        self._number = self._random.getrandbits(32)
        self.node = f"{address}#{self._number}"
        self.table = Table.first(settings.partitions)
        self.owners = PartitionOwners(settings.partitions)
        self.assignments: Sequence[Assignment] = self.owners.assignments
        # The table of the last reading, which may be older than the newest.
        self._read = self.table
        self._decoder = TableDecoder(settings.partitions)
        # The partitions that this node has tried to give away, and the document it tried to replace with that. It does
        # not decide about them while the attempt may still succeed.
        self._given: set[int] = set()
        self._given_with: bytes | None = None
        self.went_back = 0
        self._joined = False
        self._stopped = False
        self._lease = OwnLease(clock, settings)
        self._leases = Leases(settings)
        self._equal = EqualSettings(self._member, self._leases)
        self._readings = Readings(self._renew, clock, settings.lease_interval, self._random)
        self._observers: list[Callable[[], object]] = []
        self._announce: Callable[[int], object] = lambda version: None
        self._starting: Deferred[None] | None = None
        self._departure = Departure()

    # -- what other parts ask

    @property
    def members(self) -> Mapping[str, Member]:
        """
        The members of the newest table.
        """
        return self.table.members

    @property
    def is_member(self) -> bool:
        """
        Whether this node is in the newest table.
        """
        return self.node in self.table.members

    @property
    def lease_age(self) -> float | None:
        """
        How many seconds ago the lease was renewed for the last time; C{None}: there is no lease.
        """
        return self._lease.age

    def owns(self, partition: int) -> bool:
        """
        Whether this node is the owner of C{partition}, as far as it knows.
        """
        return self.assignments[partition].owner == self.node

    def may_decide(self, partition: int) -> bool:
        """
        Whether this node certainly is the owner of C{partition} now.
        """
        assignment = self.assignments[partition]
        return (
            assignment.owner == self.node
            and self._read.assignments[partition] == assignment
            and partition not in self._given
            and not self._member.leaving
            and self._lease.is_valid
        )

    def bus_works(self, node: str) -> bool:
        """
        Whether the bus of a member works, as the member says in the lease that was read last.
        """
        return self._leases.bus_works(node)

    def lease_stands(self, node: str) -> float:
        """
        For how many seconds the lease of a member had not moved when this node read the leases for the last time.
        """
        return self._leases.stands_for(node, self._clock.seconds() - (self._lease.age or 0.0))

    @property
    def is_alone(self) -> bool:
        """
        Whether only this node has lost its bus, and had lost it for so long that it gives its partitions away, when it
        read the leases of the others. What these say from before an outage of the store says nothing about now.
        """
        age = self._lease.age
        if age is None or not self._bus.is_lost_for_long(self._clock.seconds() - age):
            return False
        return any(node != self.node and self._leases.bus_works(node) for node in self.members)

    def seems_well(self, node: str) -> bool:
        """
        Whether a node renews its lease, and says in it that its bus works.
        """
        return self._leases.has_moved(node) and self._leases.bus_works(node)

    def observe(self, changed: Callable[[], object]) -> None:
        """
        Call C{changed} whenever L{node}, L{members} or L{assignments} have changed.
        """
        self._observers.append(changed)

    def announce_with(self, announce: Callable[[int], object]) -> None:
        """
        Call C{announce} with the version of each table that this node writes, so that other nodes read it at once.
        """
        self._announce = announce

    # -- what other nodes tell

    def heard(self, partition: int, owner: str, token: int) -> bool:
        """
        A message names the owner of a partition.

        @return: whether the message counts: its token is not lower than the highest that this node knows.
        """
        if token > self.table.version + MAX_STEP:
            # Believed, it would become the version of the table.
            self._log.warn(
                "CLUSTER | {owner} says that the membership table has version {token}, which cannot be",
                owner=shown(owner),
                token=token,
                event="CLUSTER",
                once=owner,
            )
            return False
        counts = self.owners.heard(partition, owner, token, self.node)
        if counts is None:
            self.look()
            self._notify()
        return counts is not False

    def announced(self, version: int) -> None:
        """
        Another node has written a table.
        """
        if version > self.table.version:
            self.look()

    # -- start and stop

    def start(self) -> Deferred[None]:
        """
        Take part.

        @return: fires when this node is in the table.
        """
        starting = self._starting = Deferred()
        self._readings.begin()
        return starting

    def hand_over(self) -> Deferred[None]:
        """
        Give all partitions to other nodes, and take no more.

        @return: fires when the table says so, or when there is no node that can take them.
        """
        self._member = self._member._replace(leaving=True)
        self.look()
        return self._departure.hand_over()

    def leave(self) -> Deferred[None]:
        """
        Take this node out of the table.

        @return: fires when the table says so.
        """
        self.look()
        return self._departure.leave()

    def stop(self) -> None:
        """
        Do nothing any more, and be found dead if L{leave} has not succeeded.
        """
        self._stopped = True
        self._readings.stop()
        self._lease.end()

    def look(self) -> None:
        """
        Renew the lease and read the table soon, instead of at the end of the interval.
        """
        self._readings.look()

    # -- each interval

    def _renew(self, now: float) -> Deferred[None]:
        self._bus.look(now)
        renewal = self._store.renew(self.node, self._lease.next_text(self._bus.is_lost))
        if not renewal.called:
            renewal.addTimeout(self._settings.lease_interval, self._clock)
        return renewal.addCallback(self._received, now)

    def _not_usable(self, error: ValueError) -> None:
        problem = f"the membership table cannot be used: {error}"
        if self._starting is not None:
            self._refuse_start(StartError(problem))
        else:
            self._log.error("CLUSTER | {problem}", problem=problem, event="CLUSTER", once="the table of the cluster")

    def _refuse_start(self, problem: StartError) -> None:
        self.stop()
        if self._starting is not None:
            starting, self._starting = self._starting, None
            starting.errback(problem)

    def _received(self, reading: TableReading, sent: float) -> Deferred[None] | None:
        if self._stopped:
            return None
        try:
            read = self._decoder.decode(reading.document)
        except ValueError as error:
            self._not_usable(error)
            return None
        self._leases.read(read.members, reading.leases, sent, self._clock.seconds())
        self._lease.accepted(sent)
        self._read = read
        if reading.document != self._given_with:
            self._given.clear()
        stale = read.version < self.table.version or (read.version == self.table.version and read != self.table)
        if stale:
            self.went_back += 1
            base = self.table.merged(read)
            self._log.warn(
                "CLUSTER | the membership table has gone back from version {known} to {version}: the store was "
                "emptied, or has an older copy",
                event="CLUSTER",
                known=self.table.version,
                version=read.version,
            )
        else:
            base = read
            self._adopt(read)
        if self.node not in base.members and self._joined:
            if self._departure.leaves:
                self._left()
                return None
            self._take_new_number()
            return None
        self._departure.check(read, self.table, self.node, self._leases.bus_works)
        if self._starting is not None:
            try:
                if not self._equal.may_join(base, sent):
                    return None
            except StartError as problem:
                self._refuse_start(problem)
                return None
        return self._write(reading, read, base, sent)

    def _write(self, reading: TableReading, read: Table, base: Table, sent: float) -> Deferred[None] | None:
        """
        Write a new table if there is a reason.
        """
        dead = [node for node in self._leases.dead(sent) if node != self.node]
        writer = Writer(
            self.node,
            None if self._departure.leaves else self._member,
            self._bus.is_lost,
            self._bus.is_lost_for_long(sent),
        )
        new = next_table(
            read, base, writer, dead, self._leases.bus_works, self.assignments, is_pending=bool(self._given)
        )
        if new is None:
            return None
        if not new.store:
            new = replace(new, store=self.table.store or f"{self._random.getrandbits(128):032x}")
        # An earlier attempt to replace the same document may still succeed.
        self._given |= {
            partition
            for partition, assignment in enumerate(new.assignments)
            if self.owns(partition) and assignment.owner != self.node
        }
        self._given_with = reading.document
        forget = {node: self._leases.lease(node) for node in dead}
        writing = self._store.replace(reading.document, new.encode(), forget)
        if not writing.called:
            writing.addTimeout(self._settings.lease_interval, self._clock)
        return writing.addCallback(self._written, new)

    def _written(self, replaced: bool, new: Table) -> None:
        if self._stopped:
            return
        if not replaced:
            # Another node was faster, or a node is not dead. The next reading shows it.
            self._given.clear()
            self._readings.look()
            return
        self._read = new
        self._adopt(new)
        self._announce(new.version)
        self._departure.check(new, new, self.node, self._leases.bus_works)
        if self._departure.leaves and self.node not in new.members:
            self._left()

    def _adopt(self, table: Table) -> None:
        """
        C{table} is the newest that this node knows.
        """
        if table == self.table:
            return
        self.table = table
        self.owners.adopt(table, self.node)
        if self.node in table.members:
            self._joined = True
            if self._starting is not None:
                starting, self._starting = self._starting, None
                starting.callback(None)
            self._equal.check(table)
        self._notify()

    def _take_new_number(self) -> None:
        """
        Another node has found this one dead: take part as a new node.
        """
        self._log.warn(
            "CLUSTER | node {old} was found dead by another node: it joins the cluster anew",
            old=self.node,
            event="CLUSTER",
        )
        self._joined = False
        self._number += 1
        self.node = f"{self._address}#{self._number}"
        self._lease.end()
        self._notify()
        self._readings.begin_again()

    def _left(self) -> None:
        self.stop()
        self._departure.left()

    def _notify(self) -> None:
        for changed in self._observers:
            changed()
