"""
The demand of a node of a cluster: the subscribers of all nodes make a name wanted, and its owner asks one node after
the other for a provider.

==========================================  ===========================================================================
L{dstwist.cluster.shared_patterns}          tells all nodes the patterns of the listeners
L{dstwist.routing.wanted_names}             reports the names that the subscribers of this node want
L{dstwist.cluster.node_searches}            asks the nodes, if this node is the owner of a name
this module                                 answers the owner, if this node is asked
==========================================  ===========================================================================

When this node is asked about a name, it offers the name to its own listeners, as a single node does
(L{dstwist.routing.topic_searches}). If one accepts, this node holds the name in the directory as provided; that is the
answer. Otherwise it says so::

    asked --> searching --a listener accepts--> provides: holds the name
                 |                                 |
                 |no listener is left              |the listener leaves, or has to stop
                 v                                 v
              unprovided: the owner is told     releases the name: the owner sees that it has no provider

    asked again                       the same answer: only listeners that have come since are offered the name
    told to end                       the search ends; the provider is told to stop
    the name is wanted by no node     the same
    the next rematch is due           the owner is told that this node may be asked again

This node watches each name that it was asked about, or provides, until no node wants it: so the directory tells it when
to end, whatever message was lost.

A listener that answers late provides the name, unless this node offers it to another listener. If the name has another
provider, or is not wanted any more, the owner or the directory says so, and the listener is told to stop.

Listeners of v2 and v3 (L{dstwist.routing.sole_subscribers}): this node knows from the owner whether another node has
subscribers, and hears of changes a little later. Such a listener may be offered the name in that time, and told to stop
then.

The permission to hear of a name, the rematch interval and the cool-down are those of the node of the listener.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred

from dstwist.cluster import node_searches as messages
from dstwist.cluster.digest import State
from dstwist.cluster.fields import flag, list_of, number, row, text
from dstwist.cluster.kinds import EVENT, PROVIDED_EVENT, PROVIDED_RECORD, RECORD
from dstwist.cluster.node import ClusterNode
from dstwist.cluster.node_searches import NodeSearches
from dstwist.cluster.shared_patterns import SharedPatterns
from dstwist.cluster.table import partition_of
from dstwist.config.settings import ListenSettings
from dstwist.protocol.constants import Topic
from dstwist.routing.provider_assignment import ProviderAssignment
from dstwist.routing.registrations import Registration
from dstwist.routing.subscriptions import SubscriptionRegistry
from dstwist.routing.wanted_names import WantedNames
from dstwist.scheduling.time_slices import TimeSlices

#: The kinds of wanted names and of provided names, by topic.
KINDS = {Topic.EVENT: (EVENT, PROVIDED_EVENT), Topic.RECORD: (RECORD, PROVIDED_RECORD)}


@dataclass(slots=True)
class _Involvement:
    """
    A name that this node was asked about, or provides.

    @ivar others: whether another node wants the name.
    @ivar told: how many items of rows had arrived when the directory has told that last.
    @ivar owner: the node that asked last; C{None}: none has.
    @ivar place: the partition and its token.
    @ivar search: the number of the search.
    @ivar ask: the number of the ask.
    """

    others: bool = False
    told: int = 0
    owner: str | None = None
    place: tuple[int, int] = (0, 0)
    search: int = 0
    ask: int = 0


class ClusterDemand:
    """
    Provides L{dstwist.routing.demand.Demand}.

    @param announce: tell subscribers when their name gets or loses its provider.
    """

    def __init__(
        self,
        topic: Topic,
        subscriptions: SubscriptionRegistry,
        settings: ListenSettings,
        cluster: ClusterNode,
        announce: bool,
    ) -> None:
        self._subscriptions = subscriptions
        self._membership = cluster.membership
        self._directory = directory = cluster.directory
        self._peers = cluster.peers
        self._partitions = cluster.settings.partitions
        self._time_slices = TimeSlices(cluster.clock)
        self._wanted, self._provided = KINDS[topic]
        self._letter = letter = self._wanted
        self._involved: dict[str, _Involvement] = {}
        # The rows of the owners that are still to be served, in the order in which they came, each with the number of
        # its item.
        self._rows: deque[tuple[Callable[..., None], str, list[Any], int]] = deque()
        self._arrived = 0
        self._serving = False
        self.provider_changed: Callable[[str, bool], object] | None = self._provider_changed
        self.elsewhere: Callable[[str], bool] | None = self._is_wanted_elsewhere

        self._patterns = SharedPatterns(letter, cluster, settings.max_pattern_length)
        self._searches = NodeSearches(letter, self._provided, cluster, self._patterns)
        self._names = names = WantedNames(
            topic, subscriptions, self._wanted, self._provided, cluster, self._patterns, announce
        )
        self.provided = names.provided
        self.wait: Callable[[str], Deferred[None] | None] | None = names.wait if announce else None
        directory.on_told(self._wanted, self._told)
        place = (number, number)
        self._handle(messages.SEARCH, row(*place, number, number, text, flag), self._asked)
        self._handle(messages.END, row(*place, text), self._told_to_end)

    def _handle(self, kind: str, fits: Callable[[Any], bool], serve: Callable[..., None]) -> None:
        self._peers.handle(f"{kind}.{self._letter}", (list_of(fits),), partial(self._add_rows, serve))

    def begin(self, assignment: ProviderAssignment) -> None:
        """
        Begin, with the searches and the providers of this node.
        """
        self._assignment = assignment
        self._subscriptions.observe_few(assignment.joined, self._left)

    def stop(self) -> None:
        """
        Send nothing any more.
        """
        self._time_slices.stop()
        self._patterns.stop()
        self._searches.stop()
        self._names.stop()

    # -- the demand

    def wants(self, name: str) -> bool:
        """
        C{True}: only the owner of C{name} knows, and says so if the name does not want a provider.
        """
        return True

    def search(self, name: str) -> None:
        """
        Tell the owner of C{name} that the listeners of this node may be offered it again.
        """
        # If this is lost, or the owner is not ready, it is due again at the next rematch.
        self._assignment.rematch.failed(name, 0)
        self._tell_owner(messages.AGAIN, name)

    def listens(self, registration: Registration) -> None:
        """
        Tell all nodes of the pattern; the owners of matching names ask this node then.
        """
        self._patterns.put(registration.pattern.text, registration.number)

    def ends(self, registration: Registration) -> None:
        """
        Tell all nodes, if this was the last registration for its pattern.
        """
        if not registration.pattern.registrations:
            self._patterns.remove(registration.pattern.text)

    def not_found(self, name: str) -> None:
        """
        Tell the owner of C{name} to ask the next node.
        """
        known = self._involved.get(name)
        if known is not None and known.owner is not None:
            self._send(known.owner, messages.UNPROVIDED, [*known.place, known.ask, name])

    def _provider_changed(self, name: str, is_provided: bool) -> None:
        if is_provided:
            self._involve(name)
            self._directory.hold(self._provided, name)
        else:
            self._directory.release(self._provided, name)

    def _tell_owner(self, kind: str, name: str) -> None:
        partition = partition_of(name, self._partitions)
        owner, token = self._membership.assignments[partition]
        if owner is not None:
            self._send(owner, kind, [partition, token, name])

    def _send(self, node: str, kind: str, fields: list[Any]) -> None:
        self._peers.send_row(node, f"{kind}.{self._letter}", fields)

    # -- from the owners

    def _add_rows(self, serve: Callable[..., None], owner: str, rows: list[list[Any]]) -> None:
        self._arrived += 1
        self._rows += [(serve, owner, fields, self._arrived) for fields in rows]
        if not self._serving:
            self._serving = True
            self._time_slices.do(self._serve())

    def _serve(self) -> Iterator[None]:
        try:
            while self._rows:
                serve, owner, (partition, token, *rest), arrived = self._rows.popleft()
                if partition < self._partitions and self._membership.heard(partition, owner, token):
                    serve(owner, arrived, (partition, token), *rest)
                yield
        finally:
            self._serving = False

    def _asked(
        self, owner: str, arrived: int, place: tuple[int, int], search: int, ask: int, name: str, others: bool
    ) -> None:
        assignment = self._assignment
        known = self._involve(name)
        # What the directory tells comes from the owner as well, in order. But it does not wait for its turn.
        if arrived > known.told:
            self._set_others(name, known, others)
        if (known.place, known.search) != (place, search):
            # The name was provided, or not wanted, since the last search; or it has another owner.
            assignment.rematch.forget(name)
        known.owner, known.place, known.search, known.ask = owner, place, search, ask
        if name in assignment.searches or name in assignment.providers:
            return
        if not assignment.searches.start(name, assignment.rematch.tried_up_to(name)):
            self.not_found(name)

    def _told_to_end(self, owner: str, arrived: int, place: tuple[int, int], name: str) -> None:
        self._assignment.forget(name)

    # -- the subscribers of all nodes

    def _involve(self, name: str) -> _Involvement:
        known = self._involved.get(name)
        if known is None:
            known = self._involved[name] = _Involvement()
            self._directory.watch(self._wanted, name)
        return known

    def _told(self, name: str, state: State) -> None:
        """
        The nodes that want C{name} have changed.
        """
        known = self._involved.get(name)
        if known is None:
            return
        there, holders = state
        if not there:
            del self._involved[name]
            self._directory.unwatch(self._wanted, name)
            self._assignment.forget(name)
            return
        known.told = self._arrived
        self._set_others(name, known, any(node != self._membership.node for node in holders))

    def _set_others(self, name: str, known: _Involvement, others: bool) -> None:
        if others is not known.others:
            known.others = others
            (self._assignment.joined if others else self._left)(name)

    def _is_wanted_elsewhere(self, name: str) -> bool:
        known = self._involved.get(name)
        return known is not None and known.others

    def _left(self, name: str) -> None:
        """
        C{name} has only one subscriber here, or none elsewhere.
        """
        provider = self._assignment.providers.get(name)
        if provider is not None and self._assignment.sole_subscribers.only(name, provider.connection):
            self._tell_owner(messages.REST, name)
        self._assignment.left(name)
