"""
Messages as rows of a trace.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dstwist.admin.message_rows import row_of, rows_of_frame
from dstwist.protocol import json_messages, protobuf, text
from dstwist.protocol.constants import EventAction, RecordAction, Topic
from dstwist.protocol.message import Message
from dstwist.transports.wire import WebSocketWire

PATCH = Message(
    Topic.RECORD,
    RecordAction.PATCH,
    "car",
    b'{"secret":1}',
    path="doors",
    version=7,
    correlation_id="9",
    is_write_ack=True,
)


class RowTests(SynchronousTestCase):
    """
    L{row_of} and L{rows_of_frame}.
    """

    def test_fields(self) -> None:
        """
        A row has the fields that the message has; of its value only the length.
        """
        self.assertEqual(
            row_of(PATCH, False),
            {
                "topic": "RECORD",
                "action": "PATCH",
                "name": "car",
                "path": "doors",
                "version": 7,
                "correlationId": "9",
                "writeAck": True,
                "data": "<12 bytes>",
            },
        )
        self.assertEqual(row_of(PATCH, True)["data"], '{"secret":1}')

    def test_frames(self) -> None:
        """
        Frames of all lengths and protocols are read as their clients read them.
        """
        for codec, binary in ((protobuf.SERVER, True), (json_messages.SERVER, False), (text.SERVER, False)):
            wire = WebSocketWire(codec, binary)
            for length in (1, 200, 65_000):
                data = b'"%s"' % (b"x" * length)
                frame = wire.encode(Message(Topic.EVENT, EventAction.EMIT, "news", data))
                (row,) = rows_of_frame(frame, codec, False)
                self.assertEqual((row["action"], row["name"]), ("EMIT", "news"))

    def test_others(self) -> None:
        """
        Frames that carry no messages, and bytes that are no frame, do not fail.
        """
        self.assertEqual(rows_of_frame(b"\x89\x00", text.SERVER, False), [{"control": 9, "bytes": 2}])
        self.assertEqual(rows_of_frame(b"\x88\x02\x03\xe8", text.SERVER, False), [{"control": 8, "bytes": 4}])
        self.assertEqual(rows_of_frame(b"\x00", text.SERVER, False), [{"control": 0, "bytes": 1}])
        rows_of_frame(b"\x82\x05\xff\xff\xff\xff\xff", protobuf.SERVER, False)
