"""
One path for clients of both generations, told apart by their first frame.
"""

from __future__ import annotations

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import implementer

from dstwist.interfaces import HandshakeData, IReceiver
from dstwist.transports.websocket import ConnectionFactory, WebSocketLink


@implementer(IReceiver)
class Detection:
    """
    Receives the payloads of a WebSocket until the generation of its client is known.

    A v4+ client speaks first, in binary frames. A v2/v3 client waits for the server. A client that has not spoken for
    C{timeout} seconds is greeted in text. Its first frame still decides: a v4+ client on a slow line ignores the
    greeting, and is served in binary when it has spoken.
    """

    def __init__(
        self,
        link: WebSocketLink,
        handshake: HandshakeData,
        text: ConnectionFactory,
        binary: ConnectionFactory,
        clock: IReactorTime,
        timeout: float,
    ) -> None:
        self.user: str | None = None
        self.heard = True
        self._link = link
        self._handshake = handshake
        self._make_text = text
        self._make_binary = binary
        self._clock = clock
        self._timeout = timeout
        self._call: IDelayedCall | None = None
        self._text: IReceiver | None = None

    def open(self) -> None:
        self._call = self._clock.callLater(self._timeout, self._greet_late)

    def receive(self, payload: bytes | str) -> bool | None:
        self._stop()
        if isinstance(payload, str):
            connection = self._text or self._greet()
            self._link.hand_over(connection)
        else:
            if self._text is not None:
                self._text.lost("it is a client of v4 or later")
            connection = self._make_binary(self._link, self._handshake)
            self._link.hand_over(connection)
            connection.open()
        return connection.receive(payload)

    def count_bytes(self, count: int) -> None:
        # A limit applies when there is a connection. Before that, a client can send no more than one message.
        pass

    def lost(self, reason: str) -> None:
        self._stop()
        if self._text is not None:
            self._text.lost(reason)

    def close(self, reason: str, code: int) -> None:
        self.lost(reason)
        self._link.close(code, reason)

    def _greet_late(self) -> None:
        self._call = None
        try:
            self._greet()
        except Exception:
            self._link.fail("opening a connection failed")

    def _greet(self) -> IReceiver:
        connection = self._text = self._make_text(self._link, self._handshake)
        connection.open()
        return connection

    def _stop(self) -> None:
        if self._call is not None:
            self._call.cancel()
            self._call = None
