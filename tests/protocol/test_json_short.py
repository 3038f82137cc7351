"""
Tests for L{dstwist.protocol.json_short}.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from twisted.trial.unittest import SynchronousTestCase

from dstwist.protocol.constants import EventAction, Topic
from dstwist.protocol.json_messages import SERVER
from dstwist.protocol.json_short import short_emit
from dstwist.protocol.jsontext import READ_IN_PARTS_LENGTH, loads
from dstwist.protocol.message import UNREAD, Message
from tests.protocol.test_protobuf import CONTENTS, DECLARED, EVERY_ACTION, fill

EMIT = {"topic": 4, "action": 2, "name": "e"}


def read(**fields: Any) -> Message | None:
    """
    The event with these fields.
    """
    found = EMIT | fields
    return short_emit(found, json.dumps(found))


class ReadTests(SynchronousTestCase):
    """
    L{short_emit}.
    """

    def test_events(self) -> None:
        """
        The forms of the official client are read, and give what the tables of fields give.
        """
        for fields in (
            {},
            {"isAck": False},
            {"parsedData": None},
            {"parsedData": {"a": 1}, "data": '{"a":1}', "isAck": False},
            {"parsedData": 1, "data": "2"},
            {"data": " [1] "},
            {"name": "half\ud800", "parsedData": "\ud800"},
        ):
            event = read(**fields)
            assert event is not None
            # A field that is ignored keeps the codec from this short way.
            [other] = SERVER.decode(json.dumps(EMIT | fields | {"x": 1}))
            self.assertEqual((event, event.value), (other, other.value))
        self.assertIs(read().value, UNREAD)

    def test_others(self) -> None:
        """
        All other messages are left to the tables.
        """
        for fields in (
            {"name": ""},
            {"name": 5},
            {"isAck": True},
            {"isAck": None},
            {"data": "{"},
            {"data": 1},
            {"correlationId": "1"},
            {"parsedData": "x" * READ_IN_PARTS_LENGTH},
        ):
            self.assertIsNone(read(**fields), fields)


class WriteTests(SynchronousTestCase):
    """
    The short ways of writing.
    """

    @EVERY_ACTION
    @given(CONTENTS)
    def test_same_as_tables(self, contents: dict[str, Any]) -> None:
        """
        They write the same values as the tables.
        """
        few = {"name", "data", "path", "version", "correlation_id", "is_write_ack"}
        for every in (
            contents,
            {key: value if key in few else None for key, value in contents.items()} | {"names": ()},
        ):
            for topic, action in DECLARED:
                message = fill(topic, action, every)
                self.assertEqual(loads(SERVER.encode(message)), loads(SERVER.encode_by_table(message)))

    def test_text_data(self) -> None:
        """
        An event without a value of a text client has none here.
        """
        event = Message(Topic.EVENT, EventAction.EMIT, "e", "U")
        self.assertEqual(SERVER.encode(event), b'{"topic":4,"action":2,"name":"e"}')
