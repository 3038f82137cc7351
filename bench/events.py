"""
CPU time of an event in the service: on a single node, and on two nodes with a bus in memory.

The time is that from a decoded EMIT to the C{write} of each subscriber, with frames that are really made. With two
nodes, it is that of the sending node, to the C{publish} of the bus, and that of the receiving node, from the bus on.
The way over the bus in memory is part of the latter.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.cluster.node import ClusterNode
from dstwist.config.settings import ListenSettings
from dstwist.interfaces import Frame
from dstwist.protocol import protobuf
from dstwist.protocol.constants import EventAction, Topic
from dstwist.protocol.message import Message
from dstwist.routing.listeners import ListenerRegistry
from dstwist.routing.subscriptions import SubscriptionRegistry
from dstwist.services.event import EventService
from dstwist.transports.wire import WebSocketWire
from tests.cluster.stage import Stage
from tests.fakes import FakeConnection

#: How many events are emitted in a turn, and how many turns there are.
BATCH = 500
ROUNDS = 60

NAME = "bench/events"


class Deaf(FakeConnection):
    """
    A connection that drops all frames.
    """

    def write(self, frame: Frame) -> None:
        pass


def make_service(cluster: ClusterNode | None) -> EventService:
    subscriptions = SubscriptionRegistry(Topic.EVENT)
    return EventService(subscriptions, ListenerRegistry(Topic.EVENT, subscriptions, ListenSettings(), Clock()), cluster)


def add_subscribers(service: EventService, count: int) -> None:
    wire = WebSocketWire(protobuf.SERVER, binary=True)
    for _ in range(count):
        service.handle(Message(Topic.EVENT, EventAction.SUBSCRIBE, names=(NAME,)), Deaf(wire=wire))


def make_event() -> Message:
    """
    An EMIT as it comes from a client of v4.
    """
    payload = protobuf.CLIENT.encode(Message(Topic.EVENT, EventAction.EMIT, NAME, b'{"price":1.34325,"id":7}'))
    (event,) = protobuf.SERVER.decode(payload)
    assert isinstance(event, Message)
    return event


def best(*works: Callable[[], object]) -> list[float]:
    """
    The CPU microseconds an event of each work, which are done in turns.
    """
    times = [float("inf")] * len(works)
    for _ in range(ROUNDS):
        for number, work in enumerate(works):
            before = time.process_time()
            work()
            times[number] = min(times[number], time.process_time() - before)
    return [each / BATCH * 1e6 for each in times]


def emitting(service: EventService) -> Callable[[], None]:
    event, sender, handle = make_event(), Deaf(wire=WebSocketWire(protobuf.SERVER, binary=True)), service.handle

    def emit() -> None:
        for _ in range(BATCH):
            handle(event, sender)

    return emit


def main() -> None:
    for count in (1, 100):
        service = make_service(None)
        add_subscribers(service, count)
        (alone,) = best(emitting(service))
        print(f"{count:4} subscribers, a single node      {alone:8.2f} us an event", flush=True)
        stage = Stage(SynchronousTestCase(), 2)
        one, two = (make_service(node) for node in stage.nodes)
        stage.start()
        add_subscribers(two, count)
        stage.turn()
        sent, received = best(emitting(one), stage.turn)
        print(f"{count:4} subscribers, on another node    {sent:8.2f} us at the sender, {received:.2f} at the receiver")


if __name__ == "__main__":
    main()
