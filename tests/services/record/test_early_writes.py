"""
Clients that go on writing while they reconnect.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.protocol.dialect import JAVASCRIPT, PROTOBUF
from dstwist.protocol.message import Message
from dstwist.services.record import early_writes
from dstwist.services.record.early_writes import MAX_NAMES_EACH, NEWCOMER_SECONDS, EarlyWrites
from tests.fakes import FakeConnection
from tests.services.record.stage import A, RecordTestCase, ask


class EarlyWritesTests(SynchronousTestCase):
    """
    L{EarlyWrites}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.subscribed: set[str] = set()
        self.early = EarlyWrites(lambda name, connection: name in self.subscribed, self.clock)
        self.ann = self.newcomer("ann")

    def newcomer(self, user: str) -> FakeConnection:
        connection = FakeConnection(user, dialect=JAVASCRIPT)
        self.early.came(connection)
        return connection

    def test_taken_once(self) -> None:
        """
        A write before the subscription is remembered until it is asked for.
        """
        self.early.written("a", self.ann)
        self.early.written("a", self.ann)
        self.assertFalse(self.early.take("b", self.ann))
        self.assertFalse(self.early.take("a", self.newcomer("bob")))
        self.assertTrue(self.early.take("a", self.ann))
        self.assertFalse(self.early.take("a", self.ann))

    def test_subscribed(self) -> None:
        """
        A write of a subscriber does not count.
        """
        self.subscribed.add("a")
        self.early.written("a", self.ann)
        self.assertFalse(self.early.take("a", self.ann))

    def test_time(self) -> None:
        """
        Writes count for some time after the login. After that, nothing is left.
        """
        self.early.written("a", self.ann)
        self.clock.advance(NEWCOMER_SECONDS - 1)
        self.assertIn(self.ann, self.early.newcomers)
        self.clock.advance(1)
        self.assertNotIn(self.ann, self.early.newcomers)
        self.assertFalse(self.early.take("a", self.ann))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_left(self) -> None:
        """
        A client that leaves is forgotten, early or late. Others may come after that.
        """
        self.early.written("a", self.ann)
        self.early.left(self.ann)
        self.early.left(self.ann)
        self.assertNotIn(self.ann, self.early.newcomers)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        bob = self.newcomer("bob")
        self.clock.advance(NEWCOMER_SECONDS)
        self.assertNotIn(bob, self.early.newcomers)

    def test_other_clients(self) -> None:
        """
        Only the official JavaScript client needs it.
        """
        other = FakeConnection("other", dialect=PROTOBUF)
        self.early.came(other)
        self.assertNotIn(other, self.early.newcomers)
        self.early.left(other)

    def test_limits(self) -> None:
        """
        Only so many records of one client, and of all, are remembered.
        """
        for number in range(MAX_NAMES_EACH + 1):
            self.early.written(str(number), self.ann)
        self.assertTrue(self.early.take(str(MAX_NAMES_EACH - 1), self.ann))
        self.assertFalse(self.early.take(str(MAX_NAMES_EACH), self.ann))
        self.patch(early_writes, "MAX_NAMES", MAX_NAMES_EACH)
        bob = self.newcomer("bob")
        for name in "ab":
            self.early.written(name, bob)
        self.assertEqual([self.early.take(name, bob) for name in "ab"], [True, False])
        self.early.left(self.ann)
        self.early.written("b", bob)
        self.assertTrue(self.early.take("b", bob))

    def test_stop(self) -> None:
        """
        After a stop nothing is left.
        """
        self.early.written("a", self.ann)
        self.early.stop()
        self.assertFalse(self.early.take("a", self.ann))
        self.early.left(self.ann)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class ReconnectTests(RecordTestCase):
    """
    What such a client is sent.
    """

    request = ask(A.SUBSCRIBEANDHEAD, names=("a", "b"), correlation_id="0")

    def setUp(self) -> None:
        super().setUp()
        for name in "ab":
            self.have(name, 5, {})
        self.ann = self.connect("ann", self.wire, JAVASCRIPT)

    def write(self, version: int) -> Message:
        return ask(A.UPDATE, "a", b"{}", version=version)

    def heads(self) -> list[Message]:
        """
        The answers to the request for both versions.
        """
        return [
            message
            for message in self.say(self.ann, self.request)
            if message.action in (A.HEAD_RESPONSE, A.HEAD_RESPONSE_BULK)
        ]

    def test_written(self) -> None:
        """
        The versions of records that the client has written to, accepted or not, are left out: the client reads them.
        """
        for version in (6, 3):
            self.service.logged_in(self.ann)
            self.say(self.ann, self.write(version))
            bulk = ask(A.HEAD_RESPONSE_BULK, versions={"b": 5})
            self.assertEqual(self.heads(), [ask(A.HEAD_RESPONSE, "a"), bulk])
            # It is subscribed now, so further writes do not count.
            self.say(self.ann, self.write(version + 1))
            self.assertEqual([sorted(message.versions or ()) for message in self.heads()], [["a", "b"]])
            self.service.logged_out(self.ann)
            self.say(self.ann, ask(A.UNSUBSCRIBE, names=("a", "b"), correlation_id="1"))

    def test_written_while_loading(self) -> None:
        """
        The same holds for a write that comes while the record is loaded.
        """
        self.cache.delay = 0.5
        self.service.logged_in(self.ann)
        self.say(self.ann, self.request, self.write(6))
        self.clock.pump([0.5] * 3)
        answers = [message for message in self.ann.take() if message.action is A.HEAD_RESPONSE]
        self.assertEqual(answers, [ask(A.HEAD_RESPONSE, "a"), ask(A.HEAD_RESPONSE, "b", version=5)])

    def test_deleted(self) -> None:
        """
        If there is no record, the client is told so.
        """
        self.service.logged_in(self.ann)
        self.say(self.ann, ask(A.DELETE, "a"), self.write(6))
        self.assertIn(ask(A.HEAD_RESPONSE, "a", version=-1), self.heads())
