"""
Random histories of events on several nodes.
"""

from __future__ import annotations

import itertools
import random

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.cluster.bus_memory import MemoryBus
from dstwist.config.settings import ListenSettings
from dstwist.protocol.constants import EventAction, Topic
from dstwist.protocol.message import Message
from dstwist.routing.listeners import ListenerRegistry
from dstwist.routing.subscriptions import SubscriptionRegistry
from dstwist.services.event import EventService
from tests.cluster.stage import Stage
from tests.fakes import FakeConnection

NODES = 3
CLIENTS = 6
NAMES = ("a", "b", "c")
STEPS = 300
HISTORIES = 10

ACTIONS = (EventAction.SUBSCRIBE, EventAction.UNSUBSCRIBE, EventAction.EMIT, EventAction.EMIT)

#: The longest way over the bus, in seconds. A subscription is acknowledged in time on such a bus.
LONGEST = 0.2


class _Client:
    """
    A client that unsubscribes only from names that it is subscribed to, and emits numbers.

    @ivar since: when the subscription to a name was acknowledged; C{None}: it is not yet.
    @ivar got: the last number of each emitter under each name.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.node = number % NODES
        self.connection = FakeConnection(f"client {number}")
        self.since: dict[str, float | None] = {}
        self.requests: list[tuple[Message, str]] = []
        self.got: dict[tuple[int, str], int] = {}


class _Emitted:
    """
    An event that the clients in C{due} have to get until some time.
    """

    def __init__(self, client: int, name: str, number: int, due: dict[int, float]) -> None:
        self.key = (client, name)
        self.number = number
        self.due = due


class _History:
    """
    One history. It raises an L{AssertionError} if a promise is broken.
    """

    def __init__(self, tests: SynchronousTestCase, seed: int) -> None:
        self.rng = random.Random(seed)
        self.stage = Stage(tests, NODES)
        self.services = []
        for node in self.stage.nodes:
            subscriptions = SubscriptionRegistry(Topic.EVENT)
            listeners = ListenerRegistry(Topic.EVENT, subscriptions, ListenSettings(), Clock())
            self.services.append(EventService(subscriptions, listeners, node))
        self.stage.start()
        buses = self.stage.network.buses
        self.delays = {(one, two): self.rng.uniform(0, LONGEST) for one in buses for two in buses}
        tests.patch(self.stage.network, "travel_times", self.travel_times)
        self.clients = [_Client(number) for number in range(CLIENTS)]
        self.emitted: list[_Emitted] = []
        self.delivered = 0
        self.ids = itertools.count()

    def travel_times(self, sender: MemoryBus, receiver: MemoryBus) -> tuple[float]:
        return (self.delays[sender, receiver],)

    def run(self) -> None:
        for _ in range(STEPS):
            client, name = self.rng.choice(self.clients), self.rng.choice(NAMES)
            action = self.rng.choice(
                (EventAction.SUBSCRIBE, EventAction.UNSUBSCRIBE, EventAction.EMIT, EventAction.EMIT)
            )
            if action is EventAction.EMIT:
                self.emit(client, name)
            elif (action is EventAction.UNSUBSCRIBE) == (name in client.since):
                self.ask(client, action, name)
            self.advance(self.rng.choice((0, 0, 0.01, LONGEST)))
        self.advance(2 * LONGEST)
        assert not any(client.requests for client in self.clients), "a request was not answered"
        assert not any(event.due for event in self.emitted), "an event was lost"

    def ask(self, client: _Client, action: EventAction, name: str) -> None:
        request = Message(Topic.EVENT, action, names=(name,), correlation_id=str(next(self.ids)))
        if action is EventAction.SUBSCRIBE:
            client.since[name] = None
        else:
            del client.since[name]
            # Events that are on their way need not arrive any more.
            for event in self.emitted:
                if event.key[1] == name:
                    event.due.pop(client.number, None)
        client.requests.append((request, name))
        self.services[client.node].handle(request, client.connection)
        self.take()

    def emit(self, client: _Client, name: str) -> None:
        number = len(self.emitted)
        due = {
            other.number: self.stage.clock.now + LONGEST
            for other in self.clients
            if other is not client and other.since.get(name) is not None
        }
        self.emitted.append(_Emitted(client.number, name, number, due))
        event = Message(Topic.EVENT, EventAction.EMIT, name, b"[%d, %d]" % (client.number, number))
        self.services[client.node].handle(event, client.connection)
        self.take()

    def advance(self, seconds: float) -> None:
        end = self.stage.clock.now + seconds
        while True:
            self.stage.clock.run(min(end, self.stage.clock.now + 0.005))
            self.take()
            if self.stage.clock.now >= end:
                return

    def take(self) -> None:
        """
        Look at what the clients have got.
        """
        for client in self.clients:
            for message in client.connection.take():
                if message.action is not EventAction.EMIT:
                    request, name = client.requests.pop(0)
                    assert message == request.ack(), (message, request)
                    if (
                        request.action is EventAction.SUBSCRIBE
                        and name in client.since
                        and not any(name == later for _, later in client.requests)
                    ):
                        client.since[name] = self.stage.clock.now
                    continue
                assert message.name in client.since, "an event after the end of the subscription"
                assert isinstance(message.data, bytes)
                emitter, number = map(int, message.data.strip(b"[]").split(b","))
                assert emitter != client.number, "an event came back to its sender"
                key = (emitter, message.name)
                assert client.got.get(key, -1) < number, "an event came twice, or too late"
                client.got[key] = number
                self.emitted[number].due.pop(client.number, None)
                self.delivered += 1
        for event in self.emitted:
            assert all(until >= self.stage.clock.now - 0.01 for until in event.due.values()), "an event did not come"


class EventHistoryTests(SynchronousTestCase):
    """
    L{EventService} on nodes whose bus takes its time.
    """

    def test_promises(self) -> None:
        """
        Each event that is emitted after the acknowledgement of a subscription arrives once, in the order of its
        emitter. No client gets its own events, or events after it has unsubscribed. Answers come in the order of the
        requests.
        """
        delivered = 0
        for seed in range(HISTORIES):
            history = _History(self, seed)
            try:
                history.run()
            except AssertionError as error:
                self.fail(f"seed {seed}: {error}")
            delivered += history.delivered
        self.assertGreater(delivered, 100 * HISTORIES)
