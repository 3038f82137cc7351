"""
A class of the operator's own decides who may do what; see C{docs/permissions.rst}.

It is named like the other classes of the operator's (L{dstwist.plugins}), with the entry points in the group
C{dstwist.permission}, and called with its C{options} and a L{Services}. What comes out provides L{IPermission}; its
C{allows} may as well be C{async}.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import iscoroutine, signature
from typing import Any

from twisted.internet.defer import Deferred, fail
from zope.interface import implementer

from dstwist.config.plugins import CustomSettings
from dstwist.errors import ConfigError, RuleError
from dstwist.interfaces import Change, IConnection, IDecider, IPermission
from dstwist.plugins import Services, find
from dstwist.protocol.message import Message

GROUP = "dstwist.permission"


@implementer(IPermission, IDecider)
class CustomPermission:
    """
    Asks a class of the operator's. Whatever it does wrong denies.
    """

    def __init__(self, permission: Any, source: str) -> None:
        self._allows = _with_record(permission.allows) if _takes_record(permission.allows) else permission.allows
        self._source = source

    def allows(self, message: Message, sender: IConnection, change: Change | None = None) -> bool | Deferred[bool]:
        try:
            decision = self._allows(message, sender, change)
        except Exception as error:
            return fail(self._problem(error))
        # Only these allow: not what happens to be true.
        if decision is True or decision is False:
            return decision
        if iscoroutine(decision):
            decision = Deferred.fromCoroutine(decision)
        if not isinstance(decision, Deferred):
            return fail(self._problem(TypeError(f"expected True, False or a Deferred, got {decision!r:.100}")))
        return decision.addCallbacks(lambda result: result is True, lambda failure: fail(self._problem(failure.value)))

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
    def allows_change(message: Message, sender: IConnection, change: Change | None) -> Any:
        return allows(message, sender, None if change is None else change.old)

    return allows_change


def load(settings: CustomSettings, services: Services) -> IPermission:
    """
    The permission that C{settings} name.

    @raise ConfigError: it cannot be found, or made, or is no permission.
    """
    # This is somebody else's code: it may raise anything, which has to be said of the key that named it.
    try:
        permission = find(settings, GROUP)(dict(settings.options), services)
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(settings.where, f"cannot load {settings.source}: {type(error).__name__}: {error}") from error
    if not IPermission.providedBy(permission):
        raise ConfigError(settings.where, f"{settings.source} does not provide dstwist.interfaces.IPermission")
    return CustomPermission(permission, settings.source)
