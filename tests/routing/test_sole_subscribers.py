"""
Listeners that are subscribed to what they provide: a client of v2 or v3 does not count itself.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dstwist.protocol.constants import Topic
from dstwist.protocol.dialect import PROTOBUF, TEXT
from tests.fakes import FakeConnection
from tests.routing.stage import Stage, entries


class SoleSubscriberTests(SynchronousTestCase):
    """
    L{SoleSubscribers}, as clients come to feel it. The listener is of v2 if nothing else is said.
    """

    def setUp(self) -> None:
        self.stage = Stage(rematch_interval=60.0)

    def hears(self, connection: FakeConnection, *words: str) -> None:
        self.assertEqual(self.stage.heard(connection), list(words))

    def provider(self, name: str = "a") -> tuple[FakeConnection, FakeConnection]:
        """
        A listener that provides a name and is subscribed to it, and the other subscriber.
        """
        listener = self.stage.listener(name, dialect=TEXT)
        subscriber = self.stage.subscriber(name)
        self.stage.accept(listener, name, name)
        self.stage.subscribe(listener, name)
        for connection in (listener, subscriber):
            connection.take()
        return listener, subscriber

    def test_others_leave(self) -> None:
        """
        A provider is told to stop when the last other subscriber leaves or closes, in both topics, and may then
        unsubscribe as it likes.
        """
        for topic in (Topic.EVENT, Topic.RECORD):
            for closes in (False, True):
                self.stage = Stage(topic)
                listener, subscriber = self.provider()
                if closes:
                    subscriber.close()
                else:
                    self.stage.unsubscribe(subscriber, "a")
                announced = ["UNPROVIDED a"] if topic is Topic.RECORD else []
                self.hears(listener, "REMOVED a a", *announced)
                self.assertFalse(self.stage.listeners.provided("a"))
                self.stage.unsubscribe(listener, "a")
                self.hears(listener, "ACK UNSUBSCRIBE")
                listener.close()
                self.assertEqual(entries(self.stage.listeners), entries(Stage(topic).listeners))

    def test_some_leave(self) -> None:
        """
        It is told nothing while there is another subscriber of any generation, and nothing if it unsubscribes itself.
        """
        listener, subscriber = self.provider()
        other = self.stage.subscriber("a", TEXT)
        self.stage.unsubscribe(subscriber, "a")
        self.hears(listener)
        self.stage.unsubscribe(listener, "a")
        self.hears(listener, "ACK UNSUBSCRIBE")
        self.assertTrue(self.stage.listeners.provided("a"))
        other.close()
        self.hears(listener, "REMOVED a a")

    def test_others_come(self) -> None:
        """
        A listener is not asked about a name whose only subscriber it is. It is asked when another client subscribes.
        """
        listener = self.stage.listener("a", dialect=TEXT)
        self.stage.subscribe(listener, "a")
        self.hears(listener, "ACK SUBSCRIBE")
        subscriber = self.stage.subscriber("a")
        self.hears(listener, "FOUND a a")
        self.stage.accept(listener, "a", "a")
        self.hears(listener, "PROVIDED a")
        subscriber.close()
        self.hears(listener, "REMOVED a a", "UNPROVIDED a")
        self.stage.subscriber("a")
        self.hears(listener, "FOUND a a")

    def test_listens_later(self) -> None:
        """
        It is the same if it was subscribed before it began to listen.
        """
        listener = FakeConnection(dialect=TEXT)
        self.stage.subscribe(listener, "a")
        self.stage.listen(listener, "a")
        self.hears(listener, "ACK SUBSCRIBE", "ACK LISTEN a")
        self.stage.subscriber("a")
        self.hears(listener, "FOUND a a")

    def test_other_listeners(self) -> None:
        """
        Another listener is asked, for the first one is a subscriber to it.
        """
        listener, other = self.stage.listener("a", dialect=TEXT), self.stage.listener("a", dialect=TEXT)
        self.stage.subscribe(listener, "a")
        self.hears(listener, "ACK SUBSCRIBE")
        self.hears(other, "FOUND a a")
        # While the other one is asked, a client comes, so the first one may be asked, too.
        self.stage.subscriber("a")
        self.stage.reject(other, "a", "a")
        self.hears(listener, "FOUND a a")

    def test_not_in_turn(self) -> None:
        """
        Two listeners that subscribe to what they provide do not make each other providers without end: when the one is
        told to stop, the other one is asked at the next rematch at the earliest.
        """
        listener, subscriber = self.provider()
        other = self.stage.listener("a", dialect=TEXT)
        subscriber.close()
        self.hears(listener, "REMOVED a a", "UNPROVIDED a")
        self.hears(other)
        self.stage.clock.advance(60.0)
        self.hears(other, "FOUND a a")
        self.hears(listener)

    def test_asked_meanwhile(self) -> None:
        """
        A listener that is being asked is not waited for when all others leave; if it accepts, it is told to stop.
        """
        listener = self.stage.listener("a", dialect=TEXT)
        subscriber = self.stage.subscriber("a")
        self.stage.subscribe(listener, "a")
        self.hears(listener, "FOUND a a", "ACK SUBSCRIBE")
        subscriber.close()
        self.stage.accept(listener, "a", "a")
        self.hears(listener, "REMOVED a a")
        self.assertFalse(self.stage.listeners.provided("a"))
        self.stage.subscriber("a")
        self.hears(listener, "FOUND a a")

    def test_young(self) -> None:
        """
        A v4+ provider counts as a subscriber like any other, as on the Node server of its generation.
        """
        listener = self.stage.listener("a", dialect=PROTOBUF)
        self.stage.subscribe(listener, "a")
        self.hears(listener, "FOUND a a", "ACK SUBSCRIBE")
        self.stage.accept(listener, "a", "a")
        subscriber = self.stage.subscriber("a")
        subscriber.close()
        self.hears(listener, "PROVIDED a")
        self.stage.unsubscribe(listener, "a")
        self.hears(listener, "REMOVED a a", "ACK UNSUBSCRIBE")
