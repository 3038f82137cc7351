"""
The protobuf codec, in both roles: it decodes any payload in time, and can encode each message that it decoded.
"""

from __future__ import annotations

from dstwist.protocol import protobuf, text
from dstwist.protocol.message import Malformed, Message
from dstwist.protocol.text_forms import FROM_CLIENT_FORMS, FROM_SERVER_FORMS


def _translated() -> list[bytes]:
    found = []
    for reader, writer, forms in (
        (text.SERVER, protobuf.CLIENT, FROM_CLIENT_FORMS),
        (text.CLIENT, protobuf.SERVER, FROM_SERVER_FORMS),
    ):
        for form in forms:
            for message in reader.decode(form.example.replace("|", "\x1f").replace("+", "\x1e")):
                if isinstance(message, Message):
                    found.append(writer.encode(message))
    return [payload for payload in found if payload]


SEEDS = _translated()


def attempt(data: bytes) -> None:
    """
    Decode, and encode for clients of both generations.
    """
    for codec, reader, other in (
        (protobuf.SERVER, protobuf.CLIENT, text.SERVER),
        (protobuf.CLIENT, protobuf.CLIENT, text.CLIENT),
    ):
        for message in codec.decode(data):
            if isinstance(message, Malformed):
                if message.answer is not None:
                    codec.encode(message.answer)
                continue
            encoded = protobuf.SERVER.encode(message)
            if encoded and any(isinstance(again, Malformed) for again in reader.decode(encoded)):
                raise AssertionError(f"{message} is written as {encoded!r}, which the codec cannot read")
            other.encode(message)
