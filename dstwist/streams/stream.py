r"""
One stream, from its subscription to its end.

::

    asking --- ack, or the record ---> open ---- the client goes, the server stops -------------> closed
       |                                  |
       |                                  +--- kick, end of the login, refusal, too slow -------> C{error}, closed
       +--- an error: it is the answer to the request

If too many bytes wait for all clients of the server (C{limits.maxOutgoingBytes}), streams of both kinds end.

L{dstwist.streams.kinds} has the kinds: they differ in the frames that wait for a slow reader.

Always true: a stream that is closed, or is about to be, takes no more frames. C{write} and C{send} never call back into
a service.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from dstwist.connections.login import LoginDecision
from dstwist.connections.requester import Requester
from dstwist.http_api.results import Results
from dstwist.interfaces import IConnection, IStreamWriter
from dstwist.limits.outgoing_bytes import OutgoingBytes
from dstwist.log import LoggedClient, about
from dstwist.protocol.dialect import STREAM
from dstwist.protocol.jsontext import dumps
from dstwist.protocol.message import Message
from dstwist.routing.router import Router
from dstwist.scheduling.turns import Turns
from dstwist.streams.wire import STREAM_WIRE, error_event


def connection_error(event: str, text: str) -> bytes:
    """
    The JSON text of an error that is not about an event or a record.
    """
    return b'{"errorTopic":"connection","errorEvent":"%b","success":false,"error":%b}' % (event.encode(), dumps(text))


@dataclass(frozen=True)
class StreamParts:
    """
    The parts of the node that streams need.

    @ivar results: makes the texts of errors.
    @ivar most: how many bytes may wait for one client.
    """

    router: Router
    outgoing: OutgoingBytes
    results: Results
    clock: IReactorTime
    most: int


@implementer(IConnection)
class Stream(Requester):
    """
    The part that is the same for events and records.

    @param request: the request that subscribes.
    @ivar opened_at: when it was made, by the clock of its node.
    @ivar counted: as of L{dstwist.limits.outgoing_bytes.CountedOutbox}; so are the methods under "too slow".
    """

    __slots__ = (
        "_error",
        "_is_answered",
        "_most",
        "_opening",
        "_outgoing",
        "_refusal",
        "_request",
        "_results",
        "_turns",
        "_writer",
        "counted",
        "given_up",
        "opened_at",
        "wire",
    )

    def __init__(self, client: LoggedClient, decision: LoginDecision, request: Message, parts: StreamParts) -> None:
        super().__init__(client, STREAM, parts.router, parts.clock)
        self.client_data = decision.client_data
        self.server_data = None if decision.login is None else decision.login.server_data
        self.wire = STREAM_WIRE
        self.counted = 0
        self.given_up = False
        self.opened_at = parts.clock.seconds()
        self._request = request
        self._most = parts.most
        self._results = parts.results
        self._outgoing = parts.outgoing
        self._turns = Turns.of(parts.clock)
        self._writer: IStreamWriter | None = None
        self._opening: Deferred[Message | None] | None = None
        self._is_answered = False
        self._refusal: Message | None = None
        self._error: bytes | None = None

    # -- the begin

    def open(self) -> Deferred[Message | None]:
        """
        Subscribe.

        @return: gives the error if that fails. If the stream is closed meanwhile, it gives C{None}. It fires in a turn
            of its own: services send answers in the middle of their work.
        """
        opening: Deferred[Message | None] = Deferred()
        self._opening = opening
        self.request([self._request])
        return opening

    def _opened(self, refusal: Message | None = None) -> None:
        """
        The answer has come. Only the first one counts.
        """
        if not self._is_answered:
            self._is_answered = True
            self._refusal = refusal
            self._turns.later(self._tell)

    def _tell(self) -> None:
        opening, self._opening = self._opening, None
        # The client may have gone meanwhile.
        if opening is not None and not opening.called:
            opening.callback(self._refusal)

    def begin(self, writer: IStreamWriter, first: bytes) -> None:
        """
        Send C{first}, and then all news.
        """
        if self.closed:
            writer.close()
            return
        self._writer = writer
        writer.on_gone(self._gone)
        writer.on_taken(self._taken)
        writer.write(first)
        self._send_early(writer)
        self._account()

    @property
    def begun(self) -> bool:
        """
        Whether the client has the head of the answer.
        """
        return self._writer is not None

    def _send_early(self, writer: IStreamWriter) -> None:
        """
        Send what has come before.
        """
        raise NotImplementedError

    def heartbeat(self) -> None:
        """
        Send a comment, unless the client has other data to take.
        """
        if self._writer is not None and not self._writer.waiting:
            self._writer.write(b":\n\n")

    # -- answers

    def send(self, message: Message) -> None:
        if self.closed or self.given_up:
            return
        if message.is_error:
            if self._is_answered:
                self._fail(self.error_text(message))
            else:
                self._opened(message)
        else:
            self._take(message)

    def _take(self, message: Message) -> None:
        """
        Take a message that is no error.
        """
        frame = self.wire.encode(message)
        if frame:
            self.write(frame)

    def error_text(self, message: Message) -> bytes:
        """
        The error of C{message}, as JSON text.
        """
        found = self._results.of(self._request, message)
        return connection_error("ERROR", "Internal server error.") if found is None else found[1]

    def _fail(self, error: bytes) -> None:
        """
        End the stream with C{error} when the service has done its work.
        """
        if not self.given_up:
            self.given_up = True
            self._error = error
            self._outgoing.close_later(self)

    # -- news

    def write(self, frame: Any) -> None:
        raise NotImplementedError

    # -- too slow

    @property
    def waiting_bytes(self) -> int:
        """
        How many bytes wait because the client does not read.
        """
        raise NotImplementedError

    def _drop(self) -> None:
        """
        Forget the data that the writer does not have.
        """
        raise NotImplementedError

    def _account(self) -> None:
        self._outgoing.account(self, self.waiting_bytes)

    def _taken(self) -> None:
        if not self.closed:
            self._account()

    def give_up(self) -> None:
        self._too_slow(f"more than {self._outgoing.most} bytes wait for all clients (maxOutgoingBytes)")

    def _too_slow(self, excess: str) -> None:
        """
        Drop what waits, and end the stream later.
        """
        self._drop()
        writer = self._writer
        is_cut = writer is not None and writer.discard()
        self._account()
        if not self.given_up:
            self._log.warn(
                "SLOW_CONSUMER | {client} does not read: {excess}, closing",
                excess=excess,
                event="SLOW_CONSUMER",
                **about(self),
            )
        self._fail(connection_error("SLOW_CONSUMER", f"The client does not read: {excess}."))
        if is_cut and writer is not None:
            # A text behind half an event would be a part of it.
            self._error = b""
            writer.abort()

    def close_slow(self) -> None:
        self.close("slow")

    def abort(self) -> None:
        if self._writer is not None:
            self._writer.abort()

    # -- the end

    def _gone(self) -> None:
        """
        The client has gone, or the server stops.
        """
        self._writer = None
        self.close("gone")

    def end(self) -> None:
        """
        The server sends the client away: end the stream as if the connection were lost. The client may come back. Its
        connection is closed: on the same connection, it would not come to another server behind a load balancer.
        """
        self._error = b""
        self._close("sent away", keeps_connection=False)

    def close(self, reason: str) -> None:
        self._close(reason)

    def _close(self, reason: str, keeps_connection: bool = True) -> None:
        if self.closed:
            return
        self._drop()
        writer, self._writer = self._writer, None
        self._end_requests()
        self._outgoing.account(self, 0)
        error = connection_error("CLOSED", reason) if self._error is None else self._error
        if writer is not None:
            if error:
                writer.write(error_event(error))
            writer.close(keeps_connection)
        self._opened()
