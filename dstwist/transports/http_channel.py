"""
HTTP connections: twisted.web's, with limits for everything that a client can make long, slow or large.
"""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import Any

from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.http_headers import Headers
from twisted.web.server import Request, Site

from dstwist.interfaces import HttpAnswer
from dstwist.log import Logger
from dstwist.scheduling.turns import Turns
from dstwist.transports.forwarded import address_of
from dstwist.transports.http_routes import Routes, whole
from dstwist.transports.incoming import UNCOUNTED_PART_BYTES, Incoming
from dstwist.transports.read_size import read_at_most

#: How long a client without a WebSocket may take to send its next request whole, in seconds.
REQUEST_TIMEOUT = 60.0
#: How many bytes are read from one client before other clients have their turn.
READ_BYTES = 4096
#: The same, while the client sends a body that is longer.
BODY_READ_BYTES = 65536
#: How long a client may go on sending a refused request, and how long it may take to close its side of a connection, in
#: seconds.
LINGER_SECONDS = 5.0

_TRY_LATER = HttpAnswer.text(503, "The server receives too much at once. Try again later.", {"Retry-After": "5"})


class BoundedRequest(Request):
    """
    A request whose body has a limit, and is kept in memory. twisted.web has no limit, and would fill the disk.

    A client whose body is too large gets its answer at once. The server then reads on for a while: if it closed the
    connection while the client sends, the client's system would throw the answer away.

    The bodies of all clients together have a limit as well (L{Incoming}), while they are received.
    """

    _log = Logger()

    channel: Any
    content: Any
    transport: Any
    _received = 0
    _counted = False
    _refused = False
    _drop_call: IDelayedCall | None = None

    def gotLength(self, length: int | None) -> None:
        super().gotLength(0)
        if length is not None and length > self.channel.site.max_body_size:
            self._refuse_size()
        elif length is None or length > READ_BYTES:
            read_at_most(self.channel.transport, BODY_READ_BYTES)

    def handleContentChunk(self, data: bytes) -> None:
        if self._refused:
            return
        self._received += len(data)
        if self._received > self.channel.site.max_body_size:
            self._refuse_size()
            return
        super().handleContentChunk(data)
        if self._received > UNCOUNTED_PART_BYTES:
            self._counted = True
            self.channel.site.incoming.account(self, self._received)

    def cut_off(self) -> None:
        """
        The bodies of all clients together are too large, and this one began first.
        """
        self._counted = False
        self._log.warn(
            "LIMIT_EXCEEDED | {limit}: a request of {address} does not end, closing",
            limit="maxIncomingBytes",
            address=address_of(self.transport),
            event="LIMIT_EXCEEDED",
            node=self.channel.site.node,
        )
        self._refuse(_TRY_LATER)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        self._forget()
        read_at_most(self.channel.transport, READ_BYTES)
        turns = self.channel.site.turns
        if self._refused:
            self.channel.loseConnection()
        elif turns.over():
            # A client may have sent hundreds in one record of TLS.
            turns.later(partial(self._go_on, command, path, version), fresh=True)
        else:
            super().requestReceived(command, path, version)

    def _go_on(self, command: bytes, path: bytes, version: bytes) -> None:
        if not self._disconnected:
            super().requestReceived(command, path, version)

    def connectionLost(self, reason: Failure) -> None:
        self._forget()
        call, self._drop_call = self._drop_call, None
        if call is not None and call.active():
            call.cancel()
        super().connectionLost(reason)

    def _forget(self) -> None:
        """
        The body is not counted any more.
        """
        if self._counted:
            self._counted = False
            self.channel.site.incoming.account(self, 0)

    def _refuse_size(self) -> None:
        self._forget()
        # The request line has been received, but twisted.web passes it on only with the whole request.
        self.method, self.uri = self.channel._command, self.channel._path
        self.path = self.uri.partition(b"?")[0]
        self._refuse(self.channel.site.resource.too_large(self))

    def _refuse(self, answer: HttpAnswer) -> None:
        self._refused = True
        self.content.seek(0)
        self.content.truncate()
        # No "100 Continue" behind the refusal.
        self.requestHeaders.removeHeader(b"Expect")
        self.transport.write(whole(answer, HTTPStatus(answer.status).phrase))
        self._drop_call = self.channel.callLater(LINGER_SECONDS, self.transport.abortConnection)


class Channel(HTTPChannel):
    """
    An HTTP connection.
    """

    transport: Any
    _drop_call: IDelayedCall | None = None

    def connectionMade(self) -> None:
        super().connectionMade()
        # All requests of one read are served at once; with the usual size these could be a few thousand.
        read_at_most(self.transport, READ_BYTES)

    def resetTimeout(self) -> None:
        # twisted.web would let a client go on that sends one byte a minute.
        pass

    def loseConnection(self) -> None:
        # Over TLS, closing waits until the client agrees, and no other time-out is left.
        if self._drop_call is None:
            self._drop_call = self.callLater(LINGER_SECONDS, self.transport.abortConnection)
        super().loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._drop_call is not None and self._drop_call.active():
            self._drop_call.cancel()
        super().connectionLost(reason)

    def pauseProducing(self) -> None:
        super().pauseProducing()
        # twisted.web reads on while it answers, and would queue answers without end for a client that does not read.
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        super().resumeProducing()
        # twisted.web would read on only behind the answer, and not notice that the client of a stream goes. Reading
        # stays paused while the client does not take the answer, or has sent many requests ahead.
        ahead = sum(map(len, self._dataBuffer))
        if self._handlingRequest and not self._waitingForTransport and ahead <= self._optimisticEagerReadSize:
            self.transport.resumeProducing()

    def headerReceived(self, line: bytes) -> bool:
        # int() fails on more than some thousand digits; twisted.web answers 400 to a value that is no number.
        if len(line) > 100 and line[:15].lower() == b"content-length:":
            line = b"Content-Length: too long"
        received: bool = super().headerReceived(line)
        return received

    def writeHeaders(self, version: bytes, code: bytes, reason: bytes, headers: Headers) -> None:
        # Clients need not know the versions of our libraries.
        headers.setRawHeaders(b"Server", [b"dstwist"])
        super().writeHeaders(version, code, reason, headers)


class HttpFactory(Site):
    """
    Serves HTTP on connections that do not ask for a WebSocket.

    @param incoming: counts the bytes of bodies that have been received in part.
    @param node: the label of the node, for logs.
    """

    protocol = Channel  # type: ignore[assignment]
    noisy = False
    displayTracebacks = False

    def __init__(
        self,
        root: Routes,
        max_body_size: int,
        reactor: Any,
        incoming: Incoming | None = None,
        node: str = "",
    ) -> None:
        super().__init__(root, BoundedRequest, reactor=reactor, timeout=REQUEST_TIMEOUT, parsePOSTFormSubmission=False)
        self.max_body_size = max_body_size
        self.turns = Turns.of(reactor)
        self.incoming = incoming if incoming is not None else Incoming()
        self.node = node

    def startFactory(self) -> None:
        # twisted.web would wake up every second to compute the time for its access log.
        pass

    def log(self, request: object) -> None:
        # Proxies in front of the server write access logs.
        pass
