"""
Tests for L{dstwist.protocol.message}.
"""

from __future__ import annotations

import dataclasses

from twisted.trial.unittest import SynchronousTestCase

from dstwist.protocol.constants import EventAction, RecordAction, Topic
from dstwist.protocol.message import UNREAD, Message

WRITE = Message(
    Topic.RECORD,
    RecordAction.UPDATE,
    "a",
    b"{}",
    "R|U|a|1|{}",
    object(),
    correlation_id="1",
    is_write_ack=True,
    version=1,
)


class MessageTests(SynchronousTestCase):
    """
    L{Message}.
    """

    def test_ack(self) -> None:
        """
        An acknowledgement repeats the names and the id of the request, and nothing that was written.
        """
        self.assertEqual(WRITE.ack(), Message(Topic.RECORD, RecordAction.UPDATE, "a", correlation_id="1", is_ack=True))
        bulk = Message(Topic.EVENT, EventAction.SUBSCRIBE, names=("a", "b"), correlation_id="2")
        self.assertEqual(bulk.ack().names, ("a", "b"))

    def test_acting_as(self) -> None:
        """
        A message with another action has all other fields of the first one.
        """
        values = {field.name: object() for field in dataclasses.fields(Message)}
        whole = Message(**values)  # type: ignore[arg-type]
        other = whole.acting_as(RecordAction.CREATE, RecordAction.CREATEANDUPDATE)
        values |= {"action": RecordAction.CREATE, "original_action": RecordAction.CREATEANDUPDATE}
        self.assertEqual({name: getattr(other, name) for name in values}, values)

    def test_error(self) -> None:
        """
        An error tells which request failed, and of a write that its sender waits for the outcome.
        """
        error = WRITE.error(RecordAction.RECORD_UPDATE_ERROR, detail="cache is full")
        self.assertEqual((error.action, error.original_action), (RecordAction.RECORD_UPDATE_ERROR, RecordAction.UPDATE))
        self.assertEqual((error.name, error.correlation_id, error.detail), ("a", "1", "cache is full"))
        self.assertEqual((error.is_error, error.is_write_ack), (True, True))
        self.assertEqual((error.raw, error.data, error.version), (WRITE.raw, None, None))

    def test_error_by_name(self) -> None:
        """
        An error of any topic can be named by its text; one name of a bulk request can be given.
        """
        bulk = Message(Topic.EVENT, EventAction.SUBSCRIBE, names=("a", "b"))
        error = bulk.error("MESSAGE_DENIED", name="b")
        self.assertEqual((error.action, error.name, error.names), (EventAction.MESSAGE_DENIED, "b", ()))

    def test_notice(self) -> None:
        """
        A notice is no error to the client: it does not end the request.
        """
        notice = WRITE.error("MULTIPLE_SUBSCRIPTIONS", flagged=False)
        self.assertEqual((notice.is_error, notice.is_write_ack, notice.correlation_id), (None, None, None))

    def test_same(self) -> None:
        """
        Messages are equal if they say the same, however they were written.
        """
        one = Message(Topic.EVENT, EventAction.EMIT, "a", b"1", b"raw", object(), value=1)
        other = Message(Topic.EVENT, EventAction.EMIT, "a", b"1")
        self.assertEqual(one, other)
        self.assertIs(other.value, UNREAD)
