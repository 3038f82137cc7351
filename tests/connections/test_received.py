"""
Tests for L{dstwist.connections.received}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dstwist.connections.received import HEARTBEATS, received_as
from dstwist.protocol import protobuf, text
from dstwist.protocol.constants import AuthAction, EventAction, Topic
from dstwist.protocol.dialect import Received
from dstwist.protocol.message import Message
from tests.connections.stage import CHALLENGE, EMIT, LOGIN, PING, PONG
from tests.wire import wire

#: Payloads of text clients.
TEXTS = {
    "C|CHR|u+": Received.CHALLENGE,
    "C|PI+": Received.PING,
    "C|PO+": Received.PONG,
    "C|A+": Received.CONNECTION,
    "C|S+": Received.CONNECTION,
    "C|nonsense+": Received.UNPARSABLE,
    "A|REQ|{}+": Received.LOGIN,
    "A|REQ|[1]+": Received.LOGIN,
    "A|REQ|7+": Received.AUTH,
    "A|REQ+": Received.AUTH,
    "A|A+": Received.AUTH,
    "E|EVT|news|S1+": Received.OTHER,
    "E|S+": Received.OTHER,
    "Z|S|x+": Received.OTHER,
    "junk+": Received.UNPARSABLE,
}

#: Messages of protobuf clients.
MESSAGES = (
    (CHALLENGE, Received.CHALLENGE),
    (PING, Received.PING),
    (PONG, Received.PONG),
    (LOGIN, Received.LOGIN),
    (Message(Topic.AUTH, AuthAction.REQUEST, data=b"7"), Received.AUTH),
    (EMIT, Received.OTHER),
    (Message(Topic.EVENT, EventAction.SUBSCRIBE, names=()), Received.OTHER),
)


class ReceivedTests(SynchronousTestCase):
    """
    L{received_as}: the kind of each message that a client may send before its login.
    """

    def test_text(self) -> None:
        """
        Messages of v2/v3 clients, good and bad.
        """
        for payload, expected in TEXTS.items():
            (message,) = text.SERVER.decode(wire(payload))
            self.assertIs(received_as(message), expected, payload)

    def test_protobuf(self) -> None:
        """
        Messages of v4+ clients, good and bad.
        """
        for sent, expected in MESSAGES:
            (message,) = protobuf.SERVER.decode(protobuf.CLIENT.encode(sent))
            self.assertIs(received_as(message), expected, sent)
        (message,) = protobuf.SERVER.decode(b"\xff\xff")
        self.assertIs(received_as(message), Received.UNPARSABLE)

    def test_heartbeats(self) -> None:
        """
        Only PING and PONG do not count as messages before the login.
        """
        self.assertEqual(HEARTBEATS, {Received.PING, Received.PONG})
