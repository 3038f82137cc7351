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

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.protocol import Factory, Protocol

from tests.e2e.free_port import free_port
from tests.tcp_link import BOTH, TO_CLIENT, TO_SERVER, Link

__all__ = ["BOTH", "TO_CLIENT", "TO_SERVER", "TCPProxy"]

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

    def _accept(self) -> Protocol:
        self.accepted += 1
        link = Link(self, self._reactor)
        self.links.append(link)
        self._server.connect(_Accepting(lambda: link.sides[TO_SERVER])).addErrback(link.not_connected)
        return link.sides[TO_CLIENT]


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
