"""
All WebSockets of one path: the parts that they share, and their end.
"""

from __future__ import annotations

from typing import Any

from autobahn.twisted.websocket import WebSocketServerFactory
from twisted.internet.defer import Deferred

from dstwist.config.endpoints import WebSocketEndpoint
from dstwist.limits.outgoing_bytes import OutgoingBytes
from dstwist.scheduling.turns import Turns
from dstwist.transports.close_delay import CloseDelay
from dstwist.transports.compact_link import with_options
from dstwist.transports.incoming import Incoming
from dstwist.transports.metered import MeteredLink
from dstwist.transports.outbox_group import OutboxGroup
from dstwist.transports.websocket import ConnectionFactory, WebSocketLink


class WebSocketFactory(WebSocketServerFactory):
    """
    All WebSockets of one path.

    @param connect: makes the connection behind each WebSocket.
    @param metered: connections count the bytes that clients send.
    @param outgoing: how much may wait for the clients of all paths together.
    @param close_delay: the delayed closes of all paths together; without it, no close is delayed.
    @param incoming: the unfinished messages of the clients of all paths together.
    @param node: the label of the node, for logs.
    @ivar links: the WebSockets, each from its handshake to the end of its transport.
    """

    protocol = WebSocketLink  # type: ignore[assignment]
    noisy = False

    def __init__(
        self,
        settings: WebSocketEndpoint,
        connect: ConnectionFactory,
        reactor: Any,
        metered: bool = False,
        outgoing: OutgoingBytes | None = None,
        close_delay: CloseDelay | None = None,
        incoming: Incoming | None = None,
        node: str = "",
    ) -> None:
        if metered:
            self.protocol = MeteredLink
        super().__init__(server="dstwist", reactor=reactor)
        self.settings = settings
        self.node = node
        self.close_delay = close_delay if close_delay is not None else CloseDelay(0.0, 0, reactor)
        self.incoming = incoming if incoming is not None else Incoming()
        self.connect = connect
        self.turns = Turns.of(reactor)
        self.outboxes = OutboxGroup(reactor, settings.outgoing_buffer_timeout, outgoing)
        self.links: set[WebSocketLink] = set()
        self._waiting: list[Deferred[None]] = []
        self.setProtocolOptions(
            maxFramePayloadSize=settings.max_message_size,
            maxMessagePayloadSize=settings.max_message_size,
            # Tell the client the reason before the connection ends.
            failByDrop=False,
            # Autobahn's timers run on the global reactor; C{WebSocketLink} has timers of its own.
            closeHandshakeTimeout=0,
            # The request head is complete before a link is made.
            openHandshakeTimeout=0,
            webStatus=False,
            allowNullOrigin=True,
        )
        self.protocol = with_options(self.protocol, self)

    def buildProtocol(self, addr: Any) -> Any:
        link: Any = super().buildProtocol(addr)
        self.links.add(link)
        return link

    def forget(self, link: WebSocketLink) -> None:
        """
        The transport of C{link} is lost.
        """
        self.links.discard(link)
        if not self.links:
            waiting, self._waiting = self._waiting, []
            for deferred in waiting:
                deferred.callback(None)

    def drained(self) -> Deferred[None]:
        """
        Fires when there are no WebSockets.
        """
        deferred: Deferred[None] = Deferred()
        if self.links:
            self._waiting.append(deferred)
        else:
            deferred.callback(None)
        return deferred

    def close(self, code: int, reason: str) -> None:
        """
        Close all WebSockets in order, and drop those whose handshake is not complete.
        """
        for link in list(self.links):
            link.end(code, reason)

    def abort(self) -> None:
        """
        Drop all remaining WebSockets.
        """
        for link in list(self.links):
            link.transport.abortConnection()
