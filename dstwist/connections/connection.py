"""
One client connection, from its opening to its end.

A L{ClientHandshake} (L{dstwist.connections.handshake}) receives everything until the login is accepted; then the
connection drops it. Once open, the connection answers messages of the topic CONNECTION itself, and hands all others to
the router::

    handshake: CHALLENGE, LOGIN, DECIDING --authenticated--> open --close, lost, limit, expiry--> closed
                         |                                                                          ^
                         +---------------- close, lost, time-out, limit ----------------------------+

Always true: no message reaches a closed connection. When L{Connection.close} or L{Connection.lost} returns, all
callbacks for the end of the connection have been called.
Sources: C{text-protocol.md} section 7, C{binary-protocol.md} section 7.

A L{WorkQueue} serves requests in order and in slices of time (L{dstwist.connections.requester}). While the queue is
empty, which it nearly always is, the connection calls the router itself: a message that does not have to wait does not
pass through the queue.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from zope.interface import implementer

from dstwist.connections.endpoint import PAYLOAD_PIECE_BYTES, EndpointContext, IUnauthenticatedConnection
from dstwist.connections.handshake import ClientHandshake
from dstwist.connections.requester import Requester
from dstwist.interfaces import Decode, HandshakeData, ICodecWire, ILink, IReceiver, Login, Work
from dstwist.log import Logger, about
from dstwist.protocol.closing import INTERNAL_ERROR, INVALID_PAYLOAD, POLICY_VIOLATION
from dstwist.protocol.constants import AuthAction, ConnectionAction, ParserAction, Topic
from dstwist.protocol.dialect import Dialect
from dstwist.protocol.freeing import freeing
from dstwist.protocol.jsonparts import reading
from dstwist.protocol.jsontext import READ_IN_PARTS_LENGTH, is_known, known
from dstwist.protocol.message import UNREADABLE, Malformed, Message
from dstwist.scheduling.turns import Turns
from dstwist.scheduling.work_queue import WorkQueue

# A payload with no more messages than this is served without the queue.
_MAX_UNQUEUED_MESSAGES = 8

# Members of enumerations are looked up at every use; this one is used for every message.
_CONNECTION = Topic.CONNECTION

_PING = Message(Topic.CONNECTION, ConnectionAction.PING)
_LOGGED_IN = Message(Topic.AUTH, AuthAction.AUTH_SUCCESSFUL)
_PONG = Message(Topic.CONNECTION, ConnectionAction.PONG)
_UNKNOWN_TOPIC = Message(Topic.PARSER, ParserAction.UNKNOWN_TOPIC, original_topic=Topic.CONNECTION)


@implementer(IUnauthenticatedConnection, IReceiver)
class Connection(Requester):
    """
    One client.

    @ivar decode: gives the messages of a payload, and counts them if their rate is limited.
    @ivar heard: set by the link whenever data has come; the heartbeat looks at it.
    """

    __slots__ = (
        "_answer",
        "_context",
        "_handshake",
        "_is_open",
        "_link",
        "_opened_at",
        "_sent",
        "_short",
        "_silence",
        "_turns",
        "decode",
        "heard",
        "wire",
        "write",
    )

    _log = Logger()
    _queue: WorkQueue[Message | Malformed | bytes | str]

    def __init__(
        self, link: ILink, wire: ICodecWire, dialect: Dialect, handshake: HandshakeData, context: EndpointContext
    ) -> None:
        super().__init__(handshake, dialect, context.router, context.clock, link, context.rates)
        self.wire = wire
        self.heard = True
        self.write: Callable[[bytes], None] = link.outbox.write
        decode = wire.codec.decode
        self.decode: Decode = decode if self._rate_limit is None else self._rate_limit.counted(decode)
        self._answer: Callable[[bytes], None] = link.outbox.answer
        self._sent = context.router.sent.by_topic
        self._turns = Turns.of(context.clock)
        # Payloads up to this length are decoded at once, and cannot contain an oversized name.
        self._short = min(context.router.name_limit.limit, PAYLOAD_PIECE_BYTES)
        self._link = link
        self._context = context
        self._opened_at = context.clock.seconds()
        self._is_open = False
        # C{None} once the client is logged in.
        self._handshake: ClientHandshake | None = ClientHandshake(self, link, handshake, context)
        self._silence = 0

    def open(self) -> None:
        """
        The link can send and receive: begin the handshake.
        """
        assert self._handshake is not None
        self._context.heartbeat.add(self, self._beat)
        self._handshake.open()

    def authenticated(self, user: str, login: Login) -> None:
        self.user = user
        self._link.logged_in()
        if self._rate_limit is not None:
            self._rate_limit.logged_in(user)
        self.client_data = login.client_data
        self.server_data = login.server_data
        self._handshake = None
        self._is_open = True
        if login.client_data is None:
            self.send_constant(_LOGGED_IN)
        else:
            self.send(Message(Topic.AUTH, AuthAction.AUTH_SUCCESSFUL, data=login.client_data))
        self._context.users.add(self)
        if Logger.informs():
            self._log.info("AUTH_SUCCESSFUL | {client}", event="AUTH_SUCCESSFUL", **about(self))

    @property
    def link(self) -> ILink:
        """
        The transport.
        """
        return self._link

    # -- messages

    def receive(self, payload: bytes | str) -> bool | None:
        """
        Take one payload from the client.

        @return: true if all payloads behind it have to wait until the link is resumed.
        """
        if not self._is_open:
            if self._handshake is not None:
                self._handshake.receive(payload)
            return self._queue.busy
        if len(payload) <= self._short:
            messages = self.decode(payload)
        elif len(payload) <= PAYLOAD_PIECE_BYTES:
            messages = self._decode(payload)
        else:
            return self._queue.serve(self.wire.codec.pieces(payload, PAYLOAD_PIECE_BYTES))
        queue = self._queue
        if queue.busy or len(messages) > _MAX_UNQUEUED_MESSAGES:
            return queue.serve(messages)
        # The link checks the time between payloads.
        end = self._turns.slice_end() if len(messages) > 1 else None
        for message in messages:
            if message.__class__ is Message and message.topic is not _CONNECTION:
                self._route(message, self)
            else:
                self._handle(message)
            if queue.waiting or (end is not None and self._turns.now() > end):
                # The very same object: others may be equal.
                behind = next(number for number, other in enumerate(messages, 1) if other is message)
                return queue.keep(messages[behind:])
        return None

    def serve(self, requests: Iterable[Message | Malformed | bytes | str]) -> bool:
        return self._queue.serve(requests)

    def count_bytes(self, count: int) -> None:
        if self._rate_limit is not None:
            self._rate_limit.count_bytes(count)

    def serve_own(self, request: Message | Malformed | bytes | str) -> None:
        """
        Serve a request from the queue that is not for the router, decoded or not.
        """
        if isinstance(request, Message | Malformed):
            self._handle(request)
        elif len(request) <= 2 * PAYLOAD_PIECE_BYTES:
            self._queue.serve_next(self._decode(request))
        else:
            pieces = self.wire.codec.pieces(request, PAYLOAD_PIECE_BYTES)
            if len(pieces) > 1:
                self._queue.serve_next(pieces)
            else:
                self._queue.do(self._read_long(request))

    def serving_failed(self) -> None:
        self.close("internal error", INTERNAL_ERROR)

    def _read_long(self, payload: bytes | str) -> Work:
        """
        Decode, in steps, a payload that is one very long message, with very many names or with long JSON.
        """
        messages: list[Message | Malformed] | None = None
        for found in self.wire.codec.names_apart(payload):
            if found is None:
                yield None
                continue
            request, names, raw = found
            messages = [
                replace(message, names=names, raw=raw) if isinstance(message, Message) else message
                for message in self.decode(request)
            ]
            messages = self._fitting(messages, self.dialect.is_refused_once)
        if messages is None:
            messages = yield from self._read_json(payload)
        self._queue.serve_next(messages)

    def _read_json(self, payload: bytes | str) -> Generator[None, None, list[Message | Malformed]]:
        read: list[Any] = []
        with ExitStack() as outcomes:
            # A text may be within another one.
            for text, outcome in (yield from self._read_texts(payload)):
                outcomes.enter_context(known(text, outcome))
                if not isinstance(outcome, ValueError):
                    read.append(outcome)
                del outcome
            messages = self._decode(payload)
        yield from freeing(read)
        return messages

    def _read_texts(self, payload: bytes | str) -> Generator[None, None, list[tuple[bytes | str, Any]]]:
        """
        Read the JSON texts in C{payload} that are long: each text, and its value or its error.
        """
        outcomes: list[tuple[bytes | str, Any]] = []
        while True:
            with ExitStack() as known_so_far:
                for outcome in outcomes:
                    known_so_far.enter_context(known(*outcome))
                found = self.wire.codec.json_apart(payload)
                if found is None or len(found[0]) < READ_IN_PARTS_LENGTH or is_known(found[0]):
                    return outcomes
            text, keep = found
            try:
                outcomes.append((text, (yield from reading(text if isinstance(text, bytes) else text.encode(), keep))))
            except ValueError as error:
                # Without the traceback, which leads back to this frame.
                outcomes.append((text, error.with_traceback(None)))

    def _decode(self, payload: bytes | str) -> list[Message | Malformed]:
        """
        The messages of a payload, without names that are too long.
        """
        messages = self.decode(payload)
        return messages if len(payload) <= self._short else self._fitting(messages, self.dialect.is_refused_once)

    def _handle(self, message: Message | Malformed) -> None:
        if isinstance(message, Malformed):
            if message.fault in UNREADABLE:
                self.close(UNREADABLE[message.fault], INVALID_PAYLOAD)
            else:
                self.refuse(message)
        elif message.topic is not Topic.CONNECTION:
            self._route(message, self)
        elif message.action is ConnectionAction.PING:
            self.send_constant(_PONG)
        elif message.action is not ConnectionAction.PONG or not self.dialect.server_pings:
            self.send_constant(_UNKNOWN_TOPIC)

    def send(self, message: Message) -> None:
        if not self.closed:
            frame = self.wire.encode(message)
            if frame:
                self._sent[message.topic][message.action] += 1
                self._answer(frame)

    def send_constant(self, message: Message) -> None:
        if not self.closed:
            frame = self.wire.encode_constant(message)
            if frame:
                self._sent[message.topic][message.action] += 1
                self._answer(frame)

    def close(self, reason: str, code: int = POLICY_VIOLATION) -> None:
        """
        End the connection. All messages so far still leave; then the transport is closed with C{code}.
        """
        if not self.closed:
            self._end(reason)
            self._link.close(code, reason)

    def lost(self, reason: str) -> None:
        """
        End the connection: the transport is lost, or brings no more payloads.
        """
        if not self.closed:
            self._end(reason)

    def _end(self, reason: str) -> None:
        self.closed = True
        opened, self._is_open = self._is_open, False
        if self._handshake is not None:
            self._handshake.end()
            self._handshake = None
        context = self._context
        context.heartbeat.remove(self)
        if not context.heartbeat and context.deadlines is not None:
            # There are no clients: an endpoint without clients leaves no timer behind.
            context.deadlines.stop()
        self._end_requests()
        if opened:
            # After all callbacks: observers of users find nothing of the connection any more.
            self._context.users.remove(self)
        if Logger.informs():
            self._log.info(
                "CLIENT_DISCONNECTED | {client} after {seconds:.1f} s: {reason}",
                seconds=self._context.clock.seconds() - self._opened_at,
                reason=reason,
                event="CLIENT_DISCONNECTED",
                **about(self),
            )

    # -- the clock

    def _beat(self) -> None:
        """
        Once a heartbeat interval: close the connection if no data came for two intervals although the server read from
        it; else ping the client, if the server pings clients of its dialect.
        """
        self._silence = 0 if self.heard or self._queue.paused else self._silence + 1
        self.heard = False
        if self._silence >= 2:
            # Not an error as with the Node server: clients lose their networks every day.
            self._log.info(
                "INFO | Heartbeat missing on websocket, terminating connection of {client}",
                event="INFO",
                **about(self),
            )
            self.close("heartbeat missing")
        elif self.dialect.server_pings:
            self.send_constant(_PING)
