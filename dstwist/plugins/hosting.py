"""
The entries of C{plugins}: they are made, started and stopped, and told of logins.

::

    UserRegistry --logged_in(connection), logged_out(connection)--> queue --in a later turn--> each plug-in

A hook may ask the server for anything, such as to kick the user. So it is not called while a login or an end is in
progress, but in a later turn, a time slice at a time. Always true: the hooks of all connections are called in the order
in which these logged in and out, and no plug-in is stopped before the queue is empty.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.python.failure import Failure
from zope.interface import implementer

from dstwist.config.plugins import PluginSettings
from dstwist.interfaces import IIdentity, ILifecycle, IPlugin, IPluginMaker
from dstwist.log import Logger
from dstwist.plugins.loading import PluginContext, load_plugin
from dstwist.scheduling.turns import Turns

#: The group of the entry points of plug-ins.
PLUGIN_GROUP = "dstwist.plugin"


class Plugins:
    """
    The plug-ins of one node.

    @param settings: by name, in the order in which they start.
    @param node: the label of the node, for logs.
    @raise ConfigError: one of them cannot be made.
    """

    _log = Logger()

    def __init__(self, settings: Mapping[str, PluginSettings], reactor: Any, node: str = "") -> None:
        self._settings = settings
        self._node = node
        self._plugins: dict[str, IPlugin] = {}
        for name, each in settings.items():
            context = PluginContext(reactor, plugins=MappingProxyType(dict(self._plugins)))
            self._plugins[name] = load_plugin(each, PLUGIN_GROUP, IPlugin, context, makers=IPluginMaker)
        self._turns = Turns.of(reactor)
        # The hooks that are to be called.
        self._queue: deque[tuple[str, IIdentity]] = deque()
        # Whether a later turn calls hooks.
        self._waits = False

    def __bool__(self) -> bool:
        return bool(self._plugins)

    def parts(self, api: Any) -> list[tuple[str, ILifecycle, Callable[[], str]]]:
        """
        The plug-ins as parts of the server, in the order in which they start: name, part, and text for the log.

        @param api: the argument for C{start}.
        """
        return [
            (f"plug-in {name}", _Part(plugin, api, self.finish_hooks), partial(_described, self._settings[name]))
            for name, plugin in self._plugins.items()
        ]

    # -- hooks

    def logged_in(self, identity: IIdentity) -> None:
        """
        A connection has logged in.
        """
        self._call_later("logged_in", identity)

    def logged_out(self, identity: IIdentity) -> None:
        """
        A connection that was logged in has ended.
        """
        self._call_later("logged_out", identity)

    def finish_hooks(self) -> None:
        """
        Call all hooks that wait.
        """
        self._turns.forget(self._call_some)
        self._waits = False
        while self._queue:
            self._call_next()

    def _call_later(self, hook: str, identity: IIdentity) -> None:
        self._queue.append((hook, identity))
        if not self._waits:
            self._waits = True
            self._turns.later(self._call_some)

    def _call_some(self) -> None:
        end, now = self._turns.slice_end(), self._turns.now
        while self._queue:
            self._call_next()
            if now() > end:
                break
        self._waits = bool(self._queue)
        if self._waits:
            self._turns.later(self._call_some)

    def _call_next(self) -> None:
        hook, identity = self._queue.popleft()
        for name, plugin in self._plugins.items():
            maybeDeferred(getattr(plugin, hook), identity).addErrback(partial(self._hook_failed, name, hook))

    def _hook_failed(self, name: str, hook: str, failure: Failure) -> None:
        self._log.failure(
            "PLUGIN_ERROR | {hook} of the plug-in {name} failed",
            failure,
            name=name,
            hook=hook,
            node=self._node,
            once=f"{name} {hook}",
            contained=True,
            event="PLUGIN_ERROR",
        )


@implementer(ILifecycle)
class _Part:
    """
    A plug-in as a part that starts and stops.
    """

    def __init__(self, plugin: Any, api: Any, finish_hooks: Callable[[], None]) -> None:
        self._plugin = plugin
        self._api = api
        self._finish_hooks = finish_hooks

    def start(self) -> Deferred[None]:
        return maybeDeferred(self._plugin.start, self._api)

    def stop(self) -> Deferred[None]:
        # The first one that stops calls them for all plug-ins.
        self._finish_hooks()
        return maybeDeferred(self._plugin.stop)


def _described(settings: PluginSettings) -> str:
    return f"{settings.kind} {settings.source}"
