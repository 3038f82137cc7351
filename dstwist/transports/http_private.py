"""
HTTP for a few clients that the operator trusts, on a port of their own.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from dstwist.transports.http_channel import Channel, HttpFactory
from dstwist.transports.http_routes import Routes

#: The most connections at a time. Clients that are not trusted may reach the port, too.
MAX_CONNECTIONS = 50
#: The largest body of a request.
MAX_BODY_BYTES = 65536


class PrivateChannel(Channel):
    """
    A connection that its factory knows.
    """

    site: Any

    def connectionMade(self) -> None:
        super().connectionMade()
        self.site.channels.add(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.site.channels.discard(self)
        super().connectionLost(reason)


class PrivateHttpFactory(HttpFactory):
    """
    Serves C{root}.

    @ivar channels: the connections.
    """

    protocol = PrivateChannel

    def __init__(self, root: Routes, reactor: Any, node: str = "") -> None:
        super().__init__(root, MAX_BODY_BYTES, reactor, node=node)
        self.channels: set[PrivateChannel] = set()

    def buildProtocol(self, addr: Any) -> Any:
        return None if len(self.channels) >= MAX_CONNECTIONS else super().buildProtocol(addr)

    def abort(self) -> None:
        """
        Drop all connections.
        """
        for channel in list(self.channels):
            channel.transport.abortConnection()
