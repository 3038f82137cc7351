"""
Buses over a Redis that does what a test says, without a network.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.task import Clock

from dstwist.cluster.bus_redis import RedisBus
from dstwist.config.cluster import ClusterSettings
from dstwist.config.redis import RedisBusSettings
from dstwist.redis.link import RedisLink
from dstwist.redis.subscriber import Subscriber
from tests.cluster.bus_contract import BusTestCase
from tests.redis.stage import FACTS, Command, Endpoint, KnownPrimary, Peer, greeted


class Server:
    """
    A Redis with channels.

    @ivar channels: the subscribers of each channel.
    @ivar commands: all commands about channels that have come.
    @ivar refusals: the errors with which it answers single commands, by their first word.
    @ivar ignored: the first words of commands that it does not answer.
    @ivar silent: the connections that it does not read.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.endpoints: list[Endpoint] = []
        self.channels: dict[bytes, list[Peer]] = {}
        self.commands: list[Command] = []
        self.refusals: dict[bytes, Exception] = {}
        self.ignored: set[bytes] = set()
        self.silent: set[Peer] = set()

    def endpoint(self) -> Endpoint:
        """
        One more address of it.
        """
        self.endpoints.append(Endpoint())
        return self.endpoints[-1]

    def serve(self) -> None:
        """
        Answer until nothing is left to do.
        """
        busy = True
        while busy:
            busy = False
            self._clock.advance(0)
            for peer in [peer for endpoint in self.endpoints for peer in endpoint.peers]:
                if not peer.closed and peer not in self.silent:
                    for command in peer.take():
                        busy = True
                        self._execute(peer, command)

    def _execute(self, peer: Peer, command: Command) -> None:
        name, *words = command
        if name not in (b"PUBLISH", b"subscribe", b"unsubscribe"):
            peer.answer(greeted(command, FACTS, peer.number))
            return
        self.commands.append(command)
        if name in self.ignored:
            pass
        elif name in self.refusals:
            peer.answer(self.refusals[name])
        elif name == b"PUBLISH":
            channel, payload = words
            peer.answer(1)
            self.publish(channel, payload)
        else:
            for channel in words:
                subscribers = self.channels.setdefault(channel, [])
                if name == b"subscribe":
                    subscribers.append(peer)
                else:
                    subscribers.remove(peer)
                peer.answer([name, channel, 1])

    def publish(self, channel: bytes, payload: bytes) -> None:
        """
        Send a payload to the subscribers.
        """
        for peer in self.channels.get(channel, []):
            if not peer.closed and peer not in self.silent:
                peer.answer([b"message", channel, payload])


class ScriptedBusTestCase(BusTestCase):
    """
    A test with buses and with their Redis.

    @ivar endpoints: the address at which each bus reaches the server.
    """

    cluster = ClusterSettings()

    def setUp(self) -> None:
        self.clock = Clock()
        self.server = Server(self.clock)
        self.endpoints: dict[Any, Endpoint] = {}

    def make(self, **options: Any) -> RedisBus:
        settings = RedisBusSettings(**options)
        primary = KnownPrimary(self.server.endpoint())
        publisher = RedisLink(settings, self.clock, "dstwist-n1", primary, lambda: 1.0)
        window = self.cluster.subscribe_window
        subscriber = Subscriber(settings, self.clock, "dstwist-n1", primary, window, lambda: 1.0)
        bus = RedisBus(publisher, subscriber, settings, self.cluster, self.clock)
        self.endpoints[bus] = primary.endpoint
        return bus

    def until(self, true: Callable[[], bool]) -> None:
        self.server.serve()
        while not true():
            assert self.clock.seconds() < 1000, "it does not happen"
            self.pass_time(0.01)

    def pass_time(self, seconds: float) -> None:
        """
        Let time pass in small steps. The server works.
        """
        for _ in range(round(seconds / 0.01)):
            self.clock.advance(0.01)
            self.server.serve()

    def disconnect(self, bus: Any) -> None:
        self.endpoints[bus].refuses = "refused"
        for peer in self.endpoints[bus].peers:
            peer.close()

    def reconnect(self, bus: Any) -> None:
        self.endpoints[bus].refuses = None


class StartedBusTestCase(ScriptedBusTestCase):
    """
    A test with two buses that have started.
    """

    def setUp(self) -> None:
        super().setUp()
        self.start_both()
        self.server.commands.clear()

    def peers(self, bus: Any) -> tuple[Peer, Peer]:
        """
        The connections of a bus: the one that publishes, and the one that subscribes.
        """
        publisher, subscriber = [peer for peer in self.endpoints[bus].peers if not peer.closed]
        return publisher, subscriber

    def probe_channel(self, subscriber: Peer) -> bytes:
        """
        The channel of the probes of a bus.
        """
        (channel,) = [
            channel
            for channel, peers in self.server.channels.items()
            if peers == [subscriber] and channel.startswith(b"!p")
        ]
        return channel
