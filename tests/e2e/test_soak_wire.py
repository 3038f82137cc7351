"""
The soak tells faults of clients from faults of the server by what passed over the connections.
"""

from __future__ import annotations

import time
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from dstwist.protocol import protobuf, text
from dstwist.protocol.constants import AuthAction, RecordAction, Topic
from dstwist.protocol.message import Message
from tests.e2e.soak_wire import Wire, Wires
from tests.nodes.client import client_frame

_HEAD = b"GET / HTTP/1.1\r\n\r\n"
_LOGIN = Message(Topic.AUTH, AuthAction.REQUEST, data=b'{"username":"v7-1"}')
_READ = Message(Topic.RECORD, RecordAction.READ, "soak/a")
_ANSWER = Message(Topic.RECORD, RecordAction.READ_RESPONSE, "soak/a", b"{}", version=3)


def _said(*messages: Message) -> bytes:
    return _HEAD + b"".join(client_frame(protobuf.CLIENT.encode(message), 2) for message in messages)


def _answered(*messages: Message) -> bytes:
    payloads = [protobuf.SERVER.encode(message) for message in messages]
    return _HEAD + b"".join(bytes((0x82, len(payload))) + payload for payload in payloads)


class ExcuseTests(SynchronousTestCase):
    """
    L{Wires.excuse}.
    """

    def setUp(self) -> None:
        self.wires = Wires()

    def reading(self, *answers: Message) -> Wire:
        """
        A connection over which C{v7-1} has sent a READ.
        """
        wire = self.wires.open()
        for byte in _said(_LOGIN, _READ):
            wire.take("client", bytes((byte,)))
        wire.take("server", _answered(*answers))
        return wire

    def excuse(self, **differs: Any) -> str:
        copy = {"client": "v7-1", "name": "soak/a", "state": "MERGING", "socket": 1, "asked": time.time() * 1000}
        return self.wires.excuse(copy | differs) or ""

    def test_cut(self) -> None:
        """
        The connection with the READ was cut before the answer.
        """
        self.reading().end("cut by the soak")
        self.assertIn("was not answered", self.excuse())

    def test_cut_behind_the_answer(self) -> None:
        """
        The answer was lost on its way.
        """
        self.reading(_ANSWER).end("cut by the soak")
        self.assertIn("the answer left the server", self.excuse())

    def test_open(self) -> None:
        """
        A client that waits on an open connection is no fault of its own, answered or not.
        """
        self.reading()
        self.assertEqual(self.excuse(), "")
        self.reading(_ANSWER)
        self.assertEqual(self.excuse(), "")

    def test_nothing_asked(self) -> None:
        """
        Nor is one that has its answer, or is in another state.
        """
        self.reading().end("cut by the soak")
        self.assertEqual(self.wires.excuse({"client": "v7-1", "name": "soak/a", "state": "MERGING", "socket": 1}), None)
        self.assertEqual(self.excuse(state="RESUBSCRIBING"), "")

    def test_socket(self) -> None:
        """
        A socket that is closing without a connection is a fault of the client; one with a connection is not.
        """
        wire = self.wires.open()
        wire.take("client", _HEAD + client_frame(text.CLIENT.encode(_LOGIN).replace(b"v7", b"v2"), 1))
        self.assertEqual(self.excuse(client="v2-1", socket=2), "")
        wire.end("cut by the soak")
        self.assertIn("cut by the soak", self.excuse(client="v2-1", socket=2))
        self.assertEqual(self.excuse(client="v2-1", socket=1), "")


class UnansweredTests(SynchronousTestCase):
    """
    L{Wires.unanswered}.
    """

    def test_kinds(self) -> None:
        """
        An answer and an error end a READ. One that waits for long over an open connection is a fault of the server.
        """
        wires = Wires()
        error = Message(
            Topic.RECORD, RecordAction.MESSAGE_DENIED, "soak/b", original_action=RecordAction.READ, is_error=True
        )
        wire = wires.open()
        wire.take("client", _said(_LOGIN, _READ, Message(Topic.RECORD, RecordAction.READ, "soak/b"), _READ))
        wire.take("server", _answered(_ANSWER))
        self.assertEqual(wires.unanswered(), (3, ["READ soak/b by v7-1: came over an open connection"]))
        wire.reads["soak/b"][0].asked -= 60
        self.assertIn("THE SERVER IS LATE", wires.unanswered()[1][0])
        wire.take("server", _answered(error)[len(_HEAD) :])
        self.assertEqual(wires.unanswered(), (3, []))
