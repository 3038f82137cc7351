"""
Tests for L{dstwist.config.plugins}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from dstwist.config.file import Reading
from dstwist.config.plugins import PluginSettings, read_plugin
from dstwist.errors import ConfigError
from tests.config.helpers import ConfigCase


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


class ReadPluginsTests(ConfigCase):
    """
    The section C{plugins}.
    """

    def test_own(self) -> None:
        """
        Each entry with a class in Python, or with a name, is a plug-in; they are in the order of the file.
        """
        settings = self.load(
            "plugins: {b: {module: 'a.b:C', options: {x: 1}}, a: {path: lib/a.py:C}, d: {path: 'a.b:C'}, c: {name: n}}"
        )
        self.assertEqual(
            [
                ("b", PluginSettings("module", "a.b:C", {"x": 1}, "plugins.b.module")),
                ("a", PluginSettings("path", f"{self.directory}/lib/a.py:C", {}, "plugins.a.path")),
                ("d", PluginSettings("path", "a.b:C", {}, "plugins.d.path")),
                ("c", PluginSettings("name", "n", {}, "plugins.c.name")),
            ],
            list(settings.plugins.items()),
        )
        self.assertEqual((), settings.notes)
        self.assertEqual({}, self.load("plugins: ").plugins)

    def test_of_the_node_server(self) -> None:
        """
        Plug-ins of the Node server are noted, and do not run.
        """
        for entry in (
            "{path: ./p, options: {a: 1}}",
            "{path: ./p.js}",
            "{name: heap-snapshot, options: {interval: 20000}}",
            "{name: aws}",
            "{name: '@acme/audit'}",
            "{name: deepstream.io-plugin-audit}",
            "{name: deepstream-audit}",
            "{type: default}",
            "",
        ):
            settings = self.load(f"plugins: {{p: {entry}}}")
            self.assertEqual({}, settings.plugins)
            (note,) = settings.notes
            self.assertTrue(
                note.startswith("CONFIG | plugins.p has no effect: plug-ins of the Node server cannot run here"), note
            )
        settings = self.load("plugins: [{name: x}]")
        self.assertEqual({}, settings.plugins)
        self.assertEqual(
            ("CONFIG | plugins has no effect: plug-ins of the Node server cannot run here",), settings.notes
        )

    def test_mistakes(self) -> None:
        """
        An entry that is meant for dstwist, and has a mistake, is refused with the path of its key. All mistakes are
        named.
        """
        self.assert_refused(
            ("plugins: {p: {module: a.b}}", "plugins.p.module: expected package.module:Class"),
            ("plugins: {p: {path: ./p.py}}", "plugins.p.path: expected file.py:Class or package.module:Class"),
            ("plugins: {p: {path: './p.py:'}}", "plugins.p.path: expected file.py:Class or package.module:Class"),
            ("plugins: {p: {modul: 'a.b:C'}}", "plugins.p.modul: unknown option; did you mean module?"),
            ("plugins: {p: {module: 'a.b:C', optoins: {}}}", "plugins.p.optoins: unknown option; did you mean options"),
            ("plugins: {p: {module: 'a.b:C', name: n}}", "plugins.p.name: unknown option beside module"),
            ("plugins: {p: {name: n, options: text}}", "plugins.p.options: expected a section"),
            ("plugins: {p: {module: 5}}", "plugins.p.module: expected a text"),
            ("plugins: {p: text}", "plugins.p: expected a section"),
            ("plugins: text", "plugins: expected a section"),
        )
        refusal = self.refusal("plugins: {p: {module: a.b}, q: {path: p.py}}")
        self.assertIn("plugins.p.module", refusal)
        self.assertIn("plugins.q.path", refusal)
