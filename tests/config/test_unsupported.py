"""
Tests for L{dstwist.config.unsupported}.
"""

from __future__ import annotations

from tests.config.helpers import ConfigCase


class UnsupportedTests(ConfigCase):
    """
    C{monitoring}.
    """

    def test_noted(self) -> None:
        """
        A type other than the default is noted, with its place, since it has no effect.
        """
        for content, path in (
            ("monitoring: {type: http}", "monitoring"),
            ("monitoring: [{type: default}, {type: log}]", "monitoring[1]"),
        ):
            self.assertEqual([path], self.not_built(content), content)

    def test_default(self) -> None:
        """
        Sections that ask for the default, or for nothing, need no note.
        """
        for content in ("monitoring: {type: none}", "monitoring: [{type: default}]", "monitoring: "):
            self.assertEqual((), self.load(content).notes, content)

    def test_types(self) -> None:
        """
        The settings name the types.
        """
        settings = self.load("monitoring: [{type: default}, {type: log}]")
        self.assertEqual(("default", "log"), settings.monitoring)

    def test_own(self) -> None:
        """
        A class in Python is refused: it would not run, and the section C{plugins} is for it.
        """
        for content, path in (
            ("logger: {module: 'a.b:C'}", "logger.module"),
            ("logger: {path: log.py:C}", "logger.path"),
            ("monitoring: [{type: none}, {path: 'a.b:C'}]", "monitoring[1].path"),
            ("clusterNode: {path: ./bus.py}", "clusterNode.path"),
            ("connectionEndpoints: [{type: ws-text}, {path: mine.py:C}]", "connectionEndpoints[1].path"),
        ):
            self.assertIn(f"{path}: this part takes no class of your own", self.refusal(content))
