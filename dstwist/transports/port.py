"""
One port for everything: WebSockets by their path, HTTP for the rest.

The first request head on a connection decides. It is read here, and then handed to Autobahn or twisted.web as it came,
which never learn that somebody looked before them. After that this module is out of the way: the transport calls the
chosen protocol's C{dataReceived} directly.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IProtocolFactory, IReactorTime
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

#: A longer request head is refused.
MAX_HEAD = 16384
#: How long a client may take for its request head, in seconds.
HEAD_TIMEOUT = 10.0

_TOO_LONG = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Length: 33\r\nConnection: close\r\n\r\nThe request head is too long.\r\n\r\n"
)


def _ignore(data: bytes) -> None:
    pass


class Switch(Protocol):
    """
    One connection, until it is known what it speaks.
    """

    factory: Port
    transport: Any
    _chosen: Any = None
    _timeout: IDelayedCall | None = None
    _head = b""

    def connectionMade(self) -> None:
        self._timeout = self.factory.clock.callLater(HEAD_TIMEOUT, self._too_slow)
        self.factory.waiting.add(self)

    def dataReceived(self, data: bytes) -> None:
        self._head += data
        end = self._head.find(b"\r\n\r\n", 0, MAX_HEAD)
        if end >= 0:
            self._choose(self._head[:end])
        elif len(self._head) >= MAX_HEAD:
            self.transport.write(_TOO_LONG)
            # Listen on, until the time for the head is over: closing while the client sends would lose the answer.
            self._head = b""
            self.dataReceived = _ignore  # type: ignore[method-assign]

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._settle()
        if self._chosen is not None:
            self._chosen.connectionLost(reason)

    def abort(self) -> None:
        """
        Drop the connection.
        """
        self.transport.abortConnection()

    def _choose(self, head: bytes) -> None:
        self._settle()
        chosen: Any = self.factory.factory_for(head).buildProtocol(self.transport.getPeer())
        data, self._head = self._head, b""
        self._chosen = chosen
        chosen.makeConnection(self.transport)
        self.dataReceived = chosen.dataReceived  # type: ignore[method-assign]
        chosen.dataReceived(data)

    def _settle(self) -> None:
        self.factory.waiting.discard(self)
        if self._timeout is not None:
            self._timeout.cancel()
            self._timeout = None

    def _too_slow(self) -> None:
        self._timeout = None
        self.abort()


class Port(Factory):
    """
    Takes connections, and hands each to the factory of what it asks for.

    @param web_sockets: by path.
    @ivar waiting: connections that have not said what they want.
    @ivar open: whether connections are taken; otherwise they are closed at once.
    """

    protocol = Switch  # type: ignore[assignment]
    noisy = False

    def __init__(
        self, web_sockets: Mapping[bytes, IProtocolFactory], http: IProtocolFactory, clock: IReactorTime
    ) -> None:
        self._web_sockets = web_sockets
        self._http = http
        self.clock = clock
        self.waiting: set[Switch] = set()
        self.open = True

    def buildProtocol(self, addr: Any) -> Any:
        return super().buildProtocol(addr) if self.open else None

    def doStart(self) -> None:
        super().doStart()
        for factory in (*self._web_sockets.values(), self._http):
            factory.doStart()

    def doStop(self) -> None:
        super().doStop()
        for factory in (*self._web_sockets.values(), self._http):
            factory.doStop()

    def factory_for(self, head: bytes) -> IProtocolFactory:
        """
        Who serves the request with this head.
        """
        request, *headers = head.split(b"\r\n")
        if any(line[:8].lower() == b"upgrade:" and b"websocket" in line.lower() for line in headers):
            parts = request.split(b" ")
            if len(parts) == 3:
                return self._web_sockets.get(parts[1].partition(b"?")[0], self._http)
        return self._http
