"""
Tests for L{dstwist.protocol.name_parts}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dstwist.protocol.constants import PresenceAction, Topic
from dstwist.protocol.message import Message
from dstwist.protocol.name_parts import NamePart, NameParts


class PartsTests(SynchronousTestCase):
    """
    L{NameParts}.
    """

    def test_like_a_tuple(self) -> None:
        """
        Parts of names in a message are as good as the tuple of all their names.
        """
        parts = NameParts([NamePart(("a", "b")), NamePart(()), NamePart(("c",))])
        self.assertEqual((len(parts), tuple(parts), repr(parts)), (3, ("a", "b", "c"), "('a', 'b', 'c')"))
        self.assertEqual(parts, ("a", "b", "c"))
        self.assertEqual(parts, NameParts([NamePart(("a", "b", "c"))]))
        self.assertNotEqual(parts, ("a", "b"))
        self.assertEqual([part for part in parts.parts if part], [("a", "b"), ("c",)])
        message = Message(Topic.PRESENCE, PresenceAction.QUERY_ALL_RESPONSE, names=("a", "b", "c"))
        self.assertEqual(message.names, parts)

    def test_encoded_once(self) -> None:
        """
        A part is encoded once for each codec, even if other parts change; an empty part is left out.
        """
        encoded: list[tuple[str, ...]] = []

        def encode(names: tuple[str, ...]) -> str:
            encoded.append(names)
            return "+".join(names)

        kept = NamePart(("a", "b"))
        self.assertEqual(NameParts([kept, NamePart(()), NamePart(("c",))]).encoded("text", encode), ["a+b", "c"])
        self.assertEqual(NameParts([kept, NamePart(("d",))]).encoded("text", encode), ["a+b", "d"])
        self.assertEqual(encoded, [("a", "b"), ("c",), ("d",)])
        NameParts([kept]).encoded("protobuf", encode)
        self.assertEqual(encoded[3:], [("a", "b")])
