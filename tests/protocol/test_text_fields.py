"""
Tests for L{dstwist.protocol.text_fields}.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dstwist.protocol.constants import EVERYONE, EventAction, PresenceAction, RecordAction, Topic
from dstwist.protocol.message import Message
from dstwist.protocol.text_fields import FIELD_SEPARATOR, FIELDS, Values, literal, origin_fields
from dstwist.protocol.text_forms import SPELLINGS

#: A name that cannot be sent to a text client.
UNSENDABLE = f"a{FIELD_SEPARATOR}b"


class FieldTests(SynchronousTestCase):
    """
    L{FIELDS}: each reads its text, and writes it again.
    """

    def read(self, field: str, text: str) -> Values | None:
        """
        The arguments that a field finds in a text; C{None} if it refuses the text.
        """
        values: Values = {}
        return values if FIELDS[field].read(text, values) else None

    def test_read(self) -> None:
        """
        Texts, and the arguments that the fields read.
        """
        for field, text, values in (
            ("name", "a", {"name": "a"}),
            ("names", "a", {"names": ("a",)}),
            ("id", "", {"correlation_id": ""}),
            ("version", "-1", {"version": -1}),
            ("versions", "[2]", {"version": 2}),
            ("data", "N1", {"data": "N1"}),
            ("data", "NNaN", {"data": "L", "verbatim": None}),
            ("json", ' {"a":1}', {"data": b' {"a":1}'}),
            ("flag", "T", {"data": "T"}),
            ("ack", '{"writeSuccess":true}', {"is_write_ack": True}),
            ("ack", "{}", {"is_write_ack": None}),
            ("failure", "no", {"data": "Sno"}),
            ("users", '["a","b"]', {"names": ("a", "b")}),
            ("online", f"a{FIELD_SEPARATOR}b", {"names": ("a", "b")}),
            ("user", "U", {"name": EVERYONE}),
        ):
            self.assertEqual(self.read(field, text), values, (field, text))

    def test_refused(self) -> None:
        """
        Texts that are not of the kind of the field.
        """
        for field, text in (
            ("name", ""),
            ("names", ""),
            ("subscription", ""),
            ("version", "1.5"),
            ("version", "1" * 16),
            ("versions", "2"),
            ("versions", "[1,2]"),
            ("data", "x"),
            ("json", "1"),
            ("json", "{"),
            ("record", '"a"'),
            ("change", "O{"),
            ("flag", "L"),
            ("ack", "T"),
            ("users", "[1]"),
            ("users", '{"a":1}'),
            ("users", '["\\ud800"]'),
            ("outcome", "T"),
        ):
            self.assertIsNone(self.read(field, text), (field, text))

    def test_separators(self) -> None:
        """
        A text that would end a field is never written: a name is left out of its message, and a value is escaped.
        """
        message = Message(
            Topic.RECORD,
            RecordAction.PATCH,
            UNSENDABLE,
            b'"a\\u001fb"',
            correlation_id=UNSENDABLE,
            path=UNSENDABLE,
            subscription=UNSENDABLE,
            detail=UNSENDABLE,
        )
        for field in ("name", "subscription", "id", "path"):
            self.assertIsNone(FIELDS[field].write(message), field)
        for field in ("data", "detail", "failure", "outcome"):
            self.assertNotIn(FIELD_SEPARATOR, FIELDS[field].write(message) or FIELD_SEPARATOR, field)
        self.assertEqual(FIELDS["data"].write(message), 'O"a\\u001fb"')

    def test_name_of_error(self) -> None:
        """
        An error is written whatever its name is, because its client waits for it.
        """
        error = Message(Topic.EVENT, EventAction.MESSAGE_DENIED, UNSENDABLE, is_error=True)
        self.assertEqual(FIELDS["name"].write(error), "a\\u001fb")

    def test_names(self) -> None:
        """
        Names that the protocol cannot carry are left out of a list; a list without any other is not written.
        """
        for names, written in (
            (("a", "b"), f"a{FIELD_SEPARATOR}b"),
            (("a", UNSENDABLE, "c"), f"a{FIELD_SEPARATOR}c"),
            ((UNSENDABLE,), None),
            ((), None),
        ):
            message = Message(Topic.PRESENCE, PresenceAction.QUERY_ALL_RESPONSE, names=names)
            self.assertEqual(FIELDS["online"].write(message), written, names)

    def test_outcome(self) -> None:
        """
        A write that succeeded has the outcome null. Every other outcome is a text, because client 2.3.4 hands it to the
        callback as the error.
        """
        cases: tuple[tuple[dict[str, Any], str], ...] = (
            ({}, "L"),
            ({"data": b"null"}, "L"),
            ({"detail": "no"}, "Sno"),
            ({"data": b'"no"'}, "Sno"),
            ({"data": b"5"}, "S5"),
        )
        for values, written in cases:
            message = Message(Topic.RECORD, RecordAction.WRITE_ACKNOWLEDGEMENT, **values)
            self.assertEqual(FIELDS["outcome"].write(message), written, values)

    def test_written(self) -> None:
        """
        The texts that the fields write; none if the message has no value for them.
        """
        message = Message(Topic.RECORD, RecordAction.UPDATE, "a", b'{"b":1}', version=2, is_write_ack=True, detail="no")
        empty = Message(Topic.RECORD, RecordAction.UPDATE)
        success = '{"writeSuccess":true}'
        for field, written, without in (
            ("name", "a", None),
            ("version", "2", None),
            ("versions", "[2]", None),
            ("data", 'O{"b":1}', "U"),
            ("given", 'O{"b":1}', None),
            ("json", '{"b":1}', None),
            ("config", success, "{}"),
            ("ack", success, None),
            ("failure", '{"b":1}', "null"),
            ("detail", "no", None),
            ("echo", "no", ""),
            ("frame", "no", ""),
            ("everyone", None, None),
        ):
            self.assertEqual(FIELDS[field].write(message), written, field)
            self.assertEqual(FIELDS[field].write(empty), without, field)

    def test_origin(self) -> None:
        """
        A denial tells which request it answers: the name first, then the code and the other fields of the request.
        """
        fields = origin_fields("R", Topic.RECORD, SPELLINGS)
        raw = FIELD_SEPARATOR.join(("R", "U", "a", "2", "{}"))
        for message, written in (
            (Message(Topic.RECORD, RecordAction.MESSAGE_DENIED, "a", raw=raw), ("a", "U", "2", "{}")),
            (
                Message(Topic.RECORD, RecordAction.MESSAGE_DENIED, "a", original_action=RecordAction.READ),
                ("a", "SN"),
            ),
        ):
            text = fields["denied"].write(message)
            self.assertEqual(text, FIELD_SEPARATOR.join(written))
            assert text is not None
            values: Values = {}
            self.assertTrue(fields["denied"].read(text, values))
            self.assertEqual(values["name"], "a")
            self.assertEqual(SPELLINGS[Topic.RECORD, values["original_action"]], written[1])

    def test_origin_of_read(self) -> None:
        """
        Only errors of reads carry the code of their request.
        """
        asked = origin_fields("R", Topic.RECORD, SPELLINGS)["asked"]
        for action, written in ((RecordAction.HEAD, "HD"), (RecordAction.UPDATE, None), (None, None)):
            message = Message(Topic.RECORD, RecordAction.RECORD_NOT_FOUND, "a", original_action=action)
            self.assertEqual(asked.write(message), written)
        self.assertTrue(asked.read("SN", {}))
        self.assertFalse(asked.read("U", {}))

    def test_literal(self) -> None:
        """
        A literal is itself, read and written.
        """
        field = literal("T")
        self.assertTrue(field.read("T", {}))
        self.assertFalse(field.read("F", {}))
        self.assertEqual(field.write(Message(Topic.EVENT, EventAction.EMIT)), "T")
