"""
Tests for L{dstwist.transports.read_size}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.protocols.haproxy._wrapper import HAProxyWrappingFactory
from twisted.trial.unittest import SynchronousTestCase

from dstwist.transports.read_size import read_at_most
from tests.e2e.certificates import Authority
from tests.tls.test_transport import tls_factory
from tests.transports.helpers import Idle, tcp


class ReadAtMostTests(SynchronousTestCase):
    """
    L{read_at_most}, on each transport that a port can have.
    """

    def test_plain(self) -> None:
        """
        The size is that of the socket.
        """
        transport = tcp(MemoryReactorClock(), Idle())
        read_at_most(transport, 1000)
        self.assertEqual(transport.bufferSize, 1000)

    def test_wrapped(self) -> None:
        """
        It is also below TLS, and below TLS behind the PROXY protocol.
        """
        reactor = MemoryReactorClock()
        for behind_proxy in (False, True):
            factory: Any = tls_factory(Authority(), reactor)
            if behind_proxy:
                factory = HAProxyWrappingFactory(factory)
            outermost: Any = factory.buildProtocol(None)
            transport = tcp(reactor, outermost)
            outermost.makeConnection(transport)
            tls: Any = outermost.wrappedProtocol if behind_proxy else outermost
            if behind_proxy:
                tls.makeConnection(outermost)
            read_at_most(tls, 1000)
            self.assertEqual(transport.bufferSize, 1000)
