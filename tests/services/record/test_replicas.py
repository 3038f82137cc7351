"""
Tests for L{dstwist.services.record.replicas}.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.settings import RecordSettings
from dstwist.record import Change, Record
from dstwist.services.record.replicas import Replicas
from tests.fakes import FakeConnection
from tests.services.record.stage import update


def change(before: object, after: object) -> Change:
    """
    A write of a whole record.
    """
    return Change(Record(2, before), update("a", 3, after))


class ResubscribedTests(SynchronousTestCase):
    """
    Clients that subscribed without being told what the record holds.
    """

    def setUp(self) -> None:
        self.replicas = Replicas(RecordSettings(), Clock(), lambda name, connection: None)
        self.ann, self.bob = FakeConnection("ann"), FakeConnection("bob")

    def may_differ(self) -> list[bool]:
        return [self.replicas.may_differ("a", connection) for connection in (self.ann, self.bob)]

    def test_until_a_write_is_accepted(self) -> None:
        """
        The copy of such a client may be wrong until a write of its is accepted; to read is not enough.
        """
        self.replicas.resubscribed("a", self.ann, was_subscribed=False)
        self.replicas.sent("a", self.ann)
        anything = change({}, {"x": 1})
        self.replicas.accepted("b", self.ann, 1, anything)
        self.replicas.accepted("a", self.bob, 1, anything)
        self.assertEqual(self.may_differ(), [True, False])
        self.replicas.accepted("a", self.ann, 1, anything)
        self.assertEqual(self.may_differ(), [False, False])

    def test_subscribed_all_the_time(self) -> None:
        """
        A client that was subscribed already has heard all news.
        """
        self.replicas.resubscribed("a", self.ann, was_subscribed=True)
        self.assertEqual(self.may_differ(), [False, False])

    def test_left(self) -> None:
        """
        A client that is not subscribed any more, for any reason, has no copy.
        """
        for end in (
            lambda: self.replicas.left("a", self.ann),
            lambda: self.replicas.ended("a", [self.bob, self.ann]),
            self.ann.close,
        ):
            self.replicas.resubscribed("a", self.ann, was_subscribed=False)
            end()
            self.assertEqual(self.may_differ(), [False, False])
        self.assertEqual(len(self.replicas.resubscribers), 0)

    def test_predecessor(self) -> None:
        """
        It may hold a record of that name that was deleted before it came back, until it is told of the new one.
        """
        self.replicas.deleted("a", 7, [self.bob])
        self.replicas.resubscribed("a", self.ann, was_subscribed=True)
        for connection in (self.ann, self.bob):
            self.assertTrue(self.replicas.may_hold_predecessor("a", connection))
            self.assertTrue(self.replicas.may_target_predecessor("a", connection, 8))
            self.replicas.sent("a", connection)
            self.assertFalse(self.replicas.may_hold_predecessor("a", connection))
