"""
Tests for L{dstwist.cli.replaced}.
"""

from __future__ import annotations

from tests.cli.helpers import CommandTestCase


class InsteadTests(CommandTestCase):
    """
    Commands in whose place there is something else.
    """

    def test_said(self) -> None:
        """
        With any options, they print the alternative, and fail.
        """
        for words, said in (
            (["daemon", "-c", "x.yml", "--host", "h"], "dstwist service add"),
            (["daemon"], "twistd --pidfile="),
            (["install", "cache", "redis:1.0", "--verbose"], "install PACKAGE"),
        ):
            result = self.dstwist(*words)
            self.assertEqual(result.exit_code, 1)
            self.assertIn(said, result.stderr)
        self.assertEqual(self.dstwist("daemon", "--help").exit_code, 0)
