"""
Tests for L{dstwist.transports.websocket_factory}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.transports.helpers import (
    CLOSE,
    HANDSHAKE,
    Client,
    closing,
    frame,
    web_sockets,
)


class WebSocketFactoryTests(SynchronousTestCase):
    """
    L{WebSocketFactory}: all WebSockets of a path.
    """

    def setUp(self) -> None:
        self.factory = web_sockets()

    def test_drained(self) -> None:
        """
        The factory is drained when the last client is gone; if there is none, it is already.
        """
        self.successResultOf(self.factory.drained())
        clients = [Client(self.factory), Client(self.factory)]
        waiting = [self.factory.drained(), self.factory.drained()]
        clients[0].lose()
        for deferred in waiting:
            self.assertNoResult(deferred)
        clients[1].lose()
        for deferred in waiting:
            self.successResultOf(deferred)

    def test_close(self) -> None:
        """
        All clients are told why; what is still in its handshake is dropped, and what is closing is left alone.
        """
        opened, half = Client(self.factory), Client(self.factory, handshake=HANDSHAKE[:30])
        leaving = Client(self.factory)
        leaving.send(frame(CLOSE))
        leaving.taken()
        self.factory.close(1001, "server shutting down")
        self.assertEqual(opened.taken(), closing(1001, b"server shutting down"))
        self.assertEqual((opened.gone, half.gone, leaving.gone), ("", "aborted", "closed"))
        self.assertEqual((half.taken(), leaving.taken()), (b"", b""))

    def test_abort(self) -> None:
        """
        In the end all are dropped.
        """
        clients = [Client(self.factory), Client(self.factory, handshake=HANDSHAKE[:30])]
        self.factory.abort()
        self.assertEqual([client.gone for client in clients], ["aborted"] * 2)
