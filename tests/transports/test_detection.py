"""
Tests for L{dstwist.transports.detection}.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from dstwist.interfaces import HandshakeData, IReceiver
from dstwist.transports import websocket
from dstwist.transports.detection import Detection
from dstwist.transports.websocket import WebSocketLink
from tests.transports.helpers import (
    BINARY,
    PING,
    PONG,
    TEXT,
    Client,
    Recorder,
    closing,
    frame,
    web_sockets,
)


class DetectionTests(SynchronousTestCase):
    """
    L{Detection}: one path for both generations.
    """

    def setUp(self) -> None:
        self.made: list[Recorder] = []
        self.factory = web_sockets(self.detect)
        self.client = Client(self.factory)

    def detect(self, link: WebSocketLink, handshake: HandshakeData) -> Detection:
        return Detection(link, handshake, self.maker("text"), self.maker("binary"), self.factory.reactor, 0.3)

    def maker(self, kind: str) -> Any:
        def make(link: WebSocketLink, handshake: HandshakeData) -> Recorder:
            recorder = Recorder(link, handshake)
            recorder.events.append(kind)
            self.made.append(recorder)
            return recorder

        return make

    def seen(self) -> list[tuple[list[str], list[bytes | str]]]:
        """
        The events and payloads of each connection that was made.
        """
        return [(connection.events, connection.payloads) for connection in self.made]

    def test_interface(self) -> None:
        """
        It receives what its link reads.
        """
        verifyObject(IReceiver, self.client.connection)

    def test_binary(self) -> None:
        """
        A client that speaks first, in binary, is of v4 or later.
        """
        for fast in (True, False):
            self.patch(websocket, "FAST_PATH", fast)
            self.setUp()
            self.client.send(frame(BINARY, b"a"), frame(BINARY, b"b"))
            self.client.send(frame(BINARY, b"c"))
            self.client.reactor.advance(1)
            self.assertEqual(self.seen(), [(["binary", "open"], [b"a", b"b", b"c"])])

    def test_text(self) -> None:
        """
        A client that does not speak for a while is greeted in text, and is a text client if it then speaks text.
        """
        self.client.reactor.advance(0.29)
        self.assertEqual(self.made, [])
        self.client.reactor.advance(0.01)
        self.client.send(frame(TEXT, b"a"), frame(TEXT, b"b"))
        self.assertEqual(self.seen(), [(["text", "open"], ["a", "b"])])

    def test_early_text(self) -> None:
        """
        A text client that does not wait is greeted, and served.
        """
        self.client.send(frame(TEXT, b"a"), frame(TEXT, b"b"))
        self.client.reactor.advance(1)
        self.assertEqual(self.seen(), [(["text", "open"], ["a", "b"])])

    def test_slow_binary(self) -> None:
        """
        A v4+ client that is greeted in text before its first word arrives is served in binary, and the text connection
        is given up.
        """
        self.client.reactor.advance(0.3)
        self.client.send(frame(BINARY, b"a"), frame(BINARY, b"b"))
        self.assertEqual(self.seen(), [(["text", "open", "lost"], []), (["binary", "open"], [b"a", b"b"])])

    def test_decided_once(self) -> None:
        """
        The first frame decides; a later one of the other kind is left to the connection.
        """
        self.client.send(frame(TEXT, b"a"), frame(BINARY, b"b"))
        self.assertEqual(self.seen(), [(["text", "open"], ["a", b"b"])])
        self.setUp()
        self.client.send(frame(BINARY, b"a"), frame(TEXT, b"b"))
        self.assertEqual(self.seen(), [(["binary", "open"], [b"a", "b"])])

    def test_ping_decides_nothing(self) -> None:
        """
        A control frame says nothing about the generation.
        """
        self.client.send(frame(PING))
        self.client.send(frame(BINARY, b"a", final=False), frame(PONG))
        self.assertEqual(self.made, [])
        self.client.send(frame(0, b"b"))
        self.assertEqual(self.seen(), [(["binary", "open"], [b"ab"])])

    def test_first_payload_takes_long(self) -> None:
        """
        If the first payload takes all the time that its client has in a turn, what was read behind it waits, as with
        any other payload.
        """

        class Weary(Recorder):
            def receive(self, payload: bytes | str) -> bool:
                super().receive(payload)
                self.link.pause()
                return True

        def detect(link: WebSocketLink, handshake: HandshakeData) -> Detection:
            return Detection(link, handshake, Weary, Weary, link.factory.reactor, 0.3)

        for fast in (True, False):
            self.patch(websocket, "FAST_PATH", fast)
            for opcode, payloads in ((BINARY, [b"a", b"b"]), (TEXT, ["a", "b"])):
                client = Client(web_sockets(detect))
                client.send(frame(opcode, b"a"), frame(opcode, b"b"))
                connection = client.connection
                self.assertEqual(connection.payloads, payloads[:1])
                client.link.resume()
                client.reactor.advance(0)
                self.assertEqual(connection.payloads, payloads)

    def test_gone_before(self) -> None:
        """
        A client that goes before it is known is forgotten.
        """
        self.client.lose()
        self.assertEqual(self.client.reactor.getDelayedCalls(), [])
        self.assertEqual(self.made, [])

    def test_gone_after_greeting(self) -> None:
        """
        One that goes after it was greeted ends its text connection.
        """
        self.client.reactor.advance(0.3)
        self.client.lose()
        self.assertEqual(self.seen(), [(["text", "open", "lost"], [])])

    def test_stop(self) -> None:
        """
        A server that stops closes those that are not known yet, too.
        """
        greeted = Client(self.factory)
        greeted.reactor.advance(0.3)
        fresh = Client(self.factory)
        for client in (greeted, fresh):
            client.taken()
        self.factory.close(1001, "server shutting down")
        for client in (greeted, fresh):
            self.assertEqual(client.taken(), closing(1001, b"server shutting down"))
        self.assertEqual([connection.events[-1] for connection in self.made], ["lost", "lost"])

    def test_greeting_fails(self) -> None:
        """
        A late greeting that fails costs this one connection.
        """

        def fail(link: WebSocketLink, handshake: HandshakeData) -> Any:
            raise ZeroDivisionError

        def detect(link: WebSocketLink, handshake: HandshakeData) -> Detection:
            return Detection(link, handshake, fail, fail, link.factory.reactor, 0.3)

        for provoke in (lambda client: client.reactor.advance(0.3), lambda client: client.send(frame(BINARY, b"a"))):
            client = Client(web_sockets(detect))
            provoke(client)
            self.assertEqual(client.taken(), closing(1011, b"internal error"))
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
            self.assertIsNone(client.connection)

    def test_closed_while_greeted(self) -> None:
        """
        A text connection that closes at its greeting gets nothing more.
        """

        class Rejecting(Recorder):
            def open(self) -> None:
                self.close("rejected", 1000)

        def detect(link: WebSocketLink, handshake: HandshakeData) -> Detection:
            return Detection(link, handshake, Rejecting, Rejecting, link.factory.reactor, 0.3)

        client = Client(web_sockets(detect))
        client.reactor.advance(0.3)
        client.send(frame(BINARY, b"a"))
        self.assertEqual(client.taken(), closing(1000, b"rejected"))
        self.assertIsNone(client.connection)
