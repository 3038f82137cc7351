"""
Tests for L{dstwist.config.unsupported}.
"""

from __future__ import annotations

from tests.config.helpers import ConfigCase


class UnsupportedTests(ConfigCase):
    """
    C{monitoring}, C{clusterNode} and C{plugins}.
    """

    def test_noted(self) -> None:
        """
        A type other than the default is noted, with its place, since it has no effect.
        """
        for content, path in (
            ("monitoring: {type: http}", "monitoring"),
            ("monitoring: [{type: default}, {type: log}]", "monitoring[1]"),
            ("clusterNode: {name: redis}", "clusterNode"),
            ("plugins: {p: {path: ./p}}", "plugins.p"),
        ):
            self.assertEqual([path], self.not_built(content), content)

    def test_default(self) -> None:
        """
        Sections that ask for the default, or for nothing, need no note.
        """
        for content in ("monitoring: {type: none}", "monitoring: [{type: default}]", "clusterNode: ", "plugins: {}"):
            self.assertEqual((), self.load(content).notes, content)

    def test_types(self) -> None:
        """
        The settings name the types, and the plug-ins.
        """
        settings = self.load(
            "monitoring: [{type: default}, {type: log}]\nclusterNode: {name: redis}\nplugins: {p: {path: ./p}}"
        )
        self.assertEqual(("default", "log"), settings.monitoring)
        self.assertEqual("plug-in redis", settings.cluster_node)
        self.assertEqual(("p",), settings.plugins)

    def test_list_of_plugins(self) -> None:
        """
        The list of plug-ins of older versions is noted, too.
        """
        settings = self.load("plugins: [{name: x}]")
        self.assertEqual((), settings.plugins)
        self.assertEqual(
            ("CONFIG | plugins has no effect: plug-ins of the Node server cannot run here",), settings.notes
        )
