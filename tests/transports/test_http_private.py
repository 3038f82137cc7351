"""
HTTP for a few clients.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.transports.http_private import MAX_BODY_BYTES, MAX_CONNECTIONS, PrivateHttpFactory
from dstwist.transports.http_routes import Routes
from tests.transports.helpers import PushTransport
from tests.transports.http_helpers import Answer


class PrivateTests(SynchronousTestCase):
    """
    L{PrivateHttpFactory}.
    """

    def setUp(self) -> None:
        self.factory = PrivateHttpFactory(Routes(), MemoryReactorClock())

    def connect(self) -> tuple[Any, PushTransport]:
        channel, transport = self.factory.buildProtocol(None), PushTransport()
        if channel is not None:
            channel.makeConnection(transport)
        return channel, transport

    def test_limit(self) -> None:
        """
        There is a limit of connections, and those that have gone do not count.
        """
        channels = [self.connect()[0] for _ in range(MAX_CONNECTIONS)]
        self.assertNotIn(None, channels)
        self.assertIsNone(self.connect()[0])
        channels.pop().connectionLost()
        self.assertIsNotNone(self.connect()[0])

    def test_abort(self) -> None:
        """
        All connections can be dropped.
        """
        (first, one), (_, two) = self.connect(), self.connect()
        first.connectionLost()
        self.factory.abort()
        self.assertEqual((one.aborted, two.aborted), (False, True))

    def test_body(self) -> None:
        """
        A large body is refused.
        """
        channel, transport = self.connect()
        channel.dataReceived(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY_BYTES + 1))
        self.assertEqual(Answer(transport.take()).status, 400)
