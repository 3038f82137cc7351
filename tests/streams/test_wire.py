"""
Tests for L{dstwist.streams.wire}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from dstwist.interfaces import IWire
from dstwist.protocol.constants import EventAction, RecordAction, Topic
from dstwist.protocol.message import Data, Message
from dstwist.streams.wire import STREAM_WIRE, error_event


class WireTests(SynchronousTestCase):
    """
    The one wire of all streams.
    """

    def event(self, data: Data) -> bytes:
        frame = STREAM_WIRE.encode(Message(Topic.EVENT, EventAction.EMIT, "x", data))
        assert isinstance(frame, bytes)
        return frame

    def record(self, action: RecordAction, data: Data = None, version: int | None = None) -> tuple[int, bytes, bool]:
        frame = STREAM_WIRE.encode(Message(Topic.RECORD, action, "x", data, version=version))
        assert not isinstance(frame, bytes)
        self.assertEqual(len(frame), len(frame.data))
        return frame.version, frame.data, frame.answers

    def test_interface(self) -> None:
        """
        It provides what it says.
        """
        verifyObject(IWire, STREAM_WIRE)

    def test_events(self) -> None:
        """
        JSON, typed values of v2 and v3, and no data.
        """
        for data, expected in ((b'{"a":1}', b'{"a":1}'), ("Sx", b'"x"'), ("N1.5", b"1.5"), (None, b"null")):
            self.assertEqual(self.event(data), b"event: emit\ndata: %b\n\n" % expected)

    def test_lines(self) -> None:
        """
        The text of a client with line breaks between its values is on one line, and is the same value.
        """
        expected = b'event: emit\ndata: {  "a":  1 }\n\n'
        self.assertEqual(self.event(b'{\r\n"a":\n\r1\n}'), expected)
        self.assertEqual(self.event(b'"\\n\\r\xe2\x80\xa8"'), b'event: emit\ndata: "\\n\\r\xe2\x80\xa8"\n\n')

    def test_states(self) -> None:
        """
        The states of a record, by an answer and by news.
        """
        state = b'id: 7\nevent: record\ndata: {"a":1}\n\n'
        self.assertEqual(self.record(RecordAction.READ_RESPONSE, b'{"a":1}', 7), (7, state, True))
        self.assertEqual(self.record(RecordAction.UPDATE, b'{"a":1}', 7), (7, state, False))

    def test_no_record(self) -> None:
        """
        A record that does not exist, by an answer and by news.
        """
        gone = b"id: -1\nevent: deleted\ndata: null\n\n"
        self.assertEqual(self.record(RecordAction.READ_RESPONSE, b"{}", -1), (-1, gone, True))
        self.assertEqual(self.record(RecordAction.DELETED), (-1, gone, False))

    def test_others(self) -> None:
        """
        Messages without a form.
        """
        for topic, action in (
            (Topic.EVENT, EventAction.SUBSCRIPTION_FOR_PATTERN_FOUND),
            (Topic.RECORD, RecordAction.SUBSCRIPTION_HAS_PROVIDER),
            (Topic.RECORD, RecordAction.MULTIPLE_SUBSCRIPTIONS),
        ):
            self.assertEqual(STREAM_WIRE.encode(Message(topic, action, "x")), b"")

    def test_errors(self) -> None:
        """
        The event of an error.
        """
        self.assertEqual(error_event(b'{"a":1}'), b'event: error\ndata: {"a":1}\n\n')
