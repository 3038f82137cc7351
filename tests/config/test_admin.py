"""
C{admin}.
"""

from __future__ import annotations

import os

from dstwist.config.admin import AdminSettings
from tests.config.helpers import ConfigCase

TOKEN = "0123456789abcdef"


class AdminTests(ConfigCase):
    """
    The section.
    """

    def test_defaults(self) -> None:
        """
        Without the section, and with an empty one, only the socket in the data directory is served.
        """
        for content in ("", "admin:", "admin: {}", "admin: {socket: null, listen: null, token: null}"):
            self.assertEqual(self.load(content).admin, AdminSettings(True, None, None, None))

    def test_given(self) -> None:
        """
        The options are as the file says; the path of the socket begins at the directory of the file.
        """
        settings = self.load(f'admin: {{socket: run/a.sock, listen: "tcp:6021", token: "{TOKEN}\\n"}}').admin
        self.assertEqual(settings, AdminSettings(True, os.path.join(self.directory, "run/a.sock"), "tcp:6021", TOKEN))
        self.assertFalse(self.load("admin: {enabled: false}").admin.enabled)

    def test_refused(self) -> None:
        """
        A TCP endpoint needs a token that nobody can guess.
        """
        self.assert_refused(
            (
                "admin: {listen: 'tcp:6021'}",
                "admin.token: listen needs a token: whoever reaches the port could end the server",
            ),
            ("admin: {listen: 'tcp:6021', token: short}", "admin.token: a token has at least 16 characters"),
            (
                "admin: {token: 'a token with blanks in it'}",
                "admin.token: a token has printable ASCII characters only, and no blanks",
            ),
            ("admin: {socket: 1}", "admin.socket: expected a text, got 1; put it in quotes"),
            ("admin: {port: 1}", "admin.port: unknown option"),
        )

    def test_secret(self) -> None:
        """
        The token is in no text about the settings.
        """
        self.assertNotIn(TOKEN, repr(AdminSettings(token=TOKEN)))
