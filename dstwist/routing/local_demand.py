"""
The demand of a node without others: its own subscribers make a name wanted, and it begins each search by itself.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred

from dstwist.routing.new_listeners import NewListeners
from dstwist.routing.provider_assignment import ProviderAssignment
from dstwist.routing.subscriptions import SubscriptionRegistry


class LocalDemand:
    """
    Provides L{dstwist.routing.demand.Demand}.
    """

    elsewhere: Callable[[str], bool] | None = None
    provider_changed: Callable[[str, bool], object] | None = None
    wait: Callable[[str], Deferred[None] | None] | None = None

    def __init__(self, subscriptions: SubscriptionRegistry) -> None:
        self._subscriptions = subscriptions
        self.wants = subscriptions.__contains__

    def begin(self, assignment: ProviderAssignment) -> None:
        """
        Begin, with the searches and the providers of this node.
        """
        subscriptions = self._subscriptions
        self.search = assignment.search
        self.provided = assignment.providers.__contains__
        new_listeners = NewListeners(
            assignment.time_slices,
            subscriptions,
            assignment.is_idle,
            assignment.rematch.tried_up_to,
            assignment.searches.start,
        )
        self.listens = new_listeners.add
        self.ends = new_listeners.remove
        subscriptions.observe(assignment.search, assignment.forget)
        subscriptions.observe_few(assignment.joined, assignment.left)

    def not_found(self, name: str) -> None:
        """
        The name is searched for again at the next rematch.
        """

    def stop(self) -> None:
        """
        The assignment stops all that has begun.
        """
