"""
The start of a node: it takes clients when all other members have heard of it.

A new member says hello to all others. Each of them answers as soon as it has the new member in its table. So when all
have answered, messages go both ways between this node and each of them, and what this node holds and watches reaches
the owners. A member that does not answer is asked again each interval, and waited for until C{joinTimeout} is over.

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
from dstwist.cluster.peers import Peers
from dstwist.config.cluster import ClusterSettings
from dstwist.log import Logger, shown

HELLO = "hello"
WELCOME = "welcome"

#: How many silent members the log names.
NAMED_MEMBERS = 5


class Joining:
    """
    Waits for the other members, once.

    @ivar silent: the members that have not answered, while this node waits for them.
    """

    _log = Logger()

    def __init__(self, membership: Membership, peers: Peers, clock: IReactorTime, settings: ClusterSettings) -> None:
        self._membership = membership
        self._peers = peers
        self._clock = clock
        self._settings = settings
        self._answered: set[str] = set()
        self._joined: Deferred[None] | None = None
        self._timer: IDelayedCall | None = None
        self._end = 0.0
        peers.handle(HELLO, (), lambda sender: peers.send(sender, [WELCOME]))
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

        @return: fires when all have answered, or after C{joinTimeout}.
        """
        joined = self._joined = Deferred()
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
        if left <= 0 and silent:
            self._log.warn(
                "CLUSTER | {count} of the other nodes have not answered in time (joinTimeout): {nodes}",
                count=len(silent),
                nodes=", ".join(map(shown, silent[:NAMED_MEMBERS])),
                event="CLUSTER",
            )
            silent = []
        if not silent:
            self._finish()
            return
        for node in silent:
            self._peers.send(node, [HELLO])
        self._timer = self._clock.callLater(min(left, self._settings.lease_interval), self._ask)

    def _welcomed(self, sender: str) -> None:
        if self._joined is not None:
            self._answered.add(sender)
            self._look()

    def _look(self) -> None:
        if self._joined is not None and not self.silent:
            self._finish()

    def _finish(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        if self._joined is not None:
            joined, self._joined = self._joined, None
            self._answered.clear()
            joined.callback(None)
