"""
A connection through L{tests.tcp_proxy}: a client, a server, and what is on its way between them.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Protocol

from twisted.internet import protocol
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError
from twisted.python.failure import Failure

#: The directions.
TO_SERVER = "to server"
TO_CLIENT = "to client"
BOTH = (TO_SERVER, TO_CLIENT)


class IProxy(Protocol):
    """
    The part of L{tests.tcp_proxy.TCPProxy} that a link uses.
    """

    delays: dict[str, float]
    stalled: set[str]
    swallowed: set[str]
    links: list[Link]

    def passing(self, link: Link, direction: str, data: bytes) -> None:
        """
        Bytes are to be passed on now.
        """


class Link:
    """
    The connection of a client to the proxy, and the one from there to the server.

    @ivar gone: fires when both are closed.
    """

    def __init__(self, proxy: IProxy, reactor: Any) -> None:
        self._proxy = proxy
        self.gone: Deferred[None] = Deferred()
        self._reply_trap: tuple[bool, Deferred[None]] | None = None
        # By the direction in which a side is sent bytes.
        self.sides = {TO_SERVER: _Side(self, TO_CLIENT), TO_CLIENT: _Side(self, TO_SERVER)}
        self.flows = {direction: _Flow(self, direction, proxy, reactor) for direction in BOTH}

    def not_connected(self, failure: Failure) -> None:
        """
        The server cannot be reached.
        """
        failure.trap(ConnectError)
        self.sides[TO_SERVER].closed = True
        self.sides[TO_CLIENT].close(rst=True)
        self.closed()

    def passing(self, direction: str, data: bytes) -> None:
        """
        Bytes are to be passed on now.
        """
        if self._reply_trap is None or direction == TO_SERVER:
            self._proxy.passing(self, direction, data)
            return
        (rst, done), self._reply_trap = self._reply_trap, None
        for flow in self.flows.values():
            flow.drop()
        # Not closed: that could take away from the server what it has not read.
        self.sides[TO_SERVER].half_close()
        self.sides[TO_CLIENT].close(rst)
        done.callback(None)

    def cut(self, rst: bool) -> None:
        """
        Close both sides.
        """
        for direction in BOTH:
            self.flows[direction].drop()
            self.sides[direction].close(rst)

    def cut_before_reply(self, rst: bool, done: Deferred[None]) -> None:
        """
        Close the client side as soon as the server says something.
        """
        self._reply_trap = rst, done

    def closed(self) -> None:
        """
        A side is closed.
        """
        if all(side.closed for side in self.sides.values()) and self in self._proxy.links:
            self._proxy.links.remove(self)
            for flow in self.flows.values():
                flow.drop()
            self.gone.callback(None)


class _Flow:
    """
    The bytes of a link in one direction.
    """

    def __init__(self, link: Link, direction: str, proxy: IProxy, reactor: Any) -> None:
        self.delay = proxy.delays[direction]
        self.stalled = direction in proxy.stalled
        self.swallowed = direction in proxy.swallowed
        self._direction = direction
        self._reactor = reactor
        self._link = link
        # When they may go, and the bytes; None is the end.
        self._waiting: deque[tuple[float, bytes | None]] = deque()
        self._timer: Any = None
        self._dropped = False

    def put(self, data: bytes | None) -> None:
        """
        Bytes have come, or the end.
        """
        if not self.swallowed and not self._dropped:
            self._waiting.append((self._reactor.seconds() + self.delay, data))
            self.run()

    def run(self) -> None:
        """
        Pass on what may go now.
        """
        if self._timer is not None or self.stalled or not self._link.sides[self._direction].connected:
            return
        while self._waiting:
            wait = self._waiting[0][0] - self._reactor.seconds()
            if wait > 0:
                self._timer = self._reactor.callLater(wait, self._continue)
                return
            data = self._waiting.popleft()[1]
            if data is None:
                self._link.sides[self._direction].close(rst=False)
            else:
                self._link.passing(self._direction, data)

    def write(self, data: bytes) -> None:
        """
        Send bytes.
        """
        self._link.sides[self._direction].transport.write(data)

    def drop(self) -> None:
        """
        Forget what waits, and all that comes.
        """
        self._dropped = True
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _continue(self) -> None:
        self._timer = None
        self.run()


class _Side(protocol.Protocol):
    """
    One of the two connections of a link.

    @param direction: that of the bytes that come from it.
    """

    closed = False
    _close: bool | None = None

    def __init__(self, link: Link, direction: str) -> None:
        self._link = link
        self._direction = direction

    def connectionMade(self) -> None:
        if self._close is not None:
            self.close(self._close)
        (other,) = (direction for direction in BOTH if direction != self._direction)
        self._link.flows[other].run()

    def dataReceived(self, data: bytes) -> None:
        self._link.flows[self._direction].put(data)

    def connectionLost(self, reason: Failure = protocol.connectionDone) -> None:
        self.closed = True
        self._link.flows[self._direction].put(None)
        self._link.closed()

    def close(self, rst: bool) -> None:
        """
        Close it, as soon as it is made.
        """
        self._close = rst
        if self.connected and not self.closed:
            if rst:
                self.transport.abortConnection()
            else:
                self.transport.loseConnection()

    def half_close(self) -> None:
        """
        Say that no more bytes come, and go on reading.
        """
        if not self.closed:
            self.transport.loseWriteConnection()
