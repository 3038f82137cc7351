"""
Tests for L{dstwist.services.record.passed_on}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dstwist.protocol.constants import Topic
from dstwist.routing.subscriptions import SubscriptionRegistry
from dstwist.services.record.passed_on import PassedOn
from tests.fakes import FakeConnection


class PassedOnTests(SynchronousTestCase):
    """
    L{PassedOn}.
    """

    def test_subscribed(self) -> None:
        """
        The version of a record is known as long as the record has a subscriber.
        """
        subscriptions = SubscriptionRegistry(Topic.RECORD)
        passed_on = PassedOn(subscriptions)
        ann, bob = FakeConnection("ann", None), FakeConnection("bob", None)
        passed_on.note("a", 1)
        self.assertIsNone(passed_on.version("a"))
        subscriptions.add("a", ann)
        subscriptions.add("a", bob)
        passed_on.note("a", 2)
        passed_on.note("a", 1)
        subscriptions.discard("a", ann)
        self.assertEqual(passed_on.version("a"), 1)
        bob.close()
        self.assertIsNone(passed_on.version("a"))

    def test_deleted(self) -> None:
        """
        It is not known any more when all subscriptions end with the record.
        """
        subscriptions = SubscriptionRegistry(Topic.RECORD)
        passed_on = PassedOn(subscriptions)
        subscriptions.add("a", FakeConnection("ann", None))
        passed_on.note("a", 2)
        subscriptions.end("a")
        self.assertIsNone(passed_on.version("a"))
