"""
The search for a provider of a name, over nodes: the owner's side.

A name is I{wanted} if a node holds it because it has subscribers, and I{provided} if a node holds it because one of its
listeners has accepted it. Both are holds of the directory, of different kinds, and the owner of the name hears of both
(L{dstwist.cluster.owned}). It asks the nodes with a matching pattern, one at a time: first the node that was the first
to want the name, then the others in random order. The node that is asked offers the name to its own listeners
(L{dstwist.routing.cluster_demand})::

    owner                                            node with listeners
    search: do you have a provider?         ----->   offers the name to its listeners
    search, repeated (L{.repeats})          ----->   goes on
                                            <-----   unprovided: no listener has accepted; the owner asks the next node
                                                     or: the node holds the name as provided, and the search is over
    end                                     ----->   ends its search, or tells its provider to stop

                                            <-----   again: the node would like to be asked once more
                                            <-----   rest: when the provider stops, search only new listeners, until
                                                     another node wants the name, or any node says again

=========================  ============================================================================================
kind, and fields           meaning
=========================  ============================================================================================
C{search} [p t s a n o]    search number s, ask number a, about name n; o: another node wants the name, too
C{end} [p t n]             the name is not wanted any more, or has another provider
C{unprovided} [p t a n]    the answer to ask a: no listener has accepted
C{again} [p t n]           there may be a provider now: listeners may be offered the name again
C{rest} [p t n]            the sender has a provider that is about to stop, because it is the only subscriber
C{lost}                    the bus of the sender was lost: asks to it and its answers may be, too; repeat them soon
=========================  ============================================================================================

C{p} is the number of the partition, and C{t} its token. The kinds of a topic end with its letter: C{search.r}.

A search begins when the name is wanted and not provided, and all members are heard. It lasts until one of that changes.
When all nodes are asked in vain, it waits for a new listener of any node, or for C{again}. The number of a search tells
the nodes whether this is the search they know: for another one they offer the name to all their listeners anew.

If two nodes provide a name, as it may happen after a hand-over, the one that was heard of first goes on. The others are
told to stop until they do.

Always true: of the asks of one search, one at most is not answered, and it is repeated until the node has answered, has
died, or is silent for C{absenceTimeout} although others are not. At rest, a name that is wanted has one provider if any
listener accepts it, and a name that is not wanted has none: its provider's node watches it, and ends by itself.
"""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from itertools import islice

from dstwist.cluster.fields import list_of, number, row, text
from dstwist.cluster.node import ClusterNode
from dstwist.cluster.owned import OwnedPartition
from dstwist.cluster.repeats import Repeats
from dstwist.cluster.shared_patterns import SharedPatterns
from dstwist.scheduling.time_slices import TimeSlices

SEARCH = "search"
END = "end"
UNPROVIDED = "unprovided"
AGAIN = "again"
REST = "rest"
LOST = "lost"


@dataclass(eq=False, slots=True)
class _Search:
    """
    The search for a provider of one name.

    @ivar node: the node that is asked now.
    @ivar ask: the number of the latest ask.
    @ivar repeated: how often that was repeated.
    @ivar tried: the nodes that have no provider, with the number of the latest registration that they have tried.
    @ivar rests_for: while this node alone wants the name, only new listeners are searched; C{None}: all are.
    """

    number: int
    node: str | None = None
    ask: int = 0
    repeated: int = 0
    tried: dict[str, int] = field(default_factory=dict)
    rests_for: str | None = None

    def wake(self) -> None:
        """
        Search all listeners, if this search rests.
        """
        if self.rests_for is not None:
            self.rests_for = None
            self.tried.clear()


@dataclass(eq=False, slots=True)
class _Names:
    """
    The names of one partition.

    @ivar resting: names that are not searched for when their provider, on this node, stops.
    """

    searches: dict[str, _Search] = field(default_factory=dict)
    resting: dict[str, str] = field(default_factory=dict)


class NodeSearches:
    """
    The searches for names of one topic whose partitions this node owns.

    @param letter: that of the topic, and the kind of wanted names.
    @param provided: the kind of provided names.
    """

    def __init__(
        self,
        letter: str,
        provided: str,
        cluster: ClusterNode,
        patterns: SharedPatterns,
        rng: random.Random | None = None,
    ) -> None:
        self._letter = self._wanted = letter
        self._provided = provided
        self._membership = cluster.membership
        self._directory = directory = cluster.directory
        self._peers = peers = cluster.peers
        self._patterns = patterns
        self._random = rng if rng is not None else random.Random()
        self._time_slices = TimeSlices(cluster.clock)
        self._names: dict[OwnedPartition, _Names] = {}
        self._members: Collection[str] = ()
        # The number of the latest search, or ask.
        self._latest = 0
        # The names about which something may have to be done.
        self._due: OrderedDict[tuple[OwnedPartition, str], None] = OrderedDict()
        self._working = False
        self._new_listeners = False
        self._walking = False
        self._repeats: Repeats[tuple[OwnedPartition, str]] = Repeats(
            cluster.settings.lease_interval, cluster.clock, self._repeat
        )
        for kind in (self._wanted, provided):
            directory.observe_owned(kind, self._look)
        place = (number, number)
        peers.handle(self._kind(UNPROVIDED), (list_of(row(*place, number, text)),), self._answered)
        peers.handle(self._kind(AGAIN), (list_of(row(*place, text)),), self._asked_again)
        peers.handle(self._kind(REST), (list_of(row(*place, text)),), self._asked_to_rest)
        peers.handle(self._kind(LOST), (), self._bus_was_lost)
        cluster.bus.observe(_do_nothing, self._bus_is_back)
        patterns.observe(new_listener=self._listeners_came)
        cluster.membership.observe(self._membership_changed)

    def stop(self) -> None:
        """
        Ask no node any more.
        """
        self._time_slices.stop()
        self._repeats.stop()

    def _kind(self, kind: str) -> str:
        return f"{kind}.{self._letter}"

    # -- names about which something may have to be done

    def _look(self, partition: OwnedPartition, name: str) -> None:
        self._due[partition, name] = None
        if not self._working:
            self._working = True
            self._time_slices.do(self._work())

    def _work(self) -> Iterator[None]:
        try:
            while self._due:
                (partition, name), _ = self._due.popitem(last=False)
                self._decide(partition, name)
                yield
        finally:
            self._working = False

    def _repeat(self, place: tuple[OwnedPartition, str]) -> None:
        """
        A node was asked, or told to end, and it has not answered.
        """
        partition, name = place
        search = self._search_of(partition, name)
        if search is not None and search.node is not None and self._may_decide(partition):
            if search.node in self._members and not partition.is_silent(search.node):
                search.repeated += 1
                self._send_search(partition, name, search)
                return
            search.node = None
        self._look(partition, name)

    def _listeners_came(self) -> None:
        self._new_listeners = True
        if not self._walking:
            self._walking = True
            self._time_slices.do(self._walk())

    def _walk(self) -> Iterator[None]:
        """
        Go on with the searches that have asked all nodes.
        """
        try:
            while self._new_listeners:
                self._new_listeners = False
                for partition, names in list(self._names.items()):
                    for name in [name for name, search in names.searches.items() if search.node is None]:
                        self._decide(partition, name)
                        yield
        finally:
            self._walking = False

    def _membership_changed(self) -> None:
        for partition in [each for each in self._names if self._directory.owned(each.number) is not each]:
            del self._names[partition]
        members = self._membership.members
        if self._members == members:
            return
        self._members = dict.fromkeys(members)
        self._time_slices.do(self._go_on_without())

    def _go_on_without(self) -> Iterator[None]:
        """
        Go on with the searches that have asked a node that is no member any more.
        """
        for partition, names in list(self._names.items()):
            for name, search in list(names.searches.items()):
                if search.node is not None and search.node not in self._members:
                    self._look(partition, name)
                yield

    # -- one name

    def _may_decide(self, partition: OwnedPartition) -> bool:
        return self._directory.owned(partition.number) is partition and self._membership.may_decide(partition.number)

    def _search_of(self, partition: OwnedPartition, name: str) -> _Search | None:
        names = self._names.get(partition)
        return None if names is None else names.searches.get(name)

    def _decide(self, partition: OwnedPartition, name: str) -> None:
        if self._directory.owned(partition.number) is not partition:
            return
        if not self._may_decide(partition):
            self._repeats.add((partition, name))
            return
        names = self._names.get(partition)
        if names is None:
            names = self._names[partition] = _Names()
        providers = partition.holders(self._provided + name)
        wanted = partition.holders(self._wanted + name)
        for node in islice(providers, 1, None):
            self._send_end(partition, name, node)
            self._repeats.add((partition, name))
        if providers or not wanted:
            if len(providers) < 2:
                self._repeats.remove((partition, name))
            if names.resting.get(name) not in providers:
                names.resting.pop(name, None)
            self._end(partition, name, names.searches.pop(name, None), providers)
            return
        if not partition.is_complete:
            return
        search = names.searches.get(name)
        if search is None:
            search = names.searches[name] = _Search(self._next())
            search.rests_for = names.resting.pop(name, None)
            if search.rests_for is not None:
                search.tried = self._patterns.listeners(name)
        if search.rests_for is not None and list(wanted) != [search.rests_for]:
            search.wake()
        if search.node not in self._members:
            self._ask_next(partition, name, search, next(iter(wanted)))

    def _end(self, partition: OwnedPartition, name: str, search: _Search | None, providers: Collection[str]) -> None:
        if search is not None:
            asked = [] if search.node is None or search.node in search.tried else [search.node]
            for node in [*asked, *search.tried]:
                if node in self._members and node not in providers:
                    self._send_end(partition, name, node)

    def _ask_next(self, partition: OwnedPartition, name: str, search: _Search, first: str) -> None:
        search.node = None
        tried = search.tried
        found = self._patterns.listeners(name)
        nodes = [node for node, latest in found.items() if latest > tried.get(node, 0) and node in self._members]
        if not nodes:
            return
        heard = [node for node in nodes if not partition.is_silent(node)]
        if not heard:
            self._repeats.add((partition, name))
            return
        search.node = first if first in heard else self._random.choice(heard)
        search.ask, search.repeated = self._next(), 0
        self._send_search(partition, name, search)

    def _next(self) -> int:
        self._latest += 1
        return self._latest

    # -- messages to nodes

    def _send_search(self, partition: OwnedPartition, name: str, search: _Search) -> None:
        node = search.node
        assert node is not None
        others = any(holder != node for holder in partition.holders(self._wanted + name))
        place = [partition.number, partition.token]
        self._peers.send_row(node, self._kind(SEARCH), [*place, search.number, search.ask, name, others])
        self._repeats.add((partition, name), search.repeated)

    def _send_end(self, partition: OwnedPartition, name: str, node: str) -> None:
        self._peers.send_row(node, self._kind(END), [partition.number, partition.token, name])

    # -- messages from nodes

    def _answered(self, sender: str, rows: list[tuple[int, int, int, str]]) -> None:
        for place, token, ask, name in rows:
            partition, search = self._known(place, token, name)
            if partition is not None and search is not None and search.node == sender and search.ask == ask:
                search.node = None
                self._repeats.remove((partition, name))
                # What the node has told of its listeners before this answer has arrived before it.
                search.tried[sender] = self._patterns.listeners(name).get(sender, 0)
                self._look(partition, name)

    def _asked_again(self, sender: str, rows: list[tuple[int, int, str]]) -> None:
        for place, token, name in rows:
            partition, search = self._known(place, token, name)
            if partition is None:
                continue
            if search is None:
                if sender not in partition.holders(self._provided + name):
                    self._send_end(partition, name, sender)
            elif search.node != sender:
                search.wake()
                search.tried.pop(sender, None)
                self._look(partition, name)

    def _asked_to_rest(self, sender: str, rows: list[tuple[int, int, str]]) -> None:
        for place, token, name in rows:
            partition, _ = self._known(place, token, name)
            if partition is not None and sender in partition.holders(self._provided + name):
                names = self._names.get(partition)
                if names is None:
                    names = self._names[partition] = _Names()
                names.resting[name] = sender

    def _bus_is_back(self) -> None:
        self._peers.send_all([self._kind(LOST)])

    def _bus_was_lost(self, sender: str) -> None:
        node = None if sender == self._membership.node else sender
        self._time_slices.do(self._repeat_soon(node))

    def _repeat_soon(self, node: str | None) -> Iterator[None]:
        """
        Repeat the asks to a node as if they were the first ones; C{None}: to all nodes.
        """
        for partition, names in list(self._names.items()):
            for name, search in list(names.searches.items()):
                if search.repeated and search.node is not None and node in (None, search.node):
                    search.repeated = 0
                    self._repeats.remove((partition, name))
                    self._repeats.add((partition, name))
                yield

    def _known(self, place: int, token: int, name: str) -> tuple[OwnedPartition | None, _Search | None]:
        partition = self._directory.owned(place)
        if partition is None or partition.token != token:
            return None, None
        return partition, self._search_of(partition, name)


def _do_nothing() -> None:
    """
    What is sent while the bus is lost is repeated when it is back.
    """
