"""
The start of a node: it takes clients when all other members have heard of it.

A new member says hello to all others. Each of them answers as soon as it has the new member in its table. So when all
have answered, messages go both ways between this node and each of them, and what this node holds and watches reaches
the owners. A member that does not answer is asked again each interval, and waited for until C{joinTimeout} is over.

If no member answers, although all of them are well, this node has another bus than they: it does not start. It would
keep the others from their work, because they wait for its answers. A node that has another store than nodes on the same
bus (L{dstwist.cluster.other_stores}) does not start either. So a node that no member answers, because there is no other
one, waits for one interval.

===========  ==========================
kind         meaning
===========  ==========================
C{hello}     the sender has joined
C{welcome}   the answer
===========  ==========================
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from dstwist.cluster.members import Membership
from dstwist.cluster.other_stores import OtherStores
from dstwist.cluster.peers import Peers
from dstwist.config.cluster import ClusterSettings
from dstwist.errors import StartError
from dstwist.interfaces import IBus
from dstwist.log import Logger, shown

HELLO = "hello"
WELCOME = "welcome"

_OTHER_BUS = (
    "the bus of this node is not that of the other nodes: none of them ({count}, such as {node}) has answered in time "
    "(joinTimeout), and all say that their bus works. The server of clusterNode, and its channelPrefix, must be the "
    "same at all nodes"
)

_OTHER_STORE = (
    "the store of this node is not that of node {node}, which has the same bus: the cache and the storage must be the "
    "same at all nodes. Nodes that are to have nothing to do with each other need another channelPrefix of clusterNode"
)

#: How many silent members the log names.
NAMED_MEMBERS = 5


class Joining:
    """
    Waits for the other members, once.

    @ivar silent: the members that have not answered, while this node waits for them.
    """

    _log = Logger()

    def __init__(
        self,
        membership: Membership,
        peers: Peers,
        bus: IBus,
        stores: OtherStores,
        clock: IReactorTime,
        settings: ClusterSettings,
    ) -> None:
        self._membership = membership
        self._stores = stores
        self._bus = bus
        self._peers = peers
        self._clock = clock
        self._settings = settings
        self._answered: set[str] = set()
        self._joined: Deferred[None] | None = None
        self._timer: IDelayedCall | None = None
        self._end = 0.0
        # Whether there was time for the answers of nodes with another store.
        self._has_asked = False
        peers.handle(HELLO, (), lambda sender: peers.send_urgent(sender, [WELCOME]))
        peers.handle(WELCOME, (), self._welcomed)
        membership.observe(self._look)

    @property
    def silent(self) -> list[str]:
        if self._joined is None:
            return []
        membership = self._membership
        return [node for node in membership.members if node != membership.node and node not in self._answered]

    def wait(self) -> Deferred[None]:
        """
        Ask all other members. This node is a member.

        @return: fires when all have answered, or after C{joinTimeout}. It fails with a L{StartError} if this node has
            another bus or another store than the others.
        """
        joined = self._joined = Deferred()
        self._has_asked = False
        self._stores.start()
        self._end = self._clock.seconds() + self._settings.join_timeout
        self._ask()
        return joined

    def stop(self) -> None:
        """
        Wait no longer.
        """
        self._finish()

    def _ask(self) -> None:
        silent = self.silent
        left = self._end - self._clock.seconds()
        stranger = self._stores.stranger
        if left <= 0 and stranger is not None:
            self._finish(StartError(_OTHER_STORE.format(node=shown(stranger))))
            return
        if left <= 0 and silent:
            if not self._answered and not self._bus.is_lost and all(map(self._membership.seems_well, silent)):
                self._finish(StartError(_OTHER_BUS.format(count=len(silent), node=shown(silent[0]))))
                return
            self._log.warn(
                "CLUSTER | {count} of the other nodes have not answered in time (joinTimeout): {nodes}",
                count=len(silent),
                nodes=", ".join(map(shown, silent[:NAMED_MEMBERS])),
                event="CLUSTER",
            )
            silent = []
        if left <= 0 or (not silent and stranger is None and self._has_asked):
            self._finish()
            return
        self._has_asked = True
        self._stores.ask()
        for node in silent:
            self._peers.send_urgent(node, [HELLO])
        self._timer = self._clock.callLater(min(left, self._settings.lease_interval), self._ask)

    def _welcomed(self, sender: str) -> None:
        if self._joined is not None:
            self._answered.add(sender)
            self._look()

    def _look(self) -> None:
        if self._joined is not None and self._answered and not self.silent and self._stores.stranger is None:
            self._finish()

    def _finish(self, problem: StartError | None = None) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        if self._joined is not None:
            joined, self._joined = self._joined, None
            self._answered.clear()
            if problem is None:
                joined.callback(None)
            else:
                joined.errback(problem)
