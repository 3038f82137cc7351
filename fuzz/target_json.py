"""
The JSON codec, in both roles: it decodes any payload, and can encode each message that it decoded.
"""

from __future__ import annotations

from dstwist.protocol import json_messages, protobuf, text
from dstwist.protocol.message import Malformed
from fuzz import target_protobuf

_OFFICIAL = (
    b'{"topic":2,"action":5,"url":"ws://h/","protocolVersion":"0.1a","sdkVersion":"7","sdkType":"javascript","isAck":false}',
    b'{"topic":3,"action":2,"parsedData":{"username":"u"},"data":"{\\"username\\":\\"u\\"}","isAck":false}',
    b'{"topic":4,"action":2,"name":"a\\ud800","parsedData":"\\ud83d\\ude00","data":"\\"\\\\ud800\\"","isAck":false}',
    b'{"topic":5,"version":1,"name":"r","action":18,"parsedData":[[1e3]],"correlationId":"1","isWriteAck":true,'
    b'"data":"[[1000]]","isAck":false}',
    b'{"topic":5,"action":21,"names":["r","s"],"correlationId":"5","isAck":false}',
    b'{"topic":5,"action":8,"versions":{"r":1,"":-1}}',
    b'{"topic":1,"action":1,"originalTopic":99,"originalAction":2}',
)


def _translated() -> list[bytes]:
    found = []
    for codec in (protobuf.SERVER, protobuf.CLIENT):
        for payload in target_protobuf.SEEDS:
            for message in codec.decode(payload):
                if not isinstance(message, Malformed):
                    found.append(json_messages.SERVER.encode(message))
    return found


SEEDS = [*_OFFICIAL, *_translated()]


def attempt(data: bytes) -> None:
    """
    Decode, and encode for all kinds of clients.
    """
    for codec, others in (
        (json_messages.SERVER, (protobuf.SERVER, text.SERVER)),
        (json_messages.CLIENT, (protobuf.CLIENT, text.CLIENT)),
    ):
        for payload in (data, data.decode("utf-8", "replace")):
            (message,) = codec.decode(payload)
            if isinstance(message, Malformed):
                if message.answer is not None:
                    codec.encode(message.answer)
                continue
            encoded = json_messages.SERVER.encode(message)
            if any(isinstance(again, Malformed) for again in json_messages.CLIENT.decode(encoded.decode())):
                raise AssertionError(f"{message} is written as {encoded!r}, which the codec cannot read")
            json_messages.SERVER_FOR_JAVASCRIPT.encode(message)
            for other in others:
                other.encode(message)
