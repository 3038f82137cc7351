"""
Frames as a client of the binary protocol sends them, made cheaply.
"""

from __future__ import annotations

from collections.abc import Iterable

from dstwist.protocol import protobuf
from dstwist.protocol.message import Message
from tests.nodes.client import MASK, client_frame

#: Is in the data of each message that is counted. Each of its bytes is in it once only (see L{bench.load.loop.Marks}).
MARK = b"<!>"

#: Stands in a message for a number of as many digits.
HOLE = "@@@@@@@@"


def frame(message: Message) -> bytes:
    """
    One message in one frame, as the official clients send it.
    """
    return client_frame(protobuf.CLIENT.encode(message), 2)


def frames(messages: Iterable[Message]) -> bytes:
    """
    Messages in a frame each.
    """
    return b"".join(map(frame, messages))


def unfinished(data: bytes, first: bytes, length: int, start: int = 0) -> bytes:
    """
    The end of C{data} from C{start} on, if it may be the beginning of something of C{length} bytes that begins with
    C{first}: then the next bytes have the rest.
    """
    cut = data.rfind(first, max(start, len(data) - length + 1))
    return data[cut:] if cut >= 0 else b""


class Numbered:
    """
    Frames of one message that differ in a number.

    @param message: has L{HOLE} wherever the number goes.
    """

    def __init__(self, message: Message) -> None:
        payload = protobuf.CLIENT.encode(message)
        self._length = len(payload)
        self._head = client_frame(payload, 2)[: -self._length]
        self._parts = payload.split(HOLE.encode())
        self._mask = int.from_bytes((MASK * (self._length // 4 + 1))[: self._length], "big")

    def frame(self, number: int) -> bytes:
        payload = (b"%08d" % number).join(self._parts)
        return self._head + (int.from_bytes(payload, "big") ^ self._mask).to_bytes(self._length, "big")
