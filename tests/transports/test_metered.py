"""
Tests for L{dstwist.transports.metered}. What the limits do to whole clients is tested in C{tests.nodes.test_limits}.
"""

from __future__ import annotations

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from dstwist.config.endpoints import WebSocketEndpoint
from dstwist.interfaces import ILink
from dstwist.transports.metered import MeteredLink
from dstwist.transports.websocket_factory import WebSocketFactory
from tests.transports.helpers import TEXT, Client, Recorder, frame


class MeteredLinkTests(SynchronousTestCase):
    """
    L{MeteredLink}.
    """

    def setUp(self) -> None:
        self.client = Client(WebSocketFactory(WebSocketEndpoint(), Recorder, MemoryReactorClock(), metered=True))

    def test_interface(self) -> None:
        """
        It is a link.
        """
        self.assertIsInstance(self.client.link, MeteredLink)
        verifyObject(ILink, self.client.link)

    def test_bytes(self) -> None:
        """
        Its connection is told how many bytes have come, whether they are whole frames or not.
        """
        connection = self.client.connection
        before = connection.counted
        self.client.send(frame(TEXT, b"x" * 94)[:50])
        self.assertEqual((connection.counted - before, connection.payloads), (50, []))
        self.client.send(frame(TEXT, b"x" * 94)[50:])
        self.assertEqual((connection.counted - before, connection.payloads), (100, ["x" * 94]))

    def test_lost(self) -> None:
        """
        Bytes behind the end of the connection are counted for no connection.
        """
        connection = self.client.connection
        connection.close("gone", 1000)
        self.client.send(frame(TEXT, b"x" * 94))
        self.assertEqual(connection.payloads, [])
