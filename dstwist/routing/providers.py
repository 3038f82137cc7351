"""
The providers of the names of a topic: tells subscribers whether their name has a provider, and providers to stop.
"""

from __future__ import annotations

from collections.abc import Callable

from dstwist.log import Logger, about
from dstwist.protocol.constants import ACTIONS, Topic
from dstwist.protocol.message import Message
from dstwist.routing.registrations import Registration
from dstwist.routing.subscriptions import SubscriptionRegistry


class Providers:
    """
    The providers of one topic: the registration that has accepted, by name.

    @param announce: tell subscribers when their name gets or loses its provider.
    @param changed: called with each name that has got a provider, or lost it, and whether it has one now.
    """

    _log = Logger()

    def __init__(
        self,
        topic: Topic,
        subscriptions: SubscriptionRegistry,
        announce: bool,
        changed: Callable[[str, bool], object] | None = None,
    ) -> None:
        self._topic = topic
        self._actions = ACTIONS[topic]
        self._publish = subscriptions.publish
        self._announces = announce
        self._changed = changed
        self._names: dict[str, Registration] = {}

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def get(self, name: str) -> Registration | None:
        return self._names.get(name)

    def add(self, name: str, registration: Registration) -> None:
        """
        C{registration} provides C{name} from now on.
        """
        self._names[name] = registration
        registration.provides[name] = None
        if self._changed is not None:
            self._changed(name, True)
        self._announce(name, "SUBSCRIPTION_HAS_PROVIDER")

    def release(self, name: str) -> None:
        """
        C{name} has no subscriber any more. Tell its provider, if it has one, to stop.
        """
        provider = self._names.pop(name, None)
        if provider is not None:
            del provider.provides[name]
            if self._changed is not None:
                self._changed(name, False)
            if provider.notified:
                self.tell_to_stop(provider, name)

    def remove(self, name: str) -> None:
        """
        Tell the provider of C{name} to stop, as L{release} does, and tell the subscribers that C{name} has no provider.
        """
        self.release(name)
        self._announce(name, "SUBSCRIPTION_HAS_NO_PROVIDER")

    def tell_to_stop(self, registration: Registration, name: str) -> None:
        """
        Tell the client of C{registration} to provide C{name} no longer.
        """
        action = self._actions["SUBSCRIPTION_FOR_PATTERN_REMOVED"]
        registration.connection.send(Message(self._topic, action, name=registration.pattern.text, subscription=name))

    def log_stopped(self, leaving: list[Registration]) -> None:
        """
        Log the names that C{leaving}, registrations of one connection, no longer provide.
        """
        count = sum(len(registration.provides) for registration in leaving)
        if not count:
            return
        # One message of a client must cause only one line.
        what = "{topic}:{name}" if count == 1 else "{count} names of {topic}"
        self._log.info(
            f"LISTEN_PROVIDER_STOPPED | listen provider has stopped for {what}: {{client}}",
            topic=self._topic.name,
            name=next(name for registration in leaving for name in registration.provides),
            count=count,
            event="LISTEN_PROVIDER_STOPPED",
            **about(leaving[0].connection),
        )

    def _announce(self, name: str, action: str) -> None:
        if self._announces:
            self._publish(Message(self._topic, self._actions[action], name=name))
