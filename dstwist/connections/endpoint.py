"""
What all connections of one endpoint share, and what a handshake needs of its connection:
L{dstwist.connections.handshake} and L{dstwist.connections.connection} both build on this module, so that neither
imports the other for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from twisted.internet.interfaces import IReactorTime

from dstwist.config.endpoints import WebSocketEndpoint
from dstwist.config.limits import LimitSettings
from dstwist.connections.heartbeat import Heartbeat
from dstwist.connections.login import Logins
from dstwist.connections.users import UserRegistry
from dstwist.interfaces import IConnection, IWire, Login
from dstwist.protocol.closing import POLICY_VIOLATION
from dstwist.protocol.message import Malformed, Message
from dstwist.routing.router import Router

#: A payload that is longer is decoded in pieces of this size, each when it is its turn: that takes a third of a second
#: for a megabyte of short messages.
LONG = 16384


class EndpointContext(NamedTuple):
    """
    What all connections of one endpoint share.
    """

    settings: WebSocketEndpoint
    logins: Logins
    router: Router
    heartbeat: Heartbeat
    clock: IReactorTime
    users: UserRegistry
    #: The wire of clients that know PATCH_MULTI.
    many_wire: IWire | None = None
    #: How long a client is kept that may try again later, in seconds.
    close_delay: float = LimitSettings().close_delay
    #: The wire of clients that take no PATCH.
    whole_wire: IWire | None = None


class IUnauthenticatedConnection(IConnection):
    """
    A connection as its handshake sees it.
    """

    def decode(payload: bytes | str) -> list[Message | Malformed]:
        """
        The messages of one payload, in order. Never raises.
        """

    def authenticated(user: str, login: Login) -> None:
        """
        The client is logged in, and is to be told so. The handshake ends.
        """

    def serve(messages: Iterable[Message | Malformed | bytes | str]) -> bool:
        """
        Take what came behind the login, decoded or not. Whether some of it has to wait for a later turn.
        """

    def close(reason: str, code: int = POLICY_VIOLATION) -> None:
        """
        End the connection: what was said so far still leaves, then the transport is closed with C{code}.
        """
