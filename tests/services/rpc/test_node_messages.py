"""
Tests for L{dstwist.services.rpc.node_messages}.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dstwist.protocol.jsontext import READ_IN_PARTS_LENGTH
from dstwist.services.rpc import node_messages
from dstwist.services.rpc.node_messages import is_data, is_json_or_none, pack, unpack


class DataTests(SynchronousTestCase):
    """
    The fields with data.
    """

    def test_both_ways(self) -> None:
        """
        Data comes out of a field as it went in, and its field passes the check.
        """
        for data in (None, b"1", b'"J"', b'{"a": "\xc3\xa4"}', "SJ1", "S", "N1", "O{}", "T", "F", "L", "U"):
            field = pack(data)
            self.assertTrue(is_data(field), field)
            self.assertEqual(unpack(field), data)

    def test_check(self) -> None:
        """
        A field that a client could not be sent fails the check.
        """
        fields: list[Any] = [1, True, [], "", "J", "J{", "J\x1f", "Jx", "x", "NNaN", "O{", "Sa\x1eb", "Sa\x1fb"]
        for field in fields:
            self.assertFalse(is_data(field), field)

    def test_long(self) -> None:
        """
        A long text, which the node of its client has read in parts, is not read again at once. It contains nothing that
        would end the message of a text client.
        """
        read: list[int] = []

        def is_read(text: str) -> bool:
            read.append(len(text))
            return True

        self.patch(node_messages, "is_json", is_read)
        self.patch(node_messages, "is_typed", is_read)
        long = '"' + "x" * READ_IN_PARTS_LENGTH + '"'
        for letter in "JO":
            self.assertTrue(is_data(letter + long))
            self.assertFalse(is_data(letter + long + "\x1e"))
        self.assertEqual(read, [])
        # Other typed values are not read, only looked at.
        self.assertTrue(is_data("N" + long))
        self.assertTrue(is_data('J""'))
        self.assertEqual(read, [len(long) + 1, 2])

    def test_client_data(self) -> None:
        """
        Client data is JSON, or missing.
        """
        for field, fits in ((None, True), ('{"a":1}', True), ("{", False), ("", False), (1, False)):
            self.assertIs(is_json_or_none(field), fits)
