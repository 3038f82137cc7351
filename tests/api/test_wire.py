"""
Tests for L{dstwist.api.wire}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from dstwist.api.wire import MESSAGE_WIRE
from dstwist.interfaces import IWire
from dstwist.protocol.constants import EventAction, Topic
from dstwist.protocol.message import Message


class WireTests(SynchronousTestCase):
    """
    L{MESSAGE_WIRE}.
    """

    def test_frame(self) -> None:
        """
        A frame has the very message, and a length that grows with the data. It is never empty.
        """
        verifyObject(IWire, MESSAGE_WIRE)
        message = Message(Topic.EVENT, EventAction.EMIT)
        frame = MESSAGE_WIRE.encode(message)
        self.assertIs(frame.message, message)
        self.assertTrue(frame)
        longer = MESSAGE_WIRE.encode(Message(Topic.EVENT, EventAction.EMIT, "abc", b"x" * 100))
        self.assertEqual(len(longer) - len(frame), 103)
