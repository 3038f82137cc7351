"""
Tests for L{dstwist.config.plugins}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.file import Reading
from dstwist.config.plugins import PluginSettings, read_plugin
from dstwist.errors import ConfigError


class ReadPluginTests(SynchronousTestCase):
    """
    L{read_plugin}.
    """

    def read(self, kind: str, source: str) -> PluginSettings:
        return read_plugin(kind, source, {"a": 1}, "storage", Reading("/etc/dstwist", {}), "stores")

    def test_named(self) -> None:
        """
        A class is named by its module, its file or its entry point. The path of a file starts at the configuration.
        """
        for kind, source, found in (
            ("module", "a.b:C", "a.b:C"),
            ("path", "a.b:C", "a.b:C"),
            ("path", "lib/a.py:C", "/etc/dstwist/lib/a.py:C"),
            ("path", "/lib/a.py:C", "/lib/a.py:C"),
            ("name", "anything", "anything"),
        ):
            self.assertEqual(self.read(kind, source), PluginSettings(kind, found, {"a": 1}, f"storage.{kind}"))

    def test_refused(self) -> None:
        """
        A text that names no class, or a JavaScript file, is refused with the path of its key.
        """
        for kind, source, words in (
            ("module", "a.b", "storage.module: expected package.module:Class, got"),
            ("module", "lib/a.py:C", "storage.module: expected package.module:Class, got"),
            ("path", "./lib", "storage.path: expected file.py:Class or package.module:Class, got"),
            ("path", "store.js", "storage.path: JavaScript cannot run here; see docs/stores.rst"),
        ):
            self.assertIn(words, str(self.assertRaises(ConfigError, self.read, kind, source)))

    def test_options_not_shown(self) -> None:
        """
        The options may contain passwords, so they are not part of the text for the log.
        """
        settings = read_plugin("name", "x", {"password": "hunter2"}, "storage", Reading("/", {}), "stores")
        self.assertNotIn("hunter2", repr(settings))
