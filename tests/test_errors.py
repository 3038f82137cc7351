"""
Tests for L{dstwist.errors}.
"""

from __future__ import annotations

import inspect
import re

from twisted.trial.unittest import SynchronousTestCase

from dstwist import errors
from dstwist.errors import ConfigError, DstwistError, StartError


class ErrorTests(SynchronousTestCase):
    """
    The exceptions.
    """

    def test_tree(self) -> None:
        """
        The tree in the docstring is the one of the classes.
        """
        found = [one for _, one in inspect.getmembers(errors, inspect.isclass) if issubclass(one, DstwistError)]
        self.assertEqual(
            sorted(re.findall(r"^[ |]*(?:\+-- )?(\w+)(?:  |$)", errors.__doc__ or "", re.MULTILINE)),
            sorted(one.__name__ for one in found),
        )

    def test_config_error(self) -> None:
        """
        The text has the file and line, the key, and the problem, as far as they are known.
        """
        self.assertEqual(str(ConfigError("rpc.x", "unknown key", "a.yml, line 2")), "a.yml, line 2: rpc.x: unknown key")
        self.assertEqual(str(ConfigError("rpc.x", "unknown key")), "rpc.x: unknown key")
        self.assertEqual(str(ConfigError("", "not YAML", "a.yml")), "a.yml: not YAML")

    def test_start_error(self) -> None:
        """
        The log has deepstream's name for the reason.
        """
        self.assertEqual(StartError("taken").event, "PLUGIN_INITIALIZATION_ERROR")
        self.assertEqual(StartError("late", "PLUGIN_INITIALIZATION_TIMEOUT").event, "PLUGIN_INITIALIZATION_TIMEOUT")
