"""
The EVENT topic on several nodes.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock

from dstwist.cluster.bus_memory import MemoryBus
from dstwist.cluster.node import ClusterNode
from dstwist.config.settings import ListenSettings
from dstwist.protocol import protobuf, text
from dstwist.protocol.constants import EventAction, Topic
from dstwist.protocol.dialect import PROTOBUF, TEXT
from dstwist.protocol.message import Message
from dstwist.routing.listeners import ListenerRegistry
from dstwist.routing.subscriptions import SubscriptionRegistry
from dstwist.services.event import EventService
from tests.cluster.stage import Stage
from tests.fakes import FakeConnection, FakeWire
from tests.logs import Lines
from tests.requesters import RequesterTestCase, for_each_requester

#: How long all that a node does when its bus is back takes at most, in seconds.
RECOVERY = 1.1


def emit(data: bytes | str | None = b"1", name: str = "news") -> Message:
    return Message(Topic.EVENT, EventAction.EMIT, name, data)


def subscribe(*names: str) -> Message:
    return Message(Topic.EVENT, EventAction.SUBSCRIBE, names=names or ("news",), correlation_id="7")


def unsubscribe(*names: str) -> Message:
    return Message(Topic.EVENT, EventAction.UNSUBSCRIBE, names=names or ("news",), correlation_id="8")


class _Nodes(RequesterTestCase):
    """
    The services of some nodes, with clients.
    """

    COUNT = 3

    def setUp(self) -> None:
        self.stage = Stage(self, self.COUNT)
        self.services = [self.service(node) for node in self.stage.nodes]
        self.stage.start()
        self.carried: list[tuple[int, int]] = []

    def service(self, node: ClusterNode) -> EventService:
        subscriptions = SubscriptionRegistry(Topic.EVENT)
        listeners = ListenerRegistry(Topic.EVENT, subscriptions, ListenSettings(), Clock())
        return EventService(subscriptions, listeners, node)

    def ask(self, number: int, connection: FakeConnection, request: Message) -> None:
        """
        Have a client of one node make a request.
        """
        self.services[number].handle(request, connection)

    def subscriber(self, number: int, *names: str) -> FakeConnection:
        """
        A client of one node whose subscription is acknowledged.
        """
        connection = self.connect()
        request = subscribe(*names)
        self.ask(number, connection, request)
        self.stage.turn()
        self.assertEqual(connection.take(), [request.ack()])
        return connection

    def count_carried(self) -> None:
        """
        Note from now on which buses carry payloads to which.
        """
        network = self.stage.network
        carry = network.carry

        def counted(sender: MemoryBus, receiver: MemoryBus, deliver: Any) -> None:
            self.carried.append((network.buses.index(sender), network.buses.index(receiver)))
            carry(sender, receiver, deliver)

        self.patch(network, "carry", counted)

    def slow_down(self, seconds: float) -> None:
        """
        Have everything on the bus take so long.
        """
        self.patch(self.stage.network, "travel_times", lambda sender, receiver: (seconds,))


@for_each_requester
class EmitTests(_Nodes):
    """
    Events reach the clients of other nodes.
    """

    def test_w43_once(self) -> None:
        """
        W43: an event reaches each subscriber of each node once, and its sender not at all.
        """
        ann, bob, cat = (self.subscriber(number) for number in range(3))
        other = self.subscriber(0)
        self.ask(0, ann, emit())
        self.assertEqual(other.take(), [emit()])
        self.stage.turn()
        self.assertEqual([client.take() for client in (ann, other, bob, cat)], [[], [], [emit()], [emit()]])

    def test_not_forwarded(self) -> None:
        """
        A node that receives an event does not publish it.
        """
        for number in range(3):
            self.subscriber(number)
        self.count_carried()
        self.ask(0, self.connect(), emit())
        self.stage.turn()
        self.assertEqual(self.carried, [(0, 0), (0, 1), (0, 2)])

    def test_without_subscriber_here(self) -> None:
        """
        An event goes to other nodes also if nobody wants it here.
        """
        cat = self.subscriber(2)
        self.ask(0, self.connect(), emit())
        self.stage.turn()
        self.assertEqual(cat.take(), [emit()])

    def test_only_where_wanted(self) -> None:
        """
        The bus carries an event to the nodes whose clients want it, and to no other.
        """
        self.subscriber(1)
        self.subscriber(2, "other")
        self.count_carried()
        self.ask(0, self.connect(), emit())
        self.assertEqual(self.carried, [(0, 1)])

    def test_nothing_but_the_event(self) -> None:
        """
        Other fields that the sender has set stay with it.
        """
        bob = self.subscriber(1)
        self.ask(0, self.connect(), Message(Topic.EVENT, EventAction.EMIT, "news", b"1", is_ack=True))
        self.stage.turn()
        self.assertEqual(bob.take(), [emit()])

    def test_generations(self) -> None:
        """
        An event of a client of either generation is the same for clients of both, on its own node and on others.
        """
        seen = []
        for number in (0, 1):
            for codec, dialect in ((text, TEXT), (protobuf, PROTOBUF)):
                client = self.connect(wire=FakeWire(codec.SERVER), dialect=dialect)
                self.ask(number, client, subscribe())
                seen.append((codec, client))
        self.stage.turn()
        for _, client in seen:
            client.take()
        for sent, of_text, of_protobuf in (
            ("U", None, "U"),
            (None, None, "U"),
            ("Sx", b'"x"', "Sx"),
            (b'"x"', b'"x"', "Sx"),
            ("N1.5", b"1.5", "N1.5"),
            (b"1.5", b"1.5", "N1.5"),
            ("T", b"true", "T"),
            (b"true", b"true", "T"),
            ("L", b"null", "L"),
            (b"null", b"null", "L"),
            ('O{"a": 1}', b'{"a": 1}', 'O{"a": 1}'),
            (b'{"a": 1}', b'{"a": 1}', 'O{"a": 1}'),
        ):
            sender = text if isinstance(sent, str) else protobuf
            (request,) = sender.SERVER.decode(sender.CLIENT.encode(emit(sent)))
            assert isinstance(request, Message)
            self.ask(0, self.connect(), request)
            self.stage.turn()
            for codec, client in seen:
                (event,) = client.take()
                (received,) = codec.CLIENT.decode(codec.SERVER.encode(event))
                expected = of_protobuf if codec is text else of_text
                self.assertEqual(received, emit(expected), (sent, codec))

    def test_order(self) -> None:
        """
        The events of a client under one name arrive in their order at all nodes.
        """
        subscribers = [self.subscriber(number) for number in range(3)]
        ann = self.connect()
        events = [emit(b"%d" % number) for number in range(20)]
        for event in events[:10]:
            self.ask(0, ann, event)
        self.stage.turn()
        for event in events[10:]:
            self.ask(0, ann, event)
            self.stage.clock.run(self.stage.clock.now)
        self.stage.turn()
        self.assertEqual([client.take() for client in subscribers], [events] * 3)

    def test_encoded_once(self) -> None:
        """
        A node makes one frame for all subscribers of a wire.
        """
        wire = FakeWire()
        clients = [self.connect(wire=wire) for _ in range(3)]
        for client in clients:
            self.ask(1, client, subscribe())
        self.stage.turn()
        wire.encoded = 0
        self.ask(0, self.connect(), emit())
        self.stage.turn()
        self.assertEqual(wire.encoded, 1)

    def test_malformed(self) -> None:
        """
        A payload that is no event costs a line in the log, and the next event arrives.
        """
        bob = self.subscriber(1)
        logged = Lines(self)
        for payload in (b"", b"x" * 40, b"0123456789abcdef1jx"):
            self.stage.bus(0).publish("enews", payload)
        self.ask(0, self.connect(), emit())
        self.stage.turn()
        self.assertEqual(bob.take(), [emit()])
        lines = logged.of("warn")
        self.assertEqual(len(lines), 3)
        self.assertTrue(all(line.startswith("CLUSTER | an event of another node cannot be read") for line in lines))


@for_each_requester
class SubscriptionTests(_Nodes):
    """
    Subscriptions wait for the bus.
    """

    COUNT = 2

    def test_after_the_ack(self) -> None:
        """
        The subscription is acknowledged when the bus has it. Events that other nodes publish from then on arrive.
        """
        self.slow_down(0.5)
        bob = self.connect()
        self.ask(1, bob, subscribe())
        self.stage.advance(0.4)
        self.ask(0, self.connect(), emit(b"0"))
        self.assertEqual(bob.take(), [])
        self.stage.advance(0.15)
        self.assertEqual(bob.take(), [subscribe().ack()])
        self.ask(0, self.connect(), emit(b"1"))
        self.stage.advance(0.51)
        self.assertEqual(bob.take(), [emit(b"1")])

    def test_others_go_on(self) -> None:
        """
        Other requests of a client do not wait meanwhile.
        """
        other = self.subscriber(1, "other")
        self.slow_down(0.5)
        bob = self.connect()
        self.ask(1, bob, subscribe())
        self.ask(1, bob, emit(name="other"))
        self.assertEqual(other.take(), [emit(name="other")])
        self.assertFalse(bob.paused)

    def test_late(self) -> None:
        """
        A bus that takes too long does not hold back the answer. Events arrive when the bus has the subject.
        """
        timeout = self.stage.settings.subscribe_timeout
        self.slow_down(timeout + 1)
        bob = self.connect()
        self.ask(1, bob, subscribe())
        self.stage.advance(timeout)
        self.assertEqual(bob.take(), [subscribe().ack()])
        self.ask(0, self.connect(), emit(b"0"))
        self.stage.advance(1)
        self.ask(0, self.connect(), emit(b"1"))
        self.stage.advance(timeout + 1)
        self.assertEqual(bob.take(), [emit(b"1")])

    def test_unsubscribe(self) -> None:
        """
        After the end of its subscription, a client gets no event of any node.
        """
        bob, other = self.subscriber(1), self.subscriber(1)
        self.ask(1, bob, unsubscribe())
        self.ask(0, self.connect(), emit())
        self.stage.turn()
        self.assertEqual((bob.take(), other.take()), ([unsubscribe().ack()], [emit()]))

    def test_unsubscribe_on_the_way(self) -> None:
        """
        Nor does it get one that was on its way.
        """
        bob = self.subscriber(1)
        self.ask(0, self.connect(), emit())
        self.ask(1, bob, unsubscribe())
        self.stage.turn()
        self.assertEqual(bob.take(), [unsubscribe().ack()])

    def test_w41_left(self) -> None:
        """
        W41: in whatever order clients of several nodes come and go, each node leaves a name when its own last client
        has gone, and no node gets events for nobody.
        """
        ann, bob = self.subscriber(0), self.subscriber(1)
        self.ask(0, ann, unsubscribe())
        self.ask(0, ann, subscribe())
        self.ask(0, ann, unsubscribe())
        self.stage.advance(self.stage.settings.linger + 1)
        self.count_carried()
        self.ask(0, self.connect(), emit())
        self.assertEqual(self.carried, [(0, 1)])
        bob.close()
        self.stage.advance(self.stage.settings.linger + 1)
        self.carried.clear()
        self.ask(0, self.connect(), emit())
        self.assertEqual(self.carried, [])

    def test_short_absence(self) -> None:
        """
        A node stays subscribed for a while: a client that comes back is answered at once.
        """
        self.subscriber(1).close()
        self.stage.advance(self.stage.settings.linger - 1)
        self.slow_down(0.5)
        bob = self.connect()
        self.ask(1, bob, subscribe())
        self.assertEqual(bob.take(), [subscribe().ack()])


@for_each_requester
class OutageTests(_Nodes):
    """
    The bus is lost for a while.
    """

    def test_own_node(self) -> None:
        """
        Without the bus, events go to the subscribers of their own node, and clients are answered at once.
        """
        self.stage.bus(0).disconnect()
        ann = self.connect()
        self.ask(0, ann, subscribe())
        self.assertEqual(ann.take(), [subscribe().ack()])
        self.ask(0, self.connect(), emit())
        self.assertEqual(ann.take(), [emit()])

    def test_lost_while_waiting(self) -> None:
        """
        A client that waits for the bus is answered when the bus is lost.
        """
        self.slow_down(0.5)
        bob = self.connect()
        self.ask(1, bob, subscribe())
        self.stage.bus(1).disconnect()
        self.assertEqual(bob.take(), [subscribe().ack()])

    def test_w46_back(self) -> None:
        """
        W46: when the bus is back, events of other nodes arrive again, for subscriptions of before and during the
        outage; the clients need not do anything.
        """
        before = self.subscriber(1)
        for number in range(3):
            self.stage.bus(number).disconnect()
        during = self.subscriber(1, "other")
        for number in range(3):
            self.stage.bus(number).reconnect()
        self.stage.advance(RECOVERY)
        for name in ("news", "other"):
            self.ask(0, self.connect(), emit(name=name))
        self.stage.turn()
        self.assertEqual((before.take(), during.take()), ([emit()], [emit(name="other")]))

    def test_dead_node(self) -> None:
        """
        The death of a node changes nothing for the events of the others.
        """
        bob = self.subscriber(1)
        self.subscriber(2)
        self.stage.kill(2)
        self.ask(0, self.connect(), emit())
        self.stage.turn()
        self.assertEqual(bob.take(), [emit()])

    def test_later_node(self) -> None:
        """
        A node that joins later takes part at once.
        """
        bob = self.subscriber(1)
        node = self.stage.make_node()
        self.services.append(self.service(node))
        self.stage.start(node)
        dan = self.subscriber(3)
        self.ask(3, dan, emit(b"3"))
        self.ask(1, bob, emit(b"1"))
        self.stage.turn()
        self.assertEqual((bob.take(), dan.take()), ([emit(b"3")], [emit(b"1")]))
