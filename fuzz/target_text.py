"""
The text codec, in both roles: it decodes any payload, and can encode each message that it decoded.
"""

from __future__ import annotations

from dstwist.protocol import protobuf, text
from dstwist.protocol.message import Malformed
from dstwist.protocol.text_forms import FROM_CLIENT_FORMS, FROM_SERVER_FORMS

SEEDS = [
    form.example.replace("|", "\x1f").replace("+", "\x1e").encode() for form in (*FROM_CLIENT_FORMS, *FROM_SERVER_FORMS)
]


def attempt(data: bytes) -> None:
    """
    Decode, and encode for clients of both generations.
    """
    for codec, other in ((text.SERVER, protobuf.SERVER), (text.CLIENT, protobuf.CLIENT)):
        for payload in (data, data.decode("utf-8", "replace"), data.decode("utf-8", "surrogateescape")):
            for message in codec.decode(payload):
                if isinstance(message, Malformed):
                    if message.answer is not None:
                        codec.encode(message.answer)
                else:
                    again = (text.CLIENT if codec is text.SERVER else text.SERVER).encode(message)
                    again.decode("utf-8")
                    other.encode(message)
