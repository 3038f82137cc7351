"""
Tests for L{dstwist.assembly.requests}.
"""

from __future__ import annotations

from dstwist.protocol.constants import EventAction, Topic
from dstwist.protocol.message import Message
from tests.assembly.steps import StepsTestCase
from tests.fakes import FakeConnection, FakeWire


class RequestPartsTests(StepsTestCase):
    """
    L{RequestParts}.
    """

    def test_event(self) -> None:
        """
        The router brings an event to the subscribers of its name.
        """
        wire = FakeWire()
        ann, bob = FakeConnection("ann", wire), FakeConnection("bob", wire)
        subscribe = Message(Topic.EVENT, EventAction.SUBSCRIBE, names=("news",))
        emit = Message(Topic.EVENT, EventAction.EMIT, name="news", data=b"1")
        self.requests.router.route(subscribe, ann)
        self.assertEqual(ann.take(), [subscribe.ack()])
        self.requests.router.route(emit, bob)
        self.assertEqual((ann.take(), bob.take()), ([emit], []))
