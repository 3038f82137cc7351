"""
A TCP proxy between a client and a server, for tests with the real reactor: a network that fails when the test wants it.

===========================================  ===============================================================
call                                         effect
===========================================  ===============================================================
L{TCPProxy.delay}                            all bytes arrive later, in order
L{TCPProxy.stall}, L{TCPProxy.resume}        bytes are kept back, and arrive after all
L{TCPProxy.swallow}                          bytes are thrown away, and no side learns of the other side's
                                             end: a half-open connection
L{TCPProxy.cut}                              both sides are closed, with FIN or with RST
L{TCPProxy.cut_before_reply}                 the request arrives, the reply does not
L{TCPProxy.cut_after}                        closed in the middle of a request or of a reply
L{TCPProxy.refuse}, L{TCPProxy.listen}       no connection can be made for a while
L{TCPProxy.when_passed}                      the test learns that a request or a reply has gone through
===========================================  ===============================================================

Most calls are about one direction or both, and about the present connections or the later ones, too::

    proxy = TCPProxy(reactor, server.port)
    self.addCleanup(proxy.stop)
    proxy.listen()
    ... connect the client to proxy.port ...
    proxy.stall(TO_SERVER, later=False)     # a request that takes effect late; the client can connect anew

Always true: the bytes that arrive are the beginning of those that were sent, unless some were swallowed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.error import ConnectError
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from tests.e2e.free_port import free_port

#: The directions.
TO_SERVER = "to server"
TO_CLIENT = "to client"
BOTH = (TO_SERVER, TO_CLIENT)

Directions = str | tuple[str, ...]


class TCPProxy:
    """
    A proxy on 127.0.0.1, in front of the server at C{port} of C{host}.

    @ivar port: where it listens; the same after L{refuse} and L{listen}.
    @ivar accepted: how many connections clients have made.
    @ivar links: the connections of clients that at least one side still holds, the oldest first.
    """

    def __init__(self, reactor: Any, port: int, host: str = "127.0.0.1") -> None:
        self._reactor = reactor
        self._server = HostnameEndpoint(reactor, host, port)
        self._listener: Any = None
        self.port = free_port()
        self.accepted = 0
        self.links: list[Link] = []
        self.delays = dict.fromkeys(BOTH, 0.0)
        self.stalled: set[str] = set()
        self.swallowed: set[str] = set()
        self._watches: list[_Watch] = []
        self._budgets: dict[str, _Budget] = {}

    def listen(self) -> None:
        """
        Take connections.
        """
        self._listener = self._reactor.listenTCP(self.port, _Accepting(self._accept), interface="127.0.0.1")

    async def refuse(self) -> None:
        """
        Take no more connections; the present ones go on. The system answers with RST.
        """
        listener, self._listener = self._listener, None
        if listener is not None:
            await maybeDeferred(listener.stopListening)

    async def stop(self) -> None:
        """
        Close everything; what is on its way does not arrive.
        """
        await self.refuse()
        self.cut(rst=True)
        while self.links:
            await self.links[0].gone

    def delay(self, seconds: float, directions: Directions = BOTH, later: bool = True) -> None:
        """
        Have bytes arrive C{seconds} later. 0 ends it.

        @param later: hold this for connections that are made later, too.
        """
        for direction in _each(directions):
            for link in self.links:
                link.flows[direction].delay = seconds
            if later:
                self.delays[direction] = seconds

    def stall(self, directions: Directions = BOTH, later: bool = True) -> None:
        """
        Keep bytes and the end of connections back until L{resume}.
        """
        for direction in _each(directions):
            for link in self.links:
                link.flows[direction].stalled = True
            if later:
                self.stalled.add(direction)

    def resume(self, directions: Directions = BOTH) -> None:
        """
        Have the bytes arrive that were kept back, and all later ones.
        """
        for direction in _each(directions):
            self.stalled.discard(direction)
            for link in list(self.links):
                link.flows[direction].stalled = False
                link.flows[direction].run()

    def swallow(self, directions: Directions = BOTH, later: bool = True) -> None:
        """
        Throw bytes away, and the end of connections, too. A connection that has lost bytes stays like that until it is
        L{cut}.
        """
        for direction in _each(directions):
            for link in self.links:
                link.flows[direction].swallowed = True
            if later:
                self.swallowed.add(direction)

    def heal(self) -> None:
        """
        Have connections work that are made later. This does not change the present ones.
        """
        self.delays = dict.fromkeys(BOTH, 0.0)
        self.stalled.clear()
        self.swallowed.clear()

    def cut(self, rst: bool = False) -> None:
        """
        Close the present connections on both sides, with FIN or with RST. Bytes that were kept back are lost.
        """
        for link in list(self.links):
            link.cut(rst)

    def cut_before_reply(self, containing: bytes = b"", rst: bool = False) -> Deferred[None]:
        """
        Let the next request pass that has C{containing} in it, and close the connection on which it came instead of
        passing on what the server says next. The server still executes all that it was sent.

        @return: fires when the client side is being closed.
        """
        done: Deferred[None] = Deferred()

        def cut(link: Link) -> None:
            link.cut_before_reply(rst, done)

        self._watches.append(_Watch(TO_SERVER, containing, cut))
        return done

    def cut_after(self, count: int, direction: str, rst: bool = False) -> Deferred[None]:
        """
        Close the connection on which the C{count}th byte from now on passes, right behind that byte.

        @return: fires when that has happened.
        """
        budget = self._budgets[direction] = _Budget(count, rst)
        return budget.done

    def when_passed(self, containing: bytes, direction: str = TO_SERVER) -> Deferred[None]:
        """
        Wait for bytes.

        @return: fires when C{containing} is passed on.
        """
        done: Deferred[None] = Deferred()
        self._watches.append(_Watch(direction, containing, lambda link: done.callback(None)))
        return done

    def passing(self, link: Link, direction: str, data: bytes) -> None:
        """
        Pass on the bytes, as far as nothing is to happen before.
        """
        budget = self._budgets.get(direction)
        if budget is not None:
            data = data[: budget.left]
            budget.left -= len(data)
        link.flows[direction].write(data)
        for watch in [watch for watch in self._watches if watch.direction == direction and watch.sees(link, data)]:
            self._watches.remove(watch)
            watch.call(link)
        if budget is not None and not budget.left:
            del self._budgets[direction]
            link.cut(budget.rst)
            budget.done.callback(None)

    def _accept(self) -> _Side:
        self.accepted += 1
        link = Link(self, self._reactor)
        self.links.append(link)
        self._server.connect(_Accepting(lambda: link.sides[TO_SERVER])).addErrback(link.not_connected)
        return link.sides[TO_CLIENT]


class Link:
    """
    The connection of a client to the proxy, and the one from there to the server.

    @ivar gone: fires when both are closed.
    """

    def __init__(self, proxy: TCPProxy, reactor: Any) -> None:
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

    def __init__(self, link: Link, direction: str, proxy: TCPProxy, reactor: Any) -> None:
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


class _Side(Protocol):
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

    def connectionLost(self, reason: Failure = connectionDone) -> None:
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


class _Accepting(Factory):
    """
    Makes the protocols that a function gives.
    """

    noisy = False

    def __init__(self, make: Callable[[], Protocol]) -> None:
        self._make = make

    def buildProtocol(self, address: Any) -> Protocol:
        return self._make()


class _Watch:
    """
    Waits for bytes in one direction, however they are cut.
    """

    def __init__(self, direction: str, containing: bytes, call: Callable[[Link], None]) -> None:
        self.direction = direction
        self.call = call
        self._containing = containing
        self._ends: dict[Link, bytes] = {}

    def sees(self, link: Link, data: bytes) -> bool:
        """
        Whether they have passed now.
        """
        text = self._ends.get(link, b"") + data
        self._ends[link] = text[max(0, len(text) - len(self._containing) + 1) :]
        return self._containing in text


class _Budget:
    """
    How many bytes may still pass.
    """

    def __init__(self, left: int, rst: bool) -> None:
        self.left = left
        self.rst = rst
        self.done: Deferred[None] = Deferred()


def _each(directions: Directions) -> tuple[str, ...]:
    return (directions,) if isinstance(directions, str) else directions
