"""
The records that nodes have written lately, for the time after the store has lost writes.

A store that went back may give a version that it has lost to another write. Then a node whose subscribers have the lost
write finds no difference::

    node A                                      node B
    its subscribers have version 7
                        the store goes back to version 6
                                                connects to it, and writes another version 7
    connects to it, and compares: 7 is 7

So a node that has compared its records asks all other members which records they have written lately. Its subscribers
are sent those records once more, whatever version they have.

===============================  ======================================================================================
item                             meaning
===============================  ======================================================================================
C{lost} number                   the sender has compared its records after a loss
C{rewritten} number i names end  slice i of the answer: the names that its sender has written since L{RECENT_SECONDS}
                                 before the loss. C{end}: 0: more follow; 1: this is the last slice; 2: the same, and
                                 there were too many names
===============================  ======================================================================================

A member of which a slice has not arrived is asked again, until it is no member any more, or L{KEEP_SECONDS} are over. A
member that has gone can have written any record: if one has, lately, the subscribers are sent all records once more.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from dstwist.cluster.fields import list_of, number, text
from dstwist.cluster.members import Membership
from dstwist.cluster.peers import Peers
from dstwist.cluster.remembered_names import RememberedNames
from dstwist.cluster.slices import slices
from dstwist.config.cluster import ClusterSettings

LOST = "lost"
REWRITTEN = "rewritten"

#: For how long names are remembered at least, in seconds: longer than it takes to notice that a Redis has other data.
RECENT_SECONDS = 15.0

#: For how long no name is forgotten after a loss, in seconds: other nodes may find the store later.
KEEP_SECONDS = 600.0

#: How long a member has for its answer, in seconds: the first and the longest time.
FIRST_WAIT_SECONDS = 1.0
MAX_WAIT_SECONDS = 60.0

_MORE, _END, _TOO_MANY = range(3)


class RecentWrites:
    """
    The names of such records.

    @param rewritten: called with the name of a record that another node has written lately.
    @param all_rewritten: called if that may be any record.
    @param all_heard: called when all members have answered.
    """

    def __init__(
        self,
        peers: Peers,
        membership: Membership,
        clock: IReactorTime,
        settings: ClusterSettings,
        rewritten: Callable[[str], object],
        all_rewritten: Callable[[], object],
        all_heard: Callable[[], object],
    ) -> None:
        self._peers = peers
        self._membership = membership
        self._clock = clock
        self._names_per_item = settings.names_per_item
        self._rewritten = rewritten
        self._all_rewritten = all_rewritten
        self._all_heard = all_heard
        # The names of the current L{RECENT_SECONDS}, and of those before.
        self._recent = RememberedNames()
        self._earlier = RememberedNames()
        self._rotation: IDelayedCall | None = None
        self._kept_until = float("-inf")
        # When the store lost writes last, and when a member went last.
        self._lost_at = self._gone_at = float("-inf")
        self._members = frozenset(membership.members)
        # The number of the question, and the members that have answered it.
        self._number = 0
        self._heard: set[str] = set()
        # How many slices of the answer of a member have arrived, without a gap.
        self._arrived: dict[str, int] = {}
        self._wait = 0.0
        self._stopped = False
        self._call: IDelayedCall | None = None
        membership.observe(self._membership_changed)
        peers.handle(LOST, (number,), self._asked)
        peers.handle(REWRITTEN, (number, number, list_of(text), number), self._answered)

    def written(self, name: str) -> None:
        """
        This node has written a record.
        """
        self._recent.add(name)
        if self._rotation is None and not self._stopped:
            self._rotation = self._clock.callLater(RECENT_SECONDS, self._rotate)

    def lost(self) -> None:
        """
        The store may have lost writes.
        """
        self._lost_at = self._clock.seconds()
        self._kept_until = self._lost_at + KEEP_SECONDS
        self._number += 1
        self._cancel()

    def ask(self) -> None:
        """
        The records of this node are compared: ask the other members.
        """
        if self._stopped:
            return
        self._number += 1
        self._heard.clear()
        self._arrived.clear()
        self._wait = FIRST_WAIT_SECONDS
        self._cancel()
        self._ask()

    def stop(self) -> None:
        """
        Ask nothing any more. Writes that are under way may still end.
        """
        self._stopped = True
        self._cancel()
        if self._rotation is not None and self._rotation.active():
            self._rotation.cancel()

    def _cancel(self) -> None:
        if self._call is not None and self._call.active():
            self._call.cancel()

    def _rotate(self) -> None:
        kept = self._clock.seconds() < self._kept_until
        if not kept:
            self._earlier, self._recent = self._recent, RememberedNames()
        more = kept or bool(self._earlier.names)
        self._rotation = self._clock.callLater(RECENT_SECONDS, self._rotate) if more else None

    def _membership_changed(self) -> None:
        members = frozenset(self._membership.members)
        if not self._members <= members | {self._membership.node}:
            self._gone_at = self._clock.seconds()
        self._members = members

    def _end(self) -> None:
        """
        All members have answered that can.
        """
        if self._gone_at >= self._lost_at - RECENT_SECONDS:
            self._all_rewritten()
        self._all_heard()

    def _unheard(self) -> list[str]:
        own = self._membership.node
        return [node for node in self._membership.members if node != own and node not in self._heard]

    def _ask(self) -> None:
        unheard = self._unheard()
        if not unheard or self._clock.seconds() > self._kept_until:
            self._end()
            return
        for node in unheard:
            self._peers.send(node, [LOST, self._number])
        self._call = self._clock.callLater(self._wait, self._ask)
        self._wait = min(self._wait * 2, MAX_WAIT_SECONDS)

    def _asked(self, sender: str, number: int) -> None:
        too_many = self._recent.is_full or self._earlier.is_full
        names = [] if too_many else [*self._earlier.names, *self._recent.names]
        count = 0
        for count, some in enumerate(slices(names, self._names_per_item), 1):
            self._peers.send(sender, [REWRITTEN, number, count - 1, some, _MORE])
        self._peers.send(sender, [REWRITTEN, number, count, [], _TOO_MANY if too_many else _END])

    def _answered(self, sender: str, number: int, index: int, names: list[str], end: int) -> None:
        for name in names:
            self._rewritten(name)
        if end == _TOO_MANY:
            self._all_rewritten()
        if number != self._number or index not in (0, self._arrived.get(sender)):
            return
        self._arrived[sender] = index + 1
        if end != _MORE:
            self._heard.add(sender)
            if not self._unheard():
                self._cancel()
                self._end()
