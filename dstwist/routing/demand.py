"""
Demand: which names want a provider, and what begins the searches for one.

=====================  ================================================================================================
L{.local_demand}       a node without others: its own subscribers make a name wanted, and it begins each search by
                       itself
L{.cluster_demand}     a node of a cluster: the subscribers of all nodes count, and the owner of a name has one node
                       search after the other
=====================  ================================================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from dstwist.routing.registrations import Registration


class Demand(Protocol):
    """
    The demand for the names of one topic.

    @ivar elsewhere: whether a name has subscribers on other nodes; C{None} if there are no other nodes.
    @ivar provider_changed: called with each name for which a listener of this node has become the provider, or is the
        provider no longer; C{None}: not called.
    """

    elsewhere: Callable[[str], bool] | None
    provider_changed: Callable[[str, bool], object] | None

    def wants(self, name: str) -> bool:
        """
        Whether C{name}, which no listener of this node provides or is offered, wants a provider.
        """

    def search(self, name: str) -> None:
        """
        All listeners of this node may be offered C{name} now: have them searched, if the name wants a provider.
        """

    def listens(self, registration: Registration) -> None:
        """
        A client has begun to listen: offer it the names that want a provider.
        """

    def ends(self, registration: Registration) -> None:
        """
        A client has ceased to listen.
        """

    def not_found(self, name: str) -> None:
        """
        A search for a provider of C{name} has ended in vain.
        """

    def stop(self) -> None:
        """
        Begin no search any more.
        """
