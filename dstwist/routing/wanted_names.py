"""
The names of one topic that the clients of this node want, in a cluster.

A name that has a subscriber here, and that a pattern of any node matches, is I{wanted}: this node holds it in the
directory (L{dstwist.cluster.directory}), so that its owner searches for a provider
(L{dstwist.cluster.node_searches}). If the subscribers are told whether their name has a provider, this node watches
that, too::

    the first subscriber comes, and a pattern matches; or a pattern comes that matches --> held, and watched
    the last subscriber leaves ---------------------------------------------------------> neither
    no pattern matches any more, for some time, and the name has no provider -----------> neither

A name with subscribers for which there is no room when its first pattern comes waits: every L{RETRY_SECONDS} this node
looks whether there is room.

Always true: subscribers are told SUBSCRIPTION_HAS_PROVIDER and SUBSCRIPTION_HAS_NO_PROVIDER in turns, as on a single
node. If a name goes from one provider to another, they may be told nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from dstwist.cluster.digest import State
from dstwist.cluster.node import ClusterNode
from dstwist.cluster.shared_patterns import SharedPatterns
from dstwist.limits.lingering import LingeringNames
from dstwist.log import Logger
from dstwist.protocol.constants import ACTIONS, Topic
from dstwist.protocol.message import Message
from dstwist.routing.subscriptions import SubscriptionRegistry
from dstwist.scheduling.deadlines import Deadlines
from dstwist.scheduling.time_slices import TimeSlices

#: How often this node looks whether there is room for the names that wait for it, in seconds.
RETRY_SECONDS = 10.0


class WantedNames:
    """
    The wanted names of one topic.

    @param wanted: the kind of wanted names in the directory.
    @param provided: that of provided names.
    @param announce: tell subscribers when their name gets or loses its provider.
    """

    _log = Logger()

    def __init__(
        self,
        topic: Topic,
        subscriptions: SubscriptionRegistry,
        wanted: str,
        provided: str,
        cluster: ClusterNode,
        patterns: SharedPatterns,
        announce: bool,
    ) -> None:
        self._topic = topic
        self._actions = ACTIONS[topic]
        self._subscriptions = subscriptions
        self._wanted_kind = wanted
        self._provided_kind = provided
        self._bus = cluster.bus
        self._clock = cluster.clock
        self._settings = cluster.settings
        self._directory = directory = cluster.directory
        self._patterns = patterns
        self._announces = announce
        self._time_slices = TimeSlices(cluster.clock)
        # A dict keeps the order, so that a simulation can be repeated.
        self._names: dict[str, None] = {}
        # The names that a pattern matches, and for which there was no room. Each of them has a subscriber.
        self._without_room: dict[str, None] = {}
        # The names with a provider, as the subscribers were told.
        self._provided: set[str] = set()
        # The names that are watched because a client is about to subscribe.
        self._expected = LingeringNames(cluster.settings.linger, cluster.clock, self._not_subscribed)
        # Those who wait until it is known whether a name has a provider.
        self._waiting: dict[str, list[Deferred[None]]] = {}
        self._deadlines: Deadlines[tuple[str, Deferred[None]]] = Deadlines(
            cluster.settings.subscribe_timeout, cluster.clock, self._timed_out
        )
        self._new_patterns = False
        self._walking = False
        self._sweep_call: IDelayedCall | None = None
        # The next look at the names without room. It stays set until all of them have been looked at.
        self._retry_call: IDelayedCall | None = None
        self._stopped = False
        subscriptions.bound_names(self._may_want, directory.most_bytes)
        subscriptions.observe(self._first, self._last)
        patterns.observe(new_pattern=self._patterns_came, gone_pattern=self._pattern_gone)
        directory.on_told(provided, self._told)

    def provided(self, name: str) -> bool:
        """
        Whether C{name}, which has a subscriber here, has a provider, as far as this node knows.
        """
        return name in self._provided

    def wait(self, name: str) -> Deferred[None] | None:
        """
        Wait until it is known whether C{name} has a provider. A client is about to subscribe to it, and is to be told
        of the provider before the record. Only if subscribers are told.

        @return: fires when that is known, or after C{subscribeTimeout}; C{None}: at once.
        """
        if self._bus.is_lost or self._directory.state(self._provided_kind, name) is not None:
            return None
        if name not in self._names:
            if not self._patterns.matches(name):
                return None
            if name not in self._expected:
                self._expected.add(name)
                self._directory.watch(self._provided_kind, name)
        waiter: Deferred[None] = Deferred()
        self._waiting.setdefault(name, []).append(waiter)
        self._deadlines.add((name, waiter))
        return waiter

    def stop(self) -> None:
        """
        Report no names any more. Those who wait go on.
        """
        self._stopped = True
        self._time_slices.stop()
        self._deadlines.stop()
        self._expected.stop()
        for call in (self._sweep_call, self._retry_call):
            if call is not None and call.active():
                call.cancel()
        for name in list(self._waiting):
            self._go_on(name)

    # -- subscribers

    def _may_want(self, name: str) -> bool:
        """
        Whether there is room for C{name}, if it is going to be wanted.
        """
        return self._directory.has_room(self._wanted_kind, name) or not self._patterns.matches(name)

    def _first(self, name: str) -> None:
        if name not in self._names and self._patterns.matches(name):
            self._want(name)

    def _last(self, name: str) -> None:
        self._without_room.pop(name, None)
        if name in self._names:
            self._unwant(name)

    def _want(self, name: str) -> None:
        self._without_room.pop(name, None)
        self._names[name] = None
        self._directory.hold(self._wanted_kind, name)
        if self._announces:
            self._directory.watch(self._provided_kind, name)
            state = self._directory.state(self._provided_kind, name)
            if state is not None and state[0]:
                # The first subscriber is told when it has subscribed, as all later ones.
                self._provided.add(name)

    def _unwant(self, name: str) -> None:
        self._names.pop(name, None)
        self._provided.discard(name)
        self._directory.release(self._wanted_kind, name)
        if self._announces:
            self._directory.unwatch(self._provided_kind, name)
        self._go_on(name)

    # -- patterns

    def _patterns_came(self) -> None:
        self._new_patterns = True
        if not self._walking and not self._stopped:
            self._walking = True
            self._time_slices.do(self._walk())

    def _walk(self) -> Iterator[None]:
        """
        Report the names that match a pattern now.
        """
        try:
            while self._new_patterns:
                self._new_patterns = False
                for name in list(self._subscriptions.names()):
                    if name not in self._names and name in self._subscriptions and self._patterns.matches(name):
                        if self._directory.has_room(self._wanted_kind, name):
                            self._want(name)
                        else:
                            self._without_room[name] = None
                            self._log_no_room()
                            self._retry_soon()
                    yield
        finally:
            self._walking = False

    def _retry_soon(self) -> None:
        if self._retry_call is None and not self._stopped:
            self._retry_call = self._clock.callLater(RETRY_SECONDS, self._retry_later)

    def _retry_later(self) -> None:
        self._time_slices.do(self._retry())

    def _retry(self) -> Iterator[None]:
        """
        Report the names for which there is room now.
        """
        for name in list(self._without_room):
            if name in self._without_room and self._directory.has_room(self._wanted_kind, name):
                if self._patterns.matches(name):
                    self._want(name)
                else:
                    # If a pattern comes that matches it, all names are looked at.
                    del self._without_room[name]
            yield
        self._retry_call = None
        if self._without_room:
            self._retry_soon()

    def _log_no_room(self) -> None:
        self._log.warn(
            "LIMIT_EXCEEDED | maxSubscriptionBytes: names of {topic} are not offered to listeners: their clients want "
            "more than {limit} bytes of names, in one partition of the cluster",
            topic=self._topic.name,
            limit=self._directory.most_bytes,
            event="LIMIT_EXCEEDED",
            once=f"not offered {self._topic.name}",
        )

    def _pattern_gone(self) -> None:
        # A listener that reconnects, or a node that was found dead by mistake, has the same patterns again soon.
        if self._sweep_call is None and not self._stopped:
            self._sweep_call = self._clock.callLater(self._settings.linger, self._sweep_later)

    def _sweep_later(self) -> None:
        self._sweep_call = None
        self._time_slices.do(self._sweep())

    def _sweep(self) -> Iterator[None]:
        """
        Report the names no longer that match no pattern any more.
        """
        for name in list(self._names):
            # A name that has a provider, which is about to leave, goes when that is told.
            if name in self._names and name not in self._provided and not self._patterns.matches(name):
                self._unwant(name)
            yield

    # -- providers

    def _told(self, name: str, state: State) -> None:
        there = state[0]
        if name in self._names and there is not (name in self._provided):
            if there:
                self._provided.add(name)
            else:
                self._provided.discard(name)
            action = "SUBSCRIPTION_HAS_PROVIDER" if there else "SUBSCRIPTION_HAS_NO_PROVIDER"
            self._subscriptions.publish(Message(self._topic, self._actions[action], name=name))
            if not there and not self._patterns.matches(name):
                self._pattern_gone()
        self._go_on(name)

    def _not_subscribed(self, name: str) -> None:
        """
        A client has subscribed to C{name} since it was expected to, or will not do so.
        """
        if name not in self._names:
            self._directory.unwatch(self._provided_kind, name)

    def _timed_out(self, waiting: tuple[str, Deferred[None]]) -> None:
        name, waiter = waiting
        waiters = self._waiting[name]
        waiters.remove(waiter)
        if not waiters:
            del self._waiting[name]
        waiter.callback(None)

    def _go_on(self, name: str) -> None:
        for waiter in self._waiting.pop(name, ()):
            self._deadlines.remove((name, waiter))
            waiter.callback(None)
