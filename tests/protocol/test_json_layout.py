"""
Tests for L{dstwist.protocol.json_layout}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dstwist.protocol.constants import ACTIONS, FIRST_TEXT_ONLY_ACTION, FROM_CLIENT, EventAction, Topic
from dstwist.protocol.json_layout import ACK_WRITERS, HEADS, KEYS, NEVER_TRUE, WRITERS, json_layout_of
from dstwist.protocol.message import Message
from dstwist.protocol.schema import ACKS, FIELDS


class LayoutTests(SynchronousTestCase):
    """
    L{json_layout_of}.
    """

    def test_keys(self) -> None:
        """
        Each field of the binary protocol has a key, and no two have the same one.
        """
        attributes = {field.attribute for fields in FIELDS.values() for field in fields}
        self.assertEqual(attributes - set(KEYS), {"data"})
        self.assertEqual(len(set(KEYS.values())), len(KEYS))

    def test_flags(self) -> None:
        """
        A server takes isAck and isError only as false; a client takes both values.
        """
        for server, expected in ((True, True), (False, False)):
            layout = json_layout_of(Topic.EVENT, FROM_CLIENT[Topic.EVENT], server)
            for key in ("isAck", "isError"):
                self.assertEqual(layout.fields[key][0] == NEVER_TRUE, expected)

    def test_requests_in_errors(self) -> None:
        """
        The errors that the binary protocol cannot explain have fields for the topic and the action of the request.
        """
        for topic in (Topic.PARSER, Topic.CONNECTION, Topic.AUTH):
            layout = json_layout_of(topic, frozenset(), server=False)
            self.assertLessEqual({"originalTopic", "originalAction"}, layout.fields.keys())


class WriterTests(SynchronousTestCase):
    """
    The tables for writing.
    """

    def test_heads(self) -> None:
        """
        Each action but those of the text protocol has a start.
        """
        expected = {
            (topic, action)
            for topic, actions in ACTIONS.items()
            for action in actions
            if action < FIRST_TEXT_ONLY_ACTION
        }
        self.assertEqual(HEADS.keys(), expected)
        self.assertEqual(HEADS[Topic.EVENT, EventAction.EMIT], b'{"topic":4,"action":2')

    def test_values_last(self) -> None:
        """
        The value of a message comes behind the fields that say what it is.
        """
        for topic, (read, fields) in WRITERS.items():
            keys = [key for key, _ in fields]
            self.assertEqual(len(read(Message(topic, EventAction.EMIT))), len(keys))
            values = [key in (b',"parsedData":', b',"requestorData":') for key in keys]
            self.assertEqual(values, sorted(values))

    def test_acks(self) -> None:
        """
        The writers of acknowledgements write the fields that the client expects.
        """
        for (topic, action), (_, fields) in ACK_WRITERS.items():
            expected = {f',"{KEYS[name]}":'.encode() for name in ACKS[topic, action] if name != "action"}
            self.assertEqual({key for key, _ in fields}, expected)
