"""
The part that one node takes in the cluster.

====================  =================================================================================================
L{.members}           which nodes there are
L{.peers}             messages to each of them
L{.directory}         names that nodes hold and watch
L{.subjects}          messages to the nodes that want a name
L{.joining}           waits, at the start, until the others have heard of this node
L{.other_stores}      notices nodes that have the same bus and another store
L{.figures}           what all of them have counted
====================  =================================================================================================

The services of the topics use these parts; here they start and stop together::

    start: bus -> in the table -> directory -> the other nodes have answered
    stop:  partitions are handed over (L{ClusterNode.hand_over}, while clients are still served)
           -> out of the table -> bus
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable, Collection, Mapping

from twisted.internet.defer import Deferred, TimeoutError, succeed
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from dstwist import __version__
from dstwist.cluster.directory import Directory
from dstwist.cluster.figures import ClusterCounting
from dstwist.cluster.figures_log import FiguresLog
from dstwist.cluster.joining import Joining
from dstwist.cluster.members import Membership
from dstwist.cluster.other_stores import OtherStores
from dstwist.cluster.peers import Peers
from dstwist.cluster.subjects import AllSubjects, Subjects
from dstwist.cluster.table import Member
from dstwist.config.cluster import ClusterSettings
from dstwist.errors import StartError
from dstwist.interfaces import IBus, IClusterTable, ILifecycle
from dstwist.log import Logger, shown

#: The bytes of the random text behind the name of a node: several nodes may have one name.
ADDRESS_BYTES = 4


@implementer(ILifecycle)
class ClusterNode:
    """
    One node.

    @param exact: the kinds of names of the directory whose watchers are told the holders.
    @param clock: its C{seconds} are those of a clock that is never set.
    @ivar name: the C{serverName}.
    """

    _log = Logger()

    def __init__(
        self,
        name: str,
        bus: IBus,
        table: IClusterTable,
        clock: IReactorTime,
        settings: ClusterSettings,
        exact: Collection[str] = (),
        rng: random.Random | None = None,
    ) -> None:
        self.name = name
        self.settings = settings
        self.bus = bus
        self.clock = clock
        # A test that can be repeated needs the same owners of names each time.
        random_text = secrets.token_hex(ADDRESS_BYTES) if rng is None else rng.randbytes(ADDRESS_BYTES).hex()
        address = f"{name}-{random_text}"
        self.membership = membership = Membership(address, __version__, table, bus, clock, settings, rng)
        self.peers = Peers(address, membership, bus, clock, settings)
        self.directory = Directory(membership, self.peers, clock, settings, exact, rng)
        self._has_joined = False
        self._subjects = AllSubjects(bus, clock, settings, rng)
        self._stores = OtherStores(membership, self._subjects, clock)
        self._joining = Joining(membership, self.peers, bus, self._stores, clock, settings)
        self.figures = ClusterCounting(membership, bus, self.peers, self._subjects, self.directory)
        self._figures_log = FiguresLog(self.figures.count, clock)
        self._members: Mapping[str, Member] = {}
        membership.observe(self._log_members)

    def subjects(
        self, letter: str, received: Callable[[str, bytes], object], late: Callable[[str], object]
    ) -> Subjects:
        """
        The subjects of one topic (L{AllSubjects.of_topic}). Called before the start.
        """
        return self._subjects.of_topic(letter, received, late)

    def start(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._start())

    async def _start(self) -> None:
        await self.bus.start()
        try:
            await self.membership.start()
        except StartError:
            await self.bus.stop()
            raise
        self.directory.start()
        try:
            await self._joining.wait()
        except StartError:
            await self._stop()
            raise
        self._has_joined = True
        self._figures_log.start()

    @property
    def description(self) -> str:
        """
        The members, for the log.
        """
        others = len(self.membership.members) - 1
        return f"node {shown(self.membership.node)}, with {others} other nodes"

    def not_ready(self) -> str | None:
        """
        Why clients should connect to another node; C{None} if there is no reason.
        """
        if not self._has_joined or not self.membership.is_member:
            return "the node joins the cluster"
        if self.membership.is_alone:
            return "the bus of this node is lost, and other nodes have theirs"
        return None

    def hand_over(self) -> Deferred[None]:
        """
        Give all partitions to other nodes.

        @return: fires when that is done, or after C{leaseTime}.
        """
        if not self.membership.is_member:
            return succeed(None)
        return self._within_lease(self.membership.hand_over())

    def stop(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        self._joining.stop()
        self._stores.stop()
        self._figures_log.stop()
        if self.membership.is_member:
            await self._within_lease(self.membership.leave())
        self.membership.stop()
        self._subjects.stop()
        self.directory.stop()
        self.peers.stop()
        await self.bus.stop()

    def _within_lease(self, work: Deferred[None]) -> Deferred[None]:
        work.addTimeout(self.settings.lease_time, self.clock)
        return work.addErrback(lambda failure: failure.trap(TimeoutError) and None)

    def _log_members(self) -> None:
        before, members = self._members, self.membership.members
        mine = {self.membership.node}
        for node in members.keys() - before.keys() - mine:
            self._log.info("CLUSTER | node {member} is there", member=shown(node), event="CLUSTER")
        for node in before.keys() - members.keys() - mine:
            if before[node].leaving:
                self._log.info("CLUSTER | node {member} has left", member=shown(node), event="CLUSTER")
            else:
                self._log.warn("CLUSTER | node {member} is dead", member=shown(node), event="CLUSTER")
        self._members = members
