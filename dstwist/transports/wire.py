"""
The frames around the payloads of a codec, for WebSockets.
"""

from __future__ import annotations

from zope.interface import classImplements, implementer

from dstwist.interfaces import ICodec, ICodecWire
from dstwist.protocol.json_messages import JsonCodec
from dstwist.protocol.message import Message
from dstwist.protocol.protobuf import ProtobufCodec
from dstwist.protocol.text import TextCodec

# The codecs do not know the interfaces, which are above them.
classImplements(ProtobufCodec, ICodec)
classImplements(TextCodec, ICodec)
classImplements(JsonCodec, ICodec)

#: The first byte of a whole message: final, no extension bits, opcode 1 or 2.
TEXT_HEAD = 0x81
BINARY_HEAD = 0x82


@implementer(ICodecWire)
class WebSocketWire:
    """
    Server frames around the payloads of one codec. They are not masked: the same bytes go to all connections.
    """

    def __init__(self, codec: ICodec, binary: bool, patches_many: bool = False, takes_patches: bool = True) -> None:
        self.codec = codec
        self.patches_many = patches_many
        self.takes_patches = takes_patches
        self._encode = codec.encode
        self._opcode = BINARY_HEAD if binary else TEXT_HEAD
        # By length, for short frames, which most frames are.
        self._heads = [bytes((self._opcode, length)) for length in range(126)]
        # By the identity of a message: the message, so that its identity is not used again, and its frame.
        self._constants: dict[int, tuple[Message, bytes]] = {}

    def encode(self, message: Message) -> bytes:
        payload = self._encode(message)
        length = len(payload)
        if length < 126:
            return self._heads[length] + payload if length else b""
        if length < 65536:
            return bytes((self._opcode, 126, length >> 8, length & 255)) + payload
        return bytes((self._opcode, 127)) + length.to_bytes(8, "big") + payload

    def encode_constant(self, message: Message) -> bytes:
        known = self._constants.get(id(message))
        if known is None:
            known = self._constants[id(message)] = message, self.encode(message)
        return known[1]
