"""
Plug-ins, at the example of authenticators: where they come from, and what keeps the server from starting.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from zope.interface import implementer

from dstwist.auth.methods import build_authentication
from dstwist.config.load import load as load_settings
from dstwist.config.plugins import PluginSettings
from dstwist.errors import ConfigError
from dstwist.interfaces import HandshakeData, IAuthenticator, IDepartures, ILifecycle, Login
from dstwist.plugins.loading import find
from tests.auth.helpers import AuthCase
from tests.config.helpers import without_places

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
HERE = __name__


@implementer(IAuthenticator, ILifecycle, IDepartures)
class Remembering:
    """
    Remembers all it was told.
    """

    made: list[Remembering] = []

    def __init__(self, options: dict[str, Any], context: Any) -> None:
        self.calls: list[Any] = [options, context.reactor, context.storage]
        self.made.append(self)

    def start(self) -> Deferred[None]:
        self.calls.append("start")
        return succeed(None)

    def stop(self) -> Deferred[None]:
        self.calls.append("stop")
        return succeed(None)

    def departed(self, user: str) -> None:
        self.calls.append(user)

    def login(self, handshake: HandshakeData, credentials: Any) -> Deferred[Login]:
        return succeed(Login(True, credentials["name"]))


@implementer(IAuthenticator)
class Incomplete:  # type: ignore[misc]
    """
    Says that it is one, but has no method.
    """

    def __init__(self, options: dict[str, Any], context: Any) -> None:
        pass


class NotOne:
    """
    Has the method, but does not say that it means it.
    """

    def __init__(self, options: dict[str, Any], context: Any) -> None:
        pass

    def login(self, handshake: HandshakeData, credentials: Any) -> Login:
        return Login(True)


class PluginCase(AuthCase):
    """
    A configuration that names such a class.
    """

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.clock = Clock()

    def write(self, name: str, text: str) -> None:
        (self.directory / name).write_text(text, encoding="utf-8")

    def build(self, auth: str, **more: Any) -> None:
        self.write("config.yml", f"auth:\n  - {auth}\n")
        settings = load_settings(str(self.directory / "config.yml"), {})
        self.authenticator = build_authentication(settings.auth, self.clock, **more)
        self.successResultOf(self.authenticator.start())

    def refused(self, auth: str) -> str:
        """
        Why the server does not start with this entry.
        """
        error = self.assertRaises(ConfigError, self.build, auth)
        return str(error)


class LoadTests(PluginCase):
    """
    Where classes come from.
    """

    def test_example(self) -> None:
        """
        The example in the manual works unchanged, and leaves clients from other networks to the next authenticator.
        """
        example = DOCS / "examples" / "by_address.py"
        self.write("by_address.py", example.read_text(encoding="utf-8"))
        self.assertIn(f"<examples/{example.name}>`_", (DOCS / "authentication.rst").read_text())
        entry = 'path: by_address.py:AddressAuthentication\n    options: {networks: {"192.0.2.0/24": backend}}'
        self.build(entry)
        self.assertEqual(self.login(), Login(True, "192.0.2.1", b'{"welcome":true}', {"role": "backend"}))
        self.build(f"{entry.replace('192.0.2', '10.0.0')}\n  - type: none")
        self.assertEqual(self.login(), Login(True, "open"))
        self.assertIn("auth[0].path: cannot load", self.refused(entry.replace("/24", "/99")))

    def test_module(self) -> None:
        """
        A class of a module that Python can import, by C{module} or C{path}. It gets its options, the reactor and the
        storage, and the calls of the interfaces that it provides.
        """
        storage: Any = object()
        for key in ("module", "path"):
            self.build(f"{{{key}: '{HERE}:Remembering', options: {{a: [1]}}}}", storage=storage)
            self.assertEqual(self.login(name="chris"), Login(True, "chris"))
            self.authenticator.departed("chris")
            self.successResultOf(self.authenticator.stop())
            made = Remembering.made.pop()
            self.assertEqual(made.calls, [{"a": [1]}, self.clock, storage, "start", "chris", "stop"])

    def test_module_of_file(self) -> None:
        """
        The module of a file has the same name at each start, which the log shows, and another name than that of a file
        with the same name elsewhere.
        """
        names = []
        for folder in ("one", "two"):
            self.directory = Path(folder)
            self.directory.mkdir()
            self.write("my-login.py", "class Login:\n    pass\n")
            settings = PluginSettings("path", f"{folder}/my-login.py:Login", {}, "auth[0].path")
            names.append(find(settings, "dstwist.authentication").__module__)
        self.assertEqual(names, ["dstwist_plugin_my_login_895d9aff", "dstwist_plugin_my_login_e1700644"])

    def test_file_once(self) -> None:
        """
        A file that several sections name is executed once, so that its classes share what the file keeps. A file that
        has failed is executed again.
        """
        self.write("own.py", "class One:\n    pass\nclass Two:\n    made_by = One\n")
        one, two = (
            find(PluginSettings("path", f"{self.directory}/own.py:{name}", {}, "plugins.own.path"), "dstwist.plugin")
            for name in ("One", "Two")
        )
        self.assertIs(two.made_by, one)  # type: ignore[attr-defined]
        self.write("late.py", "raise OSError('not yet')")
        late = PluginSettings("path", f"{self.directory}/late.py:Late", {}, "plugins.late.path")
        self.assertRaises(OSError, find, late, "dstwist.plugin")
        self.write("late.py", "class Late:\n    'This one works.'\n")
        self.assertEqual(find(late, "dstwist.plugin").__name__, "Late")

    def test_w16_mistakes(self) -> None:
        """
        W16: a mistake of such a class costs that one login.
        """
        self.build(f"module: {HERE}:Remembering")
        self.assertEqual(self.login(), Login(False))
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
        Remembering.made.clear()

    def test_not_found(self) -> None:
        """
        A plug-in that cannot be found, run or used keeps the server from starting. The error has the key.
        """
        self.write("broken.py", "1 / 0")
        self.write("program.py", "import sys; sys.exit(1)")
        self.write("empty.py", "")
        for auth, where, words in (
            ("module: no.such.module:Class", "module", "ModuleNotFoundError"),
            (f"module: {HERE}:Nothing", "module", "AttributeError"),
            (f"module: {HERE}:NotOne", "module", "does not provide dstwist.interfaces.IAuthenticator"),
            (f"module: {HERE}:Incomplete", "module", "is not what IAuthenticator asks for"),
            (f"module: {HERE}:DOCS", "module", "TypeError"),
            ("module: justaname", "module", "expected package.module:Class"),
            ("path: broken.py:Class", "path", "ZeroDivisionError"),
            ("path: program.py:Class", "path", "SystemExit: 1"),
            ("path: empty.py:Class", "path", "AttributeError"),
            ("path: missing.py:Class", "path", "FileNotFoundError"),
            ("path: empty.py", "path", "expected file.py:Class or package.module:Class"),
            ("path: ./old.js", "path", "JavaScript cannot run here"),
            (
                "name: nothing-of-that-name",
                "name",
                "the entry point nothing-of-that-name of dstwist.authentication is not installed",
            ),
        ):
            problem = self.refused(auth)
            self.assertTrue(without_places(problem).startswith(f"auth[0].{where}: "), problem)
            self.assertIn(words, problem)
