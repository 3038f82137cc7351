"""
What authenticators have in common.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dstwist.auth.credentials import NOT_MINE, name_and_password, refusal, user_id
from dstwist.interfaces import Login


class CredentialTests(SynchronousTestCase):
    """
    Reading what clients send, and judging what is to be a user id.
    """

    def test_name_and_password(self) -> None:
        """
        Only texts count as names and passwords.
        """
        for credentials, expected in (
            ({"username": "ann", "password": "secret"}, ("ann", "secret")),
            ({"username": "", "password": ""}, ("", "")),
            ({"username": 5, "password": ["x"]}, (None, None)),
            ({}, (None, None)),
            ([["username", "ann"]], (None, None)),
            ("ann", (None, None)),
        ):
            self.assertEqual(name_and_password(credentials), expected)

    def test_user_id(self) -> None:
        """
        A user id is a printable text or a number; nothing else becomes one.
        """
        for value, expected in (
            ("ann", "ann"),
            ("Änne 🎉", "Änne 🎉"),
            (0, "0"),
            (7, "7"),
            (1.5, "1.5"),
            (True, None),
            (None, None),
            ("", None),
            ([], None),
            ({}, None),
            ("a\x1eb", None),
            ("a\x9bb", None),
            ("a\x7f", None),
            ("\ud83d", None),
        ):
            self.assertEqual(user_id(value), expected, repr(value))

    def test_refusal(self) -> None:
        """
        A refusal that is not reported says nothing, and leaves the client to the next authenticator.
        """
        self.assertEqual(refusal(True), Login(False))
        self.assertEqual(refusal(True, 'no "x"'), Login(False, client_data=b'{"error":"no \\"x\\""}'))
        self.assertEqual(refusal(False, "no"), NOT_MINE)
        self.assertEqual(NOT_MINE, Login(False, final=False))
