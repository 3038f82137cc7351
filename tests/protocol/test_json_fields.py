"""
Tests for L{dstwist.protocol.json_fields}.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dstwist.protocol.json_fields import fields_beside_value, integer, read_value, repaired
from dstwist.protocol.json_messages import SERVER
from dstwist.protocol.message import UNREAD, Fault, Malformed


class FieldTests(SynchronousTestCase):
    """
    Single fields.
    """

    def test_integers(self) -> None:
        """
        An integer is what JavaScript takes for one, within 32 bits.
        """
        for value, expected in ((4, 4), (4.0, 4), (-1, -1), (2**31 - 1, 2**31 - 1), (-(2**31), -(2**31))):
            self.assertEqual((integer(value), type(integer(value))), (expected, int))
        others: tuple[Any, ...] = (True, None, "4", 4.5, 2**31, -(2**31) - 1, 1e300, [], {})
        for other in others:
            self.assertIsNone(integer(other))

    def test_repaired(self) -> None:
        """
        Lone surrogates become U+FFFD, except within the value, which is written with escapes.
        """
        found = {
            "name": "\ud800",
            "names": ["\ud800", "\udfffb"],
            "version": 1,
            "parsedData": ["\ud800"],
            "x": ["\ud800", 5],
        }
        expected = found | {"name": "\ufffd", "names": ["\ufffd", "\ufffdb"]}
        self.assertEqual(repaired(found), expected)

    def test_repaired_names(self) -> None:
        """
        Names with U+0000 are repaired as well, if they are not very many.
        """
        for names, expected in (
            (["a\0", "é"], ["a\0", "é"]),
            (["a\0", "\ud800", "\U0001f600\udc00"], ["a\0", "\ufffd", "\U0001f600\ufffd"]),
            (["\ud83d", "\ude00", ""] * 1000, ["\ufffd", "\ufffd", ""] * 1000),
            (["\ud83d", "\0"] * 1000, False),
            (["é", "\0"] * 1000, ["é", "\0"] * 1000),
        ):
            self.assertEqual(repaired({"names": names}), {"names": expected})

    def test_values(self) -> None:
        """
        The value is in data, in parsedData, in both or in neither.
        """
        cases: list[tuple[dict[str, Any], tuple[bytes | None, Any]]] = [
            ({}, (None, UNREAD)),
            ({"data": None}, (None, UNREAD)),
            ({"data": ""}, (None, UNREAD)),
            ({"parsedData": None}, (b"null", None)),
            ({"data": " 1e2"}, (b" 1e2", 100.0)),
            ({"data": '{"a":1}', "parsedData": {"a": 1}}, (b'{"a":1}', {"a": 1})),
            ({"data": "1", "parsedData": 2}, (b"1", 1)),
            ({"data": "", "parsedData": 2}, (b"2", 2)),
        ]
        for found, expected in cases:
            self.assertEqual(read_value(found), expected)
        wrong: tuple[Any, ...] = ("{", 1, {}, True)
        for data in wrong:
            self.assertRaises(ValueError, read_value, {"data": data, "parsedData": 1})


class UnreadableTests(SynchronousTestCase):
    """
    L{fields_beside_value}.
    """

    HEAD = '{"topic":5,"version":3,"name":"r","action":19,"path":"p","parsedData":'
    TAIL = ',"correlationId":"7\\u0041","isWriteAck":true,"data":"?","isAck":false}'
    DEEP = "[" * 5000 + "]" * 5000

    def test_writes(self) -> None:
        """
        A write whose value cannot be read is refused as what it is, with its request for an acknowledgement.
        """
        for value in (self.DEEP, '{"correlationId":"5","isWriteAck":true,"a":' + self.DEEP + "}", "{", '"\n"'):
            [malformed] = SERVER.decode(self.HEAD + value + self.TAIL)
            assert isinstance(malformed, Malformed) and malformed.request is not None
            request = malformed.request
            self.assertEqual(
                (malformed.fault, request.name, request.version, request.path, request.correlation_id),
                (Fault.INVALID_DATA, "r", 3, "p", "7A"),
            )
            self.assertTrue(request.is_write_ack)

    def test_bytes(self) -> None:
        """
        The same for bytes, and without such a request.
        """
        [malformed] = SERVER.decode((self.HEAD + self.DEEP + "}").encode())
        assert malformed.answer is not None
        self.assertEqual(malformed.fault, Fault.INVALID_DATA)
        self.assertIsNone(malformed.answer.is_write_ack)

    def test_no_fields(self) -> None:
        """
        Where the fields cannot be read either, or are very long, there are none.
        """
        for payload in (
            "",
            ',"parsedData":{',
            '{"action":19,x,"parsedData":{',
            '{"topic":5,"x":"' + "x" * 70_000 + '","parsedData":{',
        ):
            self.assertIsNone(fields_beside_value(payload))
