"""
Tests for L{dstwist.auth.open}.
"""

from __future__ import annotations

from typing import Any

from zope.interface.verify import verifyObject

from dstwist.auth.open import OpenAuthentication
from dstwist.interfaces import IAuthenticator, Login
from tests.auth.helpers import HANDSHAKE, AuthCase


class OpenAuthenticationTests(AuthCase):
    """
    L{OpenAuthentication}.
    """

    def setUp(self) -> None:
        self.authenticator = OpenAuthentication()

    def test_interface(self) -> None:
        """
        L{OpenAuthentication} provides L{IAuthenticator}.
        """
        verifyObject(IAuthenticator, self.authenticator)

    def test_names(self) -> None:
        """
        The user id is the given name, as text; without one it is open.
        """
        cases: list[tuple[Any, str]] = [
            ({"username": "ann"}, "ann"),
            ({"username": 5}, "5"),
            ({"username": True}, "true"),
            ({"username": 1.5}, "1.5"),
            ({"username": ""}, "open"),
            ({"username": 0}, "open"),
            ({"username": None}, "open"),
            ({}, "open"),
            ([], "open"),
        ]
        for credentials, user in cases:
            login = self.successResultOf(self.authenticator.login(HANDSHAKE, credentials))
            self.assertEqual(login, Login(True, user), credentials)

    def test_w60_open(self) -> None:
        """
        W60: who gives no name is called "open"; "OPEN" is for authenticators that give none.
        """
        self.assertEqual(self.successResultOf(self.authenticator.login(HANDSHAKE, {})).user, "open")

    def test_long_name(self) -> None:
        """
        A name may be as long as any user id: it is in the log with each login.
        """
        longest = "x" * 256
        login = self.successResultOf(self.authenticator.login(HANDSHAKE, {"username": longest}))
        self.assertEqual(login, Login(True, longest))
        refused = self.successResultOf(self.authenticator.login(HANDSHAKE, {"username": f"{longest}x"}))
        self.assertFalse(refused.accepted)
        self.assertEqual(refused.client_data, b'{"error":"the username must not have more than 256 characters"}')

    def test_no_names(self) -> None:
        """
        A value that cannot be a name is refused with an error.
        """
        for name in (["ann"], [], {}, {"toString": "x"}, {"toString": 1}, "a\x1fb", "a\nb", "a\x9bb", "\ud800"):
            login = self.login(username=name)
            self.assertFalse(login.accepted)
            self.assertIn("error", self.told(login))
