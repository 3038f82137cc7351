"""
The options that all commands of C{dstwist admin} have.
"""

from __future__ import annotations

import click

from dstwist.cli.admin import admin
from tests.cli.admin_stage import AdminCommandTestCase


class OptionTests(AdminCommandTestCase):
    """
    The options that all commands have.
    """

    def test_each(self) -> None:
        """
        Each command takes the options that say which server is meant.
        """
        assert isinstance(admin, click.Group)
        for command in admin.commands.values():
            options = {option for parameter in command.params for option in parameter.opts}
            self.assertLessEqual({"--json", "--socket", "--url", "--token-file", "--data-dir", "--config"}, options)
            self.assertTrue(command.help)

    def test_passed_on(self) -> None:
        """
        They choose the server.
        """
        self.started()
        self.typed("status", "--socket", "/s")
        self.typed("status", "--url", "http://a:1", "--token-file", "t")
        self.typed("status", "-d", "/d", "-c", "c.yml")
        self.assertEqual(
            self.places,
            [("/s", None, None, None, None), (None, "http://a:1", "t", None, None), (None, None, None, "/d", "c.yml")],
        )
