"""
Tests for L{dstwist.connections.endpoint}.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.endpoints import WebSocketEndpoint
from dstwist.config.limits import LimitSettings
from dstwist.connections.connection import Connection
from dstwist.connections.endpoint import EndpointContext, IUnauthenticatedConnection, login_deadlines
from dstwist.connections.heartbeat import Heartbeat
from dstwist.connections.login import Logins
from dstwist.connections.users import UserRegistry
from dstwist.interfaces import IConnection
from dstwist.limits.failed_logins import FailedLogins
from dstwist.permission.open import OpenPermission
from dstwist.routing.router import Router
from tests.fakes import FakeAuthenticator


class EndpointTests(SynchronousTestCase):
    """
    The parts that the connections of an endpoint share.
    """

    def test_interface(self) -> None:
        """
        A connection is what its handshake expects, and the handshake can pass it on as an L{IConnection}.
        """
        self.assertTrue(IUnauthenticatedConnection.implementedBy(Connection))
        self.assertTrue(IUnauthenticatedConnection.isOrExtends(IConnection))

    def test_defaults(self) -> None:
        """
        Without more settings, clients have no rate limit and all understand the same messages. Closes wait as long as
        C{limits.closeDelay} says by default.
        """
        clock, users = Clock(), UserRegistry()
        logins = Logins(FakeAuthenticator(), FailedLogins(LimitSettings(), clock), users, clock)
        router = Router(OpenPermission(), {})
        context = EndpointContext(WebSocketEndpoint(), logins, router, Heartbeat(30.0, clock), clock, users, None)
        self.assertEqual((context.many_wire, context.whole_wire, context.rates), (None, None, None))
        self.assertEqual(context.close_delay, LimitSettings().close_delay)

    def test_login_deadlines(self) -> None:
        """
        All clients of an endpoint share a timer, and each has the whole time; without a limit there are no deadlines.
        """
        clock, expired = Clock(), []

        class Client:
            def expire(self) -> None:
                expired.append(self)

        deadlines = login_deadlines(WebSocketEndpoint(unauthenticated_client_timeout=5.0), clock)
        assert deadlines is not None
        first, second = Client(), Client()
        deadlines.add(first)
        clock.advance(2)
        deadlines.add(second)
        self.assertEqual(len(clock.getDelayedCalls()), 1)
        clock.advance(3)
        self.assertEqual(expired, [first])
        clock.advance(2)
        self.assertEqual(expired, [first, second])
        self.assertIsNone(login_deadlines(WebSocketEndpoint(unauthenticated_client_timeout=None), clock))
