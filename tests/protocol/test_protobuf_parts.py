"""
Tests for L{dstwist.protocol.protobuf_parts}.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from dstwist.protocol.name_parts import NamePart, NameParts
from dstwist.protocol.protobuf_parts import (
    Undecodable,
    read_entry,
    read_envelope,
    signed,
    sized,
    varint,
    written_names,
    written_number,
)

# The name skip would have the test runner skip this module.
from dstwist.protocol.protobuf_parts import skip as skipped


class NumberTests(SynchronousTestCase):
    """
    Varints.
    """

    @settings(deadline=None, derandomize=True)
    @given(st.integers(-(2**31), 2**31 - 1))
    def test_round_trip(self, number: int) -> None:
        """
        A number is read as it was written; a negative one takes ten bytes, as every peer writes it.
        """
        written = written_number(number)
        found, end = varint(written + b"x", 0)
        self.assertEqual((signed(found), end), (number, len(written)))
        if number < 0:
            self.assertEqual(len(written), 10)

    def test_int32(self) -> None:
        """
        Only the low 32 bits of a number count.
        """
        for number, expected in ((0xFFFFFFFF, -1), (2**64 - 1, -1), (2**32 + 5, 5), (0x7FFFFFFF, 2**31 - 1)):
            self.assertEqual(signed(number), expected)

    def test_endless(self) -> None:
        """
        A number ends after ten bytes, or it is none; so it is if the bytes end before.
        """
        self.assertRaises(Undecodable, varint, b"\x80" * 20, 0)
        self.assertRaises(IndexError, varint, b"\x80" * 5, 0)


class SkipTests(SynchronousTestCase):
    """
    The end of a field that is skipped.
    """

    def test_kinds(self) -> None:
        """
        The end of an unknown field is found by its wire type.
        """
        for field in ("7801", "78 80 01", "79 0102030405060708", "7d 01020304", "7a 02 0102", "8201 00"):
            data = bytes.fromhex(field)
            self.assertEqual(skipped(data + b"rest", 0), len(data), field)

    def test_refused(self) -> None:
        """
        Groups, field 0, and a length beyond the bytes that are there, are no field.
        """
        for field in ("7b", "7c", "00", "02 00", "7a 05 01", "79 01"):
            self.assertRaises(Undecodable, skipped, bytes.fromhex(field), 0)


class EnvelopeTests(SynchronousTestCase):
    """
    L{read_envelope} and L{read_entry}.
    """

    def test_envelope(self) -> None:
        """
        The topic, the message, and whether there is nothing else. Only the form that all clients write is known to be
        plain.
        """
        for envelope, found in (
            ("1004 1a02 0803", (4, b"\x08\x03", True)),
            ("1004 1a02 0803 2001", (4, b"\x08\x03", False)),
            ("1a02 0803 1004", (4, b"\x08\x03", False)),
            ("108400 1a02 0803", (4, b"\x08\x03", False)),
            ("", (0, b"", False)),
        ):
            self.assertEqual(read_envelope(bytes.fromhex(envelope)), found, envelope)
        self.assertRaises(Undecodable, read_envelope, bytes.fromhex("1004 1a05 0803"))

    def test_entry(self) -> None:
        """
        An entry of a map may lack its name or its version.
        """
        for entry, found in (("0a0161 1005", ("a", 5)), ("1005", ("", 5)), ("0a0161", ("a", 0)), ("", ("", 0))):
            self.assertEqual(read_entry(bytes.fromhex(entry)), found, entry)
        self.assertRaises(Undecodable, read_entry, bytes.fromhex("0a0561"))


class WriteTests(SynchronousTestCase):
    """
    L{sized} and L{written_names}.
    """

    def test_sized(self) -> None:
        """
        The length stands before the content, in as many bytes as it takes.
        """
        for size, head in ((0, b"\x00"), (127, b"\x7f"), (128, b"\x80\x01"), (16384, b"\x80\x80\x01")):
            self.assertEqual(sized(b"x" * size)[: -size or None], head)

    def test_names(self) -> None:
        """
        Names are written alike, few or many, together or in parts.
        """
        names = tuple(f"n{number}" for number in range(20))
        one_by_one = b"".join(written_names(b"\x3a", (name,)) for name in names)
        self.assertEqual(written_names(b"\x3a", names), one_by_one)
        parts = NameParts([NamePart(names[:5]), NamePart(()), NamePart(names[5:])])
        self.assertEqual(written_names(b"\x3a", parts), one_by_one)
