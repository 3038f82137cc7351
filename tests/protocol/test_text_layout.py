"""
Tests for L{dstwist.protocol.text_layout}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dstwist.protocol.constants import EventAction, RecordAction, Topic
from dstwist.protocol.message import Message
from dstwist.protocol.text_layout import LETTERS, TOPICS, Form


class FormTests(SynchronousTestCase):
    """
    L{Form}.
    """

    def test_letters(self) -> None:
        """
        Each topic of the text protocol has a letter of its own.
        """
        self.assertEqual({TOPICS[letter]: letter for letter in TOPICS}, LETTERS)

    def test_fields(self) -> None:
        """
        A form reads a message with its fields, and writes it in the same way.
        """
        form = Form("E|LA|<name>|<subscription>", EventAction.LISTEN_ACCEPT)
        message = form.read(["a.*", "abc"], "raw", None)
        self.assertEqual(message, Message(Topic.EVENT, EventAction.LISTEN_ACCEPT, "a.*", subscription="abc"))
        assert message is not None
        self.assertEqual(form.write(message), "E\x1fLA\x1fa.*\x1fabc\x1e")

    def test_number_of_fields(self) -> None:
        """
        Too few fields, or too many, are of another form, unless the form ends with three points.
        """
        form = Form("E|LA|<name>|<subscription>", EventAction.LISTEN_ACCEPT)
        for fields in ([], ["a"], ["a", "b", "c"]):
            self.assertIsNone(form.read(fields, "", None), fields)
        open_form = Form("E|LA|<name>|...", EventAction.LISTEN_ACCEPT)
        self.assertIsNotNone(open_form.read(["a", "b", "c"], "", None))
        self.assertIsNone(open_form.read([], "", None))

    def test_literal(self) -> None:
        """
        A part of the pattern without brackets must be there as it is.
        """
        form = Form("R|SH|<name>|T", RecordAction.SUBSCRIPTION_HAS_PROVIDER)
        self.assertIsNone(form.read(["a", "F"], "", None))
        self.assertIsNotNone(form.read(["a", "T"], "", None))

    def test_missing_field(self) -> None:
        """
        A message that lacks a field of the form is not written in this form.
        """
        form = Form("E|LA|<name>|<subscription>", EventAction.LISTEN_ACCEPT)
        self.assertIsNone(form.write(Message(Topic.EVENT, EventAction.LISTEN_ACCEPT, "a.*")))

    def test_bulk(self) -> None:
        """
        A message for several names is written once for each name that the protocol can carry.
        """
        form = Form("E|A|S|<names>", EventAction.SUBSCRIBE, ack=True)
        message = Message(Topic.EVENT, EventAction.SUBSCRIBE, names=("a", "b\x1f", "c"), is_ack=True)
        self.assertEqual(form.write(message), "E\x1fA\x1fS\x1fa\x1eE\x1fA\x1fS\x1fc\x1e")

    def test_verbatim(self) -> None:
        """
        Only messages of forms that say so may be forwarded as they came.
        """
        codec = object()
        for verbatim, expected in ((True, codec), (False, None)):
            form = Form("E|EVT|<name>|<data>", EventAction.EMIT, verbatim=verbatim)
            message = form.read(["a", "T"], "raw", codec)
            assert message is not None
            self.assertIs(message.verbatim, expected)
