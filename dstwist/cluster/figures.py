"""
Figures about the part that one node takes in the cluster.

Each part counts what it does, in plain numbers; here they are put together. To do so takes no time that grows with the
number of clients or names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dstwist.cluster.directory import Directory
from dstwist.cluster.members import Membership
from dstwist.cluster.peers import Peers
from dstwist.cluster.subjects import AllSubjects
from dstwist.counters.histogram import Histogram
from dstwist.interfaces import IBus


@dataclass(frozen=True)
class NewsFigures:
    """
    News of records from other nodes, since the start.

    @ivar early: news of a later version than the next one.
    @ivar gaps: early news before which the missing news did not come in time.
    @ivar old: news of a version that subscribers had already.
    @ivar differed: how many records were not as subscribers had them when they were read again, by the cause of that:
        C{gap}, C{old news}, C{comparison}, C{NOTIFY}, C{other news}, and C{another reading} of the record.
    @ivar not_compared: records of which news may have been missed, and that are not compared yet.
    """

    early: int
    gaps: int
    old: int
    differed: Mapping[str, int]
    not_compared: int


@dataclass(frozen=True)
class ArbiterFigures:
    """
    Writes to the shared store, since the start.

    @ivar refusals: attempts that were refused, because another writer was faster.
    @ivar most_refusals: the most refusals of one write.
    @ivar in_doubt: records whose last write is in doubt now.
    @ivar doubts: how often a record has got into doubt.
    @ivar fences: how often the store was asked to let no earlier write take effect any more.
    """

    refusals: int
    most_refusals: int
    in_doubt: int
    doubts: int
    fences: int


@dataclass(frozen=True)
class ClusterFigures:
    """
    The part of one node at one moment. Counts begin with its start.

    @ivar members: nodes in the table, this one included.
    @ivar table_version: the version of the newest table that this node knows.
    @ivar went_back: how often the table in the store was older than that.
    @ivar lease_age: how many seconds ago the lease was renewed; C{None}: this node has no lease.
    @ivar partitions: partitions that this node owns.
    @ivar partitions_taken: partitions that it has got.
    @ivar partitions_given: partitions of this node that have got another owner.
    @ivar bus_is_lost: whether the bus is lost.
    @ivar bus_losses: how often it was lost.
    @ivar dropped: messages to other nodes that were not sent, or may not have been.
    @ivar unconfirmed: subjects whose subscription, or its end, the bus has not confirmed.
    @ivar digests_differed: how often two nodes had different copies of what one of them has, and repaired that.
    @ivar absences: names in the partitions of this node that no node holds any more, and that are not said to be gone
        yet.
    @ivar awaited: the members whose answers are missing for that.
    @ivar news: C{None}, as the next one: records are switched off.
    """

    members: int
    table_version: int
    went_back: int
    lease_age: float | None
    partitions: int
    partitions_taken: int
    partitions_given: int
    bus_is_lost: bool
    bus_losses: int
    dropped: int
    unconfirmed: int
    digests_differed: int
    absences: int
    awaited: tuple[str, ...]
    news: NewsFigures | None = None
    arbiter: ArbiterFigures | None = None

    @property
    def incidents(self) -> tuple[int, ...]:
        """
        The numbers that change only if something had to be repaired, or was lost.
        """
        news, arbiter = self.news, self.arbiter
        return (
            self.went_back,
            self.bus_losses,
            self.dropped,
            self.digests_differed,
            0 if news is None else sum(news.differed.values()),
            0 if arbiter is None else arbiter.doubts,
        )

    def __str__(self) -> str:
        differed, in_doubt = self.incidents[-2], 0 if self.arbiter is None else self.arbiter.in_doubt
        return (
            f"nodes: {self.members}; version of the table: {self.table_version}; partitions here: {self.partitions}, "
            f"taken: {self.partitions_taken}, given: {self.partitions_given}; bus lost: {self.bus_losses} times, "
            f"messages dropped: {self.dropped}; repaired digests: {self.digests_differed}, records: {differed}; "
            f"records in doubt: {in_doubt}"
        )


class ClusterCounting:
    """
    Counts.

    @ivar news: gives the figures of news; C{arbiter} is the same for writes. The service of records sets them.
    """

    def __init__(
        self, membership: Membership, bus: IBus, peers: Peers, subjects: AllSubjects, directory: Directory
    ) -> None:
        self._membership = membership
        self._bus = bus
        self._peers = peers
        self._subjects = subjects
        self._directory = directory
        self._bus_losses = 0
        self.news: Callable[[], NewsFigures] | None = None
        self.arbiter: Callable[[], ArbiterFigures] | None = None
        bus.observe(self._bus_lost, _ignore)

    @property
    def round_trips(self) -> Histogram | None:
        """
        How long it took until probes of the bus came back.
        """
        return self._bus.round_trips

    def count(self) -> ClusterFigures:
        """
        The figures of this moment.
        """
        membership, directory = self._membership, self._directory
        absences, awaited = directory.absences()
        return ClusterFigures(
            members=len(membership.members),
            table_version=membership.table.version,
            went_back=membership.went_back,
            lease_age=membership.lease_age,
            partitions=sum(map(membership.owns, range(len(membership.assignments)))),
            partitions_taken=membership.owners.taken,
            partitions_given=membership.owners.given,
            bus_is_lost=self._bus.is_lost,
            bus_losses=self._bus_losses,
            dropped=self._bus.dropped + self._peers.dropped,
            unconfirmed=self._subjects.unconfirmed,
            digests_differed=directory.digests_differed,
            absences=absences,
            awaited=tuple(awaited),
            news=None if self.news is None else self.news(),
            arbiter=None if self.arbiter is None else self.arbiter(),
        )

    def _bus_lost(self) -> None:
        self._bus_losses += 1


def _ignore() -> None:
    pass
