"""
Tests for L{dstwist.assembly.logins}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from dstwist.config.plugins import PluginSettings
from dstwist.connections.login import Outcome
from dstwist.interfaces import HandshakeData, IAuthenticator, IDepartures, Login
from tests.assembly.steps import StepsTestCase
from tests.fakes import FakeConnection


@implementer(IAuthenticator, IDepartures)
class Leavers:
    """
    An authenticator that notes who leaves.
    """

    left: list[str]

    def __init__(self, options: Any, context: Any) -> None:
        Leavers.left = []

    def login(self, handshake: HandshakeData, credentials: Any) -> Deferred[Login]:
        return succeed(Login(True, "ann"))

    def departed(self, user: str) -> None:
        self.left.append(user)


class LoginPartsTests(StepsTestCase):
    """
    L{LoginParts}.
    """

    def test_bans(self) -> None:
        """
        A ban holds for requests without a connection, too.
        """
        self.successResultOf(self.logins.authenticator.start())
        outcomes = []
        for _ in range(2):
            login = self.logins.request_logins.login(HandshakeData("192.0.2.1"), b'{"username":"ann"}')
            outcomes.append(self.successResultOf(login).outcome)
            self.logins.bans.users.add("ann", None)
            self.logins.request_logins.forget("ann")
        self.assertEqual(outcomes, [Outcome.ACCEPTED, Outcome.EXCEEDED])

    def test_departed(self) -> None:
        """
        An authenticator is told who has left if it wants to know.
        """
        self.assertIsNone(self.logins.departed)
        self.assemble(auth=(PluginSettings("module", f"{__name__}:Leavers", {}, "auth.module"),))
        assert self.logins.departed is not None
        self.logins.departed(FakeConnection("ann"))
        self.assertEqual(Leavers.left, ["ann"])
