"""
Tests for L{dstwist.routing.wanted_names}.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from dstwist.cluster.digest import GONE, State
from dstwist.cluster.shared_patterns import SharedPatterns
from dstwist.cluster.table import partition_of
from dstwist.protocol.constants import ACTIONS, Topic
from dstwist.protocol.message import Message
from dstwist.routing.subscriptions import SubscriptionRegistry
from dstwist.routing.wanted_names import RETRY_SECONDS, WantedNames
from tests.cluster.stage import Stage
from tests.fakes import FakeConnection
from tests.logs import Lines

RECORD = ACTIONS[Topic.RECORD]


class StageTestCase(SynchronousTestCase):
    """
    L{WantedNames} on the first of two nodes; the second one is told which names are wanted, and provides them.
    """

    max_name_bytes: int | None = None

    def setUp(self) -> None:
        self.stage = Stage(self, 2, max_name_bytes=self.max_name_bytes)
        here, there = self.stage.nodes
        self.told: list[tuple[str, State]] = []
        there.directory.on_told("r", lambda name, state: self.told.append((name, state)))
        there.directory.watch_all("r")
        self.there = there.directory
        self.patterns = SharedPatterns("r", here, 100)
        self.subscriptions = SubscriptionRegistry(Topic.RECORD)
        self.names = WantedNames(Topic.RECORD, self.subscriptions, "r", "s", here, self.patterns, True)
        self.addCleanup(self.patterns.stop)
        self.addCleanup(self.names.stop)
        self.stage.start()

    def subscribe(self, *names: str) -> FakeConnection:
        connection = FakeConnection()
        for name in names:
            self.subscriptions.add(name, connection)
        return connection

    def wanted(self) -> list[str]:
        """
        The names that are wanted.
        """
        self.stage.advance(3)
        return sorted(self.there.known("r"))

    def heard(self, connection: FakeConnection) -> list[tuple[str, str | None]]:
        self.stage.advance(3)
        return [(message.action.name, message.name) for message in connection.take()]


class WantedNamesTests(StageTestCase):
    """
    Names that are wanted, and provided.
    """

    def test_wanted(self) -> None:
        """
        A name is wanted while it has a subscriber, and a pattern matches.
        """
        self.patterns.put("^a", 1)
        ann, bob = self.subscribe("a/1", "a/2", "b"), self.subscribe("a/1")
        self.assertEqual(self.wanted(), ["a/1", "a/2"])
        ann.close()
        self.assertEqual(self.wanted(), ["a/1"])
        bob.close()
        self.assertEqual(self.wanted(), [])

    def test_new_pattern(self) -> None:
        """
        Names that have subscribers are wanted as soon as a pattern matches them.
        """
        self.subscribe("a/1", "a/2", "b")
        self.assertEqual(self.wanted(), [])
        self.patterns.put("^a", 1)
        self.assertEqual(self.wanted(), ["a/1", "a/2"])
        self.patterns.put("b", 2)
        self.assertEqual(self.wanted(), ["a/1", "a/2", "b"])

    def test_gone_pattern(self) -> None:
        """
        When the pattern has gone, they are wanted for some time, in which it may come back; but as long as a provider
        is there.
        """
        self.patterns.put("^a", 1)
        subscriber = self.subscribe("a/1", "a/2")
        self.there.hold("s", "a/2")
        self.stage.advance(3)
        self.patterns.remove("^a")
        self.stage.advance(5)
        self.patterns.put("^a", 2)
        self.stage.advance(20)
        self.assertEqual(sorted(self.told), [("a/1", (True, ())), ("a/2", (True, ()))])
        self.patterns.remove("^a")
        self.stage.advance(15)
        self.assertEqual(self.wanted(), ["a/2"])
        subscriber.take()
        self.there.release("s", "a/2")
        self.stage.advance(15)
        self.assertEqual(self.wanted(), [])
        self.assertEqual(self.heard(subscriber), [("SUBSCRIPTION_HAS_NO_PROVIDER", "a/2")])

    def test_announced(self) -> None:
        """
        The subscribers are told that their name has a provider, and that it has none any more, but not that it has none
        yet.
        """
        self.patterns.put("^a", 1)
        subscriber = self.subscribe("a/1")
        self.assertEqual(self.heard(subscriber), [])
        self.there.hold("s", "a/1")
        self.assertEqual(self.heard(subscriber), [("SUBSCRIPTION_HAS_PROVIDER", "a/1")])
        self.assertTrue(self.names.provided("a/1"))
        self.there.release("s", "a/1")
        self.assertEqual(self.heard(subscriber), [("SUBSCRIPTION_HAS_NO_PROVIDER", "a/1")])
        self.assertFalse(self.names.provided("a/1"))

    def test_forgotten(self) -> None:
        """
        A new subscriber of a name that had none for some time hears of its provider anew.
        """
        self.patterns.put("^a", 1)
        self.there.hold("s", "a/1")
        for _ in range(2):
            subscriber = self.subscribe("a/1")
            self.assertFalse(self.names.provided("a/1"))
            self.assertEqual(self.heard(subscriber), [("SUBSCRIPTION_HAS_PROVIDER", "a/1")])
            subscriber.close()

    def waiting(self, name: str) -> Deferred[None]:
        waiting = self.names.wait(name)
        assert waiting is not None
        return waiting

    def test_wait(self) -> None:
        """
        A client that is about to subscribe waits until it is known whether its name has a provider.
        """
        self.patterns.put("^a", 1)
        self.there.hold("s", "a/1")
        self.stage.turn()
        for name, provided in (("a/1", True), ("a/2", False)):
            waiting = self.waiting(name)
            self.assertNoResult(waiting)
            self.stage.turn()
            self.successResultOf(waiting)
            self.assertIsNone(self.names.wait(name))
            subscriber = self.subscribe(name)
            self.assertIs(self.names.provided(name), provided)
            self.assertEqual(self.heard(subscriber), [])

    def test_wait_of_subscriber(self) -> None:
        """
        A client waits as well if another one has subscribed, but is not known yet.
        """
        self.patterns.put("^a", 1)
        subscriber = self.subscribe("a/1")
        waiting = self.waiting("a/1")
        self.stage.turn()
        self.successResultOf(waiting)
        subscriber.close()
        self.assertNotEqual(self.names.wait("a/1"), None)

    def test_not_subscribed(self) -> None:
        """
        If it does not subscribe after all, the name is watched for some time; if it has subscribed, until it does not
        any more.
        """
        here = self.stage.nodes[0].directory
        self.patterns.put("^a", 1)
        self.waiting("a/1")
        self.waiting("a/2")
        self.subscribe("a/2")
        self.stage.advance(5)
        self.assertEqual(here.state("s", "a/1"), GONE)
        self.stage.advance(10)
        self.assertIsNone(here.state("s", "a/1"))
        self.assertEqual(here.state("s", "a/2"), GONE)

    def test_no_wait(self) -> None:
        """
        There is nothing to wait for if no pattern matches, or if the bus is lost.
        """
        self.patterns.put("^a", 1)
        self.assertIsNone(self.names.wait("b"))
        self.stage.bus(0).disconnect()
        self.assertIsNone(self.names.wait("a/1"))

    def test_wait_ends(self) -> None:
        """
        It waits no longer than C{subscribeTimeout}, than the name is wanted, and than this node serves.
        """
        self.patterns.put("^a", 1)
        for bus in range(2):
            self.patch(self.stage.bus(bus), "send", lambda address, payload: None)
        owns = self.stage.nodes[1].membership.owns
        names = [f"a/{number}" for number in range(50) if owns(partition_of(f"a/{number}", 4))]
        waiting = self.waiting(names[0])
        self.stage.advance(0.9)
        self.assertNoResult(waiting)
        self.stage.advance(0.2)
        self.successResultOf(waiting)
        waiting = self.waiting(names[1])
        self.subscribe(names[1]).close()
        self.successResultOf(waiting)
        waiting = self.waiting(names[2])
        self.names.stop()
        self.successResultOf(waiting)

    def test_not_announced(self) -> None:
        """
        If subscribers are not told, nothing is watched.
        """
        stage = Stage(self, 1)
        (node,) = stage.nodes
        patterns = SharedPatterns("e", node, 100)
        subscriptions = SubscriptionRegistry(Topic.EVENT)
        names = WantedNames(Topic.EVENT, subscriptions, "e", "f", node, patterns, False)
        self.addCleanup(patterns.stop)
        self.addCleanup(names.stop)
        stage.start()
        patterns.put("^a", 1)
        subscriber = FakeConnection()
        subscriptions.add("a/1", subscriber)
        node.directory.hold("f", "a/1")
        stage.advance(3)
        self.assertIsNone(node.directory.state("f", "a/1"))
        self.assertEqual(subscriber.take(), [])

    def test_message(self) -> None:
        """
        The message is that of a single node.
        """
        self.patterns.put("^a", 1)
        subscriber = self.subscribe("a/1")
        self.there.hold("s", "a/1")
        self.stage.turn()
        self.assertEqual(subscriber.take(), [Message(Topic.RECORD, RECORD["SUBSCRIPTION_HAS_PROVIDER"], name="a/1")])


class FullPartitionTests(StageTestCase):
    """
    The names of one partition take few bytes.
    """

    max_name_bytes = 10_000

    def test_full(self) -> None:
        """
        A client is refused that subscribes to a name that a pattern matches, if the partition of the name has no room
        left. A name that was subscribed to before is offered to no listener then, and the log says so.
        """
        lines = Lines(self)
        names = [name for name in (f"{n}" + "x" * 3000 for n in range(40)) if partition_of(name, 4) == 1]
        client = self.subscribe(names[0])
        self.patterns.put("x", 1)
        self.stage.advance(3)
        # One of its two entries is held, and one is watched.
        self.assertFalse(self.subscriptions.add(names[1], client))
        self.assertEqual(len(self.wanted()), 1)
        self.assertIn("bytes of names, in one partition of the cluster, of RECORD", "".join(lines.of("warn")))
        self.assertTrue(self.subscriptions.add("y", client))
        self.patterns.remove("x")
        self.stage.advance(15)
        self.subscribe(*names[1:4])
        self.patterns.put("x", 1)
        self.assertLess(len(self.wanted()), 3)
        self.assertIn("names of RECORD are not offered to listeners", "".join(lines.of("warn")))

    def test_room_again(self) -> None:
        """
        A name for which there was no room is offered to listeners when another name of its partition has left. If its
        subscriber, or its pattern, has gone meanwhile, it is not.
        """
        names = [name for name in (f"{n}" + "x" * 3000 for n in range(40)) if partition_of(name, 4) == 1]
        subscribers = [self.subscribe(name) for name in names[:4]]
        self.patterns.put("x", 1)
        (first,) = self.wanted()
        self.assertEqual(first, names[0])
        subscribers[1].close()
        self.stage.advance(30)
        self.assertEqual(self.wanted(), [first])
        subscribers[0].close()
        self.stage.advance(RETRY_SECONDS)
        self.assertEqual(self.wanted(), [names[2]])
        self.patterns.remove("x")
        self.stage.advance(60)
        self.assertEqual(self.wanted(), [])
        subscribers[2].close()
        self.patterns.put("x", 2)
        self.assertEqual(self.wanted(), [names[3]])
        subscribers[3].close()
        self.assertEqual(self.wanted(), [])
