"""
Tests for L{dstwist.protocol.protobuf_layout}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dstwist.protocol.constants import ACTIONS, FIRST_TEXT_ONLY_ACTION, FROM_CLIENT, EventAction, RecordAction, Topic
from dstwist.protocol.message import Message
from dstwist.protocol.protobuf_layout import ACK_WRITERS, SLOTS, WRITERS, bits, layout_of
from dstwist.protocol.schema import ACKS, FIELDS


class LayoutTests(SynchronousTestCase):
    """
    L{layout_of}.
    """

    def test_blank(self) -> None:
        """
        The list that the decoder fills makes the message that its fields would make.
        """
        layout = layout_of(Topic.EVENT, FROM_CLIENT[Topic.EVENT], server=True)
        values = layout.blank.copy()
        values[SLOTS["action"]] = EventAction.EMIT
        values[SLOTS["name"]] = "a"
        values[SLOTS["correlation_id"]] = "1"
        self.assertEqual(Message(*values), Message(Topic.EVENT, EventAction.EMIT, "a", correlation_id="1"))

    def test_rules(self) -> None:
        """
        A server knows the fields that a request must have, and those that it must not have.
        """
        layout = layout_of(Topic.RECORD, FROM_CLIENT[Topic.RECORD], server=True)
        rule = layout.requirements[RecordAction.PATCH]
        self.assertEqual(rule.needed, bits(("name", "version", "path", "data")))
        self.assertTrue(rule.checked & bits(["names"]))
        self.assertFalse(rule.checked & bits(["correlation_id"]))
        self.assertEqual(set(rule.texts), {SLOTS["name"], SLOTS["path"]})

    def test_client(self) -> None:
        """
        A client takes the messages of the server with any fields.
        """
        layout = layout_of(Topic.RECORD, frozenset(ACTIONS[Topic.RECORD]), server=False)
        self.assertEqual(
            {(rule.needed, rule.checked, rule.texts) for rule in layout.requirements.values()}, {(0, 0, ())}
        )

    def test_text_only(self) -> None:
        """
        Actions of the text protocol alone are never read, not even as the action of an error.
        """
        for topic, actions in ACTIONS.items():
            layout = layout_of(topic, frozenset(actions), server=False)
            self.assertTrue(
                all(number < FIRST_TEXT_ONLY_ACTION for number in (*layout.requirements, *layout.originals)), topic
            )


class WriterTests(SynchronousTestCase):
    """
    L{WRITERS} and L{ACK_WRITERS}.
    """

    def test_all_fields(self) -> None:
        """
        A message is written with all fields of its topic, an acknowledgement with those that it repeats.
        """
        for topic, (_, fields) in WRITERS.items():
            self.assertEqual([tag[0] for tag, _ in fields], [field.tag for field in FIELDS[topic]], topic)
        for request, (_, fields) in ACK_WRITERS.items():
            names = {field.tag: field.attribute for field in FIELDS[request[0]]}
            self.assertEqual({names[tag[0]] for tag, _ in fields}, set(ACKS[request]), request)
