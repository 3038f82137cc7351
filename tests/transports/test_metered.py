"""
Tests for L{dstwist.transports.metered}. What the limits do to whole clients is tested in C{tests.nodes.test_limits}.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from dstwist.config.endpoints import WebSocketEndpoint
from dstwist.config.limits import LimitSettings
from dstwist.interfaces import ILink
from dstwist.limits.rates import UserRateLimits
from dstwist.protocol.constants import ConnectionAction, Topic
from dstwist.protocol.message import Message
from dstwist.transports.metered import MeteredLink
from dstwist.transports.websocket_factory import WebSocketFactory
from tests.transports.helpers import TEXT, Client, Recorder, frame, web_sockets

PING = Message(Topic.CONNECTION, ConnectionAction.PING)


class Weary(Recorder):
    """
    A connection each of whose payloads takes all the time of a turn.
    """

    def receive(self, payload: bytes | str) -> bool:
        super().receive(payload)
        self.link.pause()
        return True


class MeteredLinkTests(SynchronousTestCase):
    """
    L{MeteredLink}: there are two who may want it to be quiet.
    """

    def metered(self, connect: type[Recorder] = Recorder) -> Client:
        # The handshake is counted too, and has to fit into the first second.
        client = Client(web_sockets(connect, max_byte_rate=200))
        client.reactor.advance(1)
        return client

    def test_interface(self) -> None:
        """
        It is a link.
        """
        link = self.metered().link
        self.assertIsInstance(link, MeteredLink)
        verifyObject(ILink, link)

    def test_counted(self) -> None:
        """
        The messages that its connection decodes count, however few bytes they have.
        """
        client = Client(web_sockets(max_message_rate=10))
        decode = client.link.counted(lambda payload: [PING] * len(payload))
        self.assertEqual(decode(b"x" * 10), [PING] * 10)
        self.assertEqual(client.transport.producerState, "producing")
        decode(b"x" * 5)
        self.assertEqual(client.transport.producerState, "paused")
        client.reactor.advance(0.6)
        self.assertEqual(client.transport.producerState, "producing")

    def test_user(self) -> None:
        """
        From the login on, the limits of the user hold for all connections of the user together.
        """
        limits = UserRateLimits(LimitSettings(max_message_rate_per_user=10), MemoryReactorClock())
        factory = WebSocketFactory(WebSocketEndpoint(), Recorder, MemoryReactorClock(), limits)
        clients = [Client(factory), Client(factory)]
        for client in clients:
            client.link.logged_in("ann")
            client.link.counted(lambda payload: [PING] * 6)(b"")
        self.assertEqual([client.transport.producerState for client in clients], ["producing", "paused"])

    def test_both(self) -> None:
        """
        A client is read from when neither its connection nor its meter is against it, in whatever order they change
        their minds.
        """
        for first, second in ((0, 1), (1, 0)):
            client = self.metered()
            link, transport = client.link, client.transport
            client.send(frame(TEXT, b"x" * 194), frame(TEXT, b"x" * 94))
            link.pause()
            ends: list[Callable[[], None]] = [link.resume, partial(client.reactor.advance, 0.6)]
            self.assertEqual(transport.producerState, "paused")
            ends[first]()
            self.assertEqual(transport.producerState, "paused")
            ends[second]()
            self.assertEqual(transport.producerState, "producing")

    def test_postponed(self) -> None:
        """
        Payloads that wait for a later turn wait for the rate limit too, and are served when it permits.
        """
        client = self.metered(Weary)
        connection, link = client.connection, client.link
        client.send(frame(TEXT, b"a" * 94), frame(TEXT, b"b" * 194))
        self.assertEqual(len(connection.payloads), 1)
        link.resume()
        client.reactor.advance(0.1)
        self.assertEqual(len(connection.payloads), 1)
        for _ in range(10):
            client.reactor.advance(0.1)
        self.assertEqual(len(connection.payloads), 2)
