"""
One port for everything: WebSockets by their path, HTTP for the rest.

The first request head on a connection decides. It is read here, and then handed unchanged to Autobahn or twisted.web,
which see the connection as if it were new. After that the transport calls the C{dataReceived} of the chosen protocol
directly.

Clients are also refused here: a client that gets no slot (L{dstwist.limits.admission}), or that comes from a web page
with a forbidden origin (L{Origins}), gets an answer that says so. Clients read an answer only after they have sent
their request, so the server waits for the request head first, but not for long.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from twisted.internet.interfaces import IProtocolFactory, IReactorTime
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from dstwist.config.http_server import HttpSettings
from dstwist.config.limits import LimitSettings
from dstwist.interfaces import HandshakeData
from dstwist.limits.admission import Admission, ConnectionSlot
from dstwist.limits.exceeded import LimitExceeded, log_refusal
from dstwist.log import Logger, about, shown
from dstwist.scheduling.deadlines import Deadlines
from dstwist.scheduling.turns import Turns
from dstwist.tls.certificates import tls_problem
from dstwist.transports.forwarded import Proxies, address_of
from dstwist.transports.head import Head
from dstwist.transports.origins import Origins, Refusal
from dstwist.transports.read_size import read_at_most

#: A longer request head is refused.
MAX_HEAD_BYTES = 16384
#: How many bytes are read at a time until the head is complete.
HEAD_READ_BYTES = 2048
#: How long a client may take to send its request head, in seconds.
HEAD_TIMEOUT = 10.0
#: How long a client that will be refused may take to send its request head, in seconds.
REFUSAL_TIMEOUT = 2.0
#: The most refused clients that the server waits for. Further ones are dropped without an answer.
MAX_REFUSED_CLIENTS = 50

_TOO_LONG = Refusal(431, "The request head is too long.")


def _ignore(data: bytes) -> None:
    pass


class Switch(Protocol):
    """
    One connection, until its first request head has chosen a protocol.
    """

    _log = Logger()

    factory: SharedPortFactory
    transport: Any
    _chosen: Any = None
    # The deadlines that this connection is among.
    _timeout: Deadlines[Switch] | None = None
    _head = b""
    _in_line = False
    _gone = False
    _slot: ConnectionSlot | None = None
    _refusal: Refusal | None = None

    def connectionMade(self) -> None:
        # The chosen protocol sets its own size for the data behind the head.
        read_at_most(self.transport, HEAD_READ_BYTES)
        factory = self.factory
        factory.connected += 1
        peer = address_of(self.transport)
        slot = factory.admission.enter()
        if isinstance(slot, ConnectionSlot):
            self._slot = slot
            # Behind a proxy, the address is in the head. A PROXY header has not come yet either.
            exceeded = None if factory.proxies.trusts(peer) else slot.at(peer)
        else:
            exceeded = slot
        if exceeded is not None:
            self._refuse(exceeded, peer)
            if len(factory.refused) > MAX_REFUSED_CLIENTS:
                self.abort()
                return
        self._timeout = factory.heads if exceeded is None else factory.refusals
        self._timeout.add(self)
        factory.waiting.add(self)

    def dataReceived(self, data: bytes) -> None:
        self._head += data
        if self._in_line:
            return
        end = self._head.find(b"\r\n\r\n", 0, MAX_HEAD_BYTES)
        if end >= 0:
            if self.factory.turns.over():
                # The handshakes of many clients would take too long in one turn.
                self._in_line = True
                self.transport.pauseProducing()
                self.factory.turns.later(self._go_on, fresh=True)
            else:
                self._choose(self._head[:end])
        elif len(self._head) >= MAX_HEAD_BYTES:
            self.transport.write(answer(_TOO_LONG))
            # Read on until the time for the head is over: closing while the client sends would lose the answer.
            self._head = b""
            self.dataReceived = _ignore  # type: ignore[method-assign]

    def _go_on(self) -> None:
        self._in_line = False
        if not self._gone:
            self.transport.resumeProducing()
            self.dataReceived(b"")

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._gone = True
        self._settle()
        self.factory.disconnected()
        self.factory.refused.discard(self)
        self.factory.asking.discard(self)
        if self._slot is not None:
            self._slot.leave()
        if self._chosen is not None:
            self._chosen.connectionLost(reason)
            # Without the circle of references it is freed now, and not by the garbage collector.
            self._chosen = None
            self.dataReceived = _ignore  # type: ignore[method-assign]
        elif (problem := tls_problem(reason)) is not None:
            self._log.info(
                "TLS_HANDSHAKE | refused ({address}): {problem}",
                address=address_of(self.transport),
                problem=problem,
                event="TLS_HANDSHAKE",
                node=self.factory.node,
            )

    def abort(self) -> None:
        """
        Drop the connection.
        """
        self.transport.abortConnection()

    def close(self) -> None:
        """
        Close a connection that speaks HTTP, when all answers have left.
        """
        self._chosen.loseConnection()

    def _choose(self, head: bytes) -> None:
        factory = self.factory
        found = Head(head)
        address = factory.proxies.client(address_of(self.transport), found.forwarded)
        if self._refusal is None and self._slot is not None:
            exceeded = self._slot.at(address)
            if exceeded is not None:
                self._refuse(exceeded, address)
            elif factory.refusal is not None and found.web_socket is not None:
                self._refusal = factory.refusal
            else:
                self._check_origin(found, address)
        if self._refusal is not None:
            self._answer(self._refusal)
            return
        self._settle()
        chosen_factory = factory.factory_for(found)
        if chosen_factory is factory.http:
            factory.asking.add(self)
        chosen: Any = chosen_factory.buildProtocol(self.transport.getPeer())
        data, self._head = self._head, b""
        self._chosen = chosen
        chosen.address = address
        chosen.slot = self._slot
        chosen.head = found
        chosen.makeConnection(self.transport)
        self.dataReceived = chosen.dataReceived  # type: ignore[method-assign]
        chosen.dataReceived(data)

    def _refuse(self, exceeded: LimitExceeded, address: str) -> None:
        factory = self.factory
        # There is no connection yet, and no user.
        log_refusal(exceeded, {"client": address, "address": address, "node": factory.node})
        self._refusal = Refusal(503 if exceeded.server_wide else 429, exceeded.text)
        factory.refused.add(self)

    def _check_origin(self, head: Head, address: str) -> None:
        if head.web_socket is None:
            return  # twisted.web asks again for each request
        self._refusal = self.factory.origins.check_upgrade(head.origin, head.host)
        if self._refusal is not None:
            self._log.warn(
                "INVALID_MESSAGE | WebSocket refused: {reason} ({client.place})",
                reason=shown(self._refusal.text),
                event="INVALID_MESSAGE",
                **about(HandshakeData(address, path=shown(head.web_socket.decode("latin-1")), node=self.factory.node)),
            )

    def _answer(self, refusal: Refusal) -> None:
        """
        Send C{refusal}, and close. The time-out goes on, in case the client does not close its side.
        """
        self._head = b""
        self.dataReceived = _ignore  # type: ignore[method-assign]
        self.transport.write(answer(refusal))
        self.transport.loseConnection()

    def _settle(self) -> None:
        self.factory.waiting.discard(self)
        if self._timeout is not None:
            self._timeout.remove(self)
            self._timeout = None


class SharedPortFactory(Factory):
    """
    Accepts connections, and hands each to the factory that its first request is for.

    @param web_sockets: the factories of WebSockets, by path.
    @param arrived: called for each accepted connection.
    @param node: the label of the node, for logs.
    @ivar connected: how many connections there are.
    @ivar heads: when clients have to have sent their request head, if they are not refused.
    @ivar refusals: when clients that are refused have to have gone.
    @ivar waiting: connections whose request head is not complete.
    @ivar refused: connections that are refused, and have not gone yet.
    @ivar asking: connections that speak HTTP.
    @ivar accepting: whether connections are accepted. If not, they are closed at once.
    @ivar refusal: the answer to all requests for a WebSocket while the server stops. C{None} if they are accepted.
    """

    protocol = Switch  # type: ignore[assignment]
    noisy = False

    def __init__(
        self,
        web_sockets: Mapping[bytes, IProtocolFactory],
        http: IProtocolFactory,
        clock: IReactorTime,
        settings: HttpSettings | None = None,
        admission: Admission | None = None,
        arrived: Callable[[], None] | None = None,
        accepting: bool = True,
        node: str = "",
    ) -> None:
        self.node = node
        settings = settings if settings is not None else HttpSettings()
        self._web_sockets = web_sockets
        self.http = http
        self.clock = clock
        self.origins = Origins(settings)
        self.proxies = Proxies(settings.trusted_proxies)
        self.admission = admission if admission is not None else Admission(LimitSettings(), clock)
        self.turns = Turns.of(clock)
        self.connected = 0
        self.heads: Deadlines[Switch] = Deadlines(HEAD_TIMEOUT, clock, Switch.abort)
        self.refusals: Deadlines[Switch] = Deadlines(REFUSAL_TIMEOUT, clock, Switch.abort)
        self.waiting: set[Switch] = set()
        self.refused: set[Switch] = set()
        self.asking: set[Switch] = set()
        self.accepting = accepting
        self.refusal: Refusal | None = None
        self._arrived = arrived

    def buildProtocol(self, addr: Any) -> Any:
        if not self.accepting:
            return None
        if self._arrived is not None:
            self._arrived()
        return super().buildProtocol(addr)

    def disconnected(self) -> None:
        """
        A connection is gone.
        """
        self.connected -= 1
        if not self.connected:
            # A server without connections leaves no timer behind.
            self.heads.stop()
            self.refusals.stop()

    def doStart(self) -> None:
        super().doStart()
        for factory in (*self._web_sockets.values(), self.http):
            factory.doStart()

    def doStop(self) -> None:
        super().doStop()
        for factory in (*self._web_sockets.values(), self.http):
            factory.doStop()

    def accept(self) -> None:
        """
        Accept connections from now on.
        """
        self.accepting = True

    def refuse(self, refusal: Refusal) -> None:
        """
        Answer all requests for a WebSocket with C{refusal} from now on.
        """
        self.refusal = refusal

    def stop_accepting(self) -> None:
        """
        Close new connections at once from now on.
        """
        self.accepting = False

    def close(self) -> None:
        """
        Close all connections that are not WebSockets; WebSockets have factories of their own.
        """
        for connection in list(self.waiting):
            connection.abort()
        for connection in list(self.asking):
            connection.close()

    def factory_for(self, head: Head) -> IProtocolFactory:
        """
        The factory that serves a request with this head.
        """
        path = head.web_socket
        return self.http if path is None else self._web_sockets.get(path, self.http)


def answer(refusal: Refusal) -> bytes:
    """
    A whole response, with two line breaks after the text, as the Node server sends it.
    """
    body = refusal.text.encode("utf-8", "replace") + b"\r\n\r\n"
    phrase = HTTPStatus(refusal.status).phrase
    head = (
        f"HTTP/1.1 {refusal.status} {phrase}\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode("ascii") + body
