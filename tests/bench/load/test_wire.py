"""
Tests for L{bench.load.wire}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from bench.load.wire import HOLE, MARK, Numbered, frame, frames
from dstwist.protocol.constants import EventAction, RecordAction, Topic
from dstwist.protocol.message import Message


class NumberedTests(SynchronousTestCase):
    """
    Frames that differ in a number.
    """

    def test_same_as_encoded(self) -> None:
        """
        A frame has the number wherever the message has the hole, and is what the codec would have made of it.
        """
        for filler in ("x", "x" * 200, "x" * 70_000):
            message = Message(Topic.RECORD, RecordAction.PATCH, f"record/{HOLE}", f'"{filler}"'.encode(), path="rate")
            message.version, message.is_write_ack, message.correlation_id = 300, True, f"{MARK.decode()}{HOLE}"
            numbered = Numbered(message)
            for number in (0, 7, 12345678):
                message.name = f"record/{number:08}"
                message.correlation_id = f"{MARK.decode()}{number:08}"
                self.assertEqual(numbered.frame(number), frame(message))


class FramesTests(SynchronousTestCase):
    """
    Frames of several messages.
    """

    def test_one_each(self) -> None:
        """
        Each message has a frame of its own.
        """
        one, other = (Message(Topic.EVENT, EventAction.EMIT, name, b"1") for name in ("a", "b"))
        self.assertEqual(frames([one, other]), frame(one) + frame(other))
