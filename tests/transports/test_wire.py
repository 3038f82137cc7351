"""
Tests for L{dstwist.transports.wire}.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from dstwist.interfaces import ICodecWire
from dstwist.protocol.constants import EventAction, Topic
from dstwist.protocol.message import Message
from dstwist.transports.wire import WebSocketWire
from tests.transports.helpers import BINARY, TEXT, frames_of


class WireTests(SynchronousTestCase):
    """
    L{WebSocketWire}: frames as the server sends them.
    """

    class Codec:
        payload = b""

        def encode(self, message: Message) -> bytes:
            return self.payload

    def test_interface(self) -> None:
        """
        It is a wire.
        """
        verifyObject(ICodecWire, WebSocketWire(self.Codec(), binary=True))  # type: ignore[arg-type]

    def test_frames(self) -> None:
        """
        Every payload is one frame of the right kind, with the shortest form of its length; of nothing there is none.
        """
        codec: Any = self.Codec()
        message = Message(Topic.EVENT, EventAction.EMIT, "a")
        for binary, opcode in ((True, BINARY), (False, TEXT)):
            wire = WebSocketWire(codec, binary)
            for length, head in [(1, 2), (125, 2), (126, 4), (65535, 4), (65536, 10), (70000, 10)]:
                codec.payload = b"x" * length
                encoded = wire.encode(message)
                self.assertEqual(frames_of(encoded), [(opcode, codec.payload)])
                self.assertEqual(len(encoded), head + length)
            codec.payload = b""
            self.assertEqual(wire.encode(message), b"")

    def test_constant(self) -> None:
        """
        The frame of a constant is made once for each wire. A message that is equal to a constant is not taken for it.
        """
        codec: Any = self.Codec()
        codec.payload = b"one"
        wire, other = WebSocketWire(codec, binary=True), WebSocketWire(codec, binary=False)
        message = Message(Topic.EVENT, EventAction.EMIT, "a")
        frame = wire.encode_constant(message)
        self.assertEqual(frames_of(frame), [(BINARY, b"one")])
        codec.payload = b"two"
        self.assertIs(wire.encode_constant(message), frame)
        self.assertEqual(frames_of(other.encode_constant(message)), [(TEXT, b"two")])
        self.assertEqual(
            frames_of(wire.encode_constant(Message(Topic.EVENT, EventAction.EMIT, "a"))), [(BINARY, b"two")]
        )
