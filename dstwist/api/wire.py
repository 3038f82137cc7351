"""
The wire of requesters in the process of the node: its frames are the messages themselves.
"""

from __future__ import annotations

from zope.interface import implementer

from dstwist.interfaces import IWire
from dstwist.protocol.message import Message

#: The bytes that a frame counts for, besides name and data.
_FRAME_BYTES = 100


class MessageFrame:
    """
    A message, with a length in bytes, as all frames have.
    """

    __slots__ = ("_length", "message")

    def __init__(self, message: Message) -> None:
        self.message = message
        self._length = message_bytes(message)

    def __len__(self) -> int:
        return self._length


def message_bytes(message: Message) -> int:
    """
    About how many bytes of memory C{message} takes.
    """
    return _FRAME_BYTES + len(message.name or "") + (0 if message.data is None else len(message.data))


@implementer(IWire)
class MessageWire:
    """
    Makes frames of messages without any encoding.
    """

    takes_patches = True
    patches_many = True

    def encode(self, message: Message) -> MessageFrame:
        return MessageFrame(message)


#: Wires are compared by identity, so all requesters in this process have the same one.
MESSAGE_WIRE = MessageWire()
