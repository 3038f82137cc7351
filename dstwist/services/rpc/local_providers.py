"""
The clients of this node that provide procedures.

===============  ==================  ================================================================================
from client      fields              effect
===============  ==================  ================================================================================
PROVIDE          names               see L{dstwist.routing.subscription_requests}, with MULTIPLE_PROVIDERS
UNPROVIDE        names               see L{dstwist.routing.subscription_requests}
===============  ==================  ================================================================================
"""

from __future__ import annotations

from collections.abc import Callable

from dstwist.interfaces import IRequester, Work
from dstwist.protocol.message import Message
from dstwist.routing.subscriptions import SubscriptionRegistry
from dstwist.services.rpc.calls import LocalProvider


class LocalProviders:
    """
    The providers of this node, by name.

    @param left: called with each provider whose connection has closed.
    @ivar by_connection: the providers.
    """

    def __init__(self, subscriptions: SubscriptionRegistry, left: Callable[[LocalProvider], object]) -> None:
        self._subscriptions = subscriptions
        self._left = left
        self.by_connection: dict[IRequester, LocalProvider] = {}
        # The providers by name: those that were looked up since the last change of any provider.
        self._found: dict[str, list[LocalProvider]] = {}
        subscriptions.on_revoke(lambda name, connection: self._found.clear())

    def find(self, name: str) -> list[LocalProvider]:
        """
        The providers of the procedure C{name}. The caller does not change the list.
        """
        providers = self._found.get(name)
        if providers is None:
            providers = [self.by_connection[connection] for connection in self._subscriptions.subscribers(name)]
            if providers:
                self._found[name] = providers
        return providers

    def provide(self, message: Message, sender: IRequester) -> None:
        """
        C{sender} provides the procedures of C{message}.
        """
        sender.do(self._providing(message, sender))

    def unprovide(self, message: Message, sender: IRequester) -> None:
        """
        C{sender} provides them no more. It keeps the calls that it has: its next message may answer one of them.
        """
        sender.do(self._unproviding(message, sender))

    def stop(self) -> None:
        """
        Forget all providers.
        """
        self.by_connection.clear()
        self._found.clear()

    def _providing(self, message: Message, sender: IRequester) -> Work:
        for _ in self._subscriptions.subscribing(message, sender):
            self._changed(sender)
            yield None
        if message.names:
            self._changed(sender)

    def _changed(self, sender: IRequester) -> None:
        """
        C{sender} provides more than before.
        """
        self._found.clear()
        if sender not in self.by_connection and not sender.closed:
            self.by_connection[sender] = LocalProvider(sender, self._subscriptions.is_subscribed)
            # This callback is registered after that of the registry, and so is called when the registry has already
            # removed the connection.
            sender.on_close(self._closed)

    def _unproviding(self, message: Message, sender: IRequester) -> Work:
        for _ in self._subscriptions.unsubscribing(message, sender):
            self._found.clear()
            yield None
        self._found.clear()

    def _closed(self, connection: IRequester) -> None:
        self._found.clear()
        provider = self.by_connection.pop(connection, None)
        if provider is not None:
            self._left(provider)
