"""
The parts that all connections of one endpoint share, and a connection as its handshake sees it.
L{dstwist.connections.handshake} and L{dstwist.connections.connection} both build on this module, so that the handshake
need not import the connection.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from twisted.internet.interfaces import IReactorTime
from zope.interface import Attribute

from dstwist.config.endpoints import WebSocketEndpoint
from dstwist.config.limits import LimitSettings
from dstwist.connections.heartbeat import Heartbeat
from dstwist.connections.login import Logins
from dstwist.connections.users import UserRegistry
from dstwist.interfaces import ICodecWire, IConnection, Login
from dstwist.limits.rates import RateLimits
from dstwist.protocol.closing import POLICY_VIOLATION
from dstwist.protocol.message import Malformed, Message
from dstwist.routing.router import Router
from dstwist.scheduling.deadlines import Deadlines

#: Longer payloads are decoded in pieces of this size, each in its turn: a megabyte of short messages takes a third of a
#: second to decode.
PAYLOAD_PIECE_BYTES = 16384


class Waiting(Protocol):
    """
    A client that has not logged in.
    """

    def expire(self) -> None:
        """
        Its time is over.
        """


def login_deadlines(settings: WebSocketEndpoint, clock: IReactorTime) -> Deadlines[Waiting] | None:
    """
    When the clients of an endpoint have to have logged in; C{None} if they may wait for any time.
    """
    limit = settings.unauthenticated_client_timeout
    return None if limit is None else Deadlines(limit, clock, lambda client: client.expire())


class EndpointContext(NamedTuple):
    """
    The parts and settings that all connections of one endpoint share.
    """

    settings: WebSocketEndpoint
    logins: Logins
    router: Router
    heartbeat: Heartbeat
    clock: IReactorTime
    users: UserRegistry
    #: See L{login_deadlines}.
    deadlines: Deadlines[Waiting] | None
    #: The wire of clients that understand PATCH_MULTI.
    many_wire: ICodecWire | None = None
    #: How long to keep a client that cannot log in now, but perhaps soon, in seconds.
    close_delay: float = LimitSettings().close_delay
    #: The wire of clients that do not understand PATCH.
    whole_wire: ICodecWire | None = None
    #: How much clients may send in a second.
    rates: RateLimits | None = None


class IUnauthenticatedConnection(IConnection):
    """
    A connection as its handshake sees it.
    """

    wire: ICodecWire = Attribute("The wire between the client and this connection.")

    def decode(payload: bytes | str) -> list[Message | Malformed]:
        """
        The messages of one payload, in order. Never raises.
        """

    def send_constant(message: Message) -> None:
        """
        Send C{message}, a constant of a module.
        """

    def authenticated(user: str, login: Login) -> None:
        """
        The client is logged in: tell it so. The handshake is over.
        """

    def serve(messages: Iterable[Message | Malformed | bytes | str]) -> bool:
        """
        Take the requests that came behind the login, decoded or not.

        @return: whether some of them have to wait for a later turn.
        """

    def close(reason: str, code: int = POLICY_VIOLATION) -> None:
        """
        End the connection. All messages so far still leave; then the transport is closed with C{code}.
        """
