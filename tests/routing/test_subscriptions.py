"""
Tests for L{dstwist.routing.subscriptions}.
"""

from __future__ import annotations

import gc
import tracemalloc
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from dstwist.interfaces import IRevocable
from dstwist.limits.budgets import Budget
from dstwist.protocol.constants import EventAction, Topic
from dstwist.protocol.dialect import TEXT, Dialect
from dstwist.protocol.message import Message
from dstwist.routing.subscriptions import SubscriptionRegistry
from dstwist.scheduling.time_slices import WORK_SLICE
from tests.fakes import BusyClock, FakeConnection, FakeRequester, FakeWire
from tests.garbage import make_collections_short
from tests.logs import Lines
from tests.requesters import RequesterTestCase, for_each_requester
from tests.routing.subscribers import SubscriptionTestCase, emit, subscribe, unsubscribe
from tests.turns import LONGEST, turn_lengths


@for_each_requester
class SubscriptionRegistryTests(SubscriptionTestCase):
    """
    L{SubscriptionRegistry}, with C{services.md} section 2 beside it.
    """

    def test_bound_names(self) -> None:
        """
        The first subscription to a name is refused if other nodes have no room for the name, and the log says so.
        """
        asked: list[str] = []

        def has_room(name: str) -> bool:
            asked.append(name)
            return name == "a"

        lines = Lines(self)
        registry = SubscriptionRegistry(Topic.EVENT)
        registry.bound_names(has_room, 1000)
        ann, bob = FakeConnection("ann"), FakeConnection("bob")
        self.assertTrue(registry.add("a", ann))
        self.assertTrue(registry.add("a", bob))
        self.assertFalse(registry.add("b", ann))
        self.assertFalse(registry.is_subscribed("b", ann))
        self.assertEqual(asked, ["a", "b"])
        text = "wants more than 1000 bytes of names, in one partition of the cluster, of EVENT"
        self.assertIn(text, lines.last("warn"))

    def test_room(self) -> None:
        """
        All connections together have only so much memory for their subscriptions, those of other topics included. A
        subscription that does not fit is refused, with a line in the log for each connection; the end of a
        subscription, and of a connection, makes room.
        """
        room = Budget(10_000)
        self.registry = SubscriptionRegistry(Topic.EVENT, room=room)
        other = SubscriptionRegistry(Topic.PRESENCE, room=room)
        long = ["a" * 2000, "b" * 2000, "c" * 2000]
        logged = Lines(self)
        one, two = self.subscriber(*long), self.connect()
        request = subscribe("x" * 5000, "d")
        self.registry.subscribe(request, two)
        self.assertEqual((sorted(self.registry.names()), self.registry.subscribers("d")), ([*long[:2], "d"], [two]))
        self.assertEqual(two.take(), [request.error("MESSAGE_DENIED", "x" * 5000), request.ack()])
        lines = logged.of("warn")
        self.assertEqual(["maxSubscriptionBytes" in line for line in lines], [True, True], lines)
        self.assertLessEqual(room.used, 10_000)
        three = self.connect()
        self.assertFalse(other.add("p" * 4000, three))
        one.close()
        self.assertTrue(other.add("p" * 4000, three))
        self.assertTrue(other.discard("p" * 4000, three))
        self.registry.unsubscribe(unsubscribe("d"), two)
        self.assertEqual(room.used, 0)

    def test_weight(self) -> None:
        """
        A subscription takes no more memory than is taken for it from what all may have.
        """
        make_collections_short(self)
        for prefix in ("name/", "n" * 500, "\u20ac" * 100):
            for connections in ([self.connect()], [self.connect() for _ in range(20)]):
                room = Budget()
                registry = SubscriptionRegistry(Topic.EVENT, room=room)
                payloads = [[f"{prefix}{number}" for number in range(200)] for _ in connections]
                for connection in connections:
                    registry.add("first", connection)
                room.used = 0
                gc.collect()
                tracemalloc.start()
                for connection, names in zip(connections, payloads, strict=True):
                    for name in names:
                        # Names come out of messages: each is an object of its own.
                        registry.add(name[:-1] + name[-1:], connection)
                used = tracemalloc.get_traced_memory()[0]
                tracemalloc.stop()
                self.assertGreater(room.used, used)

    def test_refused_without_list(self) -> None:
        """
        To refuse a name does not list all names that the connection has: a message can have very many.
        """
        self.registry = SubscriptionRegistry(Topic.EVENT, limit=2)
        listed: list[object] = []
        self.patch(self.registry, "names_of", listed.append)
        connection = self.connect()
        added = [self.registry.add(name, connection) for name in ("a", "b", "c")]
        self.assertEqual((added, listed), ([True, True, False], []))

    def test_nobody(self) -> None:
        """
        A message without subscribers is dropped.
        """
        self.registry.publish(emit())
        self.assertEqual(self.registry.subscribers("news"), [])

    def test_observers(self) -> None:
        """
        Observers hear of the first subscriber of a name and of the last one's leaving, of nothing between.
        """
        ann, bob = self.subscriber("news"), self.subscriber("news")
        self.assertEqual(self.registry.subscribers("news"), [ann, bob])
        self.registry.unsubscribe(unsubscribe("news"), ann)
        self.assertEqual(self.seen, [("first", "news")])
        self.registry.unsubscribe(unsubscribe("news"), bob)
        self.assertEqual(self.seen, [("first", "news"), ("last", "news")])
        self.assertNotIn("news", self.registry)

    def test_few(self) -> None:
        """
        Other parts learn of the second subscriber of a name, and of names with only one left, for all wires.
        """
        seen: list[tuple[str, str]] = []
        self.registry.observe_few(
            lambda name: seen.append(("second", name)), lambda name: seen.append(("single", name))
        )
        ann, bob, eve = (self.connect(user) for user in ("ann", "bob", "eve"))
        for connection in (ann, bob, eve):
            self.registry.add("news", connection)
            self.assertEqual(self.registry.is_only("news", ann), connection is ann)
        self.assertFalse(self.registry.is_only("news", eve))
        self.assertEqual(seen, [("second", "news")])
        bob.close()
        self.assertEqual(seen, [("second", "news")])
        self.registry.discard("news", eve)
        self.assertEqual(seen, [("second", "news"), ("single", "news")])
        self.assertEqual(
            [self.registry.is_only("news", connection) for connection in (ann, bob, eve)], [True, False, False]
        )
        self.registry.discard("news", ann)
        self.assertFalse(self.registry.is_only("news", ann))
        self.assertEqual(len(seen), 2)

    def test_close(self) -> None:
        """
        A connection that closes leaves all its names.
        """
        connection = self.subscriber("a", "b")
        connection.close()
        self.assertEqual(list(self.registry.names()), [])
        self.assertEqual(sorted(self.seen)[2:], [("last", "a"), ("last", "b")])

    def test_one_close_callback(self) -> None:
        """
        However often a connection comes and goes, one close callback is all it carries.
        """
        connection = self.connect()
        for _ in range(30):
            self.registry.subscribe(subscribe("a", "b"), connection)
            self.registry.unsubscribe(unsubscribe("a", "b"), connection)
        self.assertEqual(len(connection.callbacks), 1)

    def test_w55_closed_meanwhile(self) -> None:
        """
        W55: a subscription that arrives after its connection closed (its permission took longer) is not registered.
        """
        connection = self.connect()
        connection.close()
        self.registry.subscribe(subscribe("a"), connection)
        self.assertNotIn("a", self.registry)

    def test_quietly(self) -> None:
        """
        A caller that sends its own answers subscribes and ends subscriptions, and the registry sends nothing.
        """
        connection = self.connect()
        self.assertFalse(self.registry.is_subscribed("a", connection))
        self.assertEqual([self.registry.add("a", connection) for _ in range(2)], [True, False])
        self.assertTrue(self.registry.is_subscribed("a", connection))
        self.assertEqual([self.registry.discard("a", connection) for _ in range(2)], [True, False])
        self.assertFalse(self.registry.discard("a", self.connect()))
        self.assertFalse(self.registry.is_subscribed("a", connection))
        self.assertEqual(connection.take(), [])
        self.assertEqual(self.seen, [("first", "a"), ("last", "a")])

    def test_end(self) -> None:
        """
        All subscriptions to a name can be ended at once, silently.
        """
        ann, bob = self.subscriber("news", "other"), self.subscriber("news")
        self.seen.clear()
        self.registry.end("news")
        self.registry.end("news")
        self.assertEqual((self.registry.subscribers("news"), self.seen), ([], [("last", "news")]))
        self.assertEqual(self.registry.subscribers("other"), [ann])
        self.assertEqual(ann.take() + bob.take(), [])


class SocketlessTests(SynchronousTestCase):
    """
    Requesters that no fan-out reaches.
    """

    def test_refused(self) -> None:
        """
        One that is no connection cannot subscribe, and leaves nothing behind.
        """
        registry = SubscriptionRegistry(Topic.EVENT)
        self.assertRaises(TypeError, registry.add, "news", FakeRequester())
        self.assertNotIn("news", registry)
        self.assertEqual(list(registry.connections()), [])


@for_each_requester
class MutingTests(RequesterTestCase):
    """
    Connections that are left out for a while.
    """

    def setUp(self) -> None:
        self.registry = SubscriptionRegistry(Topic.EVENT)
        wire = FakeWire()
        self.ann, self.bob = self.connect("ann", wire), self.connect("bob", wire)
        for connection in (self.ann, self.bob):
            for name in "ab":
                self.registry.add(name, connection)

    def heard(self, name: str = "a") -> list[int]:
        message = Message(Topic.EVENT, EventAction.EMIT, name, b"1")
        self.registry.publish(message)
        self.registry.publish_to(name, message)
        self.registry.publish_either(message, lambda: message)
        return [len(connection.take()) for connection in (self.ann, self.bob)]

    def test_muted(self) -> None:
        """
        A connection that is muted is subscribed, and receives nothing of that name until it is not muted any more.
        """
        self.registry.mute("a", self.ann)
        self.assertEqual((self.heard(), self.heard("b")), ([0, 3], [3, 3]))
        self.assertTrue(self.registry.is_subscribed("a", self.ann))
        self.registry.unmute("a", self.ann)
        self.assertEqual(self.heard(), [3, 3])

    def test_ended(self) -> None:
        """
        The end of the subscription ends it as well, in each way.
        """
        for end in (
            lambda: self.registry.discard("a", self.ann),
            lambda: self.registry.end("a"),
            lambda: self.registry.revoke("a", self.ann),
        ):
            self.registry.mute("a", self.ann)
            end()
            self.registry.unmute("a", self.ann)
            self.assertEqual(self.heard()[0], 0)
            self.registry.add("a", self.ann)
            self.assertEqual(self.heard()[0], 3)
        self.registry.mute("a", self.ann)
        self.ann.close()
        self.registry.unmute("a", self.ann)
        self.assertEqual(self.heard()[0], 0)


@for_each_requester
class RevocationTests(RequesterTestCase):
    """
    Subscriptions that end although their client did not ask for that.
    """

    def setUp(self) -> None:
        self.registry = SubscriptionRegistry(Topic.EVENT, limit=3)
        self.last: list[str] = []
        self.registry.observe(lambda name: None, self.last.append)

    def subscriber(self, *names: str, dialect: Dialect = TEXT) -> FakeConnection:
        connection = self.connect(dialect=dialect)
        self.registry.subscribe(subscribe(*names), connection)
        connection.take()
        return connection

    def test_interface(self) -> None:
        """
        L{SubscriptionRegistry} provides L{IRevocable}.
        """
        verifyObject(IRevocable, self.registry)

    def test_revoke(self) -> None:
        """
        The subscription is gone for all callers, and nothing is sent.
        """
        ann, bob = self.subscriber("a", "b"), self.subscriber("a")
        self.assertTrue(self.registry.revoke("a", ann))
        self.assertEqual((list(self.registry.connections()), self.registry.names_of(ann)), ([ann, bob], ["b"]))
        self.assertEqual((self.registry.subscribers("a"), self.last), ([bob], []))
        self.registry.revoke("b", ann)
        self.assertEqual((ann.take(), self.last), ([], ["b"]))
        self.assertFalse(self.registry.revoke("b", ann))

    def test_unknown_connection(self) -> None:
        """
        A connection without subscriptions loses nothing.
        """
        stranger = self.connect()
        self.assertEqual((self.registry.names_of(stranger), self.registry.revoke("a", stranger)), ([], False))

    def test_observers(self) -> None:
        """
        An observer of revocations is told which connection lost which name.
        """
        heard: list[Any] = []
        ann = self.subscriber("a")
        self.registry.on_revoke(lambda name, connection: heard.append((name, connection, name in self.registry)))
        self.registry.revoke("a", ann)
        self.registry.revoke("a", ann)
        self.assertEqual(heard, [("a", ann, False)])

    def test_unsubscribe(self) -> None:
        """
        A client that ends what it has lost gets the acknowledgement that clients of v2 and v3 wait for.
        """
        ann = self.subscriber("a")
        self.registry.revoke("a", ann)
        request = unsubscribe("a")
        self.registry.unsubscribe(request, ann)
        self.assertEqual(ann.take(), [request.ack()])

    def test_subscribe_again(self) -> None:
        """
        A client that is permitted again is subscribed like any other.
        """
        ann = self.subscriber("a")
        self.registry.revoke("a", ann)
        self.registry.subscribe(subscribe("a"), ann)
        self.assertEqual(ann.take(), [subscribe("a").ack()])
        self.registry.publish(emit("a"))
        self.registry.unsubscribe(unsubscribe("a"), ann)
        self.assertEqual(ann.take(), [emit("a"), unsubscribe("a").ack()])

    def test_close(self) -> None:
        """
        A client that leaves after it lost what it had leaves nothing behind.
        """
        ann = self.connect(dialect=TEXT)
        for name in "abcd":
            self.registry.subscribe(subscribe(name), ann)
            self.registry.revoke(name, ann)
        ann.close()
        self.assertEqual((list(self.registry.connections()), list(self.registry.names())), ([], []))


@for_each_requester
class LongEndTests(RequesterTestCase):
    """
    The end of connections that want thousands of names, each of which takes its time.
    """

    COUNT = 2000

    def setUp(self) -> None:
        self.clock = BusyClock()
        self.registry = SubscriptionRegistry(Topic.EVENT, clock=self.clock)
        self.released: list[str] = []
        self.registry.observe(lambda name: None, self._released)

    def _released(self, name: str) -> None:
        self.clock.rightNow += 2e-5
        self.released.append(name)

    def subscriber(self, prefix: str) -> FakeConnection:
        connection = self.connect(prefix)
        names = tuple(f"{prefix}{number}" for number in range(self.COUNT))
        self.registry.subscribe(Message(Topic.EVENT, EventAction.SUBSCRIBE, names=names), connection)
        connection.take()
        return connection

    def test_turns(self) -> None:
        """
        However many such connections end at once, no turn lasts too long, and in the end nothing of them is left.
        """
        connections = [self.subscriber(f"{number}-") for number in range(10)]

        def close() -> None:
            for connection in connections:
                connection.close()

        lengths = turn_lengths(self.clock, close)
        self.assertLess(max(lengths), 2 * WORK_SLICE)
        self.assertEqual(len(set(self.released)), 10 * self.COUNT)
        self.assertEqual((list(self.registry.names()), list(self.registry.connections())), ([], []))

    def test_only(self) -> None:
        """
        While one of two subscribers is being taken off its names, the other one counts as the only one already; it is
        told of when that is done.
        """
        single: list[str] = []
        self.registry.observe_few(lambda name: None, single.append)
        leaver, stayer = self.subscriber("x"), self.connect()
        for number in (0, self.COUNT - 1):
            self.registry.add(f"x{number}", stayer)
        leaver.close()
        self.assertTrue(self.registry.is_only("x0", stayer))
        self.assertTrue(self.registry.is_only(f"x{self.COUNT - 1}", stayer))
        self.clock.pump([0.0] * 100)
        self.assertEqual(sorted(single), ["x0", f"x{self.COUNT - 1}"])

    def test_half_ended(self) -> None:
        """
        From the moment at which it closes, a connection has no subscription for any caller.
        """
        ann = self.subscriber("ann")
        ann.close()
        name = next(iter(self.registry.names()))
        self.assertNotIn(name, self.released)
        self.assertNotIn(name, self.registry)
        self.assertEqual(self.registry.subscribers(name), [])
        self.assertFalse(self.registry.is_subscribed(name, ann))
        self.assertEqual(self.registry.names_of(ann), [])

    def test_taken_over(self) -> None:
        """
        A client that subscribes to such a name meanwhile receives its messages and keeps it; the name never ended.
        """
        ann, bob = self.subscriber("ann"), self.connect("bob")
        ann.close()
        name = next(iter(self.registry.names()))
        self.registry.subscribe(Message(Topic.EVENT, EventAction.SUBSCRIBE, names=(name,)), bob)
        self.assertIn(name, self.registry)
        turn_lengths(self.clock, bob.take)
        event = Message(Topic.EVENT, EventAction.EMIT, name, b"1")
        self.registry.publish(event)
        self.assertEqual(bob.take(), [event])
        self.assertEqual((len(self.released), list(self.registry.names())), (self.COUNT - 1, [name]))
        bob.close()
        self.assertEqual(self.released[-1], name)

    def test_end_meanwhile(self) -> None:
        """
        A name whose subscriptions all end meanwhile, as those of a deleted record, is released once.
        """
        ann = self.subscriber("ann")
        ann.close()
        name = next(iter(self.registry.names()))
        self.registry.end(name)
        turn_lengths(self.clock, ann.take)
        self.assertEqual(self.released.count(name), 1)


@for_each_requester
class ManySubscribersTests(RequesterTestCase):
    """
    L{SubscriptionRegistry.end} of a name with very many subscribers, when each step takes some time.
    """

    COUNT = 3000

    def setUp(self) -> None:
        self.clock = BusyClock()
        self.room = Budget()
        self.registry = SubscriptionRegistry(Topic.EVENT, clock=self.clock, room=self.room, limit=2)
        self.registry.observe(lambda name: None, self.released)
        self.names: list[str] = []
        self.wire = FakeWire()
        self.connections = [self.connect(str(number), self.wire) for number in range(self.COUNT)]
        for connection in self.connections:
            self.registry.add("a", connection)
            self.registry.add("b", connection)
        self.clock.tick = 0.000_01

    def released(self, name: str) -> None:
        self.names.append(name)

    def end(self) -> None:
        self.registry.end("a")

    def finish(self) -> None:
        turn_lengths(self.clock, list)

    def test_turns(self) -> None:
        """
        No turn lasts too long, and in the end nothing of the name is left.
        """
        self.registry.end("b")
        self.finish()
        lengths = turn_lengths(self.clock, self.end)
        self.assertGreater(len(lengths), 1)
        self.assertLess(max(lengths), LONGEST)
        self.assertEqual(self.names, ["b", "a"])
        self.assertEqual({name for each in self.connections for name in self.registry.names_of(each)}, set())
        self.assertEqual(self.room.used, 0)

    def test_at_once(self) -> None:
        """
        The name is released at once; from then on no connection is subscribed to it for any caller.
        """
        self.end()
        self.assertEqual(self.names, ["a"])
        self.assertNotIn("a", self.registry)
        self.assertEqual(self.registry.subscribers("a"), [])
        self.assertTrue(all(self.registry.names_of(each) == ["b"] for each in self.connections[:10]))
        self.assertFalse(any(self.registry.is_subscribed("a", each) for each in self.connections))
        self.assertFalse(self.registry.discard("a", self.connections[10]))
        self.registry.publish(Message(Topic.EVENT, EventAction.EMIT, "a", b"1"))
        self.assertEqual(self.connections[0].take(), [])

    def test_again(self) -> None:
        """
        A connection can subscribe to the name, or to another one, before the others have forgotten it. It keeps that.
        """
        self.end()
        ann, bob = self.connections[:2]
        self.assertTrue(self.registry.add("a", ann))
        self.assertTrue(self.registry.add("c", bob))
        self.registry.end("a")
        self.assertTrue(self.registry.add("a", ann))
        self.finish()
        self.assertEqual(self.registry.subscribers("a"), [ann])
        self.assertTrue(self.registry.is_subscribed("a", ann))
        self.assertEqual(sorted(self.registry.names_of(bob)), ["b", "c"])

    def test_close(self) -> None:
        """
        A connection that closes before it has forgotten the name leaves nothing behind.
        """
        self.end()
        for connection in self.connections:
            connection.close()
        self.finish()
        self.assertEqual(self.names, ["a", "b"])
        self.assertEqual((list(self.registry.names()), list(self.registry.connections())), ([], []))
        self.assertEqual(self.room.used, 0)
