"""
Tests for L{dstwist.protocol.text_forms}.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dstwist.protocol import text
from dstwist.protocol.constants import ACTIONS, FROM_CLIENT
from dstwist.protocol.constants import RecordAction as R
from dstwist.protocol.message import Fault, Malformed, Message
from dstwist.protocol.text import CLIENT, SERVER
from dstwist.protocol.text_forms import FROM_CLIENT_FORMS, FROM_SERVER_FORMS, SPELLINGS
from tests.protocol.clients import OTHER_TEXT, TEXT
from tests.wire import readable, wire


class TableTests(SynchronousTestCase):
    """
    The tables say what they do.
    """

    def test_examples(self) -> None:
        """
        Each row's example is read by that row, and written by it if it writes.
        """
        for forms, reader, writer in ((FROM_CLIENT_FORMS, SERVER, CLIENT), (FROM_SERVER_FORMS, CLIENT, SERVER)):
            for form in forms:
                found: Any = reader.decode(wire(form.example))
                self.assertEqual([message.action for message in found], [form.actions[0]] * len(found), form.example)
                self.assertTrue(found, form.example)
                if form.writes:
                    for message in found:
                        message.verbatim = None
                        self.assertEqual(readable(writer.encode(message)), form.example)

    def test_once(self) -> None:
        """
        No spelling stands twice.
        """
        for forms in (FROM_CLIENT_FORMS, FROM_SERVER_FORMS):
            patterns = [form.pattern for form in forms]
            self.assertEqual(sorted(set(patterns)), sorted(patterns))

    def test_actions(self) -> None:
        """
        Each row is about actions of its own topic, and clients send only what clients may send.
        """
        for form in (*FROM_CLIENT_FORMS, *FROM_SERVER_FORMS):
            for action in form.actions:
                self.assertIsInstance(action, ACTIONS[form.topic])
        for topic, action in SPELLINGS:
            self.assertIn(action, FROM_CLIENT[topic])

    def test_complete(self) -> None:
        """
        Each action of a v2 or v3 client can be written; the others are bulk and subscription variants of later ones.
        """
        missing = {
            action for topic, actions in FROM_CLIENT.items() for action in actions if (topic, action) not in SPELLINGS
        }
        self.assertEqual(missing, {R.NOTIFY, R.PATCH_MULTI, R.SUBSCRIBEANDHEAD, R.SUBSCRIBEANDREAD, R.SUBSCRIBE})


class ClientTests(SynchronousTestCase):
    """
    Clients of v2 and v3.
    """

    def test_sent(self) -> None:
        """
        Each request of each published client is understood.
        """
        for _, line in TEXT + OTHER_TEXT:
            (message,) = text.SERVER.decode(line.replace("|", "\x1f") + "\x1e")
            self.assertIsInstance(message, Message, line)

    def test_fields_too_many(self) -> None:
        """
        A request with a field more than clients send is refused: rules would not see what others would receive.
        """
        counts = {(line.split("|")[0], line.split("|")[1], line.count("|")) for _, line in TEXT + OTHER_TEXT}
        for _, line in TEXT + OTHER_TEXT:
            letter, code, count = line.split("|")[0], line.split("|")[1], line.count("|")
            if letter != "C" and (letter, code, count + 1) not in counts:
                for stray in ("", "Sx", '{"writeSuccess":true}'):
                    (malformed,) = text.SERVER.decode(f"{line}|{stray}".replace("|", "\x1f") + "\x1e")
                    assert isinstance(malformed, Malformed), line
                    self.assertIs(malformed.fault, Fault.INVALID_DATA, line)
                    self.assertIsNotNone(malformed.answer, line)
