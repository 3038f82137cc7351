"""
The entries of C{plugins}: how they are made, started and stopped, and what they are told.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

import twisted.plugins
from dstwist.config.plugins import PluginSettings
from dstwist.errors import ConfigError
from dstwist.interfaces import IIdentity, ILifecycle, IPlugin
from dstwist.plugins import Plugin, PluginContext
from dstwist.plugins.hosting import Plugins
from dstwist.scheduling.turns import TIME_SLICE
from tests.fakes import FakeConnection
from tests.logs import Lines, limit_lines
from tests.turns import next_turn

#: The plug-ins that were made, in this order.
_made: list[Noting] = []


class Noting(Plugin):
    """
    Notes all calls in a list that all plug-ins of a test share.
    """

    calls: list[Any] = []

    def __init__(self, options: dict[str, Any], context: PluginContext) -> None:
        super().__init__(options, context)
        self.context = context
        self.name = options.get("name", "it")
        self.result: Any = None
        _made.append(self)

    def start(self, api: Any) -> Deferred[None] | None:
        self.calls.append(("start", self.name, api))
        return self.result  # type: ignore[no-any-return]

    def stop(self) -> None:
        self.calls.append(("stop", self.name))

    def logged_in(self, identity: IIdentity) -> None:
        self.calls.append(("in", self.name, identity.user))
        if isinstance(self.result, Exception):
            raise self.result

    async def logged_out(self, identity: IIdentity) -> None:
        self.calls.append(("out", self.name, identity.user))
        if isinstance(self.result, Exception):
            raise self.result


class Deaf(Plugin):
    """
    A method lacks its argument.
    """

    def logged_in(self) -> None:  # type: ignore[override]
        pass


class PluginsTestCase(SynchronousTestCase):
    """
    A clock, and a log that is limited as that of a node.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.addCleanup(_made.clear)
        self.calls = Noting.calls
        self.calls.clear()

    def build(self, *names: str) -> Plugins:
        """
        A node's plug-ins, one with each name.
        """
        return Plugins(
            {
                name: PluginSettings("module", f"{__name__}:Noting", {"name": name}, f"plugins.{name}.module")
                for name in names
            },
            self.clock,
            "one",
        )


class MakingTests(PluginsTestCase):
    """
    Making the plug-ins.
    """

    def refusal(self, source: str, kind: str = "module") -> str:
        settings = {"p": PluginSettings(kind, source, {}, f"plugins.p.{kind}")}
        return str(self.assertRaises(ConfigError, Plugins, settings, self.clock))

    def test_base_class(self) -> None:
        """
        The base class has all methods. They do nothing.
        """
        plugin: Any = Plugin({"a": 1}, PluginContext(self.clock))
        verifyObject(IPlugin, plugin)
        self.assertEqual(plugin.options, {"a": 1})
        user = FakeConnection("ann")
        self.assertEqual(
            [plugin.start(None), plugin.logged_in(user), plugin.logged_out(user), plugin.stop()], [None] * 4
        )

    def test_made(self) -> None:
        """
        A plug-in gets its options, the reactor, and the plug-ins above it. Without an entry there is none.
        """
        self.assertTrue(self.build("a", "b"))
        first, second = _made
        self.assertEqual((first.options, first.context.reactor), ({"name": "a"}, self.clock))
        self.assertEqual((dict(first.context.plugins), dict(second.context.plugins)), ({}, {"a": first}))
        self.assertFalse(self.build())

    def test_refused(self) -> None:
        """
        A class that cannot be found, or is no plug-in, is refused with the path of its key.
        """
        for source, words in (
            ("nowhere.at_all:Class", "cannot load nowhere.at_all:Class: ModuleNotFoundError"),
            ("builtins:dict", "cannot load builtins:dict: TypeError"),
            (f"{__name__}:PluginContext", f"{__name__}:PluginContext does not provide dstwist.interfaces.IPlugin"),
            (f"{__name__}:Deaf", f"{__name__}:Deaf is not what IPlugin asks for"),
        ):
            self.assertTrue(self.refusal(source).startswith(f"plugins.p.module: {words}"), self.refusal(source))
        self.assertEqual(
            self.refusal("nothing-of-that-name", "name"),
            "plugins.p.name: there is no Twisted plug-in of that name, and the entry point nothing-of-that-name of "
            "dstwist.plugin is not installed",
        )

    def test_twisted(self) -> None:
        """
        C{name} may be that of a Twisted plug-in. Two of them with the same name are refused.
        """
        plugins = Path(self.mktemp()).absolute() / "twisted" / "plugins"
        plugins.mkdir(parents=True)
        text = MAKER.format(module=__name__)
        (plugins / "noting_plugin.py").write_text(text)
        self.patch(twisted.plugins, "__path__", [str(plugins), *twisted.plugins.__path__])
        for module in ("twisted.plugins.noting_plugin", "twisted.plugins.other_plugin"):
            self.addCleanup(sys.modules.pop, module, None)
        settings = {"p": PluginSettings("name", "noting", {"name": "q"}, "plugins.p.name")}
        Plugins(settings, self.clock)
        self.assertEqual(_made[0].options, {"name": "q"})
        (plugins / "other_plugin.py").write_text(text)
        self.assertEqual(self.refusal("noting", "name"), "plugins.p.name: there are 2 plug-ins of the name noting")


MAKER = """
from twisted.plugin import IPlugin
from zope.interface import implementer
from dstwist.interfaces import IPluginMaker

@implementer(IPlugin, IPluginMaker)
class Maker:
    name = "noting"

    def make(self, options, context):
        from {module} import Noting
        return Noting(options, context)

maker = Maker()
"""


class LifeTests(PluginsTestCase):
    """
    The plug-ins as parts of the server.
    """

    def test_parts(self) -> None:
        """
        Each plug-in starts with the interface of the node, and stops. The log gets its name and its class.
        """
        api = object()
        parts = self.build("a", "b").parts(api)
        self.assertEqual(
            [(name, describe()) for name, _, describe in parts],
            [("plug-in a", f"module {__name__}:Noting"), ("plug-in b", f"module {__name__}:Noting")],
        )
        for _, part, _ in parts:
            verifyObject(ILifecycle, part)
            self.successResultOf(part.start())
        self.successResultOf(parts[1][1].stop())
        self.assertEqual(self.calls, [("start", "a", api), ("start", "b", api), ("stop", "b")])

    def test_slow_start(self) -> None:
        """
        The start of a plug-in is over when its Deferred has fired, and fails with it.
        """
        ((_, part, _),) = self.build("a").parts(None)
        _made[0].result = Deferred()
        started = part.start()
        self.assertNoResult(started)
        _made[0].result.callback(None)
        self.successResultOf(started)
        _made[0].result = fail(ValueError("no license"))
        self.failureResultOf(part.start(), ValueError)


class HookTests(PluginsTestCase):
    """
    Logins and their ends.
    """

    def setUp(self) -> None:
        super().setUp()
        self.plugins = self.build("a", "b")
        self.ann, self.bob = FakeConnection("ann"), FakeConnection("bob")

    def test_order(self) -> None:
        """
        All plug-ins are told of logins and ends, in their order, and not before the next turn.
        """
        self.plugins.logged_in(self.ann)
        self.plugins.logged_in(self.bob)
        self.plugins.logged_out(self.ann)
        self.assertEqual(self.calls, [])
        self.clock.advance(0)
        told = [("in", "ann"), ("in", "bob"), ("out", "ann")]
        self.assertEqual(self.calls, [(hook, name, user) for hook, user in told for name in ("a", "b")])
        self.plugins.logged_out(self.bob)
        self.clock.advance(0)
        self.assertEqual(self.calls[-2:], [("out", "a", "bob"), ("out", "b", "bob")])

    def test_from_a_hook(self) -> None:
        """
        A hook may end connections. The others are told of the login first.
        """
        plugins, ann = self.plugins, self.ann
        self.patch(_made[0], "logged_in", lambda identity: plugins.logged_out(ann))
        plugins.logged_in(ann)
        self.clock.pump([0, 0])
        self.assertEqual(self.calls, [("in", "b", "ann"), ("out", "a", "ann"), ("out", "b", "ann")])

    def test_slices(self) -> None:
        """
        Slow hooks for many connections take a time slice of each turn. None is lost.
        """
        self.patch(_made[0], "logged_in", lambda identity: self.work(TIME_SLICE * 0.4))
        for _ in range(7):
            self.plugins.logged_in(self.ann)
        done = []
        for _ in range(3):
            next_turn(self.clock)
            done.append(len(self.calls))
        self.assertEqual(done, [3, 6, 7])

    def work(self, seconds: float) -> None:
        """
        Take a while.
        """
        self.clock.rightNow += seconds

    def test_stop(self) -> None:
        """
        A plug-in is told of all ends before any plug-in stops.
        """
        self.plugins.logged_out(self.ann)
        (_, first, _), (_, second, _) = self.plugins.parts(None)
        self.successResultOf(second.stop())
        self.successResultOf(first.stop())
        self.assertEqual(self.calls, [("out", "a", "ann"), ("out", "b", "ann"), ("stop", "b"), ("stop", "a")])
        self.assertFalse(self.clock.getDelayedCalls())

    def test_failures(self) -> None:
        """
        A hook that fails hurts nobody. The log has the failure once for each plug-in and hook, however often it fails.
        """
        limit_lines(self)
        lines = Lines(self)
        _made[0].result = ValueError("no disk")
        for _ in range(30):
            self.plugins.logged_in(self.ann)
            self.plugins.logged_out(self.ann)
            self.clock.advance(0)
        self.assertEqual(len([call for call in self.calls if call[1] == "b"]), 60)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 2)
        self.assertEqual(
            lines.of("critical"),
            [f"PLUGIN_ERROR | logged_{way} of the plug-in a failed [one]" for way in ("in", "out")],
        )
