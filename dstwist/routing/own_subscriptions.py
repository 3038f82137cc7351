"""
Listeners of v2 and v3 that are the only subscribers of a name.

Such a client subscribes to the records that it provides, in order to write to them. Its own subscription would keep the
name in use for ever, so it does not count for the listener itself (as in deepstream 2.x)::

    X subscribes       L is asked, accepts, and subscribes as well
    X leaves           L is told to stop; no other listener is asked now
    L unsubscribes     the name has no subscriber
    or: Y subscribes   a provider is looked for again among all, and L may be asked

For other listeners the subscription of L counts. They are asked in a search that has already begun, and otherwise at
the next rematch. If they were asked at once, two listeners could make each other providers in turn without end.
"""

from __future__ import annotations

from dstwist.interfaces import IConnection
from dstwist.routing.subscriptions import SubscriptionRegistry


class OwnSubscriptions:
    """
    The names about which a listener was not asked because it is the only subscriber.
    """

    def __init__(self, subscriptions: SubscriptionRegistry) -> None:
        self._subscriptions = subscriptions
        self._passed_over: dict[str, IConnection] = {}

    def only(self, name: str, listener: IConnection) -> bool:
        """
        Whether C{listener} is the only subscriber of C{name}, and does not count itself.
        """
        return not listener.dialect.counts_own_subscriptions and self._subscriptions.is_only(name, listener)

    def pass_over(self, name: str, listener: IConnection) -> None:
        """
        C{listener} provides C{name} no longer, or is not asked about it.
        """
        self._passed_over[name] = listener

    def forget(self, name: str) -> IConnection | None:
        """
        The listener that was not asked about C{name}, if there is one. It is forgotten.
        """
        return self._passed_over.pop(name, None)
