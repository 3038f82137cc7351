"""
Listeners of v2 and v3 that are the only subscribers of a name.

Such a client subscribes to the records that it provides, in order to write to them. Its own subscription would keep the
name in use for ever, so the subscription does not count for the listener itself (as in deepstream 2.x). Here L is the
listener, and X and Y are other clients::

    X subscribes       L is offered the name, accepts, and subscribes as well
    X leaves           L is told to stop; no other listener is offered the name now
    L unsubscribes     the name has no subscriber
    or: Y subscribes   all listeners are tried again, and L may be offered the name

In a cluster, the subscribers of all nodes count, as far as the node of the listener knows of them
(L{dstwist.routing.cluster_demand}).

The subscription of L counts for other listeners: they may be offered the name. A search that has already begun offers
it to them; otherwise the next rematch does. If the name were offered to them as soon as X leaves, two listeners could
make each other providers in turn without end.
"""

from __future__ import annotations

from collections.abc import Callable

from dstwist.interfaces import IRequester
from dstwist.routing.subscriptions import SubscriptionRegistry


class SoleSubscribers:
    """
    The names that were not offered to a listener because it is the only subscriber.

    @param elsewhere: whether a name has subscribers on other nodes; C{None} if there are no other nodes.
    """

    def __init__(self, subscriptions: SubscriptionRegistry, elsewhere: Callable[[str], bool] | None = None) -> None:
        self._subscriptions = subscriptions
        self._elsewhere = elsewhere
        self._passed_over: dict[str, IRequester] = {}

    def only(self, name: str, listener: IRequester) -> bool:
        """
        Whether C{listener} is the only subscriber of C{name}, and its subscription does not count.
        """
        return (
            not listener.dialect.counts_own_subscriptions
            and self._subscriptions.is_only(name, listener)
            and (self._elsewhere is None or not self._elsewhere(name))
        )

    def pass_over(self, name: str, listener: IRequester) -> None:
        """
        C{listener} provides C{name} no longer, or is not offered it.
        """
        self._passed_over[name] = listener

    def forget(self, name: str) -> IRequester | None:
        """
        Forget the listener that was passed over for C{name}.

        @return: that listener; C{None} if there was none.
        """
        return self._passed_over.pop(name, None)
