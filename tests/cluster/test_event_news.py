"""
Tests for L{dstwist.cluster.event_news}.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis.strategies import binary, sampled_from
from twisted.trial.unittest import SynchronousTestCase

from dstwist.cluster.event_news import decode, encode
from dstwist.protocol import protobuf, text
from dstwist.protocol.constants import EventAction, Topic
from dstwist.protocol.message import Data, Message

#: The data of events, and their payloads.
CASES: list[tuple[Data, bytes]] = [
    (None, b"1n"),
    (b"null", b"1jnull"),
    (b'{"a": [1, "x"]}', b'1j{"a": [1, "x"]}'),
    ("U", b"1tU"),
    ("L", b"1tL"),
    ("S", b"1tS"),
    ("Sh\u00e9llo", "1tSh\u00e9llo".encode()),
    ("N1.50", b"1tN1.50"),
    ('O{"a":1}', b'1tO{"a":1}'),
]

#: Payloads that contain no event.
MALFORMED = [
    b"",
    b"1",
    b"1j",
    b"1j{",
    b'1j"\xff"',
    b"1t",
    b"1tX",
    b"1tO{",
    b"1tNx",
    b"1tNInfinity",
    b"1tS\xff",
    b"1tSa\x1fb",
    b"1tSa\x1eE",
    b"1nx",
    b"1xnull",
    b"2jnull",
    b"1j" + b"[" * 300 + b"]" * 300,
]


class EventNewsTests(SynchronousTestCase):
    """
    Events to payloads, and back.
    """

    def test_both_ways(self) -> None:
        """
        Data goes to other nodes and comes out there as the client sent it.
        """
        for data, payload in CASES:
            self.assertEqual(encode(data), payload)
            self.assertEqual(decode("news", payload), Message(Topic.EVENT, EventAction.EMIT, "news", data))

    def test_surrogate(self) -> None:
        """
        A half of a pair of surrogates, which has no bytes of its own, does not stop an event.
        """
        self.assertEqual(decode("news", encode("S\ud800")).data, "S\ufffd")

    def test_malformed(self) -> None:
        """
        A payload that no node of this format has made is refused: it would end the clients that get it.
        """
        for payload in MALFORMED:
            with self.assertRaises(ValueError, msg=payload):
                decode("news", payload)

    @settings(deadline=None, derandomize=True)
    @given(sampled_from([b"", b"1", b"1j", b"1t", b"1n"]), binary(max_size=40))
    def test_any_bytes(self, head: bytes, rest: bytes) -> None:
        """
        Any bytes are refused, or are an event that clients of both generations can read.
        """
        try:
            event = decode("news", head + rest)
        except ValueError:
            return
        for codec in (text, protobuf):
            (received,) = codec.CLIENT.decode(codec.SERVER.encode(event))
            self.assertIsInstance(received, Message, (codec, event))
