"""
Tests for L{dstwist.routing.shared_frames}, with the outboxes of connections.
"""

from __future__ import annotations

import gc
from random import Random
from typing import Any
from weakref import ref

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.limits.outgoing_bytes import LARGE_FRAME_BYTES, OutgoingBytes
from dstwist.protocol.constants import EventAction, Topic
from dstwist.protocol.message import Message
from dstwist.routing import fan_out as fan_out_module
from dstwist.routing import shared_frames
from dstwist.routing.fan_out import FanOut
from dstwist.routing.shared_frames import SharedFrames
from dstwist.transports.outbox_group import EagerOutbox, OutboxGroup
from dstwist.transports.tcp_outbox import outbox_for
from dstwist.transports.watched_outbox import unwatch, watch
from tests.fakes import FakeConnection, FakeWire
from tests.transports.helpers import Idle, Overflow, PushTransport, tcp, turn

NAMES = ("a", "b", "c")
CLIENTS = 8

#: In place of L{SHARED_FROM<dstwist.routing.shared_frames.SHARED_FROM>}: fewer clients make for clearer tests.
FEW = 4


class Numbered(FakeWire):
    """
    A wire whose frames are the data of the messages.
    """

    def encode(self, message: Message) -> Any:
        return message.data


class Client(FakeConnection):
    """
    A connection with an outbox of the server.
    """

    def __init__(self, wire: FakeWire, transport: Any, group: OutboxGroup, eager: bool = False) -> None:
        super().__init__(wire=wire)
        self.transport = transport
        self.inner = outbox_for(transport, group, 1 << 30, Overflow())
        self.outbox: Any = EagerOutbox(self.inner, group, 200) if eager else self.inner
        self.write = self.outbox.write  # type: ignore[method-assign]
        self.seen = b""
        self.watched: list[bytes] = []

    def sent_bytes(self) -> bytes:
        source = self.transport if isinstance(self.transport, PushTransport) else self.transport.socket
        data: bytes = source.take()
        return data


def all_frames(outbox: Any) -> list[bytes]:
    """
    The frames that wait for the end of the turn.
    """
    return [*outbox._own, *outbox._frames, *(outbox._shared.frames if outbox._shared else ())]


class World:
    """
    Clients of a fan-out, half of them on sockets.

    @param pause: C{outgoingBufferTimeout}, in seconds.
    """

    def __init__(self, pause: float = 0.0, eager: bool = False) -> None:
        self.reactor = MemoryReactorClock()
        self.group = OutboxGroup(self.reactor, pause, OutgoingBytes(self.reactor))
        self.fan_out = FanOut(self.group.outgoing, Topic.EVENT)
        self.wires = Numbered(), Numbered()
        self.clients = [
            Client(
                self.wires[number % 8 == 7],
                tcp(self.reactor, Idle()) if number % 2 else PushTransport(),
                self.group,
                eager,
            )
            for number in range(CLIENTS)
        ]
        self.subscribed: set[tuple[str, int]] = set()

    def subscribe(self, name: str, number: int) -> None:
        if (name, number) in self.subscribed:
            self.fan_out.remove(name, self.clients[number])
            self.subscribed.discard((name, number))
        else:
            self.fan_out.add(name, self.clients[number])
            self.subscribed.add((name, number))

    def publish(self, name: str, data: bytes, left_out: int | None = None) -> None:
        exclude = None if left_out is None else self.clients[left_out]
        self.fan_out.publish(Message(Topic.EVENT, EventAction.EMIT, name, data), exclude)

    def end(self) -> None:
        """
        End the turn.
        """
        for client in self.clients:
            if isinstance(client.transport, PushTransport):
                continue
            turn(self.reactor, client.transport)
        self.reactor.advance(1)

    def received(self) -> list[bytes]:
        return [client.sent_bytes() for client in self.clients]


class SharingTests(SynchronousTestCase):
    """
    L{Audience} and L{SharedFrames}.
    """

    def setUp(self) -> None:
        self.world = World()
        for name in NAMES:
            for number in range(7):
                self.world.subscribe(name, number)
        self.patch(fan_out_module, "SHARED_FROM", FEW)
        self.patch(shared_frames, "_STEADY", 8)
        self.made: list[SharedFrames] = []
        made = self.made

        class Counted(SharedFrames):
            __slots__ = ()

            def __init__(self, *args: Any) -> None:
                super().__init__(*args)
                made.append(self)

        self.patch(shared_frames, "SharedFrames", Counted)

    def publish_all(self, count: int, names: tuple[str, ...] = NAMES, left_out: int | None = None) -> bytes:
        """
        Publish C{count} events under each of the names in turn.
        """
        expected = b""
        for number in range(count):
            for name in names:
                data = b"<%s%d>" % (name.encode(), number)
                self.world.publish(name, data, left_out)
                expected += data
        return expected

    def test_many(self) -> None:
        """
        Frames of many events in one turn are shared, also of different names, and leave in order.
        """
        expected = self.publish_all(20)
        self.assertEqual(self.world.received(), [b""] * CLIENTS)
        self.world.end()
        self.assertEqual(self.world.received(), [expected] * 7 + [b""])
        # Each name begins once, when its subscribers have been the same for a while.
        self.assertLessEqual(len(self.made), len(NAMES))
        self.assertGreater(sum(len(shared.frames) for shared in self.made), 25)
        self.assertEqual(self.world.fan_out.deliveries[EventAction.EMIT], 7 * 3 * 20)

    def test_at_once(self) -> None:
        """
        After a turn with many frames, the next one shares its first frame.
        """
        self.publish_all(20)
        self.world.end()
        self.world.received()
        self.made.clear()
        expected = self.publish_all(1)
        self.assertEqual([len(shared.frames) for shared in self.made], [3])
        self.world.end()
        self.assertEqual(self.world.received(), [expected] * 7 + [b""])
        # That was little: the next turn waits.
        self.made.clear()
        self.publish_all(1)
        self.assertEqual(self.made, [])

    def test_one_at_a_time(self) -> None:
        """
        Events that come one in a turn are never shared.
        """
        for _ in range(100):
            self.publish_all(1, ("a",))
            self.world.end()
        self.assertEqual(self.made, [])

    def test_interrupted(self) -> None:
        """
        If the sharing ends for little again and again, it is soon given up.
        """
        expected = b""
        for number in range(600):
            data = b"<%d>" % number
            self.world.publish("a", data)
            self.world.clients[3].outbox.answer(b"!")
            expected += data + b"!"
        self.assertLess(len(self.made), 10)
        self.world.end()
        received = self.world.received()
        self.assertEqual(received[3], expected)
        self.assertEqual(received[0], expected.replace(b"!", b""))

    def test_left_out(self) -> None:
        """
        Publishers that are subscribed themselves do not get their own events.
        """
        mine = self.publish_all(20, left_out=2)
        others = self.publish_all(20, left_out=5)
        self.world.end()
        received = self.world.received()
        self.assertEqual(received[0], mine + others)
        self.assertEqual((received[2], received[5]), (others, mine))
        self.assertTrue(self.made)

    def test_few(self) -> None:
        """
        Few subscribers do not share.
        """
        for number in range(FEW - 1, 7):
            self.world.subscribe("b", number)
        expected = self.publish_all(20, ("b",))
        self.world.end()
        self.assertEqual(self.world.received()[0], expected)
        self.assertEqual(self.made, [])

    def test_unsteady(self) -> None:
        """
        Subscribers that change all the time do not share: to find out who is the same takes longer.
        """
        expected = b""
        for _ in range(20):
            expected += self.publish_all(6, ("a",))
            self.world.subscribe("a", 6)
        self.assertEqual(self.made, [])
        self.world.end()
        self.assertEqual(self.world.received()[0], expected)

    def test_muted(self) -> None:
        """
        Subscribers of which one is muted do not share.
        """
        self.world.fan_out.mute("a", self.world.clients[0])
        expected = self.publish_all(20, ("a",))
        self.world.end()
        self.assertEqual(self.world.received()[:2], [b"", expected])
        self.assertEqual(self.made, [])
        self.world.fan_out.unmute("a", self.world.clients[0])
        expected = self.publish_all(20, ("a",))
        self.world.end()
        self.assertEqual(self.world.received()[:2], [expected, expected])
        self.assertTrue(self.made)

    def test_large(self) -> None:
        """
        Large frames are not joined.
        """
        self.publish_all(20)
        count = len(self.made[-1].frames)
        self.world.publish("a", b"x" * LARGE_FRAME_BYTES)
        self.assertEqual(len(self.made[-1].frames), count)

    def test_freed(self) -> None:
        """
        The frames are freed when all have sent them.
        """
        self.publish_all(20)
        freed = [ref(shared) for shared in self.made]
        self.made.clear()
        self.addCleanup(gc.enable)
        gc.disable()
        self.world.end()
        self.assertEqual([shared() for shared in freed], [None] * len(freed))

    def test_bounded(self) -> None:
        """
        The number of known audiences is limited.
        """
        random = Random(1)
        for number in range(300):
            name = f"n{number}"
            for client in random.sample(range(7), 4):
                self.world.subscribe(name, client)
            self.publish_all(6, (name,))
        for number in range(2000):
            self.world.clients.append(Client(self.world.wires[0], PushTransport(), self.world.group))
            if number > 5:
                name = f"m{number}"
                for client in range(number, number + 4):
                    self.world.subscribe(name, client)
                self.publish_all(6, (name,))
        self.assertLessEqual(len(self.world.fan_out._audiences._known), 64)

    def test_few_large(self) -> None:
        """
        So is the number of their clients together; one that is too large is not kept, but still shares.
        """
        self.patch(shared_frames, "_MOST_CLIENTS", 12)
        for number, size in enumerate((5, 6, 7, 4, 5)):
            for client in range(size):
                self.world.subscribe(f"n{number}", client)
            self.publish_all(10, (f"n{number}",))
            known = self.world.fan_out._audiences._known
            self.assertEqual(sum(map(len, known)), self.world.fan_out._audiences._clients)
            self.assertLessEqual(sum(map(len, known)), 12)
        self.assertEqual(sorted(map(len, known)), [4, 5])
        self.patch(shared_frames, "_MOST_CLIENTS", 6)
        self.made.clear()
        expected = self.publish_all(20, ("a",))
        self.assertTrue(self.made)
        self.assertEqual(sorted(map(len, known)), [4, 5])
        self.world.end()
        self.assertTrue(self.world.received()[6].endswith(expected))

    def test_eager_own(self) -> None:
        """
        Frames that were shared, and those of one's own, count together.
        """
        self.world = World(pause=10.0, eager=True)
        for number in range(7):
            self.world.subscribe("a", number)
        client = self.world.clients[0]
        self.publish_all(20, ("a",))
        client.write(b"!" * 20)
        self.publish_all(4, ("a",))
        self.world.reactor.advance(0)
        self.assertEqual(client.sent_bytes(), b"")
        client.write(b"!" * (200 - sum(map(len, all_frames(client.inner)))))
        self.world.reactor.advance(0)
        self.assertEqual(client.sent_bytes(), b"")
        client.write(b"!")
        self.world.reactor.advance(0)
        self.assertEqual(len(client.sent_bytes()), 201)

    def test_eager(self) -> None:
        """
        With C{outgoingBufferTimeout}, shared frames are collected no longer when they exceed C{maxBufferByteSize}.
        """
        self.world = World(pause=10.0, eager=True)
        for number in range(7):
            self.world.subscribe("a", number)
        self.publish_all(20, ("a",))
        self.world.reactor.advance(0)
        self.assertEqual(self.world.received(), [b""] * CLIENTS)
        self.assertTrue(self.made)
        self.publish_all(30, ("a",))
        self.world.reactor.advance(0)
        self.assertGreater(min(map(len, self.world.received()[:7])), 200)


OPERATIONS = st.lists(
    st.one_of(
        *[st.tuples(st.just("publish"), st.sampled_from(NAMES), st.integers(1, 9))] * 5,
        st.tuples(st.just("publish own"), st.sampled_from(NAMES), st.integers(0, CLIENTS - 1)),
        st.tuples(st.just("large"), st.sampled_from(NAMES), st.just(0)),
        *(
            st.tuples(st.just(kind), st.sampled_from(NAMES), st.integers(0, CLIENTS - 1))
            for kind in (
                "subscribe",
                "mute",
                "unmute",
                "answer",
                "send",
                "flush",
                "watch",
                "stall",
                "read",
                "shut",
                "close",
            )
        ),
        st.tuples(st.just("end"), st.just(""), st.just(0)),
        st.tuples(st.just("group"), st.just(""), st.just(0)),
    ),
    min_size=15,
    max_size=60,
)


class SameTests(SynchronousTestCase):
    """
    Whether frames are shared or not, each client gets the same bytes in each turn.
    """

    @settings(max_examples=150, deadline=None, derandomize=True, database=None)
    @given(OPERATIONS, st.booleans())
    def test_same(self, operations: list[tuple[str, str, int]], eager: bool) -> None:
        """
        With any subscriptions, answers, slow and closing clients in between.
        """
        shared = self.outcome(operations, eager, FEW)
        self.assertEqual(shared, self.outcome(operations, eager, 1 << 30))

    def outcome(self, operations: list[tuple[str, str, int]], eager: bool, least: int) -> list[Any]:
        self.patch(fan_out_module, "SHARED_FROM", least)
        self.patch(shared_frames, "_PATIENCE", 1)
        self.patch(shared_frames, "_STEADY", 1)
        world = World(eager=eager)
        for name in NAMES:
            for number in range(7):
                world.subscribe(name, number)
        turns: list[Any] = []
        for serial, (kind, name, number) in enumerate(operations):
            self.apply(world, serial, kind, name, number)
            if kind == "end":
                turns.append(world.received())
        for client in world.clients:
            if isinstance(client.transport, PushTransport):
                client.transport.clear()
            else:
                client.transport.socket.room = None
        for _ in range(3):
            world.end()
            turns.append(world.received())
        turns.append([b"".join(client.watched) for client in world.clients])
        return turns

    def apply(self, world: World, serial: int, kind: str, name: str, number: int) -> None:
        data = b"<%s%d>" % (name.encode(), serial)
        client = world.clients[number % CLIENTS]
        if kind == "publish":
            for index in range(number):
                world.publish(name, data + b"%d" % index)
        elif kind == "publish own":
            for index in range(3):
                world.publish(name, data + b"%d" % index, number)
        elif kind == "large":
            world.publish(name, data + b"x" * LARGE_FRAME_BYTES)
        elif kind == "subscribe":
            world.subscribe(name, number)
        elif kind in ("mute", "unmute"):
            if (name, number) in world.subscribed:
                getattr(world.fan_out, kind)(name, client)
        elif kind == "answer":
            client.outbox.answer(data)
        elif kind == "send":
            client.inner.send(data)
        elif kind == "flush":
            client.outbox.flush()
        elif kind == "watch":
            if serial % 2:
                watch(client.inner, client.watched.extend)
            else:
                unwatch(client.inner)
        elif kind in ("stall", "read"):
            self.stall(client, kind == "stall")
        elif kind == "shut":
            client.inner.shut()
        elif kind == "close":
            client.inner.close()
        elif kind == "group":
            world.group.flush()
        else:
            world.end()

    def stall(self, client: Client, is_stalled: bool) -> None:
        if isinstance(client.transport, PushTransport):
            (client.inner.pauseProducing if is_stalled else client.inner.resumeProducing)()
        else:
            client.transport.socket.room = 3 if is_stalled else None
