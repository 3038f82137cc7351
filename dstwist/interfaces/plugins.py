"""
Plug-ins: code of the operator that runs beside the parts of the server.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Any

from zope.interface import Attribute, Interface

from dstwist.interfaces.requests import IIdentity


class IPlugin(Interface):
    """
    Code that runs in the process of the server. L{dstwist.plugins.Plugin} is a base class with all methods.

    ::

        made --> start(api) --> logged_in, logged_out, ... --> stop

    All methods are called by the thread of the reactor, and must not block. Those that have to wait are C{async def},
    or return a Deferred. C{logged_in} and C{logged_out} are called in a turn of their own, soon after the login or the
    end, so they may ask the server for anything. If one of them fails, the log has the reason, and nothing else
    happens. The server waits neither for them nor with the client.
    """

    def start(api: Any) -> Awaitable[None] | None:
        """
        Get ready. The stores and the authentication have started, and clients are not served yet: they find what the
        plug-in provides from their first request on.

        The server does not start if this fails, or takes longer than C{dependencyInitializationTimeout}. After a
        failure, C{stop} is not called.

        @param api: the L{Api<dstwist.api.api.Api>} of the node: makes requests of the server itself.
        """

    def stop() -> Awaitable[None] | None:
        """
        Release everything. All clients are gone, and C{logged_out} was called for them; records can still be written.

        The server waits C{shutdownTimeout}. It also calls this if C{start} has taken too long.
        """

    def logged_in(identity: IIdentity) -> Awaitable[None] | None:
        """
        A client has logged in, over a connection of its own. Users may have several connections.

        @param identity: the same object for C{logged_in} and C{logged_out} of a connection, and for no other.
        """

    def logged_out(identity: IIdentity) -> Awaitable[None] | None:
        """
        The connection of a client that was logged in has ended.
        """


class IPluginMaker(Interface):
    """
    Makes a plug-in that the configuration refers to by a name. A Twisted plug-in: the maker provides
    L{twisted.plugin.IPlugin} too, and is found in the directories C{twisted/plugins} of all packages.
    """

    name: str = Attribute("The C{name} in the section of the plug-in.")

    def make(options: Mapping[str, Any], context: Any) -> IPlugin:
        """
        The plug-in. It is not started yet.

        @param context: a L{dstwist.plugins.PluginContext}.
        """
