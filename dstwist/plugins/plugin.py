"""
The base class of plug-ins, see C{docs/plugins.rst}.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from zope.interface import implementer

from dstwist.interfaces import IIdentity, IPlugin
from dstwist.plugins.loading import PluginContext


@implementer(IPlugin)
class Plugin:
    """
    A plug-in that does nothing. Each method can be overridden, also by an C{async} one; no method has to be.

    @ivar options: C{options} of the section that names the class.
    """

    def __init__(self, options: dict[str, Any], context: PluginContext) -> None:
        self.options = options

    def start(self, api: Any) -> Awaitable[None] | None:
        return None

    def stop(self) -> Awaitable[None] | None:
        return None

    def logged_in(self, identity: IIdentity) -> Awaitable[None] | None:
        return None

    def logged_out(self, identity: IIdentity) -> Awaitable[None] | None:
        return None
