"""
A plug-in that decides which requests are permitted; see C{docs/permissions.rst} and L{dstwist.plugins}.

The entry points are in the group C{dstwist.permission}. The plug-in provides L{IPermission}; its C{allows} may be
C{async}.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from inspect import iscoroutine, signature
from typing import Any

from twisted.internet.defer import Deferred, fail
from zope.interface import Interface, implementer

from dstwist.config.plugins import PluginSettings
from dstwist.counters.histogram import Histogram
from dstwist.errors import RuleError
from dstwist.interfaces import Change, IDecider, IIdentity, IPermission
from dstwist.plugins import PluginContext, load_plugin
from dstwist.protocol.message import Message

PERMISSION_GROUP = "dstwist.permission"


class ICalledPermission(Interface):
    """
    L{IPermission} as a plug-in sees it: it is given the change in each call, so its method may require it.
    """

    def allows(message: Message, identity: IIdentity, change: Change | None) -> bool | Deferred[bool]: ...


@implementer(IPermission, IDecider)
class PluginPermission:
    """
    Asks the plug-in. A plug-in that fails, or gives no proper answer, denies.

    @param source: the name of the plug-in in the configuration.
    @ivar waits: how long the decisions took that were not there at once.
    """

    def __init__(self, permission: Any, source: str) -> None:
        self._allows = _with_record(permission.allows) if _takes_record(permission.allows) else permission.allows
        self._source = source
        self.waits = Histogram()

    def allows(self, message: Message, identity: IIdentity, change: Change | None = None) -> bool | Deferred[bool]:
        if identity.is_server:
            return True
        try:
            decision = self._allows(message, identity, change)
        except Exception as error:
            return fail(self._problem(error))
        # Other values, such as a text, do not allow, even if they are true in Python.
        if decision is True or decision is False:
            return decision
        if iscoroutine(decision):
            decision = Deferred.fromCoroutine(decision)
        if not isinstance(decision, Deferred):
            return fail(self._problem(TypeError(f"expected True, False or a Deferred, got {decision!r:.100}")))
        decision.addBoth(self._waited, time.perf_counter())
        return decision.addCallbacks(lambda result: result is True, lambda failure: fail(self._problem(failure.value)))

    def _waited(self, result: Any, begin: float) -> Any:
        self.waits.observe(time.perf_counter() - begin)
        return result

    def decider(self, message: Message, name: str | None) -> str:
        return self._source

    def _problem(self, error: BaseException) -> RuleError:
        return RuleError(f"{self._source}: {type(error).__name__}: {error}")


def _takes_record(allows: Callable[..., Any]) -> bool:
    """
    Whether a method has the older signature: its third parameter is the record as it is, and is called C{record}.
    """
    try:
        return "record" in signature(allows).parameters
    except (TypeError, ValueError):
        return False


def _with_record(allows: Callable[..., Any]) -> Callable[..., Any]:
    def allows_change(message: Message, identity: IIdentity, change: Change | None) -> Any:
        return allows(message, identity, None if change is None else change.old)

    return allows_change


def load(settings: PluginSettings, context: PluginContext) -> IPermission:
    """
    The permission that C{settings} name.

    @raise ConfigError: it cannot be used.
    """
    plugin = load_plugin(settings, PERMISSION_GROUP, IPermission, context, called_as=ICalledPermission)
    return PluginPermission(plugin, settings.source)
