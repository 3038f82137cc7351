"""
Tests for L{dstwist.cli.info}.
"""

from __future__ import annotations

import json
import platform

from dstwist import __version__
from tests.cli.helpers import CommandTestCase


class InfoTests(CommandTestCase):
    """
    C{dstwist info}.
    """

    def test_json(self) -> None:
        """
        It prints versions, as JSON, and accepts the options of the Node server.
        """
        result = self.dstwist("info", "-c", "my.yml", "-l", "lib")
        self.assertEqual(result.exit_code, 0, result.stderr)
        found = json.loads(result.stdout)
        self.assertEqual(found["dstwistVersion"], __version__)
        self.assertEqual(found["pythonVersion"], platform.python_version())
        self.assertEqual(found["config"], "my.yml")
        self.assertIsInstance(found["libs"], list)
